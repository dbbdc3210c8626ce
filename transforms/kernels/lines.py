"""Lines and paragraphs: what stands between line feeds, found once a batch and hashed as it stands.

A line is the text between line feeds (U+000A) without them; one of white space alone is blank and
is left out. A paragraph is a maximal run of lines with no blank line among them. Quality rules
(Gopher, FineWeb) count over these; datamap-rs leaves out only empty lines and dolma counts blank
lines as lines, even as duplicates of each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.eight_bytes import (
    byte_number,
    bytes_before,
    continuation_bytes,
    count_marks,
    equal_bytes,
    load_eight,
    lowest,
    repeat_byte,
)
from transforms.kernels.unicode import SPACE, class_table, decode
from transforms.kernels.words import GOLDEN_RATIO, NGRAM_BASE, mix

__all__ = [
    "Lines",
    "Paragraphs",
    "count_byte",
    "find_line_feed",
    "find_lines",
    "fold_paragraphs",
    "holds_byte",
    "last_code_point",
    "mark_bullets_and_ellipses",
    "mark_endings",
    "trim_left",
    "trim_right",
]

LINE_FEED = 10
BULLETS = (0x2022, 0x25CF, ord("*"), ord("-"))  # datamap-rs: bullet, black circle, asterisk, hyphen
_LINE_FEEDS = repeat_byte(LINE_FEED)


class Lines(NamedTuple):
    """Lines of a batch that are not blank: starts and ends int64[lines] (byte offsets into the
    batch's data, half-open, without the line feed), hashes uint64[lines] of their bytes, characters
    int32[lines], first bool[lines] (opens a paragraph), bounds int64[documents + 1] (document d
    holds lines bounds[d]..bounds[d + 1]-1)."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    characters: npt.NDArray[np.int32]
    first: npt.NDArray[np.bool_]
    bounds: npt.NDArray[np.int64]


class Paragraphs(NamedTuple):
    """Paragraphs of a batch: hashes uint64[paragraphs], characters int32[paragraphs] (with the line
    feeds between their lines), bounds int64[documents + 1]."""

    hashes: npt.NDArray[np.uint64]
    characters: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]


@njit(nogil=True, cache=True)
def _count_byte(data, start, end, byte):  # type: ignore[no-untyped-def]
    total = 0
    for c in data[start:end]:
        total += c == byte
    return total


def count_byte(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], byte: int) -> int:
    """How often a byte occurs in data[offsets[0]:offsets[-1]]; bounds what a kernel may write."""
    return int(_count_byte(data, offsets[0], offsets[-1], np.uint8(byte)))


@njit(nogil=True, cache=True)
def holds_byte(data, start, end, byte):  # type: ignore[no-untyped-def]
    """Whether data[start:end] holds the byte."""
    found = False
    for c in data[start:end]:  # to the end, so that it is compiled to vectors
        found |= c == byte
    return found


@njit(nogil=True, cache=True)
def find_line_feed(data, start, end):  # type: ignore[no-untyped-def]
    """Offset of the first line feed in data[start:end]; `end` if there is none."""
    for i in range(start, end, 8):
        feeds = equal_bytes(load_eight(data, i, end), _LINE_FEEDS)
        if feeds:
            return i + byte_number(lowest(feeds))
    return end


@njit(nogil=True, cache=True)
def trim_left(data, start, end, classes):  # type: ignore[no-untyped-def]
    """First offset in start..end at which no white space (str.isspace) stands; `end` if there is
    none."""
    i = start
    while i < end:
        code, width = decode(data, i, end)
        if classes[code] != SPACE:
            return i
        i += width
    return end


@njit(inline="always")
def _step_back(data, start, end):  # type: ignore[no-untyped-def]
    """Offset of the last UTF-8 sequence of data[start:end], start < end."""
    i = end - 1
    while i > start and end - i < 4 and data[i] & 0xC0 == 0x80:
        i -= 1
    return i


@njit(nogil=True, cache=True)
def trim_right(data, start, end, classes):  # type: ignore[no-untyped-def]
    """Last offset in start..end before which no white space stands; `start` if there is none."""
    while end > start:
        i = _step_back(data, start, end)
        code, _ = decode(data, i, end)
        if classes[code] != SPACE:
            return end
        end = i
    return end


@njit(inline="always")
def last_code_point(data, start, end):  # type: ignore[no-untyped-def]
    """Last code point of data[start:end], start < end."""
    code, _ = decode(data, _step_back(data, start, end), end)
    return code


@njit(nogil=True, cache=True)
def _find(data, offsets, classes, starts, ends, hashes, characters, first, bounds):  # type: ignore[no-untyped-def]
    n = 0
    bounds[0] = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        after_blank = True
        while i < end:
            start = i
            h = uint64(0)
            continued = 0  # bytes that begin no character
            while True:
                x = load_eight(data, i, end)
                feeds = equal_bytes(x, _LINE_FEEDS)
                if feeds == 0 and i + 8 <= end:
                    continued += count_marks(continuation_bytes(x))
                    h = (h ^ x) * GOLDEN_RATIO
                    h ^= h >> uint64(29)
                    i += 8
                    continue
                stop = end
                if feeds != 0:
                    feed = lowest(feeds)
                    stop = i + byte_number(feed)
                    x = bytes_before(x, feed)
                continued += count_marks(continuation_bytes(x))
                i = stop
                break
            if trim_left(data, start, i, classes) == i:
                after_blank = True
            else:
                starts[n] = start
                ends[n] = i
                h = (h ^ x) * GOLDEN_RATIO
                hashes[n] = mix(h ^ (h >> uint64(29)) ^ uint64(i - start))
                characters[n] = i - start - continued
                first[n] = after_blank
                after_blank = False
                n += 1
            i += 1  # the line feed
        bounds[d + 1] = n
    return n


def find_lines(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Lines:
    """Find the lines of documents data[offsets[d]:offsets[d + 1]]; see `Lines`. 29 bytes of memory
    a line."""
    most = count_byte(data, offsets, LINE_FEED) + len(offsets) - 1
    lines = Lines(
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.uint64),
        np.empty(most, np.int32),
        np.empty(most, np.bool_),
        np.empty(len(offsets), np.int64),
    )
    found = _find(data, offsets, class_table(), *lines)
    return Lines(
        lines.starts[:found],
        lines.ends[:found],
        lines.hashes[:found],
        lines.characters[:found],
        lines.first[:found],
        lines.bounds,
    )


@njit(nogil=True, cache=True)
def _fold(hashes, characters, first, line_bounds, out_hashes, out_characters, out_bounds):  # type: ignore[no-untyped-def]
    n = 0
    out_bounds[0] = 0
    for d in range(len(line_bounds) - 1):
        for k in range(line_bounds[d], line_bounds[d + 1]):
            if first[k]:
                out_hashes[n] = hashes[k]
                out_characters[n] = characters[k]
                n += 1
            else:
                out_hashes[n - 1] = mix(out_hashes[n - 1] * NGRAM_BASE + hashes[k])
                out_characters[n - 1] += characters[k] + 1
        out_bounds[d + 1] = n


def fold_paragraphs(lines: Lines) -> Paragraphs:
    """Paragraphs of the lines of a batch; see `Paragraphs`. 12 bytes of memory a paragraph, 8 a
    document."""
    count = int(np.count_nonzero(lines.first))
    paragraphs = Paragraphs(
        np.empty(count, np.uint64), np.empty(count, np.int32), np.empty_like(lines.bounds)
    )
    _fold(lines.hashes, lines.characters, lines.first, lines.bounds, *paragraphs)
    return paragraphs


@njit(inline="always")
def _ends_in_ellipsis(data, start, end):  # type: ignore[no-untyped-def]
    """Whether data[start:end] ends in three dots, three dots with blanks between, or U+2026."""
    if end - start < 3:
        return False
    if data[end - 1] == 0xA6:
        return data[end - 2] == 0x80 and data[end - 3] == 0xE2
    if data[end - 1] != 46:
        return False
    if data[end - 2] == 46 and data[end - 3] == 46:
        return True
    return (
        end - start >= 5
        and data[end - 2] == 32
        and data[end - 3] == 46
        and data[end - 4] == 32
        and data[end - 5] == 46
    )


@njit(nogil=True, cache=True)
def _mark_kinds(data, starts, ends, classes, bullets, ellipses):  # type: ignore[no-untyped-def]
    for k in range(len(starts)):
        start = trim_left(data, starts[k], ends[k], classes)
        end = trim_right(data, start, ends[k], classes)
        code, _ = decode(data, start, end)
        bullets[k] = code in BULLETS
        ellipses[k] = _ends_in_ellipsis(data, start, end)


def mark_bullets_and_ellipses(
    data: npt.NDArray[np.uint8], lines: Lines
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which lines start with one of `BULLETS` and which end in an ellipsis ("...", ". . ." or
    U+2026), white space at either end aside; bool[lines] each, and no other memory."""
    bullets = np.empty(len(lines.starts), np.bool_)
    ellipses = np.empty(len(lines.starts), np.bool_)
    _mark_kinds(data, lines.starts, lines.ends, class_table(), bullets, ellipses)
    return bullets, ellipses


@njit(nogil=True, cache=True)
def _mark_endings(data, starts, ends, table, marks):  # type: ignore[no-untyped-def]
    for k in range(len(starts)):
        marks[k] = table[last_code_point(data, starts[k], ends[k])]


def mark_endings(
    data: npt.NDArray[np.uint8], lines: Lines, table: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which lines end with a code point of `table` (bool[0x110000]), as they stand: white space at
    the end counts. bool[lines], and no other memory."""
    marks = np.empty(len(lines.starts), np.bool_)
    _mark_endings(data, lines.starts, lines.ends, table, marks)
    return marks
