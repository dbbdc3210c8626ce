"""Story: what a workspace knows of one document, as JSON and as lines for a person.

Where it came from, the rules in the order in which they were asked with what each saw and wants,
what was cut from its text, what it duplicates, which benchmark items it holds, and how often it is
in each mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from textwrap import wrap
from typing import Any

from pipelines.reports.terminal_text import printable
from pipelines.stage_names import ANNOTATE, FILTER, TOKENIZE
from transforms.quality.conditions import BOUNDS, Condition
from transforms.quality.thresholds import meaning

__all__ = ["Cut", "Draw", "Reason", "Repeated", "RuleVerdict", "Story", "wanted_by"]

WIDTH = 96  # characters of a line of scores
MOST_SHOWN = 100  # characters of a value
_BOUND_WORDS = {"at_least": "at least", "at_most": "at most", "below": "below"}


@dataclass(frozen=True)
class RuleVerdict:
    """What one condition said. `value`: what it saw, None where it was not measured; `unit`: what
    the value is; `wanted`: the bounds in words."""

    reason: str
    value: float | bool | None
    unit: str
    wanted: str
    passes: bool

    @property
    def message(self) -> str:
        """`is 12 (words), must be at least 50`."""
        if self.value is None and self.passes:
            return f"is not known ({self.unit}), which passes; must be {self.wanted}"
        seen = "is not known" if self.value is None else f"is {_short(self.value)}"
        return f"{seen} ({self.unit}), must be {self.wanted}"


@dataclass(frozen=True)
class Cut:
    """Spans of one column that were cut: how many, their characters, and how the first begins."""

    column: str
    spans: int
    characters: int
    begins: str


@dataclass(frozen=True)
class Draw:
    """How often a mix takes a document, and how often what it is drawn with (its cell of topic,
    quality and repetition, described in `group`; else its whole source) is taken on average."""

    mix: str
    copies: int
    epochs: float
    group: str | None


@dataclass(frozen=True)
class Repeated:
    """A passage that is cut, since it stands elsewhere first: the stage that found it, its bytes
    (half-open), and the document in which most of it stands first."""

    stage: str
    start: int
    end: int
    first_in: str


@dataclass(frozen=True)
class Reason:
    """Why a document is not in a mix, or not in the pool: the stage, the funnel's reason, and a
    sentence."""

    stage: str
    reason: str
    message: str
    value: float | bool | None = None
    wanted: str | None = None
    unit: str | None = None
    mix: str | None = None  # the one whose select left it out


@dataclass(frozen=True)
class Story:
    """All that the workspace knows of one document."""

    id: str
    source: str
    shard: str
    row: int
    metadata: Mapping[str, Any]
    text_start: str
    characters: int
    scores: Mapping[str, Mapping[str, Any]]  # attribute table -> column -> value
    rules: tuple[RuleVerdict, ...] = ()  # in the order in which they were asked
    cuts: tuple[Cut, ...] = ()
    repeated: tuple[Repeated, ...] = ()
    reasons: list[Reason] = field(default_factory=list)  # why it was removed, in order
    duplicate_of: str | None = None
    published_in: Mapping[str, str] | None = None  # the earlier run whose document that is
    similarity: float | None = None
    cluster_size: int | None = None
    contamination: list[dict[str, Any]] = field(default_factory=list)
    copies: Mapping[str, int] = field(default_factory=dict)  # mix -> copies
    draws: tuple[Draw, ...] = ()  # of the mixes that it could be in
    superseded: tuple[str, ...] = ()  # mixes that were made from other scores and verdicts
    other_sources: tuple[str, ...] = ()  # that have a document of this id as well

    @property
    def kept(self) -> bool:
        return any(self.copies.values())

    def to_json(self) -> dict[str, Any]:
        """The story as the command's contract has it."""
        return {
            "id": self.id,
            "source": self.source,
            "kept": self.kept,
            "reasons": [asdict(one) for one in self.reasons],
            "duplicate_of": self.duplicate_of,
            "published_in": dict(self.published_in) if self.published_in else None,
            "similarity": self.similarity,
            "cluster_size": self.cluster_size,
            "contamination": self.contamination,
            "copies": sum(self.copies.values()),
            "mixes": dict(self.copies),
            "draws": [asdict(one) for one in self.draws],
            "superseded": list(self.superseded),
            "other_sources": list(self.other_sources),
            "rules": [asdict(one) for one in self.rules],
            "cuts": [asdict(one) for one in self.cuts],
            "repeated": [asdict(one) for one in self.repeated],
            "shard": self.shard,
            "row": self.row,
            "characters": self.characters,
            "metadata": dict(self.metadata),
            "scores": {table: dict(columns) for table, columns in self.scores.items()},
        }

    def text(self) -> str:
        """The story for a person."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{printable(self.id)} of source {self.source}"
        yield f"  {self._verdict()}"
        yield "where it comes from"
        known = {key: value for key, value in self.metadata.items() if value is not None}
        for key, value in sorted(known.items()):
            yield f"  {key}: {_short(value)}"
        yield f"  stored in {self.shard}, row {self.row} (line {self.row + 1} of a mix's table)"
        yield f"  {_count(self.characters, 'character')}, which begin: {self.text_start!r}"
        if self.scores:
            yield f"scores ({ANNOTATE})"
        for table, columns in sorted(self.scores.items()):
            values = [
                f"{name} {_short(value)}" for name, value in columns.items() if value is not None
            ]
            line = f"  {table}: {', '.join(values)}"
            yield from wrap(line, WIDTH, subsequent_indent="    ", break_long_words=False)
        yield from self._rule_lines()
        if self.contamination:
            yield "benchmark items found"
        for one in self.contamination:
            yield (
                f"  {one['benchmark']} {one['item']} ({one['field']}): {one['words']} words at"
                f" bytes {one['start']} to {one['end']}, which begin: {one['begins']!r}"
            )
        if not self.duplicate_of and self.cluster_size and self.cluster_size > 1:
            yield f"one of {self.cluster_size} documents alike: the one that is kept"
        if self.cuts:
            yield f"cut from its text ({TOKENIZE})"
        for cut in self.cuts:
            yield (
                f"  {cut.column}: {_count(cut.characters, 'character')} in"
                f" {_count(cut.spans, 'span')}, the first begins: {cut.begins!r}"
            )
        if self.repeated:
            yield "passages that stand somewhere before, and are cut here, each byte once"
        for passage in self.repeated:
            other = f"first in {printable(passage.first_in)}"
            yield (
                f"  bytes {passage.start:,} to {passage.end:,} ({passage.stage}):"
                f" {'earlier in this document' if passage.first_in == self.id else other}"
            )
        for reason in self.reasons:
            yield printable(reason.message)
        drawn = {one.mix: one for one in self.draws}
        for mix, copies in sorted(self.copies.items()):
            if copies:
                its = drawn.get(mix)
                group = its.group if its and its.group else f"source {self.source}"
                told = f", drawn with {group}, which is taken {its.epochs:.2f} times" if its else ""
                yield f"in mix {mix}: {_count(copies, 'time')}{told}"
        for mix in self.superseded:
            yield f"mix {mix} was made from other scores and verdicts: ask with --recipe {mix}"
        if self.other_sources:
            names = ", ".join(self.other_sources)
            yield f"source {names} has this document as well: ask with --recipe MIX for a mix of it"

    def _verdict(self) -> str:
        if self.kept:
            return f"kept: in {', '.join(mix for mix, n in sorted(self.copies.items()) if n)}"
        if self.reasons:
            first = self.reasons[0]
            return f"not kept: {first.stage}, {first.reason}"
        return "no mix has been made from it yet"

    def _rule_lines(self) -> Iterator[str]:
        if not self.rules:
            return
        yield f"rules ({FILTER}), in the order asked; the first that it does not pass removes it"
        removed = False
        for number, one in enumerate(self.rules, 1):
            verdict = "passes" if one.passes else "fails too" if removed else "REMOVES IT"
            removed = removed or not one.passes
            yield f"  {number:2} {verdict:10} {one.reason} {one.message}"


def wanted_by(condition: Condition) -> tuple[str, str]:
    """What a condition bounds, with its unit, and its bounds in words."""
    if condition.equals is not None:
        return meaning(condition), _short(condition.equals)
    bounds = [
        f"{_BOUND_WORDS[name]} {_short(getattr(condition, name))}"
        for name in BOUNDS
        if getattr(condition, name) is not None
    ]
    return meaning(condition), " and ".join(bounds)


def _count(number: int, what: str) -> str:
    """`1 span`, `2 spans`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _short(value: Any) -> str:
    """A value for a line of text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    if isinstance(value, int | float):
        return f"{int(value):,}"
    text = printable(str(value))
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
