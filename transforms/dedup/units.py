"""Repeated lines and paragraphs: all but the first with the same words are cut.

In: documents in the order in which they survive (survivors.py), each from its first line on. Two
lines are equal when their words are (kernels.words: whatever case, punctuation and white space);
a paragraph is a run of lines without a blank one. Wenzek et al. 2020 (CCNet) do it by paragraph,
which are their lines, Raffel et al. 2020 (C4) by three sentences. A line without a word is never
cut. The line feed behind a line or paragraph goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.dedup.passages import FOUND_PASSAGE
from transforms.documents import DocumentBatch
from transforms.kernels.passage_keys import hash_passages
from transforms.rows import Rows
from transforms.sorted_pieces import with_heads

__all__ = ["UNITS_VERSION", "WORDS", "Units", "find_units", "group_units", "unit_dtype"]

WORDS = 1  # of the shortest line or paragraph that is looked at (CCNet)
UNITS_VERSION = 1  # raised when the tables change for the same input


class Units(NamedTuple):
    """Lines or paragraphs of a batch that hold a character other than white space: keys uint64,
    words int64 (how many), rows int64 (of their documents), starts and ends int64 (bytes from the
    batch's first, half-open, with the line feed behind)."""

    keys: npt.NDArray[np.uint64]
    words: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def unit_dtype(ranks: int) -> np.dtype[Any]:
    """Rows that meet: a key, the document's ranks and address, where it stands in the shard and how
    long it is (bytes)."""
    return np.dtype(
        [("key", "<u8")]
        + [(f"rank_{k}", "<u8") for k in range(ranks)]
        + [("address", "<u8"), ("offset", "<u4"), ("length", "<u4")]
    )


def find_units(batch: DocumentBatch, paragraphs: bool) -> Units:
    """The lines of a batch, or its paragraphs."""
    lines, (_, offsets) = batch.lines, batch.text
    opens = lines.first if paragraphs else np.ones(len(lines.starts), np.bool_)
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(lines.starts)) - 1 if len(first) else first
    starts, ends = lines.starts[first], lines.ends[last]
    rows = np.searchsorted(lines.bounds, first, side="right") - 1
    keys, words = hash_passages(starts, ends, batch.words)
    ends = np.minimum(ends + 1, offsets[rows + 1])
    return Units(keys, words, rows, starts - offsets[0], ends - offsets[0])


def group_units(pieces: Iterable[Rows]) -> Iterator[Rows]:
    """Sorted pieces of `unit_dtype` -> rows of `FOUND_PASSAGE` for all but the first of each key,
    however many share it."""
    for rows in with_heads(pieces, ["key"]):
        again = np.zeros(len(rows), np.bool_)
        again[1:] = rows["key"][1:] == rows["key"][:-1]
        first = np.flatnonzero(~again)[np.cumsum(~again)[again] - 1]
        its = rows[again]
        found = np.zeros(len(its), FOUND_PASSAGE)
        found["start"] = (its["address"] & ~np.uint64(0xFFFFFFFF)) | its["offset"]
        found["first_in"] = rows["address"][first]
        found["length"] = its["length"]
        yield found
