"""C4's rules for lines: which lines of a page stay, and what the lines that stay hold.

A line is what stands between line feeds, white space at both ends aside. Citations ("[12]", "[]",
"[edit]", "[citation needed]") are taken out before the line is judged. The rules and their order
are those of tensorflow/datasets (text/c4_utils.py), the code of Raffel et al. 2020; phrases are
compared in ASCII lower case.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.lines import LINE_FEED, count_byte, trim_left, trim_right
from transforms.kernels.phrases import pad_phrases, starts_with
from transforms.kernels.unicode import class_table, decode

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
_FIRST_BYTES = np.zeros(256, np.bool_)
_FIRST_BYTES[_PHRASES[:, 0]] = True
_END_BYTES = np.zeros(256, np.bool_)
_END_BYTES[np.frombuffer(END_MARKS.encode(), np.uint8)] = True
_CLOSING_BYTES = np.zeros(256, np.bool_)
_CLOSING_BYTES[np.frombuffer(CLOSERS.encode(), np.uint8)] = True


@njit(inline="always")
def _citation_length(data, i, end):  # type: ignore[no-untyped-def]
    """Bytes of the citation that begins at data[i], an opening bracket; 0 if none does."""
    j = i + 1
    while j < end and 48 <= data[j] <= 57:
        j += 1
    if j < end and data[j] == 93:
        return j + 1 - i
    for w in range(len(_WORD_LENGTHS)):
        if starts_with(data, i + 1, end, _WORDS[w], _WORD_LENGTHS[w]):
            return 1 + _WORD_LENGTHS[w]
    return 0


@njit(nogil=True, cache=True)
def _find_phrases(line, length):  # type: ignore[no-untyped-def]
    """Bit p is set when line[:length] holds PHRASES[p]; bit 8 when it holds "{"."""
    found = 0
    for i in range(length):
        c = line[i]
        if c == 123:
            found |= 256
        elif _FIRST_BYTES[c]:
            for p in range(len(_PHRASE_LENGTHS)):
                if starts_with(line, i, length, _PHRASES[p], _PHRASE_LENGTHS[p]):
                    found |= 1 << p
    return found


@njit(nogil=True, cache=True)
def _count_sentences(line, length, classes):  # type: ignore[no-untyped-def]
    """Runs of ".", "?", "!", closing quotes and brackets aside, before white space or the end; at
    least 1."""
    sentences = 0
    i = 0
    while i < length:
        c = line[i]
        if c != 46 and c != 63 and c != 33:
            i += 1
            continue
        while i < length and (line[i] == 46 or line[i] == 63 or line[i] == 33):
            i += 1
        while i < length and _CLOSING_BYTES[line[i]]:
            i += 1
        if i == length or classes[decode(line, i, length)[0]] == 1:
            sentences += 1
    return max(sentences, 1)


@njit(nogil=True, cache=True)
def _judge(  # type: ignore[no-untyped-def]
    data,
    offsets,
    classes,
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
            stop = start
            while stop < end_of_text and data[stop] != LINE_FEED:
                stop += 1
            after = min(stop + 1, end_of_text)
            i = trim_left(data, start, stop, classes)
            end = trim_right(data, i, stop, classes)
            # The line without citations, in lower case; words counted on the way.
            length, words, inside = 0, 0, False
            word_length, longest = 0, 0  # characters, of words as they stand, citations included
            of_line = citations
            while i < end:
                skipped = _citation_length(data, i, end) if data[i] == 91 else 0
                if skipped:
                    citation_starts[citations] = i - origin
                    citation_ends[citations] = i + skipped - origin
                    citations += 1
                    for j in range(i, i + skipped):
                        word_length = 0 if data[j] == 32 else word_length + 1
                        longest = max(longest, word_length)
                    i += skipped
                    continue
                code, width = decode(data, i, end)
                if classes[code] == 1:
                    inside = False
                    word_length = 0
                else:
                    words += not inside
                    inside = True
                    word_length += 1
                    longest = max(longest, word_length)
                if 65 <= data[i] <= 90:
                    line[length] = data[i] + 32
                else:
                    for j in range(width):
                        line[length + j] = data[i + j]
                length += width
                i += width
            verdict = KEPT
            dots = (
                length >= 3
                and line[length - 1] == 46
                and line[length - 2] == 46
                and line[length - 3] == 46
            )
            if longest > max_word_length:
                verdict = LONG_WORD
            elif length == 0 or not _END_BYTES[line[length - 1]] or dots:
                verdict = NO_END_MARK
            elif words < min_words:
                verdict = FEW_WORDS
            else:
                found = _find_phrases(line, length)
                if found & 2:
                    flags[d, 0] = True
                if found & 1:
                    verdict = JAVASCRIPT
                else:
                    if found & 256:
                        flags[d, 1] = True
                    if found & 0xFC:
                        verdict = POLICY
            counts[d, verdict] += 1
            counts[d, 6] += 1
            if verdict == KEPT:
                counts[d, 7] += _count_sentences(line, length, classes)
            else:
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
    `max_word_length` characters. Scratch: the bytes of the largest document.
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
        data, offsets, class_table(), min_words, max_word_length, line, *judged
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
