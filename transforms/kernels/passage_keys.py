"""Keys of passages: a hash of the words between two places of a text.

In: passages of a batch (lines, paragraphs) and its words (kernels.words). Equal words in equal
order give equal keys, whatever stands between the words and whatever their case.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.words import NGRAM_BASE, Words, mix

__all__ = ["hash_passages"]


@njit(nogil=True, cache=True)
def _hash(starts, ends, words, word_starts, keys, counts):  # type: ignore[no-untyped-def]
    w = 0
    for k in range(len(starts)):
        while w < len(words) and word_starts[w] < starts[k]:
            w += 1
        h = uint64(0)
        n = 0
        while w < len(words) and word_starts[w] < ends[k]:
            h = mix(h * NGRAM_BASE + words[w])
            n += 1
            w += 1
        keys[k] = h
        counts[k] = n


def hash_passages(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], words: Words
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """(key uint64, number of words int64) of each passage; a word belongs to the passage in which
    it begins.

    `starts` and `ends`: offsets into the batch's data, half-open, rising and not overlapping.
    """
    keys, counts = np.empty(len(starts), np.uint64), np.empty(len(starts), np.int64)
    _hash(starts, ends, words.hashes, words.starts, keys, counts)
    return keys, counts
