"""Words: maximal runs of alphanumerics and combining marks, hashed as they are compared: whatever
their case, and in whatever code points Unicode lets the same letters be written.

This one definition serves quality rules, deduplication and decontamination, so words are found
once a batch. It is Dolma 3's (words with punctuation ignored), with `_` a separator. `str.isalnum`
of the running Python decides where words begin and end; an ideograph, with the marks on it, is
a word by itself. Soft hyphens, zero-width characters, direction marks and the like are passed
over, as a reader does. A hash is that of the characters' foldings (`kernels.unicode.fold_table`):
of their UTF-8 in blocks of eight bytes, the last filled with zeros, h = mix(h ^ block) from h = 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int64, njit, uint64

from transforms.kernels.eight_bytes import HIGH, byte_number, load_eight, lowest
from transforms.kernels.unicode import (
    FOLD_INDEX,
    IDEOGRAPH,
    INVISIBLE,
    MARK,
    WORD,
    class_table,
    decode,
    fold_table,
)

__all__ = [
    "GOLDEN_RATIO",
    "NGRAM_BASE",
    "Words",
    "find_words",
    "hash_words",
    "mix",
    "read_only",
    "roll_ngrams",
]

BYTES_PER_WORD = 4  # of a batch: room is made for so many words; where there are more, once again
_M1 = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's 64-bit finaliser
_M2 = np.uint64(0xC4CEB9FE1A85EC53)
GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: a factor of hashes
NGRAM_BASE = np.uint64(0x2545F4914F6CDD1D)  # of the rolling polynomial over word hashes

# Eight bytes at once: constants that hold a value in each byte.
_ONE = np.uint64(1)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)
_FROM_A = np.uint64(0x1F1F1F1F1F1F1F1F)  # 0x80 - "a": the sum has its high bit from "a" on
_PAST_Z = np.uint64(0x0505050505050505)
_FROM_0 = np.uint64(0x5050505050505050)
_PAST_9 = np.uint64(0x4646464646464646)
_FOLD_INDEX = np.uint64(FOLD_INDEX)


class Words(NamedTuple):
    """Words of a batch: hashes uint64[words], starts and ends int64[words] (byte offsets into the
    batch's data, half-open), bounds int64[documents + 1] (document d holds words
    bounds[d]..bounds[d + 1]-1)."""

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


@njit(inline="always")
def _alphanumeric(x):  # type: ignore[no-untyped-def]
    """The high bit of each byte of x that is an ASCII letter or digit."""
    digit = x & _LOW7
    letter = digit | _CASE
    letter = (letter + _FROM_A) & ~(letter + _PAST_Z)
    digit = (digit + _FROM_0) & ~(digit + _PAST_9)
    return (letter | digit) & ~x & HIGH


@njit(inline="always")
def _append(h, block, filled, value, width):  # type: ignore[no-untyped-def]
    """Put `width` (1..4) bytes of text into the block; a full one goes into the hash."""
    block |= value << uint64(8 * filled)
    filled += width
    if filled >= 8:
        h = mix(h ^ block)
        filled -= 8
        block = value >> uint64(8 * (width - filled))
    return h, block, filled


@njit(nogil=True, cache=True)
def _find(  # type: ignore[no-untyped-def]
    data, offsets, d, i, classes, folds, long_folds, hashes, starts, ends, bounds, n
):
    """Find words from data[i] of document d on, the first being number n of the batch and the
    first in hashes, starts and ends, until there are no more or these are full. Returns (words
    found, document and place to go on from)."""
    first = n
    last = n + len(hashes)
    while d < len(offsets) - 1:
        end = offsets[d + 1]
        while i < end:
            if n == last:
                return n - first, d, i
            x = load_eight(data, i, end)
            part = _alphanumeric(x)
            if part & uint64(0x80) == 0:
                part |= x & HIGH
                if part == 0:
                    i += 8
                    continue
                i += byte_number(lowest(part))
                x = load_eight(data, i, end)
                part = _alphanumeric(x)
            # Letters and digits of ASCII, eight at a time.
            start = i
            h = uint64(0)
            gaps = part ^ HIGH
            while gaps == 0:
                h = mix(h ^ (x | _CASE))
                i += 8
                x = load_eight(data, i, end)
                gaps = _alphanumeric(x) ^ HIGH
            gap = lowest(gaps)
            filled = byte_number(gap)
            block = (x | _CASE) & ((gap >> uint64(7)) - _ONE)
            i += filled
            stop = i  # behind the last character of the word
            if x & gap == 0:  # an ASCII character ends the word, or the text ends
                hashes[n - first] = mix(h ^ block) if filled else h
                starts[n - first] = start
                ends[n - first] = stop
                n += 1
                i += 1
                continue
            # Character by character, from one that is not ASCII to the first that is in no word.
            inside = i > start
            ideograph = False
            while i < end:
                code, width = decode(data, i, end)
                kind = classes[code]
                if kind != WORD and kind != IDEOGRAPH and (not inside or kind < WORD):
                    i += width
                    break
                if kind == INVISIBLE:
                    i += width
                    continue
                if inside and kind != MARK and (ideograph or kind == IDEOGRAPH):
                    hashes[n - first] = mix(h ^ block) if filled else h
                    starts[n - first] = start
                    ends[n - first] = stop
                    n += 1
                    inside = False
                    if n == last:
                        break
                if not inside:
                    start = i
                    h = uint64(0)
                    block = uint64(0)
                    filled = 0
                    inside = True
                    ideograph = kind == IDEOGRAPH
                folded = uint64(folds[code])
                if folded < _FOLD_INDEX:
                    size = (
                        1
                        + int64(folded > uint64(0xFF))
                        + int64(folded > uint64(0xFFFF))
                        + int64(folded > uint64(0xFFFFFF))
                    )
                    h, block, filled = _append(h, block, filled, folded, size)
                else:
                    k = int64(folded - _FOLD_INDEX)
                    for j in range(k + 1, k + 1 + long_folds[k]):
                        h, block, filled = _append(h, block, filled, uint64(long_folds[j]), 1)
                i += width
                stop = i
            if inside:
                hashes[n - first] = mix(h ^ block) if filled else h
                starts[n - first] = start
                ends[n - first] = stop
                n += 1
        d += 1
        bounds[d] = n
        if d < len(offsets) - 1:
            i = offsets[d]
    return n - first, d, i


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that cannot be written, as buffers of Arrow are: kernels are then compiled for one
    kind of array and not for two, whether it was made, loaded or read."""
    view = array.view()
    view.flags.writeable = False
    return view


def find_words(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Words:
    """Find the words of documents data[offsets[d]:offsets[d + 1]]; see `Words`.

    24 bytes of memory a word, and room (address space, for what is not written takes no memory) for
    one word in BYTES_PER_WORD bytes. Where words are denser, as in Chinese, twice as much while the
    parts are put together.
    """
    data, offsets = read_only(data), read_only(offsets)
    documents = len(offsets) - 1
    bounds = np.zeros(documents + 1, np.int64)
    parts: list[Words] = []
    total, d, i = 0, 0, int(offsets[0])
    room = (int(offsets[-1]) - i) // BYTES_PER_WORD + 1
    while not parts or d < documents:
        part = (np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.int64))
        found, d, i = _find(data, offsets, d, i, class_table(), *fold_table(), *part, bounds, total)
        parts.append(Words(part[0][:found], part[1][:found], part[2][:found], bounds))
        total += found
        # No text has more words than every other byte, and one.
        room = (int(offsets[-1]) - i) // 2 + documents - d + 1
    if len(parts) == 1:
        return parts[0]
    hashes, starts, ends = (np.concatenate([one[k] for one in parts]) for k in range(3))
    return Words(hashes, starts, ends, bounds)


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
