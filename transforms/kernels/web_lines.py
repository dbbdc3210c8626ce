"""Dolma 3's rules for lines of web pages: which lines stay, and what is cut from those that do.

In: lines and words of a batch. A line that is not blank is cut, with its line feed, for the first
of `CUT_REASONS` that holds: too much upper case; nothing but digits; a counter ("1,234 likes"); too
few words. Of short lines `PHRASES` are cut. Of the line feeds that then stand in a row the first
few stay. datamap-rs (ratio_line_modifier, regex_line_modifier, line_len_modifier,
substring_line_modifier, newline_removal_modifier), in characters where it counts bytes.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.cut import Spans
from transforms.kernels.lines import LINE_FEED, Lines, trim_left, trim_right
from transforms.kernels.phrases import pad_phrases, starts_with
from transforms.kernels.unicode import (
    class_table,
    decode,
    digit_table,
    is_word_character,
    lower_table,
    upper_table,
)
from transforms.kernels.words import Words, hash_words

__all__ = ["COUNTED", "CUT_REASONS", "PHRASES", "LineRules", "WebLines", "cut_web_lines"]

CUT_REASONS = ("upper_case", "digit", "counter", "few_words")
KEPT, UPPER_CASE, DIGITS, COUNTER, FEW_WORDS, ONLY_PHRASES, PHRASE_COUNT, CUT_WORDS = range(8)
# What a counter counts, in lower case, after a number.
COUNTED = (
    "likes",
    "shares",
    "comments",
    "retweets",
    "reposts",
    "quotes",
    "bookmarks",
    "upvotes",
    "downvotes",
    "downloads",
    "views",
    "followers",
)
# Cut from short lines, as they are spelt: anywhere, at the end of the line, at its start.
PHRASES = ("items in cart", "Read more...", "Sign-in")
_PHRASES, _PHRASE_LENGTHS = pad_phrases([phrase.encode() for phrase in PHRASES], 16)
_COUNTED, _COUNTED_LENGTHS = pad_phrases([word.encode() for word in COUNTED], 16)
_COUNTED_FIRST = np.zeros(128, np.bool_)
_COUNTED_FIRST[_COUNTED[:, 0]] = True


class LineRules(NamedTuple):
    """upper_case: share of a line's characters in upper case above which it is cut; min_words:
    words that a line needs; phrase_words: words of a line, at most, from which phrases are cut;
    newlines_kept: line feeds in a row that stay."""

    upper_case: float
    min_words: int
    phrase_words: int
    newlines_kept: int


class WebLines(NamedTuple):
    """`counts` int64[documents, 8]: lines (not blank) that stay, lines cut for each of
    `CUT_REASONS`, lines of nothing but phrases (cut too), phrases cut, words cut. `spans`: what is
    cut, ascending and disjoint."""

    counts: npt.NDArray[np.int64]
    spans: Spans


@cache
def _last_hashes() -> npt.NDArray[np.uint64]:
    """Word hashes: the last word of each phrase."""
    return np.array([hash_words(phrase)[-1] for phrase in PHRASES])


@njit(nogil=True, cache=True)
def _count_upper(data, start, end, upper):  # type: ignore[no-untyped-def]
    """Upper-case characters of data[start:end]."""
    ascii_upper, highest = 0, 0
    for c in data[start:end]:  # without branches, so that it is compiled to vectors
        highest |= c
        ascii_upper += (c >= 65) & (c <= 90)
    if highest < 0x80:
        return ascii_upper
    found = 0
    i = start
    while i < end:
        code, width = decode(data, i, end)
        found += upper[code]
        i += width
    return found


@njit(nogil=True, cache=True)
def _all_digits(data, start, end, digits):  # type: ignore[no-untyped-def]
    i = start
    while i < end:
        code, width = decode(data, i, end)
        if digits[code] > 9:
            return False
        i += width
    return True


@njit(nogil=True, cache=True)
def _skip_signs(data, i, end, classes):  # type: ignore[no-untyped-def]
    """First offset from i on at which \\w matches; `end` if there is none."""
    while i < end:
        code, width = decode(data, i, end)
        if is_word_character(code, classes):
            return i
        i += width
    return end


@njit(nogil=True, cache=True)
def _is_counter(data, start, end, classes, digits, lower):  # type: ignore[no-untyped-def]
    """Whether the line is a number, a blank and one of `COUNTED`, signs at both ends aside."""
    i = _skip_signs(data, start, end, classes)
    if i == end or digits[decode(data, i, end)[0]] > 9:
        return False
    while i < end:
        code, width = decode(data, i, end)
        if digits[code] > 9 and code != 44 and code != 46:
            break
        i += width
    if i < end:
        code, width = decode(data, i, end)
        if lower[code] == 107 or lower[code] == 109 or lower[code] == 98:  # k, m, b
            i += width
    unit = trim_left(data, i, end, classes)
    if unit in (i, end):
        return False
    first = lower[decode(data, unit, end)[0]]
    if first > 127 or not _COUNTED_FIRST[first]:
        return False
    for w in range(len(_COUNTED_LENGTHS)):
        i, k = unit, 0
        while i < end and k < _COUNTED_LENGTHS[w]:
            code, width = decode(data, i, end)
            if lower[code] != _COUNTED[w, k]:
                break
            i += width
            k += 1
        if k == _COUNTED_LENGTHS[w]:
            return _skip_signs(data, i, end, classes) == end
    return False


@njit(inline="always")
def _holds(data, start, end, phrase):  # type: ignore[no-untyped-def]
    length = _PHRASE_LENGTHS[phrase]
    return end - start == length and starts_with(data, start, end, _PHRASES[phrase], length)


@njit(inline="always")
def _may_hold_phrase(words, a, b, last_hashes):  # type: ignore[no-untyped-def]
    """Whether the last words of phrases stand where they should in the line of words a..b-1."""
    if b - a < 2:
        return False
    if words.hashes[b - 1] == last_hashes[1] or words.hashes[a + 1] == last_hashes[2]:
        return True
    w = a + 2
    while w < b and words.hashes[w] != last_hashes[0]:
        w += 1
    return w < b


@njit(nogil=True, cache=True)
def _cut_phrases(  # type: ignore[no-untyped-def]
    data, start, end, a, b, words, last_hashes, classes, starts, ends, n
):
    """Write the spans of the phrases of the line data[start:end], whose words are a..b-1 (two or
    more), from place n on; a phrase goes with the white space before it, at the start of the line
    with that behind it.

    Returns (n after them, phrases, words in them, whether more than white space is left). Offsets
    are those of `data`.
    """
    phrases, cut_words = 0, 0
    left = trim_left(data, start, end, classes)  # what is left of the line begins here
    right = trim_right(data, left, end, classes)
    reached = left  # end of the span before
    if words.hashes[a + 1] == last_hashes[2] and words.starts[a] == left:
        after = words.ends[a + 1]
        if _holds(data, left, after, 2):
            phrases += 1
            cut_words += 2
            starts[n] = left
            reached = trim_left(data, after, right, classes)
            left = reached
            ends[n] = reached
            n += 1
    for w in range(a + 2, b):
        if words.hashes[w] != last_hashes[0]:
            continue
        at, after = words.starts[w - 2], words.ends[w]
        if not _holds(data, at, after, 0):
            continue
        phrases += 1
        cut_words += 3
        if at == left:
            after = trim_left(data, after, right, classes)
            left = after
        else:
            at = trim_right(data, reached, at, classes)
        starts[n] = at
        ends[n] = after
        n += 1
        reached = after
    if words.hashes[b - 1] == last_hashes[1]:
        at = words.starts[b - 2]
        if _holds(data, at, right, 1):
            phrases += 1
            cut_words += 2
            at = trim_right(data, reached, at, classes)
            starts[n] = at
            ends[n] = right
            n += 1
            right = at
    return n, phrases, cut_words, left < right


@njit(nogil=True, cache=True)
def _cut_lines(  # type: ignore[no-untyped-def]
    data,
    offsets,
    lines,
    words,
    rules,
    last_hashes,
    classes,
    digits,
    lower,
    upper,
    counts,
    bounds,
    starts,
    ends,
):
    n = 0
    bounds[0] = 0
    for d in range(len(offsets) - 1):
        origin, end_of_text = offsets[d], offsets[d + 1]
        first_span = n
        a = words.bounds[d]
        at = origin  # what lies before is done
        run, kept_run = 0, 0  # line feeds in a row: in the text, and of those what stays
        for k in range(lines.bounds[d], lines.bounds[d + 1] + 1):
            is_line = k < lines.bounds[d + 1]
            start = lines.starts[k] if is_line else end_of_text
            for i in range(at, start):
                if data[i] != LINE_FEED:  # a blank line that is not empty
                    run, kept_run = 0, 0
                    continue
                run += 1
                if run <= rules.newlines_kept and kept_run < rules.newlines_kept:
                    kept_run += 1
                elif n > first_span and ends[n - 1] == i:
                    ends[n - 1] = i + 1
                else:
                    starts[n] = i
                    ends[n] = i + 1
                    n += 1
            if not is_line:
                break
            end = lines.ends[k]
            b = a
            while b < words.bounds[d + 1] and words.starts[b] < end:
                b += 1
            verdict = KEPT
            characters = max(lines.characters[k], 1)  # bytes that begin no character have none
            if _count_upper(data, start, end, upper) / characters > rules.upper_case:
                verdict = UPPER_CASE
            elif _all_digits(data, start, end, digits):
                verdict = DIGITS
            elif (
                b - a >= 2
                and digits[decode(data, words.starts[a], end)[0]] <= 9
                and _is_counter(data, start, end, classes, digits, lower)
            ):
                verdict = COUNTER
            elif b - a < rules.min_words:
                verdict = FEW_WORDS
            elif b - a <= rules.phrase_words and _may_hold_phrase(words, a, b, last_hashes):
                before = n
                n, phrases, cut_words, more = _cut_phrases(
                    data, start, end, a, b, words, last_hashes, classes, starts, ends, n
                )
                counts[d, PHRASE_COUNT] += phrases
                if not more:
                    n = before
                    verdict = ONLY_PHRASES
                else:
                    counts[d, CUT_WORDS] += cut_words
            counts[d, verdict] += 1
            at = end
            if verdict == KEPT:
                run, kept_run = 0, 0
            else:
                counts[d, CUT_WORDS] += b - a
                if end < end_of_text:
                    at += 1
                    run = 1
                if n > first_span and ends[n - 1] == start:
                    ends[n - 1] = at
                else:
                    starts[n] = start
                    ends[n] = at
                    n += 1
            a = b
        for span in range(first_span, n):
            starts[span] -= origin
            ends[span] -= origin
        bounds[d + 1] = n
    return n


def cut_web_lines(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    lines: Lines,
    words: Words,
    newlines: int,
    rules: LineRules,
) -> WebLines:
    """Judge the lines of documents data[offsets[d]:offsets[d + 1]]; see `WebLines`.

    `lines` and `words` are those of the same documents, `newlines` their line feeds in all. Memory:
    16 bytes for each line, line feed and phrase of the batch, 72 a document, and as scratch 1 a
    word.
    """
    last_hashes = _last_hashes()
    phrases = sum(int(np.count_nonzero(words.hashes == last)) for last in last_hashes)
    most = len(lines.starts) + newlines + phrases
    documents = len(offsets) - 1
    counts = np.zeros((documents, 8), np.int64)
    spans = Spans(
        np.empty(documents + 1, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    )
    found = _cut_lines(
        data,
        offsets,
        lines,
        words,
        rules,
        last_hashes,
        class_table(),
        digit_table(),
        lower_table(),
        upper_table(),
        counts,
        *spans,
    )
    return WebLines(counts, Spans(spans.bounds, spans.starts[:found], spans.ends[:found]))
