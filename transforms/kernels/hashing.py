"""MurmurHash3: 128-bit hashes of byte strings in Arrow buffers (x64, 128 bits, seed 0), and its
64-bit finaliser over columns of keys.

In: data uint8[] and offsets int64[rows + 1]. Out: two uint64 columns, upper and lower half of a
row's hash. For equality among honest strings (ids, texts), not against somebody who builds
collisions on purpose. Algorithm and constants: Austin Appleby, MurmurHash3 (public domain).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.words import mix, read_only

__all__ = ["hash_keys", "hash_rows"]

_C1 = np.uint64(0x87C37B91114253D5)
_C2 = np.uint64(0x4CF5AD432745937F)
_ADD1 = np.uint64(0x52DCE729)
_ADD2 = np.uint64(0x38495AB5)
_FIVE = np.uint64(5)
_BLOCK = 16  # bytes


@njit(inline="always")
def _rotate(h, bits):  # type: ignore[no-untyped-def]
    return (h << uint64(bits)) | (h >> uint64(64 - bits))


@njit(inline="always")
def _load(data, i):  # type: ignore[no-untyped-def]
    """Eight bytes at data[i] as a little-endian uint64, on any machine."""
    return (
        uint64(data[i])
        | (uint64(data[i + 1]) << uint64(8))
        | (uint64(data[i + 2]) << uint64(16))
        | (uint64(data[i + 3]) << uint64(24))
        | (uint64(data[i + 4]) << uint64(32))
        | (uint64(data[i + 5]) << uint64(40))
        | (uint64(data[i + 6]) << uint64(48))
        | (uint64(data[i + 7]) << uint64(56))
    )


@njit(nogil=True, cache=True)
def _hash(data, offsets, upper, lower):  # type: ignore[no-untyped-def]
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        h1 = uint64(0)
        h2 = uint64(0)
        i = start
        while i + _BLOCK <= end:
            h1 ^= _rotate(_load(data, i) * _C1, 31) * _C2
            h1 = (_rotate(h1, 27) + h2) * _FIVE + _ADD1
            h2 ^= _rotate(_load(data, i + 8) * _C2, 33) * _C1
            h2 = (_rotate(h2, 31) + h1) * _FIVE + _ADD2
            i += _BLOCK
        k1 = uint64(0)
        k2 = uint64(0)
        for j in range(end - 1, i - 1, -1):
            if j - i >= 8:
                k2 = (k2 << uint64(8)) | uint64(data[j])
            else:
                k1 = (k1 << uint64(8)) | uint64(data[j])
        h2 ^= _rotate(k2 * _C2, 33) * _C1
        h1 ^= _rotate(k1 * _C1, 31) * _C2
        length = uint64(end - start)
        h1 ^= length
        h2 ^= length
        h1 += h2
        h2 += h1
        h1 = mix(h1)
        h2 = mix(h2)
        h1 += h2
        h2 += h1
        upper[row] = h1
        lower[row] = h2


def hash_rows(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Hash rows data[offsets[r]:offsets[r + 1]].

    Returns (upper uint64[rows], lower uint64[rows]). ValueError when offsets decrease or lie
    outside the data.
    """
    if len(offsets) and (
        offsets[0] < 0 or offsets[-1] > len(data) or bool(np.any(offsets[1:] < offsets[:-1]))
    ):
        raise ValueError(f"offsets must rise within 0..{len(data)}")
    rows = max(0, len(offsets) - 1)
    upper, lower = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
    _hash(data, offsets, upper, lower)
    return upper, lower


@njit(nogil=True, cache=True)
def _mix(keys, hashes):  # type: ignore[no-untyped-def]
    for k in range(len(keys)):
        hashes[k] = mix(keys[k])


def hash_keys(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """MurmurHash3's finaliser of each key, uint64[keys]: neighbouring keys land anywhere, and no
    two of them on the same hash."""
    hashes = np.empty(len(keys), np.uint64)
    _mix(read_only(np.require(keys, np.uint64, ["C", "ALIGNED"])), hashes)
    return hashes
