"""Exact duplicates: documents with the same text, byte for byte, or with the same words.

`ExactHash` annotates each document with the 128-bit BLAKE2b hash of its text, or of its words
(kernels.words: case, punctuation and white space do not count). `group_exact` finds, among the rows
of an Exchange by that hash, who survives (survivors.py) and who repeats it. A document without a
visible character (a word) has no hash: it is nobody's duplicate, whoever is removed for being empty
is removed by that rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.documents import DocumentBatch
from transforms.rows import Rows
from transforms.sorted_pieces import with_heads

__all__ = [
    "EXACT_SCHEMA",
    "EXACT_VERSION",
    "FOUND",
    "HASH_BYTES",
    "KEYS",
    "ExactHash",
    "exact_dtype",
    "group_exact",
    "hash_halves",
]

HASH_BYTES = 16
KEYS = ("text", "words")  # what of two documents must be equal
EXACT_VERSION = 3  # of the grouping; raised when `exact_duplicates` changes for the same input

EXACT_SCHEMA = pa.schema(
    [
        pa.field("duplicate_of", pa.uint64()),  # address of the survivor; null: not a duplicate
        # 1.0 where duplicate_of is set; null where an equal URL says nothing of the text.
        pa.field("similarity", pa.float32()),
        pa.field("cluster_size", pa.uint32()),  # candidates with this text; null: no candidate
        # Documents that its survivor stands for: those of the cluster, and those that earlier
        # stages removed for them.
        pa.field("stands_for", pa.uint32()),
    ]
)

# What the grouping finds about one document, on its way back to its shard.
FOUND = np.dtype(
    [("address", "<u8"), ("survivor", "<u8"), ("cluster_size", "<u4"), ("stands_for", "<u4")]
)


@dataclass(frozen=True)
class ExactHash:
    """Annotator `exact`: `text_hash`, BLAKE2b-128 of the text's UTF-8, null where it is empty or
    holds only white space; `by` words: of the hashes of its words (little-endian uint64), null
    where there is none."""

    by: str = "text"

    def __post_init__(self) -> None:
        if self.by not in KEYS:
            raise ValueError(f"by must be one of {', '.join(KEYS)} (got {self.by!r})")

    name: ClassVar[str] = "exact"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = pa.schema([pa.field("text_hash", pa.binary(HASH_BYTES))])

    def parameters(self) -> dict[str, Any]:
        return {} if self.by == "text" else {"by": self.by}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        if self.by == "words":
            words = batch.words
            data = words.hashes.astype("<u8").view(np.uint8)
            offsets = words.bounds * words.hashes.itemsize
            seen = pa.array(np.diff(words.bounds) > 0)
        else:
            data, offsets = batch.text
            text = batch.table.column("text")
            seen = pc.invert(pc.or_(pc.equal(text, ""), pc.utf8_is_space(text)))
        view, bounds = memoryview(data), offsets.tolist()  # type: ignore[arg-type]
        hashes = b"".join(
            hashlib.blake2b(view[start:end], digest_size=HASH_BYTES).digest()
            for start, end in pairwise(bounds)
        )
        column = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(HASH_BYTES), batch.rows, [None, pa.py_buffer(hashes)]
        )
        return pa.record_batch(
            [pc.if_else(seen, column, pa.scalar(None, column.type))], schema=self.schema
        )


def exact_dtype(ranks: int) -> np.dtype[Any]:
    """Rows that meet: both halves of the hash, the document's ranks, its address, and the documents
    that it stands for since earlier stages, itself included."""
    return np.dtype(
        [("key", "<u8"), ("low", "<u8")]
        + [(f"rank_{k}", "<u8") for k in range(ranks)]
        + [("address", "<u8"), ("stands_for", "<u4")]
    )


def group_exact(pieces: Callable[[], Iterable[Rows]]) -> Iterator[Rows]:
    """Sorted pieces of `exact_dtype` -> rows of `FOUND` for each document of a group of several.

    The survivor is the one with the least ranks: the first of its group. `pieces` is called again
    where there are two or more: groups that go on are counted first.
    """
    some = iter(pieces())
    first, second = next(some, None), next(some, None)
    if first is None:
        return
    if second is None:
        yield _found(first, *_starts_and_sizes(first))
        return
    totals: dict[bytes, npt.NDArray[np.int64]] = {}  # of the groups at the pieces' ends
    for piece in chain([first, second], some):
        starts, sizes = _starts_and_sizes(piece)
        for group in sorted({0, len(starts) - 1}):
            hashed = _hash_at(piece, starts[group])
            totals[hashed] = totals.get(hashed, 0) + sizes[group]
    del first, second, piece
    for number, rows in enumerate(with_heads(pieces(), ["key", "low"])):
        starts, sizes = _starts_and_sizes(rows)
        for group in (0, len(starts) - 1):
            sizes[group] = totals[_hash_at(rows, starts[group])]
        found = _found(rows, starts, sizes)
        # The head was found with its own piece.
        is_told = number > 0 and len(found) and found["address"][0] == rows["address"][0]
        yield found[1:] if is_told else found


def _starts_and_sizes(rows: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where groups start, int64[groups], and of each the rows and the documents that these stand
    for, int64[groups, 2]."""
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (rows["key"][1:] != rows["key"][:-1]) | (rows["low"][1:] != rows["low"][:-1])
    starts = np.flatnonzero(begins)
    sizes = np.diff(starts, append=len(rows))
    stand_for = np.add.reduceat(rows["stands_for"].astype(np.int64), starts)
    return starts, np.stack([sizes, stand_for], axis=1)


def _hash_at(rows: Rows, place: int) -> bytes:
    return rows["key"][place].tobytes() + rows["low"][place].tobytes()  # type: ignore[no-any-return]


def _found(rows: Rows, starts: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]) -> Rows:
    here = np.diff(starts, append=len(rows))
    found = np.empty(len(rows), FOUND)
    found["address"] = rows["address"]
    found["survivor"] = np.repeat(rows["address"][starts], here)
    found["cluster_size"] = np.repeat(totals[:, 0], here)
    found["stands_for"] = np.repeat(totals[:, 1], here)
    return found[found["cluster_size"] > 1]


def hash_halves(column: pa.Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The two halves of each hash, uint64[rows] each; anything where the hash is null."""
    values = np.frombuffer(column.buffers()[1], "<u8").reshape(-1, 2)
    values = values[column.offset : column.offset + len(column)]
    return values[:, 0], values[:, 1]
