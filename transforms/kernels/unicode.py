"""Unicode tables of the running Python, and a UTF-8 decoder that cannot read past its end.

Tables are indexed by code point: what a code point is in a word, what it is compared as, its lower
case where that is one code point (else itself), which digit it is, whether it is upper case.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from numba import njit, uint32

__all__ = [
    "CODE_POINTS",
    "FOLD_INDEX",
    "IDEOGRAPH",
    "INVISIBLE",
    "MARK",
    "NO_DIGIT",
    "OTHER",
    "REPLACEMENT",
    "SPACE",
    "WORD",
    "WORDS_VERSION",
    "class_table",
    "codes_where",
    "decode",
    "digit_table",
    "fold_table",
    "is_word_character",
    "lower_table",
    "upper_table",
]

CODE_POINTS = 0x110000
WORDS_VERSION = 5  # raised when another text makes the same words, or the same text others
OTHER = 0  # punctuation, symbols, controls
SPACE = 1  # str.isspace
WORD = 2  # str.isalnum
MARK = 3  # combining mark: goes on with a word, starts none
IDEOGRAPH = 4  # Han, Hiragana: a word by itself, as in UAX 29
INVISIBLE = 5  # nothing that is seen: no part of a word, no end of one
# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, which Python does not tell: soft
# hyphens, joiners, direction marks, fillers, variation selectors, tags. First and last.
_INVISIBLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
# How the names of letters and numbers of Han and Hiragana begin, and those that do not begin so.
_HAN_NAMES = ("CJK ", "HIRAGANA ", "HENTAIGANA ", "OLD CHINESE ", "HANGZHOU NUMERAL ")
_FIRST_HAN = 0x2E80
_HAN = (0x3005, 0x3006, 0x3007, 0x303B)  # repetition, closing mark, zero
_UNNAMED = frozenset({"Cn", "Co", "Cs"})  # categories of what Unicode does not name
FOLD_INDEX = 0xC0000000  # of `fold_table`: from here on an index; no UTF-8 ends in 0xC0 or above
REPLACEMENT = np.uint32(0xFFFD)  # what is no UTF-8 is read as
NO_DIGIT = 255  # of `digit_table`: str.isdigit is false


@cache
def _named() -> str:
    """All characters that Unicode has named, an eighth of the code points. The others (unassigned,
    private use, surrogates) are no letters, digits, marks or spaces and have no case."""
    category = unicodedata.category
    return "".join([one for one in map(chr, range(CODE_POINTS)) if category(one) not in _UNNAMED])


def codes_where(true_of: Callable[[str], bool]) -> npt.NDArray[np.int64]:
    """The code points of which a question about one character, as `str.isalpha`, is true;
    ascending. Only those that Unicode has named are asked."""
    found = "".join(filter(true_of, _named()))
    return np.frombuffer(found.encode("utf-32-le"), "<u4").astype(np.int64)


@cache
def class_table() -> npt.NDArray[np.uint8]:
    """uint8[0x110000]: OTHER, SPACE, WORD, MARK, IDEOGRAPH or INVISIBLE of each code point."""
    table = np.zeros(CODE_POINTS, np.uint8)
    table[codes_where(lambda char: unicodedata.category(char)[0] == "M")] = MARK
    table[codes_where(str.isspace)] = SPACE
    words = codes_where(str.isalnum)
    table[words] = WORD
    for code in words[words >= _FIRST_HAN].tolist():
        if code in _HAN or unicodedata.name(chr(code), "").startswith(_HAN_NAMES):
            table[code] = IDEOGRAPH
    for first, last in _INVISIBLE:
        table[first : last + 1] = INVISIBLE
    return table


@cache
def lower_table() -> npt.NDArray[np.uint32]:
    """uint32[0x110000]: the simple lower case of each code point."""
    table = np.arange(CODE_POINTS, dtype=np.uint32)
    for char in _named():
        lowered = char.lower()
        if lowered != char and len(lowered) == 1:
            table[ord(char)] = ord(lowered)
    return table


@cache
def fold_table() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """What each code point of a word is compared as: Unicode's compatibility caseless match (D146,
    NFKD and case folding), one code point at a time.

    So full-width letters, ligatures, superscripts and letters of mathematics are the plain letters,
    and an accented letter is the letter and its mark. Where that would bring in something of
    no word (a fraction's slash, the brackets of "(1)" in one character) the case is folded only.

    Returns (uint32[0x110000], uint8[]): the folding's UTF-8, little-endian, where it has four bytes
    or fewer; else FOLD_INDEX + k, with k the place in the second array of its number of bytes and
    then these. 0 where a code point is in no word.
    """
    classes = class_table()
    table = np.zeros(CODE_POINTS, np.uint32)
    longer = bytearray()
    for code in np.flatnonzero((classes >= WORD) & (classes <= IDEOGRAPH)).tolist():
        encoded = _folded(chr(code), classes).encode()
        if len(encoded) <= 4:
            table[code] = int.from_bytes(encoded, "little")
        else:
            table[code] = FOLD_INDEX + len(longer)
            longer += bytes([len(encoded)]) + encoded
    return table, np.frombuffer(bytes(longer), np.uint8)


def _folded(char: str, classes: npt.NDArray[np.uint8]) -> str:
    if char.casefold() == char and unicodedata.is_normalized("NFKD", char):
        return char  # as nearly all are
    plain = unicodedata.normalize("NFD", char)
    for _ in range(2):
        plain = unicodedata.normalize("NFKD", plain.casefold())
    for folded in (plain, char.casefold()):
        if all(WORD <= classes[ord(part)] <= IDEOGRAPH for part in folded):
            return folded
    return char


@cache
def digit_table() -> npt.NDArray[np.uint8]:
    """uint8[0x110000]: 0 to 9 for the decimal digits of any script (str.isdecimal), 10 for other
    digits (str.isdigit: superscripts and the like), NO_DIGIT for all else."""
    table = np.full(CODE_POINTS, NO_DIGIT, np.uint8)
    for code in codes_where(str.isdigit).tolist():
        table[code] = unicodedata.decimal(chr(code), 10)
    return table


@cache
def upper_table() -> npt.NDArray[np.bool_]:
    """bool[0x110000]: str.isupper of each code point."""
    table = np.zeros(CODE_POINTS, np.bool_)
    table[codes_where(str.isupper)] = True
    return table


@njit(inline="always")
def is_word_character(code, classes):  # type: ignore[no-untyped-def]
    """Whether a regular expression's \\w matches: str.isalnum or "_"."""
    kind = classes[code]
    return kind in (WORD, IDEOGRAPH) or code == 95


@njit(inline="always")
def decode(data, i, end):  # type: ignore[no-untyped-def]
    """(code point, bytes) of the UTF-8 sequence at data[i], i < end. Never reads at or past `end`.

    A truncated or impossible sequence gives (U+FFFD, 1). The text of a shard is valid UTF-8; this
    guards memory, it does not validate.
    """
    c = uint32(data[i])
    if c < 0x80:
        return c, 1
    if c < 0xC0:
        return REPLACEMENT, 1
    if c < 0xE0:
        if i + 1 >= end:
            return REPLACEMENT, 1
        return ((c & uint32(0x1F)) << uint32(6)) | (uint32(data[i + 1]) & uint32(0x3F)), 2
    if c < 0xF0:
        if i + 2 >= end:
            return REPLACEMENT, 1
        return (
            ((c & uint32(0xF)) << uint32(12))
            | ((uint32(data[i + 1]) & uint32(0x3F)) << uint32(6))
            | (uint32(data[i + 2]) & uint32(0x3F))
        ), 3
    if i + 3 >= end or c > 0xF4:
        return REPLACEMENT, 1
    code = (
        ((c & uint32(7)) << uint32(18))
        | ((uint32(data[i + 1]) & uint32(0x3F)) << uint32(12))
        | ((uint32(data[i + 2]) & uint32(0x3F)) << uint32(6))
        | (uint32(data[i + 3]) & uint32(0x3F))
    )
    if code >= uint32(0x110000):
        return REPLACEMENT, 1
    return code, 4
