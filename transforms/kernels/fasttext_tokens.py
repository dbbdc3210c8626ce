"""Tokens as fastText reads them: what stands between its blanks, with fastText's hash of each.

In: texts as Arrow buffers. Out: `Tokens`, found and hashed once for all models that read a batch.
Blanks are space, tab, line feed, vertical tab, form feed, carriage return and NUL, as in fastText
(Joulin et al. 2016); U+00A0 and its like are none, but `divide_tokens` parts tokens there for
models that want it. `</s>`, at which fastText stops reading, is a blank too. The hash is 32-bit
FNV-1a over signed bytes.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int8, int64, njit, uint32, uint64

from transforms.kernels.unicode import SPACE, class_table, decode
from transforms.kernels.words import read_only

__all__ = [
    "END_OF_LINE",
    "FNV_OFFSET",
    "Tokens",
    "divide_tokens",
    "extend_hash",
    "find_tokens",
    "hash_byte_strings",
]

END_OF_LINE = b"</s>"  # fastText's token for the end of a line
FNV_OFFSET = np.uint32(2166136261)
_FNV_PRIME = np.uint64(16777619)
_BLANKS = b" \n\r\t\v\f\0"
# What a byte may begin: nothing special, a blank, "</s>", white space that is no blank of fastText.
_PLAIN, _BLANK, _END, _WHITE = 0, 1, 2, 3


class Tokens(NamedTuple):
    """Tokens of a batch: starts int64[tokens] (byte offset into the batch's data), lengths
    int32[tokens] (bytes), hashes uint32[tokens], divisible bool[tokens] (white space that is no
    blank of fastText stands inside), bounds int64[documents + 1]."""

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.uint32]
    divisible: npt.NDArray[np.bool_]
    bounds: npt.NDArray[np.int64]


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """uint8[256]: what a byte may begin."""
    kinds = np.full(256, _PLAIN, np.uint8)
    kinds[list(_BLANKS)] = _BLANK
    kinds[END_OF_LINE[0]] = _END
    for code in np.flatnonzero(class_table() == SPACE).tolist():
        first = chr(code).encode()[0]
        if kinds[first] == _PLAIN:
            kinds[first] = _WHITE
    return read_only(kinds)


@njit(inline="always")
def extend_hash(h, byte):  # type: ignore[no-untyped-def]
    """fastText's hash of a string with one more byte: FNV-1a, the byte taken as signed."""
    return uint32(uint64(h ^ uint32(int64(int8(byte)))) * _FNV_PRIME)


@njit(inline="always")
def _ends_line(data, i, end):  # type: ignore[no-untyped-def]
    """Whether data[i:end], which begins with "<", begins with "</s>"."""
    return i + 4 <= end and data[i + 1] == 47 and data[i + 2] == 115 and data[i + 3] == 62


@njit(nogil=True, cache=True)
def _fill(data, offsets, kinds, classes, starts, lengths, hashes, divisible, bounds):  # type: ignore[no-untyped-def]
    n = 0
    bounds[0] = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            kind = kinds[data[i]]
            if kind == _BLANK:
                i += 1
                continue
            if kind == _END and _ends_line(data, i, end):
                i += 4
                continue
            start = i
            h = FNV_OFFSET
            white = False
            while i < end:
                byte = data[i]
                kind = kinds[byte]
                if kind != _PLAIN:
                    if kind == _BLANK or (kind == _END and _ends_line(data, i, end)):
                        break
                    if kind == _WHITE and not white:
                        code, _ = decode(data, i, end)
                        white = classes[code] == SPACE
                h = extend_hash(h, byte)
                i += 1
            starts[n] = start
            lengths[n] = i - start
            hashes[n] = h
            divisible[n] = white
            n += 1
        bounds[d + 1] = n
    return n


@njit(nogil=True, cache=True)
def _divide(data, limits, tokens, classes, fill, starts, lengths, hashes, bounds):  # type: ignore[no-untyped-def]
    """The tokens again, cut at white space and at each document's limit; counts alone unless
    `fill`."""
    n = 0
    bounds[0] = 0
    for d in range(len(limits)):
        limit = limits[d]
        for t in range(tokens.bounds[d], tokens.bounds[d + 1]):
            i = tokens.starts[t]
            if i >= limit:
                break
            end = i + tokens.lengths[t]
            if end <= limit and not tokens.divisible[t]:
                if fill:
                    starts[n] = i
                    lengths[n] = tokens.lengths[t]
                    hashes[n] = tokens.hashes[t]
                n += 1
                continue
            end = min(end, limit)
            start = i
            h = FNV_OFFSET
            while i <= end:
                code, width = decode(data, i, end) if i < end else (uint32(32), 1)
                if classes[code] == SPACE:
                    if i > start:
                        if fill:
                            starts[n] = start
                            lengths[n] = i - start
                            hashes[n] = h
                        n += 1
                    start = i + width
                    h = FNV_OFFSET
                else:
                    for k in range(i, i + width):
                        h = extend_hash(h, data[k])
                i += width
        bounds[d + 1] = n


@njit(nogil=True, cache=True)
def _limits(data, offsets, most_bytes, limits):  # type: ignore[no-untyped-def]
    """Fill where each document's first `most_bytes` bytes end, at a character; True where one is
    longer."""
    cut = False
    for d in range(len(offsets) - 1):
        limit = offsets[d + 1]
        if limit - offsets[d] > most_bytes:
            cut = True
            limit = offsets[d] + most_bytes
            while limit > offsets[d] and data[limit] & 0xC0 == 0x80:
                limit -= 1
        limits[d] = limit
    return cut


@njit(nogil=True, cache=True)
def _hash_all(data, bounds, hashes):  # type: ignore[no-untyped-def]
    for n in range(len(hashes)):
        h = FNV_OFFSET
        for i in range(bounds[n], bounds[n + 1]):
            h = extend_hash(h, data[i])
        hashes[n] = h


def find_tokens(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Tokens:
    """Find the tokens of documents data[offsets[d]:offsets[d + 1]]; see `Tokens`. 17 bytes of
    memory a token."""
    data, offsets = read_only(data), read_only(offsets)
    # A token needs a byte and a blank, or the end of its document, behind it. Memory that is not
    # written costs nothing and is given back.
    most = (int(offsets[-1] - offsets[0]) + len(offsets)) // 2
    tokens = Tokens(
        np.empty(most, np.int64),
        np.empty(most, np.int32),
        np.empty(most, np.uint32),
        np.empty(most, np.bool_),
        np.empty(len(offsets), np.int64),
    )
    found = _fill(data, offsets, _kinds(), class_table(), *tokens)
    for column in tokens[:4]:
        column.resize(found, refcheck=False)
    return tokens


def divide_tokens(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    tokens: Tokens,
    most_bytes: int,
) -> Tokens:
    """The tokens of `find_tokens` parted at all white space (`str.isspace`), of the first
    `most_bytes` bytes of each document up to a character. The same object where nothing changes."""
    data, offsets = read_only(data), read_only(offsets)
    limits = np.empty(len(offsets) - 1, np.int64)
    cut = _limits(data, offsets, most_bytes, limits)
    if not cut and not tokens.divisible.any():
        return tokens
    bounds = np.empty(len(offsets), np.int64)
    nothing = Tokens(
        np.empty(0, np.int64),
        np.empty(0, np.int32),
        np.empty(0, np.uint32),
        np.empty(0, np.bool_),
        bounds,
    )
    _divide(data, limits, tokens, class_table(), False, *nothing[:3], bounds)
    total = int(bounds[-1])
    divided = Tokens(
        np.empty(total, np.int64),
        np.empty(total, np.int32),
        np.empty(total, np.uint32),
        np.zeros(total, np.bool_),
        bounds,
    )
    _divide(data, limits, tokens, class_table(), True, *divided[:3], bounds)
    return divided


def hash_byte_strings(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """fastText's hashes uint32[strings] of data[bounds[n]:bounds[n + 1]], whatever bytes they
    are."""
    hashes = np.empty(len(bounds) - 1, np.uint32)
    _hash_all(read_only(data), read_only(bounds), hashes)
    return hashes
