"""C4's rules for lines: which lines of a page stay, and what the lines that stay hold.

A line is what stands between line feeds, white space at both ends aside. Citations ("[12]", in
decimal digits of any script, "[]", "[edit]", "[citation needed]") are taken out before the line is
judged. The rules and their order are those of tensorflow/datasets (text/c4_utils.py), the code of
Raffel et al. 2020; phrases are compared in ASCII lower case.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.lines import (
    LINE_FEED,
    count_byte,
    find_line_feed,
    holds_byte,
    trim_left,
    trim_right,
)
from transforms.kernels.phrases import pad_phrases, starts_with
from transforms.kernels.unicode import SPACE, class_table, decode, digit_table

__all__ = ["CUT_REASONS", "END_MARKS", "PHRASES", "C4Lines", "judge_lines"]

END_MARKS = '.?!"'  # what a line ends with, unless it ends with "..."
CLOSERS = "\"')]"  # may stand between a sentence's end mark and the white space after it
CUT_REASONS = ("long_word", "no_end_mark", "few_words", "javascript", "policy")
KEPT, LONG_WORD, NO_END_MARK, FEW_WORDS, JAVASCRIPT, POLICY = range(6)
PHRASES = (
    "javascript",
    "lorem ipsum",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
_CITATION_WORDS = (b"edit]", b"citation needed]")


class C4Lines(NamedTuple):
    """Per document, int64: `counts` [documents, 8]: lines kept, lines cut for each of
    `CUT_REASONS`, lines in all, sentences of the lines kept; `flags` bool[documents, 2]: "lorem
    ipsum", "{" in a line that the rules before it kept. Spans (byte offsets from the document's
    start, half-open; those of document d are bounds[d]..bounds[d + 1]-1): runs of lines that are
    cut, each with its line feed, and citations of the lines kept."""

    counts: npt.NDArray[np.int64]
    flags: npt.NDArray[np.bool_]
    line_starts: npt.NDArray[np.int64]
    line_ends: npt.NDArray[np.int64]
    line_bounds: npt.NDArray[np.int64]
    citation_starts: npt.NDArray[np.int64]
    citation_ends: npt.NDArray[np.int64]
    citation_bounds: npt.NDArray[np.int64]


_PHRASES, _PHRASE_LENGTHS = pad_phrases([phrase.encode() for phrase in PHRASES], 16)
_WORDS, _WORD_LENGTHS = pad_phrases(_CITATION_WORDS, 16)
# Where the three tables share bit p for three bytes in a row, PHRASES[p] may begin, in any case.
_FIRST, _SECOND, _THIRD = np.zeros((3, 256), np.uint8)
for _place, _row in enumerate(_PHRASES):
    for _table, _byte in zip((_FIRST, _SECOND, _THIRD), _row, strict=False):
        _table[[_byte, ord(chr(_byte).upper())]] |= 1 << _place
_SENTENCE_ENDS = np.zeros(256, np.bool_)
_SENTENCE_ENDS[[ord("."), ord("?"), ord("!")]] = True
_END_BYTES = np.zeros(256, np.bool_)
_END_BYTES[np.frombuffer(END_MARKS.encode(), np.uint8)] = True
_CLOSING_BYTES = np.zeros(256, np.bool_)
_CLOSING_BYTES[np.frombuffer(CLOSERS.encode(), np.uint8)] = True


@njit(inline="always")
def _citation_length(data, i, end, digits):  # type: ignore[no-untyped-def]
    """Bytes of the citation that begins at data[i], an opening bracket; 0 if none does."""
    j = i + 1
    while j < end:
        code, width = decode(data, j, end)
        if digits[code] > 9:
            break
        j += width
    if j < end and data[j] == 93:
        return j + 1 - i
    for w in range(len(_WORD_LENGTHS)):
        if starts_with(data, i + 1, end, _WORDS[w], _WORD_LENGTHS[w]):
            return 1 + _WORD_LENGTHS[w]
    return 0


@njit(inline="always")
def _begins_lower(text, i, end, phrase):  # type: ignore[no-untyped-def]
    """Whether text[i:end], in ASCII lower case, begins with PHRASES[phrase]."""
    length = _PHRASE_LENGTHS[phrase]
    if i + length > end:
        return False
    k = 0
    while k < length:
        c = text[i + k]
        if 65 <= c <= 90:
            c += 32
        if c != _PHRASES[phrase, k]:
            return False
        k += 1
    return True


@njit(nogil=True, cache=True)
def _find_phrases(text, start, end):  # type: ignore[no-untyped-def]
    """Bit p is set when text[start:end] holds PHRASES[p] in any case of ASCII."""
    found = 0
    for i in range(start, end - 2):
        may = _FIRST[text[i]] & _SECOND[text[i + 1]] & _THIRD[text[i + 2]]
        if may:
            for p in range(len(_PHRASE_LENGTHS)):
                if (may >> p) & 1 and _begins_lower(text, i, end, p):
                    found |= 1 << p
    return found


@njit(nogil=True, cache=True)
def _count_sentences(text, start, end, classes):  # type: ignore[no-untyped-def]
    """Runs of ".", "?", "!", closing quotes and brackets aside, before white space or the end; at
    least 1."""
    sentences = 0
    i = start
    while i < end:
        if not _SENTENCE_ENDS[text[i]]:
            i += 1
            continue
        while i < end and _SENTENCE_ENDS[text[i]]:
            i += 1
        while i < end and _CLOSING_BYTES[text[i]]:
            i += 1
        if i == end or classes[decode(text, i, end)[0]] == SPACE:
            sentences += 1
    return max(sentences, 1)


@njit(nogil=True, cache=True)
def _has_long_word(data, start, end, most, classes):  # type: ignore[no-untyped-def]
    """Whether data[start:end] holds a run of more than `most` characters without white space."""
    length = 0
    i = start
    while i < end:
        code, width = decode(data, i, end)
        length = 0 if classes[code] == SPACE else length + 1
        if length > most:
            return True
        i += width
    return False


@njit(nogil=True, cache=True)
def _has_words(text, start, end, least, classes):  # type: ignore[no-untyped-def]
    """Whether text[start:end] holds at least `least` runs without white space."""
    words, inside = 0, False
    i = start
    while i < end and words < least:
        code, width = decode(text, i, end)
        space = classes[code] == SPACE
        words += not space and not inside
        inside = not space
        i += width
    return words >= least


@njit(nogil=True, cache=True)
def _judge_line(text, start, end, min_words, classes):  # type: ignore[no-untyped-def]
    """(verdict, phrases found as bits) of the line text[start:end], without long words, white space
    at its ends or citations."""
    if end == start or not _END_BYTES[text[end - 1]]:
        return NO_END_MARK, 0
    if end - start >= 3 and text[end - 1] == text[end - 2] == text[end - 3] == 46:
        return NO_END_MARK, 0
    if not _has_words(text, start, end, min_words, classes):
        return FEW_WORDS, 0
    found = _find_phrases(text, start, end)
    if found & 1:
        return JAVASCRIPT, found
    return (POLICY if found & 0xFC else KEPT), found


@njit(nogil=True, cache=True)
def _judge(  # type: ignore[no-untyped-def]
    data,
    offsets,
    classes,
    digits,
    min_words,
    max_word_length,
    line,
    counts,
    flags,
    line_starts,
    line_ends,
    line_bounds,
    citation_starts,
    citation_ends,
    citation_bounds,
):
    spans, citations = 0, 0
    line_bounds[0], citation_bounds[0] = 0, 0
    for d in range(len(offsets) - 1):
        origin, end_of_text = offsets[d], offsets[d + 1]
        start = origin
        while start < end_of_text:
            stop = find_line_feed(data, start, end_of_text)
            after = min(stop + 1, end_of_text)
            i = trim_left(data, start, stop, classes)
            end = trim_right(data, i, stop, classes)
            of_line = citations
            sentences, curly_bracket = 0, False
            if end - i > max_word_length and _has_long_word(data, i, end, max_word_length, classes):
                verdict, found = LONG_WORD, 0
            elif end == i or not (_END_BYTES[data[end - 1]] or data[end - 1] == 93):
                verdict, found = NO_END_MARK, 0  # no citation either that could end the line
            elif not holds_byte(data, i, end, 91):
                verdict, found = _judge_line(data, i, end, min_words, classes)
                if verdict == KEPT:
                    sentences = _count_sentences(data, i, end, classes)
                curly_bracket = holds_byte(data, i, end, 123)
            else:
                length = 0  # of the line without citations
                while i < end:
                    skipped = _citation_length(data, i, end, digits) if data[i] == 91 else 0
                    if skipped:
                        citation_starts[citations] = i - origin
                        citation_ends[citations] = i + skipped - origin
                        citations += 1
                        i += skipped
                    else:
                        line[length] = data[i]
                        length += 1
                        i += 1
                verdict, found = _judge_line(line, 0, length, min_words, classes)
                if verdict == KEPT:
                    sentences = _count_sentences(line, 0, length, classes)
                curly_bracket = holds_byte(line, 0, length, 123)
            if found & 2:
                flags[d, 0] = True
            if curly_bracket and verdict in (POLICY, KEPT):
                flags[d, 1] = True
            counts[d, verdict] += 1
            counts[d, 6] += 1
            counts[d, 7] += sentences
            if verdict != KEPT:
                citations = of_line
                if spans > line_bounds[d] and line_ends[spans - 1] == start - origin:
                    line_ends[spans - 1] = after - origin
                else:
                    line_starts[spans] = start - origin
                    line_ends[spans] = after - origin
                    spans += 1
            start = after
        line_bounds[d + 1], citation_bounds[d + 1] = spans, citations
    return spans, citations


def judge_lines(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    min_words: int,
    max_word_length: int,
) -> C4Lines:
    """Judge the lines of documents; see `C4Lines`.

    A line needs `min_words` words (runs without white space) and no word of more than
    `max_word_length` characters. Memory: 16 bytes for each line feed and each "[" of the batch, 98
    a document, and as scratch the bytes of the largest document.
    """
    documents = len(offsets) - 1
    most_lines = count_byte(data, offsets, LINE_FEED) + documents
    most_citations = count_byte(data, offsets, ord("["))
    judged = C4Lines(
        np.zeros((documents, 8), np.int64),
        np.zeros((documents, 2), np.bool_),
        np.empty(most_lines, np.int64),
        np.empty(most_lines, np.int64),
        np.empty(documents + 1, np.int64),
        np.empty(most_citations, np.int64),
        np.empty(most_citations, np.int64),
        np.empty(documents + 1, np.int64),
    )
    line = np.empty(int(np.diff(offsets).max(initial=0)), np.uint8)
    spans, citations = _judge(
        data, offsets, class_table(), digit_table(), min_words, max_word_length, line, *judged
    )
    return C4Lines(
        judged.counts,
        judged.flags,
        judged.line_starts[:spans],
        judged.line_ends[:spans],
        judged.line_bounds,
        judged.citation_starts[:citations],
        judged.citation_ends[:citations],
        judged.citation_bounds,
    )
