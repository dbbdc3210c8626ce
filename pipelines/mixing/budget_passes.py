"""The passes over the pool by which budgets are found: what is done to one shard, and how what
shards give is joined.

`first_look` reads a shard's tables and leaves a file of facts (order, tokens and, where quality or
repetition decide, score, topic and number of each eligible document); the others read that alone.
Each gives (source, sums), and joining does not depend on the order in which shards come.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.mixing.eligible import Choice, score
from transforms import storage
from transforms.checks.documents import id_hashes
from transforms.dedup.pool import PoolShard
from transforms.mixing.budget import tokens_by_bin
from transforms.mixing.partition import Partition, times_of
from transforms.mixing.quality_bins import LOWER_BITS, Sums, merge_sums, score_keys, sum_keys
from transforms.rows import sum_equal

__all__ = [
    "IN_BIN",
    "IN_CELLS",
    "Inside",
    "Result",
    "cell_sums",
    "first_look",
    "in_bin",
    "join_cells",
    "join_first",
    "join_rows",
    "join_sums",
    "lower_sums",
]

IN_BIN = np.dtype([("cell", "<u4"), ("order", "<u8"), ("tokens", "<i8")])
# place: number of the cell, then upper bits of the order
IN_CELLS = np.dtype([("place", "<u8"), ("tokens", "<i8"), ("documents", "<i8")])
_PLACES_A_ROW = 4  # where there are at most so many, they are summed in an array of all
Steps = Sequence[tuple[int, int]]  # see Partition
Result = Any  # of one pass over a shard, or of all shards of a source


@dataclass(frozen=True)
class _Facts:
    """The eligible documents of a shard. Without a grade there is no score, topic and number."""

    order: npt.NDArray[np.uint64]
    tokens: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    labels: list[str]
    topic: npt.NDArray[np.int64]  # indices of `labels`
    number: npt.NDArray[np.int64]

    def topic_hashes(self) -> npt.NDArray[np.uint64]:
        """A hash of each document's topic, the same in all shards."""
        if not self.labels:
            return np.empty(0, np.uint64)
        hashes: npt.NDArray[np.uint64] = id_hashes(pa.array(self.labels))[0][self.topic]
        return hashes

    def cells(self, partition: Partition) -> npt.NDArray[np.int64]:
        """The cell of each document."""
        places = {label: index for index, label in enumerate(partition.topics)}
        known = np.array([places[label] for label in self.labels], np.int64)
        topics = known[self.topic] if len(self.topic) else self.topic
        return partition.cells_of(topics, self.score, self.number)


@dataclass(frozen=True)
class Inside:
    """Which bin of the order each cell of a source is cut in, for each of its cuts."""

    bins: tuple[Mapping[int, int], ...]
    bits: int
    partition: Partition | None


def first_look(shard: PoolShard, choice: Choice, folder: str) -> tuple[str, Result]:
    """Write the facts of a shard. Gives, without a grade, rows of `IN_CELLS`, of the bins of the
    order that are not empty; else the labels of its topics by their hashes, and tokens by topic and
    upper bits of the score."""
    graded = shard.source in choice.grades
    found = [one for one in score(shard, choice, contents=False) if one.eligible.any()]
    order = _joined([one.order[one.eligible] for one in found], np.uint64)
    tokens = _joined([one.tokens[one.eligible] for one in found], np.int64)
    columns = {"order": pa.array(order), "tokens": pa.array(tokens)}
    if graded:
        rows = [(one.graded, one.eligible) for one in found if one.graded]
        scores = _joined([one.score[mask] for one, mask in rows], np.float32)
        columns["score"] = pa.array(scores)
        columns["number"] = pa.array(_joined([one.number[mask] for one, mask in rows], np.int64))
        topics = [one.topic.filter(pa.array(mask)) for one, mask in rows]
        columns["topic"] = pa.chunked_array(topics, pa.string()).combine_chunks()
        if not isinstance(columns["topic"], pa.DictionaryArray):
            columns["topic"] = columns["topic"].dictionary_encode()
    sink = io.BytesIO()
    table = pa.table(columns)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    storage.write_bytes(_facts_path(folder, shard), sink.getvalue())
    if not graded:
        histogram = tokens_by_bin(order, tokens)
        return shard.source, _filled(histogram.tokens, histogram.documents)
    facts = _read_facts(folder, shard)
    steps = choice.grades[shard.source].steps
    hashes = id_hashes(pa.array(facts.labels, pa.string()))[0].tolist()
    upper = (score_keys(facts.score) >> np.uint32(LOWER_BITS)).astype(np.uint32)
    sums = sum_keys(facts.topic_hashes(), upper, facts.tokens * times_of(steps, facts.number))
    return shard.source, (dict(zip(hashes, facts.labels, strict=True)), sums)


def lower_sums(
    shard: PoolShard, cut: Mapping[str, Sums], steps: Mapping[str, Steps], folder: str
) -> tuple[str, Sums]:
    """Tokens by topic and all bits of the score, of the scores among which bounds lie."""
    facts = _read_facts(folder, shard)
    keys = score_keys(facts.score)
    topics = facts.topic_hashes()
    inside = np.zeros(len(keys), np.bool_)
    its = cut[shard.source]
    for topic in np.unique(its["topic"]).tolist():
        wanted = its["key"][its["topic"] == topic]
        inside |= (topics == np.uint64(topic)) & np.isin(keys >> np.uint32(LOWER_BITS), wanted)
    tokens = facts.tokens * times_of(steps[shard.source], facts.number)
    return shard.source, sum_keys(topics[inside], keys[inside], tokens[inside])


def cell_sums(
    shard: PoolShard, partitions: Mapping[str, Partition], bits: Mapping[str, int], folder: str
) -> tuple[str, npt.NDArray[np.void]]:
    """Tokens and documents by cell and bin of the order."""
    facts, its_bits = _read_facts(folder, shard), bits[shard.source]
    cells = facts.cells(partitions[shard.source]).astype(np.uint64)
    rows = np.empty(len(cells), IN_CELLS)
    rows["place"] = (cells << np.uint64(its_bits)) | (facts.order >> np.uint64(64 - its_bits))
    rows["tokens"], rows["documents"] = facts.tokens, 1
    return shard.source, join_cells([rows])


def in_bin(
    shard: PoolShard, inside: Mapping[str, Inside], folder: str
) -> tuple[str, npt.NDArray[np.void]]:
    """The documents in the bins in which cells are cut."""
    facts, looked = _read_facts(folder, shard), inside[shard.source]
    if looked.partition is None:
        cells = np.zeros(len(facts.order), np.int64)
    else:
        cells = facts.cells(looked.partition)
    bins = (facts.order >> np.uint64(64 - looked.bits)).astype(np.int64)
    found = np.zeros(len(bins), np.bool_)
    for its in looked.bins:
        # Beyond all bins where nothing is cut, which no order reaches.
        found |= bins == np.array([its[n] for n in range(len(its))], np.int64)[cells]
    rows = np.empty(int(found.sum()), IN_BIN)
    rows["cell"], rows["order"] = cells[found], facts.order[found]
    rows["tokens"] = facts.tokens[found]
    return shard.source, rows


def _facts_path(folder: str, shard: PoolShard) -> str:
    return storage.join(folder, "documents", f"{shard.number:08d}.arrow")


def _read_facts(folder: str, shard: PoolShard) -> _Facts:
    with pa.ipc.open_file(pa.py_buffer(storage.read_bytes(_facts_path(folder, shard)))) as file:
        table = file.read_all().combine_chunks()

    def column(name: str, dtype: Any) -> Any:
        if name not in table.column_names:
            return np.empty(0, dtype)
        return np.asarray(table.column(name).combine_chunks()).astype(dtype, copy=False)

    labels, topic = [], np.empty(0, np.int64)
    if "topic" in table.column_names:
        encoded = table.column("topic").combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.unify_dictionaries().combine_chunks()
        labels = encoded.dictionary.to_pylist()
        topic = np.asarray(encoded.indices).astype(np.int64)
    return _Facts(
        column("order", np.uint64),
        column("tokens", np.int64),
        column("score", np.float32),
        labels,
        topic,
        column("number", np.int64),
    )


def _joined(parts: Sequence[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts])


# How the results of shards are joined


def join_first(results: Iterable[Result]) -> Result:
    """Of `first_look`."""
    bins, sums = [], []
    labels: dict[int, str] = {}
    for one in results:
        if isinstance(one, np.ndarray):
            bins.append(one)
        else:
            labels |= one[0]
            sums.append(one[1])
    return join_cells(bins) if bins else (labels, merge_sums(sums))


def join_sums(results: Iterable[Result]) -> Result:
    """Of `lower_sums`."""
    return merge_sums(results)


def join_rows(results: Iterable[Result]) -> Result:
    """Of `in_bin`."""
    return np.concatenate(list(results))


def join_cells(results: Iterable[Result]) -> Result:
    """Of `cell_sums`: rows of `IN_CELLS` with a document or more each, in any order."""
    parts = list(results)
    most = max((int(one["place"].max(initial=0)) for one in parts), default=0) + 1
    if most > _PLACES_A_ROW * sum(map(len, parts)):
        return sum_equal(np.concatenate(parts), ("place",), ("tokens", "documents"))
    # Without a sort, which took longer than to read the pool.
    tokens, documents = np.zeros((2, most), np.int64)
    for one in parts:
        # As int64 of this process: one that was unpickled takes 20 times as long.
        places = one["place"].astype(np.int64)
        np.add.at(tokens, places, one["tokens"].astype(np.int64))
        np.add.at(documents, places, one["documents"].astype(np.int64))
    return _filled(tokens, documents)


def _filled(
    tokens: npt.NDArray[np.int64], documents: npt.NDArray[np.int64]
) -> npt.NDArray[np.void]:
    """The places with documents as rows of `IN_CELLS`."""
    places = np.flatnonzero(documents)
    rows = np.empty(len(places), IN_CELLS)
    rows["place"], rows["tokens"] = places, tokens[places]
    rows["documents"] = documents[places]
    return rows
