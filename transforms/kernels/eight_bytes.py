"""Eight bytes of text at once, as one uint64: what loops over bytes skip and count by.

In: the bytes of a batch. A mask has the high bit of each byte that it speaks of, and nothing else;
the first byte of the text is the lowest. There is no branch but at the end of the text.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64

__all__ = [
    "HIGH",
    "byte_number",
    "bytes_before",
    "continuation_bytes",
    "count_marks",
    "equal_bytes",
    "gather_marks",
    "load_eight",
    "lowest",
    "repeat_byte",
]

HIGH = np.uint64(0x8080808080808080)  # the high bit of each byte
_ONE = np.uint64(1)
_ONES = np.uint64(0x0101010101010101)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_GATHER = np.uint64(0x0102040810204080)  # times the low bits of eight bytes: they meet in the upper
_BYTE_NUMBERS = np.uint64(0x0001020304050607)  # times 1 << 8 k, the upper byte is k


def repeat_byte(byte: int) -> np.uint64:
    """The byte eight times, as `equal_bytes` takes it."""
    return np.uint64(byte * 0x0101010101010101)


@njit(inline="always")
def load_eight(data, i, end):  # type: ignore[no-untyped-def]
    """data[i:i + 8] as a little-endian uint64, zeros from `end` on."""
    if i + 8 <= end:
        u = uint64(i)  # unsigned, so that the compiler makes one load of the eight
        return (
            uint64(data[u])
            | (uint64(data[u + uint64(1)]) << uint64(8))
            | (uint64(data[u + uint64(2)]) << uint64(16))
            | (uint64(data[u + uint64(3)]) << uint64(24))
            | (uint64(data[u + uint64(4)]) << uint64(32))
            | (uint64(data[u + uint64(5)]) << uint64(40))
            | (uint64(data[u + uint64(6)]) << uint64(48))
            | (uint64(data[u + uint64(7)]) << uint64(56))
        )
    x = uint64(0)
    for k in range(i, end):
        x |= uint64(data[k]) << uint64(8 * (k - i))
    return x


@njit(inline="always")
def equal_bytes(x, repeated):  # type: ignore[no-untyped-def]
    """Mask of the bytes of x that equal those of `repeated`."""
    y = x ^ repeated
    return ~(((y & _LOW7) + _LOW7) | y | _LOW7)


@njit(inline="always")
def continuation_bytes(x):  # type: ignore[no-untyped-def]
    """Mask of the bytes of x that begin no character of UTF-8 (10xxxxxx)."""
    return x & ~(x << _ONE) & HIGH


@njit(inline="always")
def count_marks(mask):  # type: ignore[no-untyped-def]
    """How many bytes a mask marks."""
    return int64(((mask >> uint64(7)) * _ONES) >> uint64(56))


@njit(inline="always")
def gather_marks(mask):  # type: ignore[no-untyped-def]
    """A mask as eight bits: bit k for byte k."""
    return ((mask >> uint64(7)) * _GATHER) >> uint64(56)


@njit(inline="always")
def lowest(mask):  # type: ignore[no-untyped-def]
    """The lowest bit of a mask that is not 0."""
    return mask & (~mask + _ONE)


@njit(inline="always")
def byte_number(bit):  # type: ignore[no-untyped-def]
    """k of the byte, 0..7, whose high bit this is."""
    return int64(((bit >> uint64(7)) * _BYTE_NUMBERS) >> uint64(56))


@njit(inline="always")
def bytes_before(x, bit):  # type: ignore[no-untyped-def]
    """x with zeros from the byte on whose high bit this is."""
    return x & ((bit >> uint64(7)) - _ONE)
