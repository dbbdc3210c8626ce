"""Gopher's repetition rules read plainly from docs/rules.md, one document at a time.

Peers count repetition otherwise (from the second occurrence on, over all characters, overlapping
occurrences twice: docs/rules.md lists it), so verdicts differ by definition. What shows that a
difference has no other cause is that Vineleaf's verdicts equal this reading. Rae et al. 2021, table
A1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

__all__ = ["WORDS", "find_rule_words", "repeats_little"]

# A word: alphanumerics and combining marks; a Han or Hiragana character is one by itself.
WORDS = r"[\p{Han}\p{Hiragana}]|[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}]]+"
LINES, LINE_CHARACTERS = 0.30, 0.20
PARAGRAPHS, PARAGRAPH_CHARACTERS = 0.30, 0.20
TOP = {2: 0.20, 3: 0.18, 4: 0.16}
DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


def find_rule_words(text: str) -> list[str]:
    """Words as docs/rules.md defines them, in lower case."""
    import regex  # which all peers' environments have

    return [str(word) for word in regex.findall(WORDS, text.lower(), regex.V1)]


def repeats_little(text: str) -> bool:
    """Whether a document is kept by all rules on repetition."""
    words = find_rule_words(text)
    lines = [line for line in text.split("\n") if line.strip()]
    blocks = groupby(text.split("\n"), key=lambda line: bool(line.strip()))
    paragraphs = ["\n".join(block) for filled, block in blocks if filled]
    return (
        _within(lines, LINES, LINE_CHARACTERS)
        and _within(paragraphs, PARAGRAPHS, PARAGRAPH_CHARACTERS)
        and all(_covered(words, n, top=True) <= limit for n, limit in TOP.items())
        and all(_covered(words, n, top=False) <= limit for n, limit in DUPLICATE.items())
    )


def _within(elements: Sequence[str], most: float, most_characters: float) -> bool:
    counts = Counter(elements)
    repeated = [one for one in elements if counts[one] > 1]
    characters = sum(len(one) for one in elements)
    return len(repeated) <= most * len(elements) and (
        sum(len(one) for one in repeated) <= most_characters * characters
    )


def _covered(words: Sequence[str], n: int, top: bool) -> float:
    """The share of the words' characters in repeated n-grams, or in the most frequent of them."""
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    counts = Counter(grams)
    chosen = {gram for gram, count in counts.items() if count > 1}
    if top and chosen:  # of equally frequent ones the longest, then the first
        chosen = {
            max(chosen, key=lambda gram: (counts[gram], sum(map(len, gram)), -grams.index(gram)))
        }
    places = {
        place
        for start, gram in enumerate(grams)
        if gram in chosen
        for place in range(start, start + n)
    }
    whole = sum(map(len, words))
    return sum(len(words[place]) for place in places) / whole if whole else 0.0
