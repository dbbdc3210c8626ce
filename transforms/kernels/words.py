"""Words: maximal runs of alphanumerics and combining marks, hashed in lower case; an ideograph is a
word by itself.

Soft hyphens and zero-width characters inside a word are passed over, as a reader does. This one
definition serves quality rules, deduplication and decontamination, so words are found once
a batch. It is Dolma 3's (words with punctuation ignored), with `_` a separator. `str.isalnum` and
`str.lower` of the running Python decide; where a lower case has several code points the character
stands for itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.unicode import class_table, decode, lower_table

__all__ = ["Words", "find_words", "hash_words", "mix", "read_only", "roll_ngrams"]

_M1 = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's 64-bit finaliser
_M2 = np.uint64(0xC4CEB9FE1A85EC53)
_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio
NGRAM_BASE = np.uint64(0x2545F4914F6CDD1D)  # of the rolling polynomial over word hashes


class Words(NamedTuple):
    """Words of a batch: hashes uint64[words], starts and ends int64[words] (byte offsets into the
    batch's data,
    half-open), bounds int64[documents + 1] (document d holds words bounds[d]..bounds[d + 1]-1)."""

    hashes: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]


@njit(inline="always")
def mix(h):  # type: ignore[no-untyped-def]
    """Scramble a uint64 so that every bit depends on every bit (MurmurHash3's finaliser)."""
    h ^= h >> uint64(33)
    h *= _M1
    h ^= h >> uint64(33)
    h *= _M2
    h ^= h >> uint64(33)
    return h


@njit(nogil=True, cache=True)
def _count(data, offsets, classes, bounds):  # type: ignore[no-untyped-def]
    """Fill bounds with the running number of words; returns nothing."""
    total = 0
    bounds[0] = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        inside = False
        while i < end:
            code, width = decode(data, i, end)
            kind = classes[code]
            if kind == 4:
                total += 1
                inside = False
            elif kind == 2:
                if not inside:
                    total += 1
                inside = True
            elif kind != 3 and kind != 5:
                inside = False
            i += width
        bounds[d + 1] = total


@njit(nogil=True, cache=True)
def _fill(data, offsets, classes, lower, hashes, starts, ends):  # type: ignore[no-untyped-def]
    n = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        h = uint64(0)
        inside = False
        stop = i  # behind the last character of the word
        while i < end:
            code, width = decode(data, i, end)
            kind = classes[code]
            if kind == 5 and inside:
                i += width
                continue
            if kind == 2 or (kind == 3 and inside):
                if not inside:
                    starts[n] = i
                    inside = True
                h = (h ^ uint64(lower[code])) * _STEP
                h ^= h >> uint64(29)
                stop = i + width
            else:
                if inside:
                    ends[n] = stop
                    hashes[n] = mix(h)
                    n += 1
                    h = uint64(0)
                    inside = False
                if kind == 4:
                    starts[n] = i
                    ends[n] = i + width
                    h = uint64(lower[code]) * _STEP
                    hashes[n] = mix(h ^ (h >> uint64(29)))
                    n += 1
                    h = uint64(0)
            i += width
        if inside:
            ends[n] = stop
            hashes[n] = mix(h)
            n += 1


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that cannot be written, as buffers of Arrow are: kernels are then compiled for one
    kind of array and not for two, whether it was made, loaded or read."""
    view = array.view()
    view.flags.writeable = False
    return view


def find_words(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Words:
    """Find the words of documents data[offsets[d]:offsets[d + 1]]; see `Words`. 24 bytes of memory
    a word."""
    data, offsets = read_only(data), read_only(offsets)
    bounds = np.empty(len(offsets), np.int64)
    _count(data, offsets, class_table(), bounds)
    total = int(bounds[-1])
    words = Words(
        np.empty(total, np.uint64), np.empty(total, np.int64), np.empty(total, np.int64), bounds
    )
    _fill(data, offsets, class_table(), lower_table(), words.hashes, words.starts, words.ends)
    return words


def hash_words(text: str) -> npt.NDArray[np.uint64]:
    """Word hashes of one text, uint64[words]; the same hashes as `find_words` gives within a
    batch."""
    encoded = text.encode("utf-8")
    return find_words(
        np.frombuffer(encoded, np.uint8), np.array([0, len(encoded)], np.int64)
    ).hashes


@njit(nogil=True, cache=True)
def roll_ngrams(hashes, n, out):  # type: ignore[no-untyped-def]
    """Hash every n-gram of words: out[k] is the mixed hash of hashes[k:k + n], for k in
    0..len(hashes)-n.

    out is uint64[max(0, len(hashes) - n + 1)] and is filled whole.
    """
    power = uint64(1)
    for _ in range(n):
        power *= NGRAM_BASE
    h = uint64(0)
    for j in range(len(hashes)):
        h = h * NGRAM_BASE + hashes[j]
        if j >= n:
            h -= power * hashes[j - n]
        if j >= n - 1:
            out[j - n + 1] = mix(h)
