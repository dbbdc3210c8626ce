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
from numba import njit

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
# Where the three tables share a bit for three bytes in a row, a cursed string may begin. Bit 15 is
# that of the shape with commas.
_FIRST, _SECOND, _THIRD = np.zeros((3, 256), np.uint16)
for _place, _row in enumerate(_CURSED):
    for _table, _byte in zip((_FIRST, _SECOND, _THIRD), _row, strict=False):
        _table[_byte] |= 1 << (_place % 15)
_FIRST[ord(",")] |= 1 << 15
_SECOND[ord(" ")] |= 1 << 15
_THIRD |= 1 << 15
_IS_END = np.zeros(256, np.bool_)
_IS_END[np.frombuffer(END_MARKS.encode(), np.uint8)] = True
_BLOCK = 64  # bytes that are looked at together
_AHEAD = 16  # bytes after a blank, at the most, at which the next blanks of a shape are looked for


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
def _string_from(data, i, end):  # type: ignore[no-untyped-def]
    """First place from i on where a cursed string or the shape with commas may begin; `end` if
    there is none."""
    for j in range(i, end - 2):
        if _FIRST[data[j]] & _SECOND[data[j + 1]] & _THIRD[data[j + 2]]:
            return j
    return end


@njit(inline="always")
def _may_be_shape(view, j):  # type: ignore[no-untyped-def]
    """Whether in ASCII four blanks follow the one at view[j] as in a shape of blanks."""
    spaced = (view[j + 2] == 32) & (view[j + 4] == 32) & (view[j + 6] == 32) & (view[j + 8] == 32)
    threes = (view[j + 4] == 32) & (view[j + 8] == 32) & (view[j + 12] == 32)
    fours = (view[j + 5] == 32) & (view[j + 10] == 32) & (view[j + 15] == 32)
    return (view[j] == 32) & (spaced | (threes & (view[j + 16] == 32)) | fours)


@njit(nogil=True, cache=True)
def _shape_from(data, i, end):  # type: ignore[no-untyped-def]
    """First blank from i on at which a shape of blanks may begin; `end` if there is none."""
    while i + _BLOCK + _AHEAD <= end:
        view = data[i : i + _BLOCK + _AHEAD]
        found = False
        highest = np.uint8(0)
        for j in range(_BLOCK):  # without branches, so that it is compiled to vectors
            found |= _may_be_shape(view, j)
            highest |= view[j] | view[j + _AHEAD]
        if found or highest > 127:
            for j in range(_BLOCK):
                if view[j] == 32 and (highest > 127 or _may_be_shape(view, j)):
                    return i + j
        i += _BLOCK
    while i < end and data[i] != 32:
        i += 1
    return i


@njit(nogil=True, cache=True)
def _begins_string(data, i, end):  # type: ignore[no-untyped-def]
    """Whether a cursed string or the shape with commas begins at data[i] and ends by `end`."""
    for p in range(len(_CURSED_LENGTHS)):
        if starts_with(data, i, end, _CURSED[p], _CURSED_LENGTHS[p]):
            return True
    return data[i] == 44 and _is_pairs(data, i, end)


@njit(nogil=True, cache=True)
def _has_cursed_ending(data, start, end):  # type: ignore[no-untyped-def]
    for p in range(len(_ENDING_LENGTHS)):
        at = end - _ENDING_LENGTHS[p]
        if at >= start and starts_with(data, at, end, _ENDINGS[p], _ENDING_LENGTHS[p]):
            return True
    return False


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
        string, shape = _string_from(data, i, end_of_text), _shape_from(data, i, end_of_text)
        while True:
            start = trim_left(data, i, end_of_text, classes)
            if start == end_of_text:
                break
            i = start
            marks = start  # where the end marks begin that end the sentence
            end = -1
            while i < end_of_text:
                if not _IS_END[data[i]]:
                    i += 1
                    continue
                marks = i
                while i < end_of_text and _IS_END[data[i]]:
                    i += 1
                if i == end_of_text or classes[decode(data, i, end_of_text)[0]] == SPACE:
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
            is_cursed = _has_cursed_ending(data, start, end)
            while string < end:
                if not is_cursed and string >= start:
                    is_cursed = _begins_string(data, string, end)
                string = _string_from(data, string + 1, end_of_text)
            while shape < end:
                if not is_cursed and shape >= start:
                    is_cursed = (
                        _is_spaced(data, shape, end)
                        or _is_regular(data, shape, end, 3)
                        or _is_regular(data, shape, end, 4)
                    )
                shape = _shape_from(data, shape + 1, end_of_text)
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
