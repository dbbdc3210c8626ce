"""What a mix's datasheet says of documents that do not stand as they were found, or not once.

In: what the recipe asked of fill-in-the-middle and of repetition, and what came of it. Out:
sections of Markdown, none where the recipe asks for neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.reports.markdown import table

__all__ = ["MiddleFacts", "RepeatFacts", "write_middles", "write_repetition"]

_CUT = {
    "characters": "between characters, each part tokenized by itself",
    "tokens": "between tokens of the whole, never within a character",
}
_TIMES = {0: "not at all", 1: "once", 2: "twice"}


@dataclass(frozen=True)
class MiddleFacts:
    """Documents that are rearranged to be filled in: shares as asked; `prefix`, `middle` and
    `suffix`: name and id of each sentinel; `documents`: by source those that are rearranged, and
    all that there are after the rules."""

    rate: float
    suffix_first: float
    split: str
    prefix: tuple[str, int]
    middle: tuple[str, int]
    suffix: tuple[str, int]
    documents: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class RepeatFacts:
    """How often documents stand in the pool: `by`: SQL, None for what they stand for; `steps`:
    (from this number on, so often), rising; `documents`: by source those that are there, tokens of
    each once, by how often they stand there: {times: (documents, tokens)}."""

    by: str | None
    steps: tuple[tuple[int, int], ...]
    documents: Mapping[str, Mapping[int, tuple[int, int]]]


def write_middles(facts: MiddleFacts | None) -> Iterator[str]:
    """The section on fill-in-the-middle."""
    if facts is None:
        return
    prefix, middle, suffix = (
        f"`{name}` ({number})" for name, number in (facts.prefix, facts.middle, facts.suffix)
    )
    yield "## Fill-in-the-middle"
    yield (
        f"Some documents are cut at two places and rearranged, so that a model learns to insert:"
        f" {facts.rate:.0%} of those of the sources below, chosen by a keyed hash of their ids."
        f" They stand as {prefix} prefix {suffix} suffix {middle} middle, or"
        f" {facts.suffix_first:.0%} of them as {prefix} {suffix} suffix {middle} prefix middle;"
        f" the numbers are the sentinels' ids. Cuts lie {_CUT[facts.split]}. Sentinels count as"
        " tokens, and the text in other formats has them too."
    )
    rows = [
        (source, f"{rearranged:,}", f"{total:,}", f"{rearranged / total:.2%}" if total else "")
        for source, (rearranged, total) in facts.documents.items()
    ]
    header = ("source", "rearranged", "of documents after all rules", "share")
    yield table(header, rows, ("source",))


def write_repetition(facts: RepeatFacts | None) -> Iterator[str]:
    """The section on repetition."""
    if facts is None:
        return
    by = "how many documents it stands for after deduplication"
    if facts.by is not None:
        by = f"the number that `{' '.join(facts.by.split())}` gives"
    steps = ", ".join(f"from {since:,} on {_times(often)}" for since, often in facts.steps)
    yield "## Repetition"
    yield (
        f"How often a document stands in the pool, from which the mix is drawn, depends on {by}:"
        f" {steps}{'; below that once' if facts.steps[0][0] > 1 else ''}."
    )
    rows = [
        (source, _times(often), f"{documents:,}", f"{tokens:,}")
        for source, its in facts.documents.items()
        for often, (documents, tokens) in sorted(its.items())
    ]
    header = ("source", "in the pool", "documents", "tokens, each once")
    yield table(header, rows, ("source", "in the pool"))


def _times(often: int) -> str:
    return _TIMES.get(often, f"{often:,} times")
