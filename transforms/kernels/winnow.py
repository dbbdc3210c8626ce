"""Winnowing: places of a text at which any two texts with a passage in common meet.

In: the bytes of a batch. Every window of `size` bytes chooses one of its k-grams (`gram` bytes) by
their hashes alone: the least, of several the last. So two equal windows, wherever they stand,
choose the same place in themselves, and these *anchors* have equal keys. Some 2 in
size - gram + 2 bytes are anchors. Schleimer, Wilkerson and Aiken 2003.

Windows that repeat one of their own document a short period before (a line of dashes) choose no
anchor, which would be one a byte; they are given as spans. Equal keys are a hint, never a proof.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.words import mix, read_only

__all__ = ["Anchors", "find_anchors"]

_BASE = np.uint64(0x9E3779B97F4A7C15)  # of the rolling polynomial over bytes; odd
_LAST = np.uint64(0xFFFFFFFFFFFFFFFF)  # rank of k-grams of one byte only: chosen where all are so


class Anchors(NamedTuple):
    """Anchors of a batch: keys uint64[anchors], places int64[anchors] (byte offset into the batch's
    data of their first byte), rising. Spans that repeat their own document: starts and ends
    int64[spans] (offsets into the data, half-open); head and tail uint8[spans], bytes (0..3) by
    which the start must rise and the end fall to lie between characters."""

    keys: npt.NDArray[np.uint64]
    places: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    head: npt.NDArray[np.uint8]
    tail: npt.NDArray[np.uint8]


@njit(inline="always")
def _grown(array):  # type: ignore[no-untyped-def]
    more = np.empty(2 * len(array), array.dtype)
    more[: len(array)] = array
    return more


@njit(inline="always")
def bytes_to_boundary(data, at, end):  # type: ignore[no-untyped-def]
    """How far (0..3) the next place at or behind `at` and up to `end` lies at which a character of
    UTF-8 begins, and how far the last one before `at` (0 where one begins there)."""
    after = 0
    while at + after < end and after < 3 and data[at + after] & 0xC0 == 0x80:
        after += 1
    before = 0
    if after > 0 or (at < end and data[at] & 0xC0 == 0x80):
        before = 1
        while before < 3 and data[at - before] & 0xC0 == 0x80:
            before += 1
    return after, before


@njit(nogil=True, cache=True)
def _winnow(data, offsets, wanted, size, gram):  # type: ignore[no-untyped-def]
    window = size - gram + 1
    power = uint64(1)
    for _ in range(gram):
        power *= _BASE
    room = 2 * len(data) // (window + 1) + 64
    keys = np.empty(room, np.uint64)
    places = np.empty(room, np.int64)
    starts = np.empty(16, np.int64)
    ends = np.empty(16, np.int64)
    # k-grams that may still be chosen, from the least on: a ring of places, ranks and keys.
    ring_at = np.empty(window, np.int64)
    ring_rank = np.empty(window, np.uint64)
    ring_key = np.empty(window, np.uint64)
    found = 0
    spans = 0
    for d in range(len(offsets) - 1):
        begin, end = offsets[d], offsets[d + 1]
        if not wanted[d] or end - begin < size:
            continue
        h = uint64(0)
        first, count = 0, 0
        same = 0  # bytes up to here that are all alike
        period, run = 0, 0  # the last `run` bytes equal those `period` before
        last = -1
        own = spans
        for x in range(begin, end):
            h = h * _BASE + uint64(data[x])
            if x - begin >= gram:
                h -= power * uint64(data[x - gram])
            same = same + 1 if x > begin and data[x] == data[x - 1] else 1
            if period > 0:
                if data[x] == data[x - period]:
                    run += 1
                else:
                    period, run = 0, 0
            at = x - gram + 1
            if at < begin:
                continue
            key = mix(h)
            rank = _LAST if same >= gram else key
            if count > 0 and ring_at[first] <= at - window:
                first = first + 1 if first + 1 < window else 0
                count -= 1
            distance = 0
            while count > 0:
                back = first + count - 1
                if back >= window:
                    back -= window
                if ring_rank[back] < rank:
                    break
                if ring_rank[back] == rank and distance == 0:
                    distance = at - ring_at[back]
                count -= 1
            back = first + count
            if back >= window:
                back -= window
            ring_at[back] = at
            ring_rank[back] = rank
            ring_key[back] = key
            count += 1
            if distance > 0 and distance != period:
                y = x
                while x - y < size and y - distance >= begin and data[y] == data[y - distance]:
                    y -= 1
                if x - y > run:
                    period, run = distance, x - y
            if x - size + 1 < begin:
                continue
            if run >= size:
                # This window equals the one a period before: what it adds to that one is repeated.
                if spans > own and ends[spans - 1] >= x + 1 - period:
                    ends[spans - 1] = x + 1
                else:
                    if spans == len(starts):
                        starts, ends = _grown(starts), _grown(ends)
                    starts[spans] = x + 1 - period
                    ends[spans] = x + 1
                    spans += 1
                continue
            if ring_at[first] != last:
                last = ring_at[first]
                if found == len(keys):
                    keys, places = _grown(keys), _grown(places)
                keys[found] = ring_key[first]
                places[found] = last
                found += 1
    head = np.empty(spans, np.uint8)
    tail = np.empty(spans, np.uint8)
    d = 0
    for k in range(spans):
        while offsets[d + 1] <= starts[k]:
            d += 1
        head[k] = bytes_to_boundary(data, starts[k], offsets[d + 1])[0]
        tail[k] = bytes_to_boundary(data, ends[k], offsets[d + 1])[1]
    return keys[:found], places[:found], starts[:spans], ends[:spans], head, tail


def find_anchors(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.bool_],
    size: int,
    gram: int,
) -> Anchors:
    """The anchors of documents data[offsets[d]:offsets[d + 1]] that are `wanted` (bool[documents]).

    `size`: bytes of a window; `gram`: bytes of a k-gram, 1..size. Documents shorter than `size`
    have no anchor. Memory: 16 bytes an anchor.
    """
    if not 1 <= gram <= size:
        raise ValueError(f"gram must be 1 to {size} bytes (got {gram})")
    return Anchors(*_winnow(read_only(data), read_only(offsets), wanted, size, gram))
