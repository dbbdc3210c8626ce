"""Two mixes compared, document by document.

In: for each time that a document stands in one of two mixes a row: hash of its id, its source, its
tokens, and where it stands. Out: per source what both hold, what only one holds and what both hold
another number of times; and some documents of each kind, chosen by a keyed hash of their ids, so
that they are the same ones each time. Rows are sorted in pieces (sorted_pieces): memory does not
grow with the mixes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.checks.documents import id_hashes
from transforms.mixing.budget import order_key
from transforms.rows import Rows, sum_equal
from transforms.sorted_pieces import sorted_pieces

__all__ = [
    "KINDS",
    "MOST_BYTES",
    "Compared",
    "Place",
    "SourceCounts",
    "compare_rows",
    "document_rows",
    "kind_rows",
]

MOST_BYTES = 64 << 20  # of rows that are sorted at once
EXAMPLES_SEED = 0xC0FFEE  # of the order in which examples are chosen
KINDS = ("only_a", "only_b", "more", "fewer")  # more: B holds it more often than A
_KEYS = ("source", "upper", "lower")
_SUMS = ("copies_a", "copies_b", "tokens_a", "tokens_b")
ROW = np.dtype(
    [
        ("source", "<u4"), ("upper", "<u8"), ("lower", "<u8"),  # of the id's 128-bit hash
        ("file", "<u4"), ("row", "<u4"),  # one place where the document stands
        ("copies_a", "<u4"), ("copies_b", "<u4"), ("tokens_a", "<u8"), ("tokens_b", "<u8"),
    ]
)  # fmt: skip


class Place(NamedTuple):
    """Where a document stands: number of a file, row in it (from 0); and how often in A and B."""

    file: int
    row: int
    copies_a: int
    copies_b: int


@dataclass
class SourceCounts:
    """What two mixes hold of a source: of each different document, how often it stands there and
    the tokens of all its copies. `both`: documents that both hold; `more` and `fewer`: those among
    them that B holds more or less often than A."""

    documents_a: int = 0  # copies counted
    documents_b: int = 0
    tokens_a: int = 0
    tokens_b: int = 0
    both: int = 0
    both_tokens_a: int = 0
    both_tokens_b: int = 0
    only_a: int = 0
    only_b: int = 0
    only_a_tokens: int = 0
    only_b_tokens: int = 0
    more: int = 0
    fewer: int = 0


@dataclass
class Compared:
    """Counts by number of source, and examples by number of source and kind."""

    sources: dict[int, SourceCounts] = field(default_factory=dict)
    examples: dict[tuple[int, str], list[Place]] = field(default_factory=dict)


def document_rows(
    ids: pa.Array,
    sources: npt.NDArray[np.uint32],
    tokens: npt.NDArray[np.int64],
    file: int,
    of_b: bool,
) -> Rows:
    """Rows of a token file's documents: ids string[documents], numbers of their sources, tokens."""
    rows = np.zeros(len(ids), ROW)
    rows["upper"], rows["lower"] = id_hashes(ids)
    rows["source"] = sources
    rows["file"], rows["row"] = file, np.arange(len(ids))
    rows["copies_b" if of_b else "copies_a"] = 1
    rows["tokens_b" if of_b else "tokens_a"] = tokens
    return rows


def compare_rows(
    blocks: Iterable[Rows],
    examples: int = 3,
    watch: Callable[[Rows], None] = lambda documents: None,
    most_bytes: int = MOST_BYTES,
) -> Compared:
    """Compare all rows of both mixes. `examples`: of each source and kind, at most. `watch` gets
    the different documents piece by piece, a row each with its copies and tokens in A and B."""
    compared = Compared()
    heaps: dict[tuple[int, str], list[tuple[int, Place]]] = {}
    for documents in _documents(sorted_pieces(blocks, ROW, most_bytes)):
        _count(documents, compared.sources)
        _choose(documents, heaps, examples)
        watch(documents)
    for key, its in sorted(heaps.items()):
        compared.examples[key] = [place for _, place in sorted(its, reverse=True)]
    return compared


def kind_rows(documents: Rows) -> dict[str, npt.NDArray[np.bool_]]:
    """Which documents are of each kind, bool[rows]."""
    a, b = documents["copies_a"], documents["copies_b"]
    return {
        "only_a": b == 0,
        "only_b": a == 0,
        "more": (a > 0) & (b > a),
        "fewer": (b > 0) & (b < a),
    }


def _documents(pieces: Iterable[Rows]) -> Iterator[Rows]:
    """Rows of one document as one. A document may go on over any number of pieces."""
    held: Rows | None = None
    for piece in pieces:
        rows = sum_equal(piece if held is None else np.concatenate([held, piece]), _KEYS, _SUMS)
        held = rows[-1:].copy()
        if len(rows) > 1:
            yield rows[:-1]
    if held is not None:
        yield held


def _count(documents: Rows, sources: dict[int, SourceCounts]) -> None:
    kinds = kind_rows(documents)
    both = ~(kinds["only_a"] | kinds["only_b"])
    for number in np.unique(documents["source"]).tolist():
        its = documents["source"] == number

        def total(column: str, rows: npt.NDArray[np.bool_]) -> int:
            return int(documents[column][rows].sum(dtype=np.uint64))

        counts = sources.setdefault(number, SourceCounts())
        counts.documents_a += total("copies_a", its)
        counts.documents_b += total("copies_b", its)
        counts.tokens_a += total("tokens_a", its)
        counts.tokens_b += total("tokens_b", its)
        counts.both += int((its & both).sum())
        counts.both_tokens_a += total("tokens_a", its & both)
        counts.both_tokens_b += total("tokens_b", its & both)
        counts.only_a_tokens += total("tokens_a", its & kinds["only_a"])
        counts.only_b_tokens += total("tokens_b", its & kinds["only_b"])
        for kind in KINDS:
            setattr(counts, kind, getattr(counts, kind) + int((its & kinds[kind]).sum()))


def _choose(
    documents: Rows, heaps: dict[tuple[int, str], list[tuple[int, Place]]], examples: int
) -> None:
    """Keep those of each source and kind that come first in the order of a keyed hash."""
    order = order_key(np.ascontiguousarray(documents["upper"]), EXAMPLES_SEED)
    for kind, rows in kind_rows(documents).items():
        for number in np.unique(documents["source"][rows]).tolist():
            its = np.flatnonzero(rows & (documents["source"] == number))
            first = its[np.argsort(order[its], kind="stable")[:examples]]
            heap = heaps.setdefault((number, kind), [])
            for row in first.tolist():
                one = documents[row]
                place = Place(*(int(one[name]) for name in Place._fields))
                heapq.heappush(heap, (-int(order[row]), place))
                if len(heap) > examples:
                    heapq.heappop(heap)
