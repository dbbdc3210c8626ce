"""Sentences of a document as MADLAD-400's rules see them, and which of them are questionable.

In: text and words of a batch. A sentence ends with a run of `END_MARKS` before white space or the
end of the text; line feeds alone end none. White space at its ends aside, it is questionable when
most of its words begin with a capital letter (rule 2, "list case"), or when it holds one of
`CURSED`, ends with one of `CURSED_ENDINGS` or has one of the regular shapes below (rule 5).
Kudugunta et al. 2023, appendix on filtering. C4's sentences (kernels.c4_lines) are counted line by
line, without citations, and so are found there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.eight_bytes import (
    HIGH,
    byte_number,
    equal_bytes,
    gather_marks,
    load_eight,
    lowest,
    repeat_byte,
)
from transforms.kernels.lines import LINE_FEED, trim_left, trim_right
from transforms.kernels.phrases import pad_phrases, starts_with
from transforms.kernels.unicode import SPACE, class_table, decode, upper_table
from transforms.kernels.words import Words

__all__ = ["CURSED", "CURSED_ENDINGS", "END_MARKS", "Sentences", "judge_sentences"]

END_MARKS = ".!?"  # datamap-rs; MADLAD-400 splits with a model
# MADLAD-400's cursed substrings, as they are spelt, anywhere in a sentence.
CURSED = (
    " №",
    "\ufffd\ufffd\ufffd",
    "aute irure dolor ",
    " sunt in culpa qui ",
    "orem ipsum ",
    " quis nostrud ",
    " adipisicing ",
    " dolore eu ",
    " cupidatat ",
    "autem vel eum",
    "wisi enim ad",
    " sex ",
    " porn ",
    "黄色电影",
    "mp3",
    "ownload",
    "Vol.",
    " Ep.",
    "Episode",
    " шт.",
    "Develop",
    "Facebook",
    " crusher ",
    " xxx ",
)
CURSED_ENDINGS = ("|", " nr.", " г.", " кг.")
# Its four regular shapes: nine times a blank and one character that is none (text  l i k e  this);
# nine times a blank and three, or four, characters but line feeds (lists of codes); ", " and then
# four times two characters and one or two commas, blanks in between.
SHAPE_REPEATS = 9
PAIR_REPEATS = 4

_CURSED, _CURSED_LENGTHS = pad_phrases([phrase.encode() for phrase in CURSED], 32)
_ENDINGS, _ENDING_LENGTHS = pad_phrases([phrase.encode() for phrase in CURSED_ENDINGS], 8)
# Where the three tables share bit p for three bytes in a row, CURSED[p] may begin, and for bit
# _COMMAS the shape with commas.
_COMMAS = len(CURSED)
_FIRST, _SECOND, _THIRD = np.zeros((3, 256), np.uint32)
for _place, _row in enumerate(_CURSED):
    for _table, _byte in zip((_FIRST, _SECOND, _THIRD), _row, strict=False):
        _table[_byte] |= 1 << _place
_FIRST[ord(",")] |= 1 << _COMMAS
_SECOND[ord(" ")] |= 1 << _COMMAS
_THIRD |= 1 << _COMMAS
_IS_END = np.zeros(256, np.bool_)
_IS_END[np.frombuffer(END_MARKS.encode(), np.uint8)] = True
_POINTS, _EXCLAMATIONS, _QUESTIONS = (repeat_byte(ord(mark)) for mark in END_MARKS)
_BLANKS = repeat_byte(ord(" "))
_ASCII_SHAPE = SHAPE_REPEATS * 5  # bytes of the longest shape of blanks in ASCII
_LONGEST_SHAPE = SHAPE_REPEATS * (1 + 4 * 4)  # bytes of the longest shape of blanks


class Sentences(NamedTuple):
    """Per document, int64[documents]: sentences; those in list case; those that rule 5 finds; those
    of either kind."""

    sentences: npt.NDArray[np.int64]
    list_case: npt.NDArray[np.int64]
    cursed: npt.NDArray[np.int64]
    questionable: npt.NDArray[np.int64]


@njit(nogil=True, cache=True)
def _is_spaced(data, i, end):  # type: ignore[no-untyped-def]
    """Whether at data[i] stand nine times a blank and a character that is none."""
    for _ in range(SHAPE_REPEATS):
        if i + 1 >= end or data[i] != 32 or data[i + 1] == 32:
            return False
        i += 1 + decode(data, i + 1, end)[1]
    return True


@njit(nogil=True, cache=True)
def _is_regular(data, i, end, characters):  # type: ignore[no-untyped-def]
    """Whether at data[i] stand nine times a blank and so many characters but line feeds."""
    for _ in range(SHAPE_REPEATS):
        if i >= end or data[i] != 32:
            return False
        i += 1
        for _ in range(characters):
            if i >= end or data[i] == LINE_FEED:
                return False
            i += decode(data, i, end)[1]
    return True


@njit(nogil=True, cache=True)
def _is_pairs(data, i, end):  # type: ignore[no-untyped-def]
    """Whether at data[i] stand ", " and four pairs of characters but line feeds, each with one or
    two commas behind it and a blank before the next."""
    i += 1
    for _ in range(PAIR_REPEATS):
        if i >= end or data[i] != 32:
            return False
        i += 1
        for _ in range(2):
            if i >= end or data[i] == LINE_FEED:
                return False
            i += decode(data, i, end)[1]
        if i >= end or data[i] != 44:
            return False
        i += 1
        if i < end and data[i] == 44:
            i += 1
    return True


@njit(nogil=True, cache=True)
def _any_blanks_from(text, first, last):  # type: ignore[no-untyped-def]
    """Whether a shape of blanks begins in text[first:last]."""
    end = len(text)
    for i in range(max(first, 0), min(last, end)):
        if text[i] == 32 and (
            _is_spaced(text, i, end) or _is_regular(text, i, end, 3) or _is_regular(text, i, end, 4)
        ):
            return True
    return False


@njit(nogil=True, cache=True)
def _holds_blanks(text):  # type: ignore[no-untyped-def]
    """Whether one of the three shapes of blanks stands in the text.

    In ASCII the nine blanks of a shape stand two, four or five bytes apart, so wherever it begins,
    one of the eight bytes looked at here, or three such in a row, lie within it and show four or
    more of its blanks. Only there, and where there is more than ASCII, places are tried.
    """
    end = len(text)
    seen = uint64(0)  # blanks of the last 24 bytes, the latest uppermost
    reached = 0  # places before this one are tried
    for i in range(0, end - 7, 8):
        x = load_eight(text, i, end)
        blanks = gather_marks(equal_bytes(x, _BLANKS))
        seen = (seen >> uint64(8)) | (blanks << uint64(16))
        threes = seen & (seen >> uint64(4)) & (seen >> uint64(8)) & (seen >> uint64(12))
        threes &= (seen >> uint64(16)) & (seen >> uint64(20))
        fours = seen & (seen >> uint64(5)) & (seen >> uint64(10)) & (seen >> uint64(15))
        spaced = blanks & (blanks >> uint64(2)) & (blanks >> uint64(4)) & (blanks >> uint64(6))
        if x & HIGH or threes | fours or (spaced and blanks != 255):
            back = _LONGEST_SHAPE if x & HIGH else _ASCII_SHAPE
            if _any_blanks_from(text, max(reached, i + 8 - back), i + 8):
                return True
            reached = i + 8
    if end >= 8 and load_eight(text, end - 8, end) & HIGH:
        return _any_blanks_from(text, max(reached, end - 8 - _LONGEST_SHAPE), end)
    return False


@njit(nogil=True, cache=True)
def _is_cursed(text):  # type: ignore[no-untyped-def]
    """Whether rule 5 finds anything in the sentence `text`, uint8[] without white space at its
    ends."""
    end = len(text)
    if text[end - 1] == 124 or text[end - 1] == 46:  # what CURSED_ENDINGS end with
        for p in range(len(_ENDING_LENGTHS)):
            at = end - _ENDING_LENGTHS[p]
            if at >= 0 and starts_with(text, at, end, _ENDINGS[p], _ENDING_LENGTHS[p]):
                return True
    for i in range(end - 2):
        may = _FIRST[text[i]] & _SECOND[text[i + 1]] & _THIRD[text[i + 2]]
        if may:
            for p in range(len(_CURSED_LENGTHS)):
                if (may >> p) & 1 and starts_with(text, i, end, _CURSED[p], _CURSED_LENGTHS[p]):
                    return True
            if (may >> _COMMAS) & 1 and _is_pairs(text, i, end):
                return True
    return _holds_blanks(text)


@njit(nogil=True, cache=True)
def _find_end_mark(data, start, end):  # type: ignore[no-untyped-def]
    """Offset of the first of END_MARKS in data[start:end]; `end` if there is none."""
    for i in range(start, end, 8):
        x = load_eight(data, i, end)
        marks = equal_bytes(x, _POINTS) | equal_bytes(x, _EXCLAMATIONS) | equal_bytes(x, _QUESTIONS)
        if marks:
            return i + byte_number(lowest(marks))
    return end


@njit(nogil=True, cache=True)
def _judge(  # type: ignore[no-untyped-def]
    data,
    offsets,
    words,
    classes,
    upper,
    min_words,
    capitals,
    sentences,
    list_case,
    cursed,
    questionable,
):
    for d in range(len(offsets) - 1):
        i, end_of_text = offsets[d], offsets[d + 1]
        w, last = words.bounds[d], words.bounds[d + 1]
        while True:
            start = trim_left(data, i, end_of_text, classes)
            if start == end_of_text:
                break
            i = start
            marks = start  # where the end marks begin that end the sentence
            end = -1
            while i < end_of_text:
                marks = i = _find_end_mark(data, i, end_of_text)
                while i < end_of_text and _IS_END[data[i]]:
                    i += 1
                if i > marks and (
                    i == end_of_text or classes[decode(data, i, end_of_text)[0]] == SPACE
                ):
                    end = i
                    break
            if end < 0:
                end = trim_right(data, start, end_of_text, classes)
            elif marks == start:
                continue  # end marks alone
            total, capitalised = 0, 0
            while w < last and words.starts[w] < end:
                total += 1
                capitalised += upper[decode(data, words.starts[w], end)[0]]
                w += 1
            is_list = total >= min_words and capitalised / total > capitals
            is_cursed = _is_cursed(data[start:end])
            sentences[d] += 1
            list_case[d] += is_list
            cursed[d] += is_cursed
            questionable[d] += is_list or is_cursed


def judge_sentences(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    words: Words,
    min_words: int,
    capitals: float,
) -> Sentences:
    """Judge the sentences of documents data[offsets[d]:offsets[d + 1]]; see `Sentences`.

    `words` are those of the same documents. A sentence of at least `min_words` (1 or more) words is
    in list case when more than the share `capitals` of them begin in upper case. Memory: 32 bytes a
    document.
    """
    documents = len(offsets) - 1
    judged = Sentences(*(np.zeros(documents, np.int64) for _ in range(4)))
    _judge(data, offsets, words, class_table(), upper_table(), min_words, capitals, *judged)
    return judged
