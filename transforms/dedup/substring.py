"""Substring duplicates: passages of `size` bytes or more that stand somewhere before.

Documents are read in the order in which they survive (survivors.py), each from its first byte on.
A window of `size` bytes is a repeat when the same bytes stood before in that order; what is found
is every repeat, and the bytes that are cut are those of all repeats together. Where a repeat
overlaps its first place (a line of dashes), the first place stays whole. So no passage of `size`
bytes is left twice, and each byte that is cut has an equal one that stays: that of its first place,
or, where that is part of a still earlier passage, that one's.

Places with equal anchors (kernels.winnow) are compared with the first of them, byte by byte.
Windows that are not settled by that hold the byte at which they part from it; places that part
after as many bytes and with the same byte are compared among themselves in the next round.
Equal windows never part, so all are found, with work that is linear in the places in practice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.dedup.passages import FOUND_PASSAGE
from transforms.kernels.common_passages import Agreement
from transforms.rows import Rows
from transforms.sorted_pieces import sorted_pieces, with_heads
from transforms.spools import Spool

__all__ = [
    "ANCHOR",
    "EDGE_BYTES",
    "LEAST_SIZE",
    "MOST_SIZE",
    "SIZE",
    "SUBSTRING_VERSION",
    "find_repeats",
    "gram_of",
    "place_dtype",
    "shared_anchors",
    "window_dtype",
]

SIZE = 500  # bytes of the shortest passage (Dolma 3)
LEAST_SIZE, MOST_SIZE = 8, 16_384  # bytes
SUBSTRING_VERSION = 1  # raised when `repeated_passages` changes for the same input
EDGE_BYTES = 3  # read beyond a window, to see where a character begins

ANCHOR = np.dtype([("key", "<u8"), ("place", "<u8")])  # an anchor's key and its first byte
PAIRS_AT_ONCE = 1 << 14  # compared at once: bounds the text that is held


def gram_of(size: int) -> int:
    """Bytes of the k-grams that are anchors for windows of `size` bytes: a quarter of it. Longer
    ones make more anchors, shorter ones more that meet for nothing."""
    return max(1, size // 4)


def place_dtype(ranks: int) -> np.dtype[Any]:
    """A place with a shared anchor: the anchor's key, its document's ranks, itself (by these it
    stands in the order of reading), the document's address, and where the text around it lies: its
    first byte there, bytes of its document before it and from it on."""
    return np.dtype([("key", "<u8"), *_place_fields(ranks)])


def window_dtype(ranks: int) -> np.dtype[Any]:
    """Windows around a place that are not settled: those with `least` to `most` bytes before it.
    Places are compared that are equal in `group` and `parted`: how they parted from the first of
    the group, 0 where they met no other."""
    return np.dtype(
        [
            ("group", "<u8"),
            ("parted", "<u4"),
            *_place_fields(ranks),
            ("least", "<u2"),
            ("most", "<u2"),
        ]
    )


def _place_fields(ranks: int) -> list[tuple[str, str]]:
    return [
        *((f"rank_{k}", "<u8") for k in range(ranks)),
        ("place", "<u8"),
        ("address", "<u8"),
        ("at", "<u8"),
        ("left", "<u2"),
        ("right", "<u2"),
    ]


def shared_anchors(pieces: Iterable[Rows]) -> Iterator[Rows]:
    """Of sorted pieces of `ANCHOR` the rows whose key stands in two places or more."""
    last: Rows | None = None  # the row before, of which it is not known whether another follows
    is_shared = False  # whether one like it stood before
    for piece in pieces:
        rows = piece if last is None else np.concatenate([last, piece])
        equal = rows["key"][1:] == rows["key"][:-1]
        shared = np.zeros(len(rows), np.bool_)
        shared[0] = is_shared
        shared[1:] = equal
        is_shared = bool(shared[-1])
        shared[:-1] |= equal
        yield rows[:-1][shared[:-1]]
        last = rows[-1:]
    if last is not None and is_shared:
        yield last


# (one, other, apart) -> how pairs of rows of `window_dtype` agree. `apart` int64[pairs]: bytes from
# one to the other where they stand in one document, else 0.
Compare = Callable[[Rows, Rows, npt.NDArray[np.int64]], Agreement]


def find_repeats(
    blocks: Iterable[Rows], ranks: int, size: int, gram: int, compare: Compare, most_bytes: int
) -> Iterator[Rows]:
    """Rows of `FOUND_PASSAGE` for all repeats that hold an anchor of two places of equal key.

    `blocks`: rows of `place_dtype`, in any order. `compare` is called with at most `PAIRS_AT_ONCE`
    pairs, the first of which comes before the other. Windows that are not settled are sorted and
    set aside in temporary files: holds some three times `most_bytes`, however many places share a
    key. OSError where these files find no room.
    """
    dtype = window_dtype(ranks)
    windows: Iterator[Rows] = (_first_windows(one, dtype, size - gram) for one in blocks)
    with Spool(dtype) as one_file, Spool(dtype) as other_file:
        read, aside = one_file, other_file
        while True:
            group = np.uint64(0)
            sorted_windows = sorted_pieces(windows, dtype, most_bytes)
            for rows in with_heads(sorted_windows, ["group", "parted"]):
                begins = np.ones(len(rows), np.bool_)
                begins[1:] = rows["group"][1:] != rows["group"][:-1]
                begins[1:] |= rows["parted"][1:] != rows["parted"][:-1]
                number = np.cumsum(begins) - 1
                first = np.flatnonzero(begins)[number]
                groups = group + number.astype(np.uint64)
                group = groups[-1]  # it may go on in the next piece, behind its head
                rest = np.flatnonzero(~begins)
                for start in range(0, len(rest), PAIRS_AT_ONCE):
                    some = rest[start : start + PAIRS_AT_ONCE]
                    one, other = rows[first[some]], rows[some]
                    seen = compare(one, other, _apart(one, other))
                    yield _found(one, other, seen)
                    other["group"] = groups[some]
                    for parted in _parted(other, seen, size):
                        if len(parted):
                            aside.write(parted)
            if aside.rows == 0:
                return
            read.clear()
            read, aside = aside, read
            windows = read.blocks(max(1, most_bytes // dtype.itemsize))


def _first_windows(places: Rows, dtype: np.dtype[Any], most: int) -> Rows:
    """All windows around places, of which those of equal key meet."""
    windows = np.zeros(len(places), dtype)
    windows["group"], windows["most"] = places["key"], most
    for name in places.dtype.names or ():
        if name != "key":
            windows[name] = places[name]
    return windows


def _apart(one: Rows, other: Rows) -> npt.NDArray[np.int64]:
    same = one["address"] == other["address"]
    return np.where(same, other["place"] - one["place"], np.uint64(0)).astype(np.int64)


def _found(one: Rows, other: Rows, seen: Agreement) -> Rows:
    some = np.flatnonzero(seen.end > seen.start)
    found = np.empty(len(some), FOUND_PASSAGE)
    found["start"] = other["place"][some].astype(np.int64) + seen.start[some]
    found["first_in"] = one["address"][some]
    found["length"] = (seen.end - seen.start)[some]
    found["head"], found["tail"] = seen.head[some], seen.tail[some]
    return found


def _parted(other: Rows, seen: Agreement, size: int) -> Iterator[Rows]:
    """What is left to compare: windows that reach to the left beyond where the pair agrees, then
    those of the rest that reach beyond it to the right. Those that part to the same side, after as
    many bytes and with the same byte meet."""
    least, most = (other[name].astype(np.int64) for name in ("least", "most"))
    left = np.flatnonzero(seen.before >= 0)
    windows = other[left]
    windows["parted"] = _how(0, seen.left[left], seen.before[left])
    windows["least"] = seen.left[left] + 1
    yield windows
    most_right = np.minimum(np.minimum(most, seen.left), size - seen.right - 1)
    right = np.flatnonzero((seen.behind >= 0) & (least <= most_right))
    windows = other[right]
    windows["parted"] = _how(1, seen.right[right], seen.behind[right])
    windows["most"] = most_right[right]
    yield windows


def _how(
    side: int, agreed: npt.NDArray[np.int64], byte: npt.NDArray[np.int16]
) -> npt.NDArray[np.int64]:
    return (side * (MOST_SIZE + 1) + agreed) * 256 + byte
