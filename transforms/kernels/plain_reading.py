"""Plain reading: a text as it reads without the marks of markup, escapes and disguise in it.

In: texts of a batch. Out: texts of the same length in which a *mark* is replaced, and windows
around the marks, so that what is far from one need not be read twice. Marks, and what they are
read as:

    <tag ...>, </tag>, <!-- ... -->                 blanks (line feeds in them stay)
    &name; &#160; &#xA0; (also &amp;nbsp;)          the letter or digit of ASCII, else blanks
    \\n \\t \\r \\f \\v \\x20 \\u00a0, written out        the letter or digit of ASCII, else blanks
    %20 and other bytes in percent                  the letter or digit of ASCII, else blanks
    a letter in a circle, square or parentheses     the letter
    controls (C0, DEL), soft hyphens and zero-width
    characters as entity or escape                  nothing: the word goes on

What is shorter is filled with blanks behind the word, so that each line and each word begins at the
byte at which it began.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.lines import LINE_FEED
from transforms.kernels.unicode import decode
from transforms.kernels.words import read_only

__all__ = ["MOST_TAG_BYTES", "find_windows", "read_plain"]

MOST_TAG_BYTES = 512  # of a tag, brackets included
MOST_NAME_BYTES = 31  # of an entity: the longest name of HTML 5
MOST_NUMBER_BYTES = 7  # digits of an entity
_BLOCK = 128  # bytes that are searched for a first byte of a mark at once
_BLANK, _NOTHING = 0, 255  # what a mark is read as, if not as a letter or digit of ASCII
_BLANK_BYTE = 32
_PLAIN, _WORD, _TRIGGER = 0, 1, 2  # bits: what a byte may be
_FIRST_WINDOWS = 256


@cache
def _byte_kinds() -> npt.NDArray[np.uint8]:
    """uint8[256]: _WORD for a byte of a word (letters and digits of ASCII, all that is not ASCII),
    _TRIGGER for one that a mark may begin with."""
    table = np.zeros(256, np.uint8)
    for code in range(256):
        if code >= 0x80 or chr(code).isalnum():
            table[code] |= _WORD
        control = code == 0x7F or (code < 0x20 and not chr(code).isspace())
        if control or code in (0xE2, 0xF0) or chr(code) in "&<\\%":
            table[code] |= _TRIGGER
    return read_only(table)


@njit(nogil=True, cache=True)
def _may_hold_mark(data, start, end):  # type: ignore[no-untyped-def]
    """Whether a mark may begin in data[start:end]; without branches, so that it is compiled to
    vectors."""
    found = False
    for c in data[start:end]:
        found |= (c == 38) | (c == 60) | (c == 92) | (c == 37) | (c == 127)
        found |= (c < 9) | ((c > 13) & (c < 28))
    second = data[start + 1 : end + 1]
    first = data[start : start + len(second)]
    for k in range(len(first)):
        found |= (first[k] == 0xE2) & ((second[k] == 0x92) | (second[k] == 0x93))
        found |= (first[k] == 0x9F) & (second[k] >= 0x84) & (second[k] <= 0x86)
    return found


@njit(inline="always")
def _eight_may_begin(data, i, end, kinds):  # type: ignore[no-untyped-def]
    """Whether a mark may begin in data[i:i + 8]; True near the end."""
    if i + 8 > end:
        return True
    u = uint64(i)
    kind = (
        kinds[data[u]]
        | kinds[data[u + uint64(1)]]
        | kinds[data[u + uint64(2)]]
        | kinds[data[u + uint64(3)]]
        | kinds[data[u + uint64(4)]]
        | kinds[data[u + uint64(5)]]
        | kinds[data[u + uint64(6)]]
        | kinds[data[u + uint64(7)]]
    )
    return kind & _TRIGGER != 0


@njit(inline="always")
def _hex_value(c):  # type: ignore[no-untyped-def]
    """0 to 15 of a hexadecimal digit, -1 of all else."""
    if 48 <= c <= 57:
        return np.int64(c) - 48
    if 97 <= c | 32 <= 102:
        return np.int64(c | 32) - 87
    return np.int64(-1)


@njit(nogil=True, cache=True)
def _meaning(code):  # type: ignore[no-untyped-def]
    """What an escaped code point is read as."""
    if 48 <= code <= 57 or 65 <= code <= 90 or 97 <= code <= 122:
        return code
    if code == 0xAD or 0x200B <= code <= 0x200F or code == 0x2060 or code == 0xFEFF:
        return np.int64(_NOTHING)
    return np.int64(_BLANK)


@njit(nogil=True, cache=True)
def _hexadecimal(data, i, end, digits):  # type: ignore[no-untyped-def]
    """The value of so many hexadecimal digits at data[i], -1 where there are fewer."""
    if i + digits > end:
        return np.int64(-1)
    value = np.int64(0)
    for k in range(i, i + digits):
        digit = _hex_value(data[k])
        if digit < 0:
            return np.int64(-1)
        value = value * 16 + digit
    return value


@njit(nogil=True, cache=True)
def _entity(data, i, end):  # type: ignore[no-untyped-def]
    """(bytes, meaning) of the entity whose "&" stands before data[i], 0 bytes where there is none;
    the "&" is not counted."""
    first = i
    if i < end and data[i] == 35:  # "#"
        i += 1
        base = 10
        if i < end and data[i] | 32 == 120:  # "x"
            base = 16
            i += 1
        digits = i
        value = np.int64(0)
        while i < end and i - digits < MOST_NUMBER_BYTES:
            digit = _hex_value(data[i])
            if digit < 0 or digit >= base:
                break
            value = value * base + digit
            i += 1
        if i in (digits, end) or data[i] != 59:
            return 0, np.int64(_BLANK)
        return i + 1 - first, _meaning(value)
    while i < end and i - first <= MOST_NAME_BYTES:
        c = data[i]
        if not (97 <= c | 32 <= 122 or (i > first and 48 <= c <= 57)):
            break
        i += 1
    length = i - first
    if length == 0 or length > MOST_NAME_BYTES or i == end or data[i] != 59:
        return 0, np.int64(_BLANK)
    meaning = np.int64(_BLANK)
    if data[i - 1] == 106 and data[first] == 122 and length <= 4:  # zwj, zwnj
        meaning = np.int64(_NOTHING)
    if length == 3 and data[first] == 115 and data[first + 1] == 104 and data[first + 2] == 121:
        meaning = np.int64(_NOTHING)  # shy
    return length + 1, meaning


@njit(inline="always")
def _ends_in_amp(data, end):  # type: ignore[no-untyped-def]
    """Whether the entity that ends at data[end] is "&amp;", as far as one can see."""
    return data[end - 4] == 97 and data[end - 3] == 109 and data[end - 2] == 112


@njit(nogil=True, cache=True)
def _mark_at(data, i, end):  # type: ignore[no-untyped-def]
    """(bytes, meaning) of the mark at data[i], 0 bytes where there is none."""
    c = data[i]
    none = 0, np.int64(_BLANK)
    if c == 60:  # "<"
        if i + 1 == end:
            return none
        follower = data[i + 1]
        if not (97 <= follower | 32 <= 122 or follower in (33, 47, 63)):  # a letter ! / ?
            return none
        for j in range(i + 1, min(end, i + MOST_TAG_BYTES)):
            if data[j] == 62:
                return j + 1 - i, np.int64(_BLANK)
            if data[j] == 60:
                return none
        return none
    if c == 38:  # "&"
        width, meaning = _entity(data, i + 1, end)
        if width == 0:
            return none
        width += 1
        while _ends_in_amp(data, i + width):
            more, follower_meaning = _entity(data, i + width, end)  # behind "&amp;"
            if more == 0:
                break
            width, meaning = width + more, follower_meaning
        return width, meaning
    if c == 37:  # "%"
        value = _hexadecimal(data, i + 1, end, 2)
        return (3, _meaning(value)) if value >= 0 else none
    if c == 92:  # a backslash
        if i + 1 == end:
            return none
        kind = data[i + 1]
        if kind in (110, 116, 114, 102, 118):  # n t r f v
            return 2, np.int64(_BLANK)
        digits = 4 if kind == 117 else 2  # u, x
        if kind == 117 or kind == 120:
            value = _hexadecimal(data, i + 2, end, digits)
            if value >= 0:
                return 2 + digits, _meaning(value)
        return none
    if c < 0x80:
        return 1, np.int64(_NOTHING)  # a control
    code, width = decode(data, i, end)
    if 0x249C <= code <= 0x24E9:
        return width, np.int64(97 + (code - 0x249C) % 26)
    if 0x1F110 <= code <= 0x1F189 and (code - 0x1F110) & 31 < 26:
        return width, np.int64(97 + ((code - 0x1F110) & 31))
    return none


@njit(nogil=True, cache=True)
def _words_back(data, start, i, words, kinds):  # type: ignore[no-untyped-def]
    """Where the words begin that stand before data[i], so many of them; not before `start`."""
    for _ in range(words):
        while i > start and kinds[data[i - 1]] & _WORD == 0:
            i -= 1
        while i > start and kinds[data[i - 1]] & _WORD != 0:
            i -= 1
    return i


@njit(nogil=True, cache=True)
def _find_windows(data, offsets, rows, words, kinds):  # type: ignore[no-untyped-def]
    """int64[windows, 3]; each byte is looked at a bounded number of times."""
    found = np.empty((_FIRST_WINDOWS, 3), np.int64)
    n = 0
    for row in rows:
        i, end = offsets[row], offsets[row + 1]
        floor = i  # the end of the window before, or the text's beginning
        searched = i  # no mark begins before, behind the window
        while i < end:
            if i >= searched:
                searched = min(i + _BLOCK, end)
                if not _may_hold_mark(data, i, searched):
                    i = searched
                    continue
            if not _eight_may_begin(data, i, end, kinds):
                i += 8
                continue
            width = 0
            if kinds[data[i]] & _TRIGGER:
                width, _ = _mark_at(data, i, end)
            if width == 0:
                i += 1
                continue
            start = _words_back(data, floor, i, words, kinds)
            # Forth to the end of so many words behind the last mark.
            left, inside = words, False
            while i < end and left > 0:
                kind = kinds[data[i]]
                if kind & _TRIGGER:
                    width, _ = _mark_at(data, i, end)
                    if width > 0:
                        i += width
                        left, inside = words, False
                        continue
                if kind & _WORD:
                    inside = True
                elif inside:
                    inside = False
                    left -= 1
                i += 1
            if n > 0 and found[n - 1, 0] == row and start <= found[n - 1, 2]:
                found[n - 1, 2] = i
            else:
                if n == len(found):
                    larger = np.empty((2 * n, 3), np.int64)
                    larger[:n] = found
                    found = larger
                found[n, 0], found[n, 1], found[n, 2] = row, start, i
                n += 1
            floor = i
            searched = i
    return found[:n]


def find_windows(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    words: int,
) -> npt.NDArray[np.int64]:
    """Where the plain reading of some texts may hold runs of so many words that the texts do not.

    int64[windows, 3]: row, start and end (bytes of `data`, half-open), ascending and disjoint. Each
    reaches `words` words of ASCII back from a mark and as many forth; what is not ASCII counts as a
    part of words. Marks do not lie half in a window.
    """
    found: npt.NDArray[np.int64] = _find_windows(
        read_only(data), read_only(offsets), read_only(rows), words, _byte_kinds()
    )
    return found


@njit(nogil=True, cache=True)
def _read(data, starts, ends, kinds, out, bounds):  # type: ignore[no-untyped-def]
    for piece in range(len(starts)):
        i, end = starts[piece], ends[piece]
        o = bounds[piece]
        owed = 0  # blanks that stand behind the word
        while i < end:
            c = data[i]
            kind = kinds[c]
            if kind & _TRIGGER == 0 and owed == 0:
                out[o] = c
                o += 1
                i += 1
                continue
            width, meaning = 0, np.int64(_BLANK)
            if kind & _TRIGGER:
                width, meaning = _mark_at(data, i, end)
            if (width == 0 and kind & _WORD == 0) or (width > 0 and meaning == _BLANK):
                for _ in range(owed):
                    out[o] = _BLANK_BYTE
                    o += 1
                owed = 0
            if width == 0:
                out[o] = c
                o += 1
                i += 1
            elif meaning == _BLANK:
                for k in range(i, i + width):
                    out[o] = LINE_FEED if data[k] == LINE_FEED else _BLANK_BYTE
                    o += 1
                i += width
            else:
                if meaning != _NOTHING:
                    out[o] = meaning
                    o += 1
                    owed -= 1
                owed += width
                i += width
        for _ in range(owed):
            out[o] = _BLANK_BYTE
            o += 1


def read_plain(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The plain reading of data[starts[k]:ends[k]], each of the length that it has.

    Returns (uint8[], bounds int64[pieces + 1] from 0). Valid UTF-8 stays so.
    """
    bounds = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(ends - starts, out=bounds[1:])
    out = np.empty(int(bounds[-1]), np.uint8)
    _read(read_only(data), read_only(starts), read_only(ends), _byte_kinds(), out, bounds)
    return out, bounds
