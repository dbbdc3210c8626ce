"""The funnel: what of each source came in, what each stage removed and why, what is in the mix.

It is read off the manifests' counters. The ledger must balance at every joint: in = kept + removed
by reason + quarantined, and what one stage kept is what the next one saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.filesize import decimal
from rich.table import Table

from transforms.datasets import Manifest

__all__ = ["Funnel", "FunnelStep", "make_funnel"]

MOST_REASONS = 5  # that a row of the table shows
# Table -> stage, after ingest.
_STEPS = {
    "candidates": "rules",
    "exact_duplicates": "exact",
    "fuzzy_duplicates": "fuzzy",
    "tokens": "tokenize",
    "selection": "select",
}


@dataclass(frozen=True)
class FunnelStep:
    """One stage of one source: documents that came in and were kept, bytes and tokens kept (None
    where the stage does not know), removed and quarantined by reason."""

    source: str
    stage: str
    seen: int
    kept: int
    text_bytes: int | None
    tokens: int | None
    removed: Mapping[str, int]
    quarantined: Mapping[str, int]


@dataclass(frozen=True)
class Funnel:
    """All steps, source by source in the order of the recipe."""

    steps: tuple[FunnelStep, ...]

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
                }
                for step in self.steps
            ],
        }

    def table(self) -> Table:
        """The funnel for a terminal."""
        table = Table(title="Funnel", title_justify="left", box=SIMPLE_HEAD)
        for name in ("source", "stage"):
            table.add_column(name, no_wrap=True)
        for name in ("in", "kept", "size", "tokens"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("removed or quarantined", overflow="fold")
        last = ""
        for step in self.steps:
            if last and step.source != last:
                table.add_section()
            reasons = {
                **step.removed,
                **{f"quarantined: {reason}": count for reason, count in step.quarantined.items()},
            }
            table.add_row(
                "" if step.source == last else step.source,
                step.stage,
                f"{step.seen:,}",
                f"{step.kept:,}",
                "" if step.text_bytes is None else decimal(step.text_bytes),
                "" if step.tokens is None else f"{step.tokens:,}",
                _listing(reasons),
            )
            last = step.source
        return table


def _listing(reasons: Mapping[str, int]) -> str:
    """The most frequent reasons, one a line; the report holds all."""
    present = [(reason, count) for reason, count in reasons.items() if count]
    present.sort(key=lambda pair: (-pair[1], pair[0]))
    lines = [f"{count:,} {reason}" for reason, count in present[:MOST_REASONS]]
    rest = present[MOST_REASONS:]
    if rest:
        lines.append(f"{sum(count for _, count in rest):,} for {len(rest)} other reasons")
    return "\n".join(lines)


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
        "ingest",
        documents.get("records", 0),
        documents.get("documents", 0),
        documents.get("text_bytes", 0),
        None,
        _by_reason(documents, "removed."),
        _by_reason(documents, "quarantined."),
    )
    for table, name in _STEPS.items():
        if f"{table} {source}" in manifests:
            counts = manifests[f"{table} {source}"].counts
            removed = _by_reason(counts, "removed.")
            if table.endswith("_duplicates"):
                removed = {"duplicate": counts.get("removed", 0)}
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
    )


def _by_reason(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(counts.items())
        if name.startswith(prefix) and count
    }
