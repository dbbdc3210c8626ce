"""Passages to cut: what substring, line and paragraph deduplication find, and the table of it.

A *place* is a byte of the pool's text: shard number (upper 32 bits) and offset among the texts of
that shard, one after the other (lower 32 bits), in one uint64. In: rows of `FOUND_PASSAGE`, any
number of them for the same text. Out, per document: united spans between characters, and where the
text of each stands first. Neighbouring spans can be joined when what stands between them is little
(Dolma 3: at least 0.95 of the joined span is covered).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.annotators import SPANS
from transforms.kernels.cut import Spans
from transforms.rows import Rows
from transforms.spans import spans_array

__all__ = [
    "FOUND_PASSAGE",
    "PASSAGES_SCHEMA",
    "document_starts",
    "documents_of",
    "passage_columns",
    "place_of",
]

PASSAGES_SCHEMA = pa.schema(
    [
        pa.field("spans", SPANS),  # to be cut; null: no candidate
        pa.field("first_in", pa.list_(pa.uint64())),  # of each span: address of the document in
        # which most of it stands first
        pa.field("cut_bytes", pa.int64()),  # of all spans; null: no candidate
    ]
)

# Some bytes of a document that stand in another place before.
FOUND_PASSAGE = np.dtype(
    [
        ("start", "<u8"),  # place of the first byte
        ("first_in", "<u8"),  # address of the document that keeps it
        ("length", "<u4"),  # bytes
        ("head", "u1"),  # bytes (0..3) by which the start must rise to lie between characters
        ("tail", "u1"),  # bytes (0..3) by which the end must fall
    ]
)
_LOW = np.uint64(0xFFFFFFFF)


def document_starts(sizes_bytes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Offset of each document's text in its shard, and the end of the last: int64[rows + 1]."""
    starts = np.zeros(len(sizes_bytes) + 1, np.int64)
    np.cumsum(sizes_bytes, out=starts[1:])
    if starts[-1] > int(_LOW):
        raise ValueError(f"a shard must hold less than 4 GiB of text (got {starts[-1]} bytes)")
    return starts


def place_of(shard: int, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Places of some offsets among the texts of a shard, uint64[offsets]."""
    return (np.uint64(shard) << np.uint64(32)) | offsets.astype(np.uint64)


def documents_of(
    offsets: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Row of the document that holds each offset; `starts` are of `document_starts`."""
    return np.searchsorted(starts[:-1], offsets, side="right") - 1


def passage_columns(
    found: Rows, starts: npt.NDArray[np.int64], joined_from: float | None
) -> tuple[dict[str, pa.Array], int]:
    """The columns of `PASSAGES_SCHEMA` of documents in a row, and how many spans they hold.

    `found`: rows of `FOUND_PASSAGE` of these documents alone, in any order; `starts`
    int64[documents + 1]: offsets of their texts in the shard. `joined_from`: share (0..1,
    inclusive) of a joined span that must have been found for neighbours to be joined; None: never.
    """
    found = found[np.lexsort([found["first_in"], found["length"], found["start"]])]
    offsets = (found["start"] & _LOW).astype(np.int64)
    rows = documents_of(offsets, starts)
    ends = offsets + found["length"]
    begins = np.ones(len(found), np.bool_)
    # Texts follow one another, so the furthest end of earlier ones never reaches into the next.
    reached = np.maximum.accumulate(ends)
    begins[1:] = (offsets[1:] > reached[:-1]) | (rows[1:] != rows[:-1])
    first = np.flatnonzero(begins)
    span = np.cumsum(begins) - 1
    span_starts = offsets[first] + found["head"][first]
    if len(first):
        last = np.maximum.reduceat(ends * 4 + found["tail"], first)  # of equal ends equal tails
        span_ends = last // 4 - last % 4
    else:
        span_ends = np.empty(0, np.int64)
    kept_in = _most(span, found["first_in"], found["length"].astype(np.int64), len(first))
    lengths = span_ends - span_starts
    some = lengths > 0
    row, span_starts, span_ends = rows[first][some], span_starts[some], span_ends[some]
    kept_in, weight = kept_in[some], lengths[some]
    if joined_from is not None:
        joined = _join(row, span_starts, span_ends, joined_from)
        heads = np.flatnonzero(np.diff(joined, prepend=-1))
        kept_in = _most(joined, kept_in, weight, len(heads))
        row, span_starts = row[heads], span_starts[heads]
        span_ends = span_ends[np.append(heads[1:], len(joined)) - 1] if len(heads) else span_ends
    bounds = np.searchsorted(row, np.arange(len(starts)))
    spans = Spans(bounds, span_starts - starts[row], span_ends - starts[row])
    sizes = np.zeros(len(starts), np.int64)
    np.add.at(sizes, row + 1, span_ends - span_starts)
    columns = {
        "spans": spans_array(spans),
        "first_in": pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(kept_in)),
        "cut_bytes": pa.array(sizes[1:]),
    }
    return columns, len(row)


def _most(
    span: npt.NDArray[np.int64],
    keeper: npt.NDArray[np.uint64],
    weight: npt.NDArray[np.int64],
    spans: int,
) -> npt.NDArray[np.uint64]:
    """The keeper of the most bytes of each span, of equal ones the one that comes first in it."""
    order = np.lexsort([np.arange(len(span)), keeper, span])
    begins = np.ones(len(span), np.bool_)
    begins[1:] = np.diff(span[order]) != 0
    begins[1:] |= keeper[order][1:] != keeper[order][:-1]
    heads = order[begins]
    total = np.add.reduceat(weight[order], np.flatnonzero(begins)) if len(span) else weight
    best = np.lexsort([heads, -total, span[heads]])
    fresh = np.ones(len(best), np.bool_)
    fresh[1:] = np.diff(span[heads][best]) != 0
    chosen = keeper[heads[best[fresh]]]
    assert len(chosen) == spans
    return chosen


def _join(
    row: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    joined_from: float,
) -> npt.NDArray[np.int64]:
    """Number of the joined span that each span is part of, from the left on."""
    number = np.empty(len(row), np.int64)
    joined, start, covered, before = -1, 0, 0, -1
    for k, (its_row, its_start, its_end) in enumerate(
        zip(row.tolist(), starts.tolist(), ends.tolist(), strict=True)
    ):
        size = its_end - its_start
        if its_row == before and covered + size >= joined_from * (its_end - start):
            covered += size
        else:
            joined, start, covered, before = joined + 1, its_start, size, its_row
        number[k] = joined
    return number
