"""The funnel: what of each source came in, what each stage removed and why, what is in the mix.

It is read off the manifests' counters. The ledger must balance at every joint: in = kept + removed
by reason + quarantined, and what one stage kept is what the next one saw.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.filesize import decimal
from rich.text import Text

from pipelines.filter import CONTAMINATED
from pipelines.recipes.pool_part import REPEATS
from pipelines.stage_names import (
    EXACT_DEDUP,
    FILTER,
    FUZZY_DEDUP,
    INGEST,
    SELECT,
    TABLES,
    TOKENIZE,
    URL_DEDUP,
)
from transforms.datasets import Manifest

__all__ = ["Funnel", "FunnelStep", "fold_reasons", "make_funnel"]

MOST_REASONS = 5  # that a row shows; one more when nothing else would be left out
HEADER = ("source", "stage", "in", "kept", "size", "tokens")
COLUMN_GAP = "  "
FOUND_MEANS = (
    "A document counts under the first rule that removes it; 'found' counts all that the rule"
    " would remove."
)
# After ingest.
_STEPS = (FILTER, URL_DEDUP, EXACT_DEDUP, FUZZY_DEDUP, *REPEATS.values(), TOKENIZE, SELECT)


@dataclass(frozen=True)
class FunnelStep:
    """One stage of one source: documents that came in and were kept, bytes and tokens kept (None
    where the stage does not know, as of a second one that cuts passages), removed and quarantined
    by reason. `removed` counts a document under the first reason, `found` (of filter only) under
    every one. `cut`: what of documents that are kept is cut: so many `passages` of so many
    `documents`, `bytes`; of tokenize only what is cut for benchmarks. `copies`: of select, how
    often the kept ones are in the mix, of which bytes and tokens are."""

    source: str
    stage: str
    seen: int
    kept: int
    text_bytes: int | None
    tokens: int | None
    removed: Mapping[str, int]
    quarantined: Mapping[str, int]
    found: Mapping[str, int] = field(default_factory=dict)
    cut: Mapping[str, int] = field(default_factory=dict)
    copies: int | None = None

    @property
    def repeats(self) -> bool:
        """Whether documents stand several times in the mix."""
        return (self.copies or 0) > self.kept

    def also_found(self, reason: str) -> str:
        """` (8 found)` when earlier rules removed some of the documents that this one would."""
        found = self.found.get(reason, 0)
        return f" ({found:,} found)" if found > self.removed.get(reason, 0) else ""


@dataclass(frozen=True)
class Funnel:
    """All steps, source by source in the order of the recipe."""

    steps: tuple[FunnelStep, ...]

    def of_sources(self, names: Collection[str]) -> Funnel | None:
        """The steps of some sources, None where there are none."""
        steps = tuple(step for step in self.steps if step.source in names)
        return Funnel(steps) if steps else None

    def imbalances(self) -> list[str]:
        """One sentence for each joint where documents are lost or appear."""
        problems = []
        before: FunnelStep | None = None
        for step in self.steps:
            gone = sum(step.removed.values()) + sum(step.quarantined.values())
            if step.seen != step.kept + gone:
                problems.append(
                    f"{step.source}, {step.stage}: {step.seen} in, but {step.kept} kept and"
                    f" {gone} removed or quarantined"
                )
            if before is not None and before.source == step.source and before.kept != step.seen:
                problems.append(
                    f"{step.source}: {before.stage} kept {before.kept} but {step.stage} saw"
                    f" {step.seen}"
                )
            before = step
        return problems

    def ledger(self) -> dict[str, Any]:
        """Per source: in, kept (distinct documents in the mix), removed and quarantined by
        reason.
        """
        ledger: dict[str, Any] = {}
        for step in self.steps:
            entry = ledger.setdefault(
                step.source, {"in": step.seen, "kept": 0, "removed": {}, "quarantined": {}}
            )
            entry["kept"] = step.kept
            for reason, count in step.removed.items():
                entry["removed"][f"{step.stage}: {reason}"] = count
            entry["quarantined"].update(step.quarantined)
        for entry in ledger.values():
            gone = sum(entry["removed"].values()) + sum(entry["quarantined"].values())
            entry["balanced"] = entry["in"] == entry["kept"] + gone
        return ledger

    def to_json(self) -> dict[str, Any]:
        """The ledger and its steps."""
        return {
            "sources": self.ledger(),
            "steps": [
                {
                    "source": step.source,
                    "stage": step.stage,
                    "in": step.seen,
                    "kept": step.kept,
                    "text_bytes": step.text_bytes,
                    "tokens": step.tokens,
                    "removed": dict(step.removed),
                    "quarantined": dict(step.quarantined),
                    "found": dict(step.found),
                    "cut": dict(step.cut),
                    **({} if step.copies is None else {"copies": step.copies}),
                }
                for step in self.steps
            ],
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Funnel:
        """The funnel of which this is `to_json`. KeyError and TypeError for anything else."""
        names = {"in": "seen"}
        return Funnel(
            tuple(
                FunnelStep(**{names.get(key, key): its for key, its in step.items()})
                for step in value["steps"]
            )
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The funnel for a terminal or a log, as wide as there is room: aligned columns and below
        each row its reasons, one a line; where that is too wide, one below another."""
        yield Text("Funnel: documents in and kept; below each stage, why the others are not")
        rows = [HEADER, *(_cells(step) for step in self.steps)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
        if sum(widths) + len(COLUMN_GAP) * (len(widths) - 1) <= console.width:
            yield from self._aligned(widths, console.width)
        else:
            yield from self._stacked()
        if any("found)" in reason for step in self.steps for _, reason in _listing(step)):
            yield Text(FOUND_MEANS, style="dim")

    def _aligned(self, widths: Sequence[int], width: int) -> Iterator[Text]:
        source, stage, *numbers = widths

        def line(row: Sequence[str]) -> str:
            left = [f"{row[0]:{source}}", f"{row[1]:{stage}}"]
            right = [f"{cell:>{size}}" for cell, size in zip(row[2:], numbers, strict=True)]
            return COLUMN_GAP.join([*left, *right]).rstrip()

        yield Text(line(HEADER), style="bold")
        last = ""
        for step in self.steps:
            if last and step.source != last:
                yield Text("")
            row = _cells(step)
            yield Text(line(["" if step.source == last else row[0], *row[1:]]))
            indent = len(line([*row[:2], "1", "", "", ""]))  # counts stand below `in`
            for count, reason in _listing(step):
                its = f"{count:>{indent}}{COLUMN_GAP}{reason}"
                too_long = max(len(its) - width, 0)  # as far as there are blanks before it
                yield Text(its[min(too_long, len(its) - len(its.lstrip())) :])
            last = step.source

    def _stacked(self) -> Iterator[Text]:
        for step in self.steps:
            parts = [f"{step.seen:,} in", f"{step.kept:,} kept"]
            if step.text_bytes is not None:
                parts.append(decimal(step.text_bytes))
            if step.tokens is not None:
                parts.append(f"{step.tokens:,} tokens")
            yield Text(f"{step.source}, {step.stage}: {', '.join(parts)}")
            for count, reason in _listing(step):
                yield Text(f"  {count} {reason}")


def _cells(step: FunnelStep) -> tuple[str, ...]:
    """A row below HEADER."""
    return (
        step.source,
        step.stage,
        f"{step.seen:,}",
        f"{step.kept:,}",
        "" if step.text_bytes is None else decimal(step.text_bytes),
        "" if step.tokens is None else f"{step.tokens:,}",
    )


def _listing(step: FunnelStep) -> Iterator[tuple[str, str]]:
    """(count, reason) of the most frequent reasons; the report holds all."""
    reasons = {
        **{f"{reason}{step.also_found(reason)}": count for reason, count in step.removed.items()},
        **{f"quarantined: {reason}": count for reason, count in step.quarantined.items()},
        _told_of_cut(step): step.cut.get("passages", 0),
    }
    present = [(reason, count) for reason, count in reasons.items() if count]
    if step.also_found(CONTAMINATED) and not step.removed.get(CONTAMINATED):
        present.append((f"{CONTAMINATED}{step.also_found(CONTAMINATED)}", 0))
    yield from fold_reasons(dict(present))
    if step.repeats:
        yield f"{step.copies:,}", "with copies, as size and tokens count"


def fold_reasons(reasons: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """(count, reason) of the most frequent reasons, most first, and of all others together."""
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = len(ordered) if len(ordered) == MOST_REASONS + 1 else MOST_REASONS
    for reason, count in ordered[:shown]:
        yield f"{count:,}", reason
    rest = ordered[shown:]
    if rest:
        yield f"{sum(count for _, count in rest):,}", f"for {len(rest)} other reasons"


def _told_of_cut(step: FunnelStep) -> str:
    """What cut passages are: of benchmarks where tokenize tells, else repeated ones."""
    documents, size = step.cut.get("documents", 0), step.cut.get("bytes", 0)
    what = "benchmark passages" if step.stage == TOKENIZE else "passages"
    return f"{what} cut ({size:,} bytes of {documents:,} documents)"


def make_funnel(sources: Sequence[str], manifests: Mapping[str, Manifest]) -> Funnel:
    """The funnel of a run; `manifests` are by stage name. Stages without one are left out, as in a
    run that ended early."""
    return Funnel(tuple(step for source in sources for step in _steps(source, manifests)))


def _steps(source: str, manifests: Mapping[str, Manifest]) -> Iterator[FunnelStep]:
    if f"documents {source}" not in manifests:
        return
    documents = manifests[f"documents {source}"].counts
    yield FunnelStep(
        source,
        INGEST,
        documents.get("records", 0),
        documents.get("documents", 0),
        documents.get("text_bytes", 0),
        None,
        _by_reason(documents, "removed."),
        _by_reason(documents, "quarantined."),
    )
    cuts = False
    for name in _STEPS:
        table = TABLES[name]
        if f"{table} {source}" in manifests:
            counts = {**manifests[f"{table} {source}"].counts}
            if name in REPEATS.values():
                if cuts:  # passages, lines and paragraphs are looked for apart, and may overlap
                    counts.pop("kept_text_bytes", None)
                cuts = True
            removed = _by_reason(counts, "removed.")
            if name in (URL_DEDUP, EXACT_DEDUP, FUZZY_DEDUP):
                # By reason where the pool is compared with earlier runs.
                removed = removed or {"duplicate": counts.get("removed", 0)}
            yield _step(source, name, counts, removed)


def _step(
    source: str, stage: str, counts: Mapping[str, int], removed: Mapping[str, int]
) -> FunnelStep:
    seen = counts.get("candidates", 0)
    return FunnelStep(
        source,
        stage,
        seen,
        seen - counts.get("removed", 0),
        counts.get("kept_text_bytes"),
        counts.get("tokens"),
        {reason: count for reason, count in removed.items() if count},
        {},
        _by_reason(counts, "found."),
        _by_reason(counts, "cut.") if stage in (*REPEATS.values(), TOKENIZE) else {},
        counts.get("copies", 0) if stage == SELECT else None,
    )


def _by_reason(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(counts.items())
        if name.startswith(prefix) and count
    }
