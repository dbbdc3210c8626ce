"""Exact duplicates: documents with the same text, byte for byte, or with the same words.

`ExactHash` annotates each document with the 128-bit BLAKE2b hash of its text, or of its words
(kernels.words: case, punctuation and white space do not count). `group_exact` finds, among the rows
of an Exchange by that hash, who survives (survivors.py) and who repeats it. A document without a
visible character (a word) has no hash: it is nobody's duplicate, whoever is removed for being empty
is removed by that rule.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.documents import DocumentBatch
from transforms.rows import Rows

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
EXACT_VERSION = 1  # of the grouping; raised when `exact_duplicates` changes for the same input

EXACT_SCHEMA = pa.schema(
    [
        pa.field("duplicate_of", pa.uint64()),  # address of the survivor; null: not a duplicate
        # 1.0 where duplicate_of is set; null where an equal URL says nothing of the text.
        pa.field("similarity", pa.float32()),
        pa.field("cluster_size", pa.uint32()),  # candidates with this text; null: no candidate
    ]
)

# What the grouping finds about one document, on its way back to its shard.
FOUND = np.dtype([("address", "<u8"), ("survivor", "<u8"), ("cluster_size", "<u4")])


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
    """Rows that meet: both halves of the hash, the document's ranks, its address."""
    return np.dtype(
        [("key", "<u8"), ("low", "<u8")]
        + [(f"rank_{k}", "<u8") for k in range(ranks)]
        + [("address", "<u8")]
    )


def group_exact(rows: Rows) -> Rows:
    """Rows of `exact_dtype`, sorted -> rows of `FOUND` for each document of a group of two or more.

    The survivor is the one with the least ranks: the first of its group.
    """
    if len(rows) == 0:
        return np.empty(0, FOUND)
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (rows["key"][1:] != rows["key"][:-1]) | (rows["low"][1:] != rows["low"][:-1])
    starts = np.flatnonzero(begins)
    sizes = np.diff(starts, append=len(rows))
    found = np.empty(len(rows), FOUND)
    found["address"] = rows["address"]
    found["survivor"] = np.repeat(rows["address"][starts], sizes)
    found["cluster_size"] = np.repeat(sizes, sizes)
    return found[found["cluster_size"] > 1]


def hash_halves(column: pa.Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The two halves of each hash, uint64[rows] each; anything where the hash is null."""
    values = np.frombuffer(column.buffers()[1], "<u8").reshape(-1, 2)
    values = values[column.offset : column.offset + len(column)]
    return values[:, 0], values[:, 1]
