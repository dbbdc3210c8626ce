"""C4's line rules read plainly from docs/rules.md, one document at a time, with switches.

A switch replaces one of our definitions by that of Dolma's tagger c4_v2; docs/rules.md lists each.
With none of them the marks must be Vineleaf's, with all of them Dolma's, for every document: so
whatever differs does so by the switches. Raffel et al. 2020, by the paper's code.
"""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["ASCII_LOWER", "CITATION", "DOLMA", "MARKS", "POLICIES", "c4_marks"]

# Of a document: numbers of lines, and whether they hold something, as 0 or 1.
MARKS = (
    "lines",
    "kept_lines",
    "no_end_mark_lines",
    "few_words_lines",
    "javascript",
    "lorem_ipsum",
    "curly_bracket",
)
DOLMA = (
    "last line",  # what stands behind the last line feed is a line even where it is empty
    "citations",  # they are text like any other
    "ellipses",  # "..." ends a line
    "long words",  # may stay
    "order",  # a line without end mark can have too few words too
    "whole text",  # phrases count wherever they stand, and no line is cut for "javascript"
    "policies",  # may stay too
)
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
_LONGEST_WORD = 1000
_PHRASES = {"javascript": "javascript", "lorem_ipsum": "lorem ipsum", "curly_bracket": "{"}


def c4_marks(text: str, words_per_line: int, theirs: Collection[str] = ()) -> dict[str, int]:
    """`MARKS` of a text; `theirs`: the switches of `DOLMA` that are on."""
    lines = text.split("\n")
    if not lines[-1] and "last line" not in theirs:
        lines.pop()
    marks = dict.fromkeys(MARKS, 0)
    marks["lines"] = len(lines)
    for whole in lines:
        line = whole.strip() if "citations" in theirs else CITATION.sub("", whole.strip())
        lower = line.translate(ASCII_LOWER)
        holds = {mark for mark, phrase in _PHRASES.items() if phrase in lower}
        cut = {"long word"} if "long words" not in theirs and _has_long_word(whole) else set()
        if not cut and not _has_end_mark(line, theirs):
            cut.add("no_end_mark_lines")
        if (not cut or "order" in theirs) and len(line.split()) < words_per_line:
            cut.add("few_words_lines")
        if "whole text" not in theirs:
            if cut:
                holds = set()  # a line that is cut is not looked at
            elif "javascript" in holds:
                cut.add("javascript")
                holds.discard("curly_bracket")  # brackets are looked for in what is not cut
        if "policies" not in theirs and any(policy in lower for policy in POLICIES):
            cut.add("policy")
        marks["kept_lines"] += not cut
        for mark in ("no_end_mark_lines", "few_words_lines"):
            marks[mark] += mark in cut
        for mark in holds:
            marks[mark] = 1
    return marks


def _has_long_word(line: str) -> bool:
    return len(line) > _LONGEST_WORD and any(len(word) > _LONGEST_WORD for word in line.split())


def _has_end_mark(line: str, theirs: Collection[str]) -> bool:
    if line.endswith("...") and "ellipses" not in theirs:
        return False
    return line.endswith((".", "?", "!", '"'))
