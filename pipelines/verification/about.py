"""Verify what a mix says of itself: its plan, its ledger and its datasheet.

In: a mix whose files have the hashes of its manifest, and what the manifest's fingerprint says must
be in it. Out: checks. The plan must end in that, the ledger must balance at every joint and end in
it, and the page that people see must be that of this version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.mixing.about import LEDGER_FILE, PLAN_FILE
from pipelines.reports.funnel import Funnel
from pipelines.verification.check import Check
from transforms import storage
from transforms.datasets import README, Dataset, Manifest

__all__ = ["check_about"]

CARRIED = (README, PLAN_FILE, LEDGER_FILE)  # besides what cannot be left out without other checks
# Of the plan and of what the manifest's parameters say.
_PLANNED = {
    "wanted_tokens": "wanted_tokens",
    "next_document_tokens": "next_document_tokens",
    "most_tokens": "most_tokens",
    "taken_tokens": "tokens",
    "taken_documents": "documents",
}


def check_about(
    dataset: Dataset, manifest: Manifest, selected: Mapping[str, Mapping[str, Any]]
) -> Iterator[Check]:
    """`selected`: what must be in the mix, by source (`pipelines.mixing.mix.selected_counts`)."""
    listed = {file.path for file in manifest.files}
    lacking = [path for path in CARRIED if path not in listed]
    yield Check("plan, ledger and datasheet are there", not lacking, lacking, [])
    if lacking:
        return
    yield _check_readme(dataset)
    yield _check_plan(dataset, selected)
    yield from _check_ledger(dataset, selected)


def _check_readme(dataset: Dataset) -> Check:
    """The page beside the manifest that readers see is the version's own."""
    name, shown = f"{README} is the one of this version", storage.join(dataset.folder, README)
    try:
        same = storage.read_bytes(shown) == dataset.readme_shown()
    except OSError:
        return Check(name, False, "none", "same")
    return Check(name, same, "same" if same else "other", "same")


def _check_plan(dataset: Dataset, selected: Mapping[str, Mapping[str, Any]]) -> Check:
    name = "plan ends in what is in the mix"
    wanted = {
        source: {planned: its[key] for planned, key in _PLANNED.items()}
        for source, its in sorted(selected.items())
    }
    try:
        sources = storage.read_json(dataset.path(PLAN_FILE))["sources"]
        seen = {
            source: {planned: its[planned] for planned in _PLANNED}
            for source, its in sorted(sources.items())
        }
    except (storage.DamagedFile, OSError, KeyError, TypeError, AttributeError) as error:
        return Check(name, False, f"{type(error).__name__}: {error}", wanted)
    return Check(name, seen == wanted, seen, wanted)


def _check_ledger(dataset: Dataset, selected: Mapping[str, Mapping[str, Any]]) -> Iterator[Check]:
    name = "ledger balances at every joint"
    try:
        told = storage.read_json(dataset.path(LEDGER_FILE))
        funnel = Funnel.from_json(told)
        problems = funnel.imbalances()
        if told["sources"] != funnel.ledger():
            problems.append("its sums are not those of its steps")
        last = {step.source: step for step in funnel.steps}
    except (storage.DamagedFile, OSError, KeyError, TypeError, AttributeError) as error:
        yield Check(name, False, f"{type(error).__name__}: {error}", [])
        return
    yield Check(name, not problems, problems[:10], [])
    wanted = {source: its["tokens"] for source, its in sorted(selected.items())}
    seen = {source: last[source].tokens or 0 for source in wanted if source in last}
    yield Check("ledger ends in the tokens of the mix", seen == wanted, seen, wanted)
