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

from transforms.kernels.lines import LINE_FEED, trim_right
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
# What a cursed string begins with: by its first byte, and by its first two.
_FIRST_BYTES = np.zeros(256, np.bool_)
_FIRST_BYTES[_CURSED[:, 0]] = True
_PAIRS = np.zeros((256, 256), np.bool_)
_PAIRS[_CURSED[:, 0], _CURSED[:, 1]] = True
_FIRST_BYTES[[ord(" "), ord(",")]] = True  # shapes


class Sentences(NamedTuple):
    """Per document, int64[documents]: sentences; those in list case; those that rule 5 finds; those
    of either kind."""

    sentences: npt.NDArray[np.int64]
    list_case: npt.NDArray[np.int64]
    cursed: npt.NDArray[np.int64]
    questionable: npt.NDArray[np.int64]


@njit(inline="always")
def _is_end_mark(c):  # type: ignore[no-untyped-def]
    return c == 46 or c == 33 or c == 63


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
def _is_cursed_from(data, i, end):  # type: ignore[no-untyped-def]
    """Whether a cursed string or shape of the sentence that ends at `end` begins at data[i]."""
    if i + 1 < end and _PAIRS[data[i], data[i + 1]]:
        for p in range(len(_CURSED_LENGTHS)):
            if starts_with(data, i, end, _CURSED[p], _CURSED_LENGTHS[p]):
                return True
    if data[i] == 32:
        return (
            _is_spaced(data, i, end) or _is_regular(data, i, end, 3) or _is_regular(data, i, end, 4)
        )
    return data[i] == 44 and _is_pairs(data, i, end)


@njit(nogil=True, cache=True)
def _is_cursed(data, start, end):  # type: ignore[no-untyped-def]
    for p in range(len(_ENDING_LENGTHS)):
        at = end - _ENDING_LENGTHS[p]
        if at >= start and starts_with(data, at, end, _ENDINGS[p], _ENDING_LENGTHS[p]):
            return True
    i = start
    while i < end:
        if _FIRST_BYTES[data[i]] and _is_cursed_from(data, i, end):
            return True
        i += 1
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
        w = words.bounds[d]
        last = words.bounds[d + 1]
        while i < end_of_text:
            # From the first character that is no white space to the end marks before white space.
            code, width = decode(data, i, end_of_text)
            if classes[code] == SPACE:
                i += width
                continue
            start = i
            body = -1  # where the end marks begin that end the sentence
            while i < end_of_text:
                if not _is_end_mark(data[i]):
                    i += 1
                    continue
                body = i
                while i < end_of_text and _is_end_mark(data[i]):
                    i += 1
                if i == end_of_text or classes[decode(data, i, end_of_text)[0]] == SPACE:
                    break
                body = -1
            if body == start:
                continue  # end marks alone
            end = i if body >= 0 else trim_right(data, start, i, classes)
            total, capitalised = 0, 0
            while w < last and words.starts[w] < end:
                total += 1
                capitalised += upper[decode(data, words.starts[w], end)[0]]
                w += 1
            is_list = total >= min_words and capitalised / total > capitals
            is_cursed = _is_cursed(data, start, end)
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
