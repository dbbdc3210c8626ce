"""Tables of `vineleaf plan`: rules, topics and bins of quality, work, and sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pipelines.cli.screens import Screen

if TYPE_CHECKING:
    from pipelines.planning.sweeps import Variant
    from pipelines.planning.what_if import Outlook
    from pipelines.planning.work_estimates import StageWork
    from pipelines.recipes.mix_part import Mix
    from transforms.datasets import Manifest
    from transforms.mixing.budget import SourceBudget
    from transforms.mixing.cells import GradedBudget
    from transforms.mixing.window import WindowBounds

__all__ = [
    "curriculum_table",
    "describe_cells",
    "describe_curriculum",
    "describe_outlook",
    "describe_rules",
    "describe_windows",
    "outlook_tables",
    "quality_tables",
    "rules_table",
    "sweep_tables",
    "windows_table",
    "work_table",
]

UNKNOWN = "not known yet"
AT_MOST = "taken: at most, since documents stay whole"
ESTIMATED = "~: never looked for duplicates and never tokenized, so estimated"
POOLED = "in the pool: no duplicates"
SECONDS_PER_HOUR = 3600


def describe_rules(sources: Sequence[str], manifests: Mapping[str, Manifest]) -> dict[str, Any]:
    """Per source what its rules remove, off the manifests of filter: documents `seen` and `kept`,
    `removed` by all rules together, and per rule those that it would remove `alone` and those that
    it removes as the `first`. Sources that are not filtered yet are left out."""
    found = {}
    for source in sources:
        manifest = manifests.get(f"candidates {source}")
        if manifest is None:
            continue
        counts = manifest.counts
        found[source] = {
            "seen": counts.get("candidates", 0),
            "kept": counts.get("kept", 0),
            "removed": counts.get("removed", 0),
            "rules": [
                {
                    "reason": name.removeprefix("found."),
                    "alone": count,
                    "only": None,
                    "first": counts.get(f"removed.{name.removeprefix('found.')}", 0),
                }
                for name, count in counts.items()
                if name.startswith("found.")
            ],
        }
    return found


def rules_table(described: Mapping[str, Any]) -> Screen:
    """The same for a terminal."""
    rows = []
    for source, its in described.items():
        rows.append((source, "all rules together", "", "", f"{its['removed']:,}"))
        for one in its["rules"]:
            only = "" if one["only"] is None else f"{one['only']:,}"
            rows.append((source, one["reason"], f"{one['alone']:,}", only, f"{one['first']:,}"))
    header = ("source", "rule", "alone", "only it", "in its turn")
    title = "Documents that rules remove"
    caption = "alone: were it the only rule; in its turn: what no rule before it removes"
    return Screen(title, header, rows, frozenset({"source", "rule"}), caption)


def describe_cells(budget: GradedBudget) -> list[dict[str, Any]]:
    """Topics and bins of a source: what is there, wanted and taken."""
    return [
        {
            "topic": cell.place.topic or None,
            "bin": cell.place.number + 1,
            "above": cell.place.low,
            "up_to": cell.place.high,
            "times": cell.place.times,
            "available_tokens": cell.budget.available_tokens,
            "wanted_tokens": cell.budget.wanted_tokens,
            "taken_tokens": cell.budget.taken_tokens,
            "epochs": cell.budget.epochs,
        }
        for cell in budget.cells
    ]


def describe_curriculum(
    mix: Mix, budgets: Mapping[str, SourceBudget]
) -> list[dict[str, Any]] | None:
    """The stages of a mix: what each should hold of each source and what it would, None where that
    is not known yet; None where the recipe has no stages."""
    from transforms.mixing.budget import divide_tokens
    from transforms.mixing.curriculum import tokens_by_stage

    curriculum = mix.curriculum
    found: list[dict[str, dict[str, int | None]]]
    if curriculum is None:
        return None
    if budgets:
        found = [
            {
                source: {"wanted_tokens": one.wanted_tokens, "taken_tokens": one.taken_tokens}
                for source, one in its.items()
            }
            for its in tokens_by_stage(budgets)
        ]
    else:
        found = [{} for _ in curriculum.stages]
        for source, tokens in divide_tokens(mix.tokens, mix.proportions).items():
            ends = (0, *curriculum.ends(source, tokens), tokens)
            for its, (begin, end) in zip(found, pairwise(ends), strict=True):
                its[source] = {"wanted_tokens": end - begin, "taken_tokens": None}
    return [
        {"stage": number, "share": stage.share, "sources": its}
        for number, (stage, its) in enumerate(zip(curriculum.stages, found, strict=True), 1)
    ]


def curriculum_table(described: Sequence[Mapping[str, Any]]) -> Screen:
    """The same for a terminal, without sources of which a stage holds nothing."""
    rows = []
    for one in described:
        whole = sum(its["wanted_tokens"] for its in one["sources"].values())
        for source, its in one["sources"].items():
            if its["wanted_tokens"]:
                taken = its["taken_tokens"]
                rows.append(
                    (
                        f"{one['stage']} ({one['share']:.1%} of the mix)",
                        source,
                        f"{its['wanted_tokens'] / whole:.1%}",
                        f"{its['wanted_tokens']:,}",
                        UNKNOWN if taken is None else f"{taken:,}",
                    )
                )
    header = ("stage", "source", "share of it", "wanted", "taken")
    title = "Stages of the mix, one after another, in tokens"
    return Screen(title, header, rows, frozenset({"stage", "source"}))


def describe_windows(mix: Mix, found: Mapping[str, WindowBounds]) -> dict[str, dict[str, Any]]:
    """By source its window: the score and the quantiles of the recipe, and the bounds with what
    they keep, null where these are not known yet."""
    return {
        source: {
            "score": window.score,
            "keep": [window.low, window.high],
            **(
                found[source].to_json()
                if source in found
                else dict.fromkeys(("least", "greatest", "documents", "kept"))
            ),
        }
        for source, window in mix.windows.items()
        if source in mix.proportions
    }


def windows_table(described: Mapping[str, Mapping[str, Any]]) -> Screen:
    """The same for a terminal."""
    rows = [
        (
            source,
            its["score"],
            f"{its['keep'][0]:g} to {its['keep'][1]:g}",
            *(UNKNOWN if its[one] is None else f"{its[one]:.6g}" for one in ("least", "greatest")),
            *(UNKNOWN if its[one] is None else f"{its[one]:,}" for one in ("documents", "kept")),
        )
        for source, its in described.items()
    ]
    header = ("source", "score", "quantiles", "from", "to", "documents", "kept")
    return Screen("Windows", header, rows, frozenset({"source", "score", "quantiles"}))


def quality_tables(source: str, cells: Sequence[Mapping[str, Any]]) -> list[Screen]:
    """By topic and by bin, summed over the other; `--json` has each alone."""
    screens = []
    for key, name in (("topic", "topics"), ("bin", "bins of quality, the best last")):
        sums: dict[Any, list[int]] = {}
        for cell in cells:
            its = sums.setdefault(cell[key], [0, 0, 0])
            for index, what in enumerate(("available_tokens", "wanted_tokens", "taken_tokens")):
                its[index] += cell[what]
        if len(sums) < 2:
            continue
        rows = [
            (
                str(label or "none"),
                *(f"{one:,}" for one in its),
                f"{its[2] / its[0]:.2f}" if its[0] else "",
            )
            for label, its in sums.items()
        ]
        header = (key, "available", "wanted", "taken", "epochs")
        screens.append(Screen(f"{source}: {name}", header, rows, frozenset({"topic"})))
    return screens


def work_table(work: Sequence[StageWork]) -> Screen:
    """What would be computed anew, and about how long that takes."""
    rows = [
        (
            one.stage,
            UNKNOWN if one.text_bytes is None else f"{one.text_bytes / 1e6:,.1f} MB",
            UNKNOWN if one.core_seconds is None else f"{one.core_seconds / SECONDS_PER_HOUR:,.3f}",
        )
        for one in work
    ]
    known = [one.core_seconds for one in work if one.core_seconds is not None]
    total = f"{sum(known) / SECONDS_PER_HOUR:,.3f} core-hours in all, give or take a factor of two"
    header = ("stage", "reads", "core-hours")
    return Screen("To be computed", header, rows, frozenset({"stage"}), total)


def describe_outlook(outlook: Outlook) -> dict[str, Any]:
    """A variant's sources as the command's contract has them."""
    return {
        source: {
            "documents": its.documents,
            "kept_documents": its.kept_documents,
            "kept_bytes": its.kept_bytes,
            "pool_documents": its.pool_documents,
            "estimated_documents": its.estimated_documents,
            "available_tokens": its.available_tokens,
            "wanted_tokens": its.wanted_tokens,
            "taken_tokens": its.taken_tokens,
            "missing_tokens": its.missing_tokens,
            "epochs": its.epochs,
        }
        for source, its in outlook.sources.items()
    }


def outlook_tables(outlook: Outlook) -> list[Screen]:
    """What a changed recipe would have of each source and why a run would refuse it: tokens, then
    documents."""
    mix = [
        (
            source,
            _tokens(its.available_tokens, its.estimated_documents),
            _tokens(its.wanted_tokens),
            _tokens(its.taken_tokens),
            _tokens(its.missing_tokens) if its.missing_tokens else "",
            "" if its.epochs is None else f"{its.epochs:.2f}",
        )
        for source, its in outlook.sources.items()
        if source in outlook.mixed
    ]
    documents = [
        (
            source,
            f"{its.documents:,}",
            f"{its.kept_documents:,}",
            _tokens(its.pool_documents, its.estimated_documents),
        )
        for source, its in outlook.sources.items()
    ]
    told = [f"a run would refuse this: {outlook.refused}"] if outlook.refused else []
    words = frozenset({"source"})
    return [
        Screen(
            "Mix, in tokens, from stored scores",
            ("source", "available", "wanted", "taken", "lacks", "epochs"),
            mix, words, "\n".join([*told, AT_MOST, ESTIMATED]),
        ),
        Screen(
            "Documents, from stored scores",
            ("source", "read", "kept by rules", "in the pool"),
            documents, words, POOLED,
        ),
    ]  # fmt: skip


def sweep_tables(variants: Sequence[Variant], outlooks: Sequence[Outlook]) -> list[Screen]:
    """One row for each combination: tokens that each source of its mix gives, and those that lack;
    then what these sources hold together."""
    keys = [key for key, _ in variants[0].values]
    mixed = list(dict.fromkeys(source for one in outlooks for source in one.mixed))
    given, held = [], []
    for variant, outlook in zip(variants, outlooks, strict=True):
        values = [value for _, value in variant.values]
        its = {source: outlook.sources[source] for source in outlook.mixed}
        short = [
            f"{name} {one.missing_tokens:,}" for name, one in its.items() if one.missing_tokens
        ]
        taken = _tokens(_total([one.taken_tokens for one in its.values()]))
        given.append(
            (
                *values,
                *(_tokens(its[one].taken_tokens) if one in its else "" for one in mixed),
                "refused" if outlook.refused else taken,
                "\n".join(short),
            )
        )
        estimated = sum(one.estimated_documents for one in its.values())
        held.append(
            (
                *values,
                f"{sum(one.kept_documents for one in its.values()):,}",
                _tokens(_total([one.pool_documents for one in its.values()]), estimated),
                _tokens(_total([one.available_tokens for one in its.values()]), estimated),
            )
        )
    return [
        Screen(
            "Tokens that each source gives, from stored scores",
            (*keys, *mixed, "taken", "lacks"),
            given, frozenset({"lacks"}), AT_MOST,
        ),
        Screen(
            f"Documents and tokens of {', '.join(mixed)}",
            (*keys, "kept by rules", "in the pool", "tokens"),
            held, frozenset(), f"{POOLED}; {ESTIMATED}",
        ),
    ]  # fmt: skip


def _total(values: Sequence[int | None]) -> int | None:
    known = [one for one in values if one is not None]
    return sum(known) if len(known) == len(values) else None


def _tokens(value: int | None, estimated: int = 0) -> str:
    if value is None:
        return UNKNOWN
    return f"{'~' if estimated else ''}{value:,}"
