"""Shingle sets: the sorted distinct word n-grams of each document, and their true Jaccard
similarity.

In: word hashes and document bounds (kernels.words). A document of 1..n-1 words has one shingle, all
of its words; one without a word has none. Sets: values uint64[shingles], bounds int64[sets + 1];
set s is values[bounds[s]:bounds[s + 1]], rising. A shingle is the upper `SHINGLE_BITS` of the
n-gram's hash: two n-grams are taken for one when these are equal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int64, njit, uint64

from transforms.kernels.words import Words, roll_ngrams

__all__ = ["SHINGLE_BITS", "Sets", "find_shingles", "jaccard", "jaccard_of"]

# Of a hash of 64 bits: sets that are stored for a later run take 4 bytes a shingle. Two documents
# of 1,000 shingles are given one more in common in a millionth of the pairs, then by a thousandth.
SHINGLE_BITS = 40
_DROPPED_BITS = 64 - SHINGLE_BITS


class Sets(NamedTuple):
    """Sorted sets of uint64, one after the other; see the module."""

    values: npt.NDArray[np.uint64]
    bounds: npt.NDArray[np.int64]


@njit(nogil=True, cache=True)
def _collect(hashes, word_bounds, n, values, bounds):  # type: ignore[no-untyped-def]
    """Fill values and bounds; returns the number of values used."""
    used = 0
    bounds[0] = 0
    for d in range(len(word_bounds) - 1):
        words = hashes[word_bounds[d] : word_bounds[d + 1]]
        if len(words):
            size = min(n, len(words))
            # No set is longer than the words before it, so it never overwrites what is to be read.
            place = values[used : used + len(words) - size + 1]
            roll_ngrams(words, size, place)
            for j in range(len(place)):
                place[j] >>= uint64(_DROPPED_BITS)
            place.sort()
            kept = 1
            for j in range(1, len(place)):
                if place[j] != place[kept - 1]:
                    place[kept] = place[j]
                    kept += 1
            used += kept
        bounds[d + 1] = used
    return used


def find_shingles(words: Words, ngram: int) -> Sets:
    """The shingle set of each document. `ngram` in words, 1 or more. 8 bytes of memory a word."""
    if ngram < 1:
        raise ValueError(f"ngram must be 1 word or more (got {ngram})")
    values = np.empty(len(words.hashes), np.uint64)
    bounds = np.empty(len(words.bounds), np.int64)
    used = _collect(words.hashes, words.bounds, ngram, values, bounds)
    return Sets(values[:used], bounds)


@njit(nogil=True, cache=True)
def jaccard_of(values, i, i_end, j, j_end, at_least):  # type: ignore[no-untyped-def]
    """Jaccard similarity of values[i:i_end] and values[j:j_end], exact where it is `at_least` or
    more, else 0.0 (the merge stops as soon as that is certain). Two empty sets: 0.0."""
    total = (i_end - i) + (j_end - j)
    if total == 0:
        return 0.0
    # The least number of shared values that gives `at_least`, so that the loop compares integers.
    needed = int64(at_least * total / (1.0 + at_least))
    while needed > 0 and (needed - 1) / (total - (needed - 1)) >= at_least:
        needed -= 1
    while needed < total and needed / (total - needed) < at_least:
        needed += 1
    spare_i = (i_end - i) - needed  # values of each set that may still stay alone
    spare_j = (j_end - j) - needed
    both = 0
    while i < i_end and j < j_end:
        if spare_i < 0 or spare_j < 0:
            return 0.0
        x, y = values[i], values[j]
        if x == y:
            both += 1
            i += 1
            j += 1
        elif x < y:
            i += 1
            spare_i -= 1
        else:
            j += 1
            spare_j -= 1
    if both < needed:
        return 0.0
    return both / (total - both)


@njit(nogil=True, cache=True)
def _jaccard(values, bounds, a, b, at_least, out):  # type: ignore[no-untyped-def]
    for p in range(len(a)):
        out[p] = jaccard_of(
            values, bounds[a[p]], bounds[a[p] + 1], bounds[b[p]], bounds[b[p] + 1], at_least
        )


def jaccard(
    sets: Sets, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], at_least: float = 0.0
) -> npt.NDArray[np.float64]:
    """True Jaccard similarity of the sets a[p] and b[p], float64[pairs] in 0..1.

    Exact where it is `at_least` (inclusive, 0..1) or more, else 0.0. Two empty sets: 0.0.
    """
    out = np.empty(len(a), np.float64)
    _jaccard(sets.values, sets.bounds, a, b, at_least, out)
    return out
