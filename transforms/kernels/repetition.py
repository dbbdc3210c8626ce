"""Repetition: which elements of a document occur more than once, and how much of it repeated
n-grams cover.

In: hashes of elements (words, lines, paragraphs) and their lengths in characters. Exact but for the
64-bit hashes themselves. An (n+1)-gram can only repeat where the n-grams at its place and at the
next one do, so each pass looks at what the one before left. The hash table fits the document and is
capped: where a document has more different n-grams than it holds, they are counted in several
passes, each over those whose hashes fall into its share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int64, njit, uint64

from transforms.kernels.words import NGRAM_BASE, mix

__all__ = [
    "AGAIN",
    "DUPLICATE_SIZES",
    "FIRST",
    "MAX_SLOTS",
    "ONCE",
    "TOP_SIZES",
    "cover_ngrams",
    "mark_repeated",
    "sum_by_document",
]

MAX_SLOTS = 1 << 22  # slots of the hash table, 16 bytes each: 64 MiB at most
TOP_SIZES = (2, 3, 4)  # words, n-grams of which the most frequent counts (Gopher, table A1)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)  # words, n-grams of which all that repeat count
ONCE, FIRST, AGAIN = 0, 1, 2  # marks: single; first of several; a later one of several


@njit(cache=True)
def _slots_for(elements, max_slots):  # type: ignore[no-untyped-def]
    """The smallest power of two that is at least twice `elements`, from 16 to `max_slots`."""
    slots = 16
    while slots < 2 * elements and slots < max_slots:
        slots *= 2
    return min(slots, max_slots)


@njit(nogil=True, cache=True)
def _count(keys, at, n, size, lengths, marks, table_keys, table_first, table_count, max_slots):  # type: ignore[no-untyped-def]
    """Mark which of the elements keys[at[:n]] repeat; returns the most frequent one that does.

    marks[at[:n]] becomes ONCE, FIRST or AGAIN. Returns (key, found): of the elements that occur
    most often (at least twice) the longest, of those the first; `size` is how many entries of
    `lengths` an element spans.
    """
    slots = _slots_for(n, max_slots)
    mask = uint64(slots - 1)
    most_used = slots // 4 * 3
    parts = 1
    while True:
        for j in range(n):
            marks[at[j]] = 0
        most, longest, earliest = 1, 0, 0
        key = uint64(0)
        full = False
        for part in range(parts):
            table_count[:slots] = 0
            used = 0
            for j in range(n):
                k = at[j]
                x = mix(keys[k])
                if int64((x >> uint64(40)) & uint64(parts - 1)) != part:
                    continue
                i = int64(x & mask)
                while table_count[i] != 0 and table_keys[i] != keys[k]:
                    i = int64(uint64(i + 1) & mask)
                if table_count[i] == 0:
                    table_keys[i] = keys[k]
                    table_first[i] = k
                    table_count[i] = 1
                    used += 1
                    if used == most_used:  # too many different ones for one pass
                        full = True
                        break
                    continue
                table_count[i] += 1
                marks[k] = 2
                marks[table_first[i]] = 1
                if table_count[i] < most:
                    continue
                length = 0
                for m in range(k, k + size):
                    length += lengths[m]
                if (
                    table_count[i] > most
                    or length > longest
                    or (length == longest and table_first[i] < earliest)
                ):
                    most, longest, earliest = table_count[i], length, table_first[i]
                    key = keys[k]
            if full:
                break
        if not full:
            return key, most > 1
        parts *= 2


@njit(nogil=True, cache=True)
def _mark(hashes, lengths, bounds, marks, at, table_keys, table_first, table_count, max_slots):  # type: ignore[no-untyped-def]
    for d in range(len(bounds) - 1):
        a, b = bounds[d], bounds[d + 1]
        for j in range(b - a):
            at[j] = j
        _count(
            hashes[a:b],
            at,
            b - a,
            1,
            lengths[a:b],
            marks[a:b],
            table_keys,
            table_first,
            table_count,
            max_slots,
        )


@njit(nogil=True, cache=True)
def _cover(  # type: ignore[no-untyped-def]
    hashes,
    lengths,
    bounds,
    top,
    duplicate,
    keys,
    marks,
    at,
    table_keys,
    table_first,
    table_count,
    max_slots,
):
    for d in range(len(bounds) - 1):
        a = bounds[d]
        words = bounds[d + 1] - a
        length = lengths[a : a + words]
        n = max(words - 1, 0)  # candidates: places whose n-gram may repeat
        for k in range(n):
            keys[k] = hashes[a + k]
            marks[k] = 1
            at[k] = k
        if words > 0:
            marks[words - 1] = 1
        for size in range(2, 11):
            kept = 0
            for j in range(n):
                k = at[j]
                if marks[k] != 0 and k + size <= words and marks[k + 1] != 0:
                    keys[k] = keys[k] * NGRAM_BASE + hashes[a + k + size - 1]
                    at[kept] = k
                    kept += 1
                else:
                    marks[k] = 0  # places before k, the only ones that ask for it, are done
            n = kept
            if size == 2 and words > 0:
                marks[words - 1] = 0
            key, found = _count(
                keys, at, n, size, length, marks, table_keys, table_first, table_count, max_slots
            )
            if not found:
                break
            covered = 0
            reached = 0  # words before this one are counted
            for j in range(n):
                k = at[j]
                if (keys[k] == key) if size <= 4 else (marks[k] != 0):
                    for m in range(max(k, reached), k + size):
                        covered += length[m]
                    reached = k + size
            if size <= 4:
                top[d, size - 2] = covered
            else:
                duplicate[d, size - 5] = covered


class _Scratch(NamedTuple):
    """Places of candidates, and the hash table."""

    at: npt.NDArray[np.int32]
    table_keys: npt.NDArray[np.uint64]
    table_first: npt.NDArray[np.int32]
    table_count: npt.NDArray[np.int32]


def _scratch_for(largest: int, max_slots: int) -> _Scratch:
    slots = int(_slots_for(largest, max_slots))
    return _Scratch(
        np.empty(largest, np.int32),
        np.empty(slots, np.uint64),
        np.empty(slots, np.int32),
        np.empty(slots, np.int32),
    )


def mark_repeated(
    hashes: npt.NDArray[np.uint64],
    bounds: npt.NDArray[np.int64],
    max_slots: int = MAX_SLOTS,
) -> npt.NDArray[np.uint8]:
    """Mark each element ONCE, FIRST or AGAIN among those of its own document.

    hashes uint64[elements], bounds int64[documents + 1]; returns uint8[elements]. Scratch: 4 bytes
    an element, 4 more for those of the largest document, and a table of at most 16 * max_slots
    bytes.
    """
    marks = np.zeros(len(hashes), np.uint8)
    largest = int(np.diff(bounds).max(initial=0))
    lengths = np.zeros(len(hashes), np.int32)
    _mark(hashes, lengths, bounds, marks, *_scratch_for(largest, max_slots), max_slots)
    return marks


def cover_ngrams(
    hashes: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
    bounds: npt.NDArray[np.int64],
    max_slots: int = MAX_SLOTS,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Characters of words that repeated n-grams cover, each word counted once, per document.

    hashes uint64[words], lengths int32[words] (characters), bounds int64[documents + 1]. Returns
    top int64[documents, 3]: words of the most frequent n-gram of `TOP_SIZES` that occurs at least
    twice (of equally frequent ones the longest, then the first); and duplicate int64[documents, 6]:
    words of all n-grams of `DUPLICATE_SIZES` that occur at least twice, first occurrences too.
    Scratch: 13 bytes a word of the largest document and a table of at most 16 * max_slots bytes.
    """
    documents = len(bounds) - 1
    top = np.zeros((documents, len(TOP_SIZES)), np.int64)
    duplicate = np.zeros((documents, len(DUPLICATE_SIZES)), np.int64)
    largest = int(np.diff(bounds).max(initial=0))
    keys, marks = np.empty(largest, np.uint64), np.empty(largest, np.uint8)
    scratch = _scratch_for(largest, max_slots)
    _cover(hashes, lengths, bounds, top, duplicate, keys, marks, *scratch, max_slots)
    return top, duplicate


@njit(nogil=True, cache=True)
def _sum(values, bounds, sums):  # type: ignore[no-untyped-def]
    for d in range(len(sums)):
        total = 0
        for k in range(bounds[d], bounds[d + 1]):
            total += values[k]
        sums[d] = total


def sum_by_document(
    values: npt.NDArray[np.int32] | npt.NDArray[np.bool_], bounds: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Sum values[bounds[d]:bounds[d + 1]]; int64[documents]."""
    sums = np.empty(len(bounds) - 1, np.int64)
    _sum(values, bounds, sums)
    return sums
