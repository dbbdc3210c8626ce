"""Common passages: how far two places of a text agree to both sides, byte by byte.

In: a buffer of text and pairs of places in it, each with the bytes that may be read before and
behind it. Windows of `size` bytes around a place are named by how many bytes of them stand before
it, `lead`. Out, per pair: how far the places agree, the span of the other place that is covered by
windows which both share, and how its ends must move to lie between characters of UTF-8.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.winnow import bytes_to_boundary
from transforms.kernels.words import read_only

__all__ = ["Agreement", "Places", "compare_places"]


class Places(NamedTuple):
    """Places in a buffer, int64[places] each: `at`, `left` and `right` are the first byte's offset,
    how many bytes before it and from it on belong to its document and are in the buffer."""

    at: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]


class Agreement(NamedTuple):
    """Of each pair: `left` and `right` int64, bytes before the places and from them on that agree,
    as far as was looked; `before` and `behind` int16, the other's next byte to that side, -1 where
    no byte was to be looked at; `start` and `end` int64, the span shared, relative to the other
    place, half-open, empty (0, 0) where no window is shared; `head` and `tail` uint8, 0..3, bytes
    by which start must rise and end fall."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    before: npt.NDArray[np.int16]
    behind: npt.NDArray[np.int16]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    head: npt.NDArray[np.uint8]
    tail: npt.NDArray[np.uint8]


@njit(nogil=True, cache=True)
def _compare(  # type: ignore[no-untyped-def]
    text, one_at, one_left, one_right, at, left, right, least, most, apart, size,
    out_left, out_right, before, behind, starts, ends, head, tail,
):  # fmt: skip
    for p in range(len(at)):
        i, j = one_at[p], at[p]
        look = min(most[p], left[p])
        both = min(look, one_left[p])
        a = 0
        while a < both and text[i - a - 1] == text[j - a - 1]:
            a += 1
        before[p] = text[j - a - 1] if a < look else -1
        look = min(size - least[p], right[p])
        both = min(look, one_right[p])
        b = 0
        while b < both and text[i + b] == text[j + b]:
            b += 1
        behind[p] = text[j + b] if b < look else -1
        out_left[p], out_right[p] = a, b
        first_lead = max(least[p], size - b)
        starts[p] = ends[p] = head[p] = tail[p] = 0
        if first_lead > a:
            continue
        start, end = -a, size - first_lead
        if 0 < apart[p] < size:
            # Both stand in one document and overlap: the first window stays whole.
            start = max(start, size - a - apart[p])
        starts[p], ends[p] = start, end
        head[p] = bytes_to_boundary(text, j + start, j + right[p])[0]
        tail[p] = bytes_to_boundary(text, j + end, j + right[p])[1]


def compare_places(
    text: npt.NDArray[np.uint8],
    one: Places,
    other: Places,
    least_lead: npt.NDArray[np.int64],
    most_lead: npt.NDArray[np.int64],
    apart: npt.NDArray[np.int64],
    size: int,
) -> Agreement:
    """Compare one[p] with other[p] for windows of `size` bytes with a lead of least_lead[p] to
    most_lead[p] (inclusive) bytes; see `Agreement`.

    `apart`: bytes from one to the other where both are in one document, one first; else 0.
    """
    pairs = len(other.at)
    out = Agreement(
        np.empty(pairs, np.int64),
        np.empty(pairs, np.int64),
        np.empty(pairs, np.int16),
        np.empty(pairs, np.int16),
        np.empty(pairs, np.int64),
        np.empty(pairs, np.int64),
        np.empty(pairs, np.uint8),
        np.empty(pairs, np.uint8),
    )
    _compare(read_only(text), *one, *other, least_lead, most_lead, apart, size, *out)
    return out
