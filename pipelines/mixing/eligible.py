"""Eligible: what the choice of documents looks at, row group by row group.

In: a shard of the pool with its tables. Out: per document its place in the order, its tokens,
whether it is in the pool, meets the recipe's query and lies in its source's window, and, where the
recipe asks for them, the score, topic and number by which quality and repetition decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.attributes import read_aligned
from transforms.checks.documents import id_hashes
from transforms.dedup.pool import PoolShard
from transforms.mixing.budget import order_key
from transforms.mixing.identity import digest_hashes
from transforms.mixing.partition import NO_TOPIC
from transforms.mixing.window import Window, WindowBounds
from transforms.query import EVALUATED_ROWS, columns_used, evaluate

__all__ = ["Choice", "Grade", "Graded", "Scored", "as_scores", "score"]


@dataclass(frozen=True)
class Grade:
    """SQL over attributes that sorts the documents of a source into cells: a number, a text, a
    whole number; None: all are alike. `steps`: see Partition."""

    score: str | None
    topic: str | None
    by: str | None
    steps: tuple[tuple[int, int], ...] = ((0, 1),)

    @property
    def expressions(self) -> list[str]:
        return [one for one in (self.score, self.topic, self.by) if one]


@dataclass(frozen=True)
class Choice:
    """What decides about a document: the recipe's query (SQL or None), the seed of its order and,
    by source, the grade of its documents and their window where there is one.

    `schemas` are the attribute tables that the SQL may name; `bounds`: of windows, once they are
    known (without them all documents lie inside).
    """

    where: str | None
    seed: int
    schemas: Mapping[str, pa.Schema]
    grades: Mapping[str, Grade] = field(default_factory=dict)
    windows: Mapping[str, Window] = field(default_factory=dict)
    bounds: Mapping[str, WindowBounds] = field(default_factory=dict)


@dataclass(frozen=True)
class Graded:
    """What a grade says of the documents of a row group: score float32[rows] (null: NaN), topic
    string[rows] (null: NO_TOPIC), number int64[rows] (null: 1)."""

    score: npt.NDArray[np.float32]
    topic: pa.Array
    number: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """One row group, an entry a row: order uint64, tokens int64 (EOS included), pooled and eligible
    bool, outside bool (it meets the query but lies outside its window), measured float32 (what the
    window looks at, null: NaN; empty without one); and where they were asked for text_bytes int64
    (what is left after cuts), digest uint64 (of id and tokens) and metadata string (JSON
    objects)."""

    order: npt.NDArray[np.uint64]
    tokens: npt.NDArray[np.int64]
    pooled: npt.NDArray[np.bool_]
    eligible: npt.NDArray[np.bool_]
    outside: npt.NDArray[np.bool_]
    measured: npt.NDArray[np.float32]
    graded: Graded | None
    text_bytes: npt.NDArray[np.int64]
    digest: npt.NDArray[np.uint64]
    metadata: pa.Array


def score(shard: PoolShard, choice: Choice, contents: bool = True) -> Iterator[Scored]:
    """All row groups of a shard, in their order. `contents`: whether text_bytes, digest and
    metadata are wanted; else they are empty, and small row groups come together."""
    grade, window = choice.grades.get(shard.source), choice.windows.get(shard.source)
    expressions = [
        *([choice.where] if choice.where else []),
        *([window.score] if window else []),
        *(grade.expressions if grade else []),
    ]
    used = columns_used(expressions, choice.schemas)
    columns: dict[str, list[str] | None] = {table: list(names) for table, names in used.items()}
    of_tokens = {*(columns.get("tokens") or []), "count"}
    if contents:
        of_tokens |= {"cut_bytes", "digest"}
        columns["size"] = sorted({*(columns.get("size") or []), "bytes"})
    columns["tokens"] = sorted(of_tokens)
    tables = {name: shard.tables[name] for name in columns}
    columns["documents"] = ["id", "metadata"] if contents else ["id"]
    tables = {"documents": shard.documents, **tables}
    least_rows = 1 if contents else EVALUATED_ROWS
    for aligned in read_aligned(tables, shard.file.rows_digest, columns, least_rows):
        ids = aligned["documents"].column("id")
        counts = aligned["tokens"].column("count")
        pooled = counts.is_valid().to_numpy(zero_copy_only=False)
        values = evaluate(expressions, {name: aligned[name] for name in used}, len(ids))
        eligible = pooled
        if choice.where:
            met = values.pop(0)
            eligible = pooled & met.fill_null(False).to_numpy(zero_copy_only=False)
        measured = as_scores(values.pop(0)) if window else np.empty(0, np.float32)
        outside = np.zeros(len(ids), np.bool_)
        if shard.source in choice.bounds:
            outside = eligible & ~choice.bounds[shard.source].inside(measured)
            eligible = eligible & ~outside
        tokens = counts.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        upper, lower = id_hashes(ids)
        order = order_key(upper, choice.seed)
        graded = _grade(grade, values, len(ids)) if grade else None
        text_bytes, digest = np.empty(0, np.int64), np.empty(0, np.uint64)
        metadata = pa.array([], pa.string())
        if contents:
            metadata = aligned["documents"].column("metadata")
            cut = aligned["tokens"].column("cut_bytes").fill_null(0)
            sizes = aligned["size"].column("bytes").to_numpy()
            text_bytes = sizes - cut.to_numpy(zero_copy_only=False)
            hashes = aligned["tokens"].column("digest").fill_null(0).to_numpy()
            digest = digest_hashes(upper, lower, hashes)
        yield Scored(
            order, tokens, pooled, eligible, outside, measured, graded, text_bytes, digest, metadata
        )


def as_scores(column: pa.Array) -> npt.NDArray[np.float32]:
    """Numbers of any type; null: NaN."""
    numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    scores: npt.NDArray[np.float32] = numbers.astype(np.float32)
    return scores


def _grade(grade: Grade, values: list[pa.Array], rows: int) -> Graded:
    """`values` are those of the grade's expressions."""
    left = list(values)
    scores = np.zeros(rows, np.float32)
    if grade.score:
        scores = as_scores(left.pop(0))
    topics = pa.array([NO_TOPIC] * rows, pa.string())
    if grade.topic:
        topics = pc.fill_null(left.pop(0).cast(pa.string()), NO_TOPIC)
    numbers = np.ones(rows, np.int64)
    if grade.by:
        column = pc.fill_null(left.pop(0), 1).cast(pa.float64(), safe=False)
        numbers = np.floor(column.to_numpy(zero_copy_only=False)).astype(np.int64)
    return Graded(scores, topics, numbers)
