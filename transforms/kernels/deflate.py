"""How small gzip would make a text, reckoned without compressing it.

In: texts of a batch. Out: bytes that a deflate stream (RFC 1951) of each would take: strings that
occurred within the last 32 KiB are referred to, and what is left is coded by Huffman in blocks, the
cheapest of the three kinds of block each time. The search for strings is the plainest there is, one
candidate a place, so the figure lies near that of zlib's fastest levels. It is worked out in whole
numbers, so it is the same on every machine, whatever zlib is installed there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint32

from transforms.kernels.words import read_only

__all__ = ["deflated_bytes"]

WINDOW_BYTES = 1 << 15  # how far back a string may lie (RFC 1951)
LEAST_MATCH, MOST_MATCH = 4, 258  # bytes; RFC 1951 allows 3, which save next to nothing
HASH_BITS = 14  # of the table of places where strings of LEAST_MATCH bytes began
BLOCK_SYMBOLS = 1 << 14  # in a block, as in zlib
LITERALS, DISTANCES = 286, 30  # symbols of the two codes; 256 ends a block
HEADER_BITS = 3  # of a block: last or not, and its kind
CODE_BITS = 14 + 19 * 3  # that say how code lengths are coded, at most
LENGTH_BITS = 4  # that one symbol's code length takes, about
STORED_BITS = 5 + 32  # padding to a byte, about, and the length of a block that is not coded
_HASH = np.uint32(0x9E3779B1)  # 2**32 / golden ratio


def _length_codes() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(symbol, extra bits) by length of a match, RFC 1951 section 3.2.5."""
    symbols, extra = np.zeros(MOST_MATCH + 1, np.int64), np.zeros(MOST_MATCH + 1, np.int64)
    length = 3
    for symbol in range(257, 285):
        bits = max(0, (symbol - 261) // 4)
        symbols[length : length + (1 << bits)] = symbol
        extra[length : length + (1 << bits)] = bits
        length += 1 << bits
    symbols[MOST_MATCH], extra[MOST_MATCH] = 285, 0
    return symbols, extra


def _distance_codes() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(symbol, extra bits) by distance, the same section."""
    symbols, extra = np.zeros(WINDOW_BYTES + 1, np.int64), np.zeros(WINDOW_BYTES + 1, np.int64)
    distance = 1
    for symbol in range(DISTANCES):
        bits = max(0, symbol // 2 - 1)
        symbols[distance : distance + (1 << bits)] = symbol
        extra[distance : distance + (1 << bits)] = bits
        distance += 1 << bits
    return symbols, extra


def _fixed_bits() -> npt.NDArray[np.int64]:
    """Bits of each literal or length in the code that a block need not describe."""
    bits = np.full(LITERALS, 8, np.int64)
    bits[144:256] = 9
    bits[256:280] = 7
    return bits


_LENGTH_SYMBOL, _LENGTH_EXTRA = _length_codes()
_DISTANCE_SYMBOL, _DISTANCE_EXTRA = _distance_codes()
_FIXED = _fixed_bits()


@njit(nogil=True, cache=True)
def _huffman_bits(frequencies, queue):  # type: ignore[no-untyped-def]
    """(bits of all symbols in their Huffman code, symbols that occur): the sum of the weights of a
    Huffman tree's inner nodes is the length of what it codes. `queue` is scratch, twice as long as
    `frequencies`."""
    used = 0
    for one in frequencies:
        if one > 0:
            queue[used] = one
            used += 1
    if used <= 1:
        return queue[0] if used else 0, used
    queue[:used] = np.sort(queue[:used])
    # Leaves queue[leaf:used] and inner nodes queue[node:made] both rise.
    total, leaf, node, made = 0, 0, used, used
    for _ in range(used - 1):
        weight = 0
        for _ in range(2):
            if node == made or (leaf < used and queue[leaf] <= queue[node]):
                weight += queue[leaf]
                leaf += 1
            else:
                weight += queue[node]
                node += 1
        queue[made] = weight
        made += 1
        total += weight
    return total, used


@njit(nogil=True, cache=True)
def _block_bits(literals, distances, extra, size, queue):  # type: ignore[no-untyped-def]
    """Bits of a block of `size` bytes of text, in the cheapest of the three kinds; clears the
    counts."""
    literals[256] += 1
    fixed = extra
    for symbol in range(LITERALS):
        fixed += literals[symbol] * _FIXED[symbol]
    for symbol in range(DISTANCES):
        fixed += distances[symbol] * 5
    first, used = _huffman_bits(literals, queue)
    second, used_distances = _huffman_bits(distances, queue)
    own = extra + first + second + CODE_BITS + LENGTH_BITS * (used + used_distances)
    literals[:] = 0
    distances[:] = 0
    return HEADER_BITS + min(fixed, own, 8 * size + STORED_BITS)


@njit(inline="always")
def _four(data, i):  # type: ignore[no-untyped-def]
    return (
        uint32(data[i])
        | (uint32(data[i + 1]) << uint32(8))
        | (uint32(data[i + 2]) << uint32(16))
        | (uint32(data[i + 3]) << uint32(24))
    )


@njit(inline="always")
def _slot(four):  # type: ignore[no-untyped-def]
    return uint32(four * _HASH) >> uint32(32 - HASH_BITS)


@njit(nogil=True, cache=True)
def _reckon(data, offsets, out):  # type: ignore[no-untyped-def]
    places = np.full(1 << HASH_BITS, -1, np.int64)
    literals, distances = np.zeros(LITERALS, np.int64), np.zeros(DISTANCES, np.int64)
    queue = np.empty(2 * LITERALS, np.int64)
    for d in range(len(offsets) - 1):
        start, end = offsets[d], offsets[d + 1]
        bits, extra, symbols = 0, 0, 0
        block = start
        i = start
        while i < end:
            length = 0
            if i + LEAST_MATCH <= end:
                four = _four(data, i)
                slot = _slot(four)
                place = places[slot]
                places[slot] = i
                if place >= start and i - place <= WINDOW_BYTES and _four(data, place) == four:
                    length = LEAST_MATCH
                    most = min(MOST_MATCH, end - i)
                    while length < most and data[place + length] == data[i + length]:
                        length += 1
            if length:
                distance = i - place
                literals[_LENGTH_SYMBOL[length]] += 1
                distances[_DISTANCE_SYMBOL[distance]] += 1
                extra += _LENGTH_EXTRA[length] + _DISTANCE_EXTRA[distance]
                # Places inside the match can be found as well.
                for j in range(i + 1, min(i + length, end - LEAST_MATCH + 1)):
                    places[_slot(_four(data, j))] = j
                i += length
            else:
                literals[data[i]] += 1
                i += 1
            symbols += 1
            if symbols == BLOCK_SYMBOLS or i == end:
                bits += _block_bits(literals, distances, extra, i - block, queue)
                extra, symbols = 0, 0
                block = i
        out[d] = (bits + 7) // 8


def deflated_bytes(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Bytes, int64[documents], of a deflate stream of each document data[offsets[d]:offsets[d + 1]]
    without the frame of gzip; 0 for an empty one. 136 KiB of memory."""
    out = np.zeros(len(offsets) - 1, np.int64)
    _reckon(read_only(data), read_only(offsets), out)
    return out
