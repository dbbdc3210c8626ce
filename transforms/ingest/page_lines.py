"""From the lines of a page to its text: paragraphs joined, hyphens too, running lines left out.

In: the lines of a page with their places, from a PDF's text layer or OCR, in reading order. Out: a
page's text, where `\\n` ends a line that its author ended, and an empty line is a vertical gap. A
wrapped line is joined to the next only where the layout says that it was wrapped: the next line's
first word would not have fitted. Lines of fixed-pitch type (code) are never joined and keep
their indentation. Lengths are points (1/72 inch); x grows along the line, y grows from each line to
the next.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

__all__ = [
    "SOFT_HYPHEN",
    "Line",
    "clean_line",
    "join_lines",
    "running_lines",
    "typed_lines",
    "words_of",
]

SOFT_HYPHEN = "\u00ad"  # ends a line whose last word goes on in the next line
GAP = 1.35  # times the page's usual step for a height: more is a gap between paragraphs
MAX_STEP = 4.0  # times the height of a line: lines farther apart are no neighbours
SAME_ROW = 0.3  # times the height of a line: smaller steps stay in the row
SAME_HEIGHT = 1.2  # largest ratio of the heights of two lines of one paragraph
MAX_INDENT = 2.5  # times the height: a wrapped line starts at most this far from its neighbour
INDENT = 0.8  # times the height: a smaller offset is no indent
MAX_INDENT_BLANKS = 40  # that a line of code is set in by
MIN_WRAPPED_CHARACTERS = 20  # shorter lines are entries of a list or labels, never wrapped text
MIN_WRAPPED_IDEOGRAPHS = 8
MIN_RUNNING_PAGES = 3  # pages on which a line must head or foot to be a running line
MIN_RUNNING_PAGE_LINES = 4  # a page of fewer lines is left as it is
MIN_RUNNING_LETTERS = 5

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_HYPHENS = ("-", "\u2010", SOFT_HYPHEN)
_LAST_PART = re.compile(r"([^\W\d_]+)[-\u2010\u00ad]$")
_FIRST_PART = re.compile(r"[^\W\d_]+")
# A line that starts with a bullet, "(a)", "12." or "3.1.4" starts an item or a heading.
_ITEM = re.compile(
    r"(?:[\u2022\u2023\u25aa\u25ab\u25e6\u25cf\u2013\u2014*-]|\(?\w{1,3}[.)]|\d+(?:\.\d+)+)\s"
)
_LEADERS = re.compile(r"(?:[.\u2026\u00b7] ?){4,}")
_IDEOGRAPH = re.compile(
    r"[\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_DIGITS = re.compile(r"\d+")
# Bullets of the Symbol and Wingdings fonts, which word processors leave in private use.
_BULLETS = dict.fromkeys(map(chr, (0xF0A7, 0xF0A8, 0xF0B7, 0xF0D8, 0xF0FC)), "\u2022")
_LIGATURES = {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl",
              "\ufb05": "st", "\ufb06": "st"}  # fmt: skip
_REPLACED = str.maketrans({**_BULLETS, **_LIGATURES})
_BLANKS = re.compile(r"\s+")
# What no reader sees: controls, surrogates, private use, noncharacters, byte order marks, U+FFFD.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufeff\ufff9-\uffff"
    r"\U000f0000-\U0010ffff]"
)


class Line(NamedTuple):
    """One line as it stands on the page. A last word that goes on in the next line ends in
    `SOFT_HYPHEN` or a hyphen."""

    text: str
    left: float
    right: float
    base: float  # baseline
    height: float  # of its type, above 0, the same for all lines of one size
    fixed_pitch: bool = False
    turn: int = 0  # quarter turns of its direction; lines of other turns are never joined


def clean_line(text: str) -> str:
    """The text of one line without what a PDF leaves in it.

    Ligatures become letters, blanks of any kind and number one blank; control, private-use and
    replacement characters go; a soft hyphen stays at the end only. NFC.
    """
    text = _UNSEEN.sub("", text.translate(_REPLACED))
    text = _BLANKS.sub(" ", text).strip()
    hyphen = SOFT_HYPHEN if text.endswith(SOFT_HYPHEN) else ""
    return unicodedata.normalize("NFC", text.replace(SOFT_HYPHEN, "") + hyphen)


def typed_lines(text: str) -> list[Line]:
    """Lines of a text without a layout, as if typed: a line is one unit high, a character half a
    unit wide."""
    lines: list[Line] = []
    for number, written in enumerate(text.splitlines()):
        cleaned = clean_line(written)
        if cleaned:
            indent = len(written) - len(written.lstrip())
            lines.append(Line(cleaned, indent / 2, (indent + len(cleaned)) / 2, number, 1.0))
    return lines


def words_of(lines: Iterable[Line]) -> set[str]:
    """Words in lower case that stand whole in a line, with their hyphens: the document is its own
    dictionary."""
    found: set[str] = set()
    for line in lines:
        text = line.text
        cut = _cut_word(text)
        found.update(_WORD.findall((text[: cut.start()] if cut else text).lower()))
    return found


def _cut_word(text: str) -> re.Match[str] | None:
    """The word at the end of a line that a hyphen ends; group 1 is its letters."""
    return _LAST_PART.search(text) if text[-1:] in _HYPHENS else None


def running_lines(pages: Sequence[Sequence[Line]]) -> set[tuple[int, int]]:
    """Headers, footers and page numbers, as (page index, line index).

    A line counts when it is the uppermost or lowermost of its page and, apart from its digits, the
    same on at least `MIN_RUNNING_PAGES` pages; or when it is a number that grows with the pages.
    """
    edges: list[tuple[int, int, tuple[str, str]]] = []
    for page, lines in enumerate(pages):
        if len(lines) < MIN_RUNNING_PAGE_LINES:
            continue
        order = sorted(range(len(lines)), key=lambda index: (lines[index].base, index))
        for edge, index in (("top", order[0]), ("bottom", order[-1])):
            text = lines[index].text.strip()
            if text.isdecimal() and len(text) <= 5:
                edges.append((page, index, (edge, str(int(text) - page))))
            elif sum(map(str.isalpha, text)) >= MIN_RUNNING_LETTERS:
                edges.append((page, index, (edge, _DIGITS.sub("#", text))))
    counts = Counter(key for _, _, key in edges)
    return {(page, index) for page, index, key in edges if counts[key] >= MIN_RUNNING_PAGES}


def join_lines(lines: Sequence[Line], words: set[str]) -> str:
    """The text of a page. `words` (see `words_of`) tell whether a hyphen at a line's end belongs to
    the word."""
    if not lines:
        return ""
    step = _usual_step(lines)
    edges = _right_edges(lines, step)
    indents = _indents(lines)
    parts = [indents[0], lines[0].text]
    for index, (line, following) in enumerate(pairwise(lines)):
        after = lines[index + 2] if index + 2 < len(lines) else None
        separator = _separator(line, following, after, edges[index], step)
        hyphen = _cut_word(line.text)
        if hyphen and separator in (" ", "\n") and _goes_on(line, following, separator == " "):
            parts[-1] = _without_hyphen(parts[-1], hyphen, following.text, words)
            separator = ""
        if separator not in ("", " "):
            separator += indents[index + 1]
        parts += [separator, following.text]
    return "".join(parts).replace(SOFT_HYPHEN, "-")


def _indents(lines: Sequence[Line]) -> list[str]:
    """Per line, the blanks that set it in: of lines of fixed-pitch type under each other, from the
    leftmost of them."""
    indents: list[str] = []
    start = 0
    for end in range(1, len(lines) + 1):
        if end < len(lines) and _is_code(lines[end - 1], lines[end]):
            continue
        left = min(line.left for line in lines[start:end])
        for line in lines[start:end]:
            width = (line.right - line.left) / len(line.text)
            blanks = round((line.left - left) / width) if line.fixed_pitch and width > 0 else 0
            indents.append(" " * min(blanks, MAX_INDENT_BLANKS))
        start = end
    return indents


def _is_code(line: Line, following: Line) -> bool:
    """True for two lines of fixed-pitch type, the second below the first."""
    return (
        line.fixed_pitch
        and following.fixed_pitch
        and line.turn == following.turn
        and 0 < _step(line, following) <= MAX_STEP * line.height
    )


def _goes_on(line: Line, following: Line, wrapped: bool) -> bool:
    """True when a word cut at the line's end can go on in the following line."""
    if not _FIRST_PART.match(following.text):
        return False
    if line.text.endswith(SOFT_HYPHEN):
        return True
    return not line.fixed_pitch and (wrapped or following.text[0].islower())


def _without_hyphen(text: str, hyphen: re.Match[str], following: str, words: set[str]) -> str:
    first = _FIRST_PART.match(following)
    assert first is not None  # _goes_on said so
    head, tail = hyphen.group(1), first.group()
    whole, compound = (head + tail).lower(), f"{head}-{tail}".lower()
    keep = not tail[0].islower() or (compound in words and whole not in words)
    return text[:-1] + ("-" if keep else "")


def _step(line: Line, following: Line) -> float:
    return following.base - line.base


def _neighbours(line: Line, following: Line) -> bool:
    """True when the lines stand under each other, in one direction and size."""
    heights = sorted((line.height, following.height))
    return (
        line.turn == following.turn
        and SAME_ROW * line.height < _step(line, following) <= MAX_STEP * line.height
        and following.left < line.right
        and line.left < following.right
        and heights[1] <= SAME_HEIGHT * heights[0]
    )


def _usual_step(lines: Sequence[Line]) -> float:
    """The step between lines, in heights, that the page uses most (lower median); infinite when
    it has none."""
    steps = [_step(a, b) / a.height for a, b in pairwise(lines) if _neighbours(a, b)]
    return median_low(steps) if steps else float("inf")


def _right_edges(lines: Sequence[Line], usual_step: float) -> list[float]:
    """Per line, how far the lines reach of the paragraph or column it stands in. In four lines and
    more the longest does not count: it may stick out."""
    edges: list[float] = []
    start = 0
    for end in range(1, len(lines) + 1):
        if (
            end == len(lines)
            or not _neighbours(lines[end - 1], lines[end])
            or _step(lines[end - 1], lines[end]) > GAP * usual_step * lines[end - 1].height
        ):
            reached = sorted(line.right for line in lines[start:end])
            edges += [reached[-2 if len(reached) >= 4 else -1]] * len(reached)
            start = end
    return edges


def _separator(
    line: Line, following: Line, after: Line | None, edge: float, usual_step: float
) -> str:
    is_gap = _step(line, following) > GAP * usual_step * line.height
    if not _neighbours(line, following):
        same_row = (
            line.turn == following.turn
            and abs(_step(line, following)) <= SAME_ROW * line.height
            and following.left >= line.right - line.height
        )
        if same_row:
            return " "
        return "\n\n" if is_gap or line.turn != following.turn else "\n"
    if is_gap:
        return "\n\n"
    return _join_of(line, following) if _is_wrapped(line, following, after, edge) else "\n"


def _is_wrapped(line: Line, following: Line, after: Line | None, edge: float) -> bool:
    """True when the line ended for want of room, not because its author ended it."""
    if line.fixed_pitch or following.fixed_pitch:
        return False
    if (
        len(line.text) < MIN_WRAPPED_CHARACTERS
        and len(_IDEOGRAPH.findall(line.text)) < MIN_WRAPPED_IDEOGRAPHS
    ):
        return False
    offset = following.left - line.left
    if abs(offset) > MAX_INDENT * line.height:
        return False
    if (
        offset > INDENT * line.height
        and after is not None
        and _neighbours(following, after)
        and after.left - line.left < INDENT * line.height
    ):
        return False  # indented, and the line after it is not: the first line of a paragraph
    if _IDEOGRAPH.match(following.text) and not _HANGUL.match(following.text):
        first_width = 2 * line.height  # the character and a closing mark that must not start a line
    else:
        first_word = following.text.split(" ", 1)[0]
        share = len(first_word) / max(len(following.text), 1)
        first_width = (following.right - following.left) * share + 0.2 * line.height
    if line.right + first_width <= edge:
        return False
    return not _ITEM.match(following.text) and not _LEADERS.search(line.text)


def _join_of(line: Line, following: Line) -> str:
    """No blank between ideographs, one elsewhere (Hangul is written with blanks)."""
    last, first = line.text[-1:], following.text[:1]
    if _IDEOGRAPH.match(last) and _IDEOGRAPH.match(first):
        return " " if _HANGUL.match(last) and _HANGUL.match(first) else ""
    return " "
