"""MinHash signatures of word n-grams, and the keys of their bands.

In: word hashes and document bounds (kernels.words). A document's shingles are its word n-grams; one
of 1..n-1 words has a single shingle, all of its words. Signature: uint32[documents, permutations],
for each permutation the least permuted 32-bit shingle hash. The permutations are true ones,
x -> a x + b mod 2**32 with a odd, of hashes that are as good as random; so the share of equal
values in two signatures is an unbiased estimate of the Jaccard similarity J of the shingle sets,
with standard deviation sqrt(J (1 - J) / permutations). Broder 1997; bands: Leskovec et al., Mining
of Massive Datasets, chapter 3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint32, uint64

from transforms.kernels.words import GOLDEN_RATIO, NGRAM_BASE, Words, mix

__all__ = ["EMPTY", "band_keys", "permutations", "signatures"]

EMPTY = np.uint32(0xFFFFFFFF)  # every value of a document without a word
_BLOCK = 256  # shingles that are hashed before they are permuted
_LANES = 32  # permutations that compiled loops take at once, on any processor


def permutations(seed: int, count: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Multipliers (odd) and increments, uint32[count] each.

    Permutation k takes its multiplier from the upper and its increment from the lower 32 bits of
    the (k + 1)-th output of SplitMix64 with this seed (0 <= seed < 2**64).
    """
    values = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN_RATIO
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return (
        (values >> np.uint64(32)).astype(np.uint32) | np.uint32(1),
        (values & np.uint64(0xFFFFFFFF)).astype(np.uint32),
    )


@njit(inline="always")
def _permute(x, a, b):  # type: ignore[no-untyped-def]
    return uint32(a * x + b)


@njit(nogil=True, cache=True)
def _lower(block, filled, a, b, row):  # type: ignore[no-untyped-def]
    """Lower row[k] to the least value of permutation k over block[:filled], eight at a time."""
    j = 0
    while j + 8 <= filled:
        x0, x1, x2, x3 = block[j], block[j + 1], block[j + 2], block[j + 3]
        x4, x5, x6, x7 = block[j + 4], block[j + 5], block[j + 6], block[j + 7]
        for k in range(len(a)):
            v = min(
                min(_permute(x0, a[k], b[k]), _permute(x1, a[k], b[k])),
                min(_permute(x2, a[k], b[k]), _permute(x3, a[k], b[k])),
            )
            w = min(
                min(_permute(x4, a[k], b[k]), _permute(x5, a[k], b[k])),
                min(_permute(x6, a[k], b[k]), _permute(x7, a[k], b[k])),
            )
            row[k] = min(row[k], min(v, w))
        j += 8
    while j < filled:
        x = block[j]
        for k in range(len(a)):
            row[k] = min(row[k], _permute(x, a[k], b[k]))
        j += 1


@njit(nogil=True, cache=True)
def _sign(hashes, bounds, n, a, b, out):  # type: ignore[no-untyped-def]
    power = uint64(1)
    for _ in range(n):
        power *= NGRAM_BASE
    block = np.empty(_BLOCK, np.uint32)
    row = np.empty(len(a), np.uint32)
    for d in range(len(bounds) - 1):
        first, end = bounds[d], bounds[d + 1]
        row[:] = EMPTY
        h = uint64(0)
        filled = 0
        for j in range(first, end):
            h = h * NGRAM_BASE + hashes[j]
            if j - first >= n:
                h -= power * hashes[j - n]
            if j - first >= n - 1 or j == end - 1:
                block[filled] = uint32(mix(h))
                filled += 1
                if filled == _BLOCK:
                    _lower(block, filled, a, b, row)
                    filled = 0
        _lower(block, filled, a, b, row)
        out[d, :] = row[: out.shape[1]]


def signatures(words: Words, ngram: int, seed: int, count: int) -> npt.NDArray[np.uint32]:
    """Signatures of all documents, uint32[documents, count]; `EMPTY` throughout where there is no
    word. `ngram` in words, 1 or more. Scratch memory is 1 KB and 12 bytes a value, whatever
    the documents."""
    if ngram < 1:
        raise ValueError(f"ngram must be 1 word or more (got {ngram})")
    # Whole vectors: what is left over of one is permuted value by value, at a tenth of the speed.
    a, b = permutations(seed, -(-count // _LANES) * _LANES)
    out = np.empty((len(words.bounds) - 1, count), np.uint32)
    _sign(words.hashes, words.bounds, ngram, a, b, out)
    return out


@njit(nogil=True, cache=True)
def _fold(values, rows, out):  # type: ignore[no-untyped-def]
    for d in range(out.shape[0]):
        for band in range(out.shape[1]):
            h = mix(uint64(band + 1) * GOLDEN_RATIO)
            for r in range(band * rows, (band + 1) * rows):
                h = mix(h ^ uint64(values[d, r]))
            out[d, band] = h


def band_keys(values: npt.NDArray[np.uint32], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """One key per band of `rows` values, uint64[documents, bands]; the band's number is mixed in,
    so keys of different bands do not meet. `values` must have bands * rows columns."""
    if values.shape[1] != bands * rows:
        raise ValueError(f"signatures must hold {bands} x {rows} values (got {values.shape[1]})")
    out = np.empty((len(values), bands), np.uint64)
    _fold(values, rows, out)
    return out
