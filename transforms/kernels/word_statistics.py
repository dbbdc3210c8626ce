"""What Gopher's quality rules ask of words and characters, in one pass over each.

Characters are code points, letters are those of str.isalpha. Symbols and newline runs are sought in
the text as it stands.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.eight_bytes import (
    HIGH,
    continuation_bytes,
    count_marks,
    equal_bytes,
    load_eight,
    repeat_byte,
)
from transforms.kernels.lines import LINE_FEED
from transforms.kernels.unicode import CODE_POINTS, codes_where, decode
from transforms.kernels.words import Words, hash_words

__all__ = [
    "STOP_WORDS",
    "Characters",
    "NewlineRuns",
    "WordStatistics",
    "count_characters",
    "find_excess_newlines",
    "letter_table",
    "measure_words",
]

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher, appendix A.1.1
_LONGEST_STOP_WORD = 4  # bytes
_LINE_FEEDS = repeat_byte(LINE_FEED)
_DOTS = repeat_byte(ord("."))
_HASH_SIGNS = repeat_byte(ord("#"))
_ELLIPSIS_ENDS = repeat_byte("\u2026".encode()[-1])
_LETTER_BIT = repeat_byte(0x40)  # of ASCII's letters, and not of its digits
_ONE = uint64(1)
_FIRST_BYTE = uint64(0x80)
_FIRST_TWO_BYTES = uint64(0x8080)
_LAST_BYTE = uint64(0x80) << uint64(56)


class WordStatistics(NamedTuple):
    """lengths int32[words] in characters; per document, int64[documents]: words without a letter,
    occurrences of stop words, distinct stop words."""

    lengths: npt.NDArray[np.int32]
    without_letter: npt.NDArray[np.int64]
    stop_words: npt.NDArray[np.int64]
    distinct_stop_words: npt.NDArray[np.int64]


class Characters(NamedTuple):
    """Per document, int64[documents]: characters, symbols ("#", "...", ". . ." and U+2026, each
    counted without overlaps), line feeds and the longest run of them."""

    characters: npt.NDArray[np.int64]
    symbols: npt.NDArray[np.int64]
    newlines: npt.NDArray[np.int64]
    longest_newline_run: npt.NDArray[np.int64]


class NewlineRuns(NamedTuple):
    """Spans of line feeds beyond the first few of a run: starts and ends int64[spans] (byte offsets
    from the document's start, half-open), bounds int64[documents + 1]."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]


@cache
def letter_table() -> npt.NDArray[np.bool_]:
    """bool[0x110000]: str.isalpha of each code point."""
    table = np.zeros(CODE_POINTS, np.bool_)
    table[codes_where(str.isalpha)] = True
    return table


@cache
def _stop_hashes() -> npt.NDArray[np.uint64]:
    return hash_words(" ".join(STOP_WORDS))


@njit(nogil=True, cache=True)
def _measure(data, hashes, starts, ends, bounds, letters, stops, lengths, no_letter, all_, unique):  # type: ignore[no-untyped-def]
    # One bit of 64 for each stop word: most other words are told from them by it.
    bits = uint64(0)
    for stop in stops:
        bits |= uint64(1) << (stop & uint64(63))
    for d in range(len(bounds) - 1):
        seen = 0
        for w in range(bounds[d], bounds[d + 1]):
            i, end = starts[w], ends[w]
            h = hashes[w]
            if (bits >> (h & uint64(63))) & uint64(end - i <= _LONGEST_STOP_WORD):
                for s in range(len(stops)):
                    if stops[s] == h:
                        all_[d] += 1
                        seen |= 1 << s
            together = uint64(0)  # of the word's bytes, eight by eight
            for j in range(i, end, 8):
                x = load_eight(data, j, len(data))
                together |= x if j + 8 <= end else x & ((_ONE << uint64(8 * (end - j))) - _ONE)
            if together & HIGH == 0:
                lengths[w] = end - i
                no_letter[d] += together & _LETTER_BIT == 0
                continue
            length = 0
            letter = False
            while i < end:
                code, width = decode(data, i, end)
                letter |= letters[code]
                length += 1
                i += width
            lengths[w] = length
            no_letter[d] += not letter
        while seen:
            unique[d] += seen & 1
            seen >>= 1


def measure_words(data: npt.NDArray[np.uint8], words: Words) -> WordStatistics:
    """Measure the words of a batch; see `WordStatistics`. 4 bytes of memory a word, 24 a
    document."""
    documents = len(words.bounds) - 1
    measured = WordStatistics(
        np.empty(len(words.hashes), np.int32),
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
    )
    _measure(
        data,
        words.hashes,
        words.starts,
        words.ends,
        words.bounds,
        letter_table(),
        _stop_hashes(),
        *measured,
    )
    return measured


@njit(nogil=True, cache=True)
def _count_characters(data, offsets, characters, symbols, newlines, longest):  # type: ignore[no-untyped-def]
    for d in range(len(offsets) - 1):
        start, end = offsets[d], offsets[d + 1]
        continued, found, feeds, most, run, dots = 0, 0, 0, 0, 0, 0
        spaced_from = start  # occurrences of ". . ." do not overlap
        for begin in range(start, end, 8):
            x = load_eight(data, begin, end)
            continued += count_marks(continuation_bytes(x))
            here = equal_bytes(x, _LINE_FEEDS)
            feeds += count_marks(here)
            points = equal_bytes(x, _DOTS)
            # Eight bytes in which no run of line feeds goes on and no ellipsis can end are counted
            # at once.
            if (
                begin + 8 <= end
                and here & (here << uint64(8)) == 0
                and (run == 0 or here & _FIRST_BYTE == 0)
                and points & ((points << uint64(8)) | (points << uint64(16)) | _FIRST_TWO_BYTES)
                == 0
                and equal_bytes(x, _ELLIPSIS_ENDS) == 0
            ):
                found += count_marks(equal_bytes(x, _HASH_SIGNS))
                if here:
                    most = max(most, 1)
                run = 1 if here & _LAST_BYTE else 0
                dots = 1 if points & _LAST_BYTE else 0
                continue
            for i in range(begin, min(begin + 8, end)):
                c = data[i]
                if c == LINE_FEED:
                    run += 1
                    most = max(most, run)
                else:
                    run = 0
                if c == 46:
                    dots += 1
                    if dots == 3:
                        found += 1
                        dots = 0
                    if (
                        i - 4 >= spaced_from
                        and data[i - 1] == 32
                        and data[i - 2] == 46
                        and data[i - 3] == 32
                        and data[i - 4] == 46
                    ):
                        found += 1
                        spaced_from = i + 1
                else:
                    dots = 0
                    if c == 35 or (
                        c == 0xA6 and i - 2 >= start and data[i - 1] == 0x80 and data[i - 2] == 0xE2
                    ):
                        found += 1
        characters[d] = end - start - continued
        symbols[d] = found
        newlines[d] = feeds
        longest[d] = most


def count_characters(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Characters:
    """Count characters, symbols and newlines of documents; see `Characters`. 32 bytes of memory a
    document."""
    counted = Characters(*(np.empty(len(offsets) - 1, np.int64) for _ in range(4)))
    _count_characters(data, offsets, *counted)
    return counted


@njit(nogil=True, cache=True)
def _find_excess(data, offsets, kept, longest, starts, ends, bounds):  # type: ignore[no-untyped-def]
    n = 0
    bounds[0] = 0
    for d in range(len(offsets) - 1):
        start = offsets[d]
        run = 0
        for i in range(start, offsets[d + 1] if longest[d] > kept else start):
            if data[i] != LINE_FEED:
                run = 0
                continue
            run += 1
            if run == kept + 1:
                starts[n] = i - start
                n += 1
            if run > kept:
                ends[n - 1] = i + 1 - start
        bounds[d + 1] = n
    return n


def find_excess_newlines(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    counted: Characters,
    kept: int,
) -> NewlineRuns:
    """Find, in each run of more than `kept` line feeds, those after the first `kept`.

    `counted` is what `count_characters` says of the same documents. Memory: 16 bytes for every
    `kept` + 1 line feeds of the documents with such a run.
    """
    of_runs = counted.newlines[counted.longest_newline_run > kept]
    most = int((of_runs // (kept + 1)).sum())
    runs = NewlineRuns(
        np.empty(most, np.int64), np.empty(most, np.int64), np.empty(len(offsets), np.int64)
    )
    found = _find_excess(data, offsets, kept, counted.longest_newline_run, *runs)
    return NewlineRuns(runs.starts[:found], runs.ends[:found], runs.bounds)
