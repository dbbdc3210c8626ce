"""`vineleaf plan`: what a run would do, and what the mix would hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pipelines.cli.options import AsJson, Overrides, RecipePath, WorkspaceUri, beam_options
from pipelines.cli.outcomes import ANSWERS, outcomes, print_json
from pipelines.cli.plan_screens import (
    curriculum_table,
    describe_cells,
    describe_curriculum,
    describe_outlook,
    describe_rules,
    describe_windows,
    outlook_tables,
    quality_tables,
    rules_table,
    sweep_tables,
    windows_table,
    work_table,
)
from pipelines.cli.run import telling_funnel
from pipelines.cli.screens import (
    bands_table,
    budgets_table,
    describe_fuzzy,
    exchanges_table,
    packing_notes,
    published_table,
    settled_notes,
    shortfalls,
    stages_table,
)
from pipelines.command_line import CommandError

if TYPE_CHECKING:
    from pipelines.planning.sweeps import Variant
    from pipelines.planning.what_if import Outlook
    from pipelines.recipes.recipe import Recipe
    from pipelines.workflow import Workflow

__all__ = ["plan"]

PLOTS = ("svg", "png")
SECONDS_PER_HOUR = 3600


def plan(
    context: typer.Context,
    recipe: RecipePath,
    workspace: WorkspaceUri = "workspace",
    set_: Overrides = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            metavar="KEY=VALUE,VALUE",
            help="What several values of a key would leave, from stored scores: "
            "gopher.words.min=30,50,100 or shares.web=0.2,0.4; repeatable for a grid.",
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw the sweep, else how often text is taken by its quality: .svg or .png.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what `run` would do and what the mix would hold; runs nothing that writes a dataset.

    Try a change before you make it: `vineleaf plan mixes/demo.yaml --set mix.shares.web=0.25 --set
    mix.shares.code=0.4`. Thresholds of rules are asked anew of stored scores: `vineleaf plan
    mixes/demo.yaml --sweep gopher.words.min=30,50,100 --plot words.svg`

    Beam options that choose what carries exchanges follow `--`: `-- --exchange_carrier=groupbykey
    --max_num_workers=20`
    """
    from pipelines.dedup.against import describe_published
    from pipelines.planning.work_estimates import estimate_work
    from pipelines.progress import RunProgress
    from pipelines.recipes.recipe import load_recipe
    from pipelines.workflow import Workflow
    from pipelines.workspace import Workspace

    with outcomes(as_json) as known:
        kind = _kind_of(plot)
        overrides = tuple(set_ or [])
        loaded = load_recipe(recipe, overrides)
        variants, recipes = _variants(recipe, overrides, sweep or [], loaded)
        options = beam_options("DirectRunner", list(context.args))
        notes: list[str] = []
        # Bound to this stream: while a pipeline runs here another one stands in its place.
        progress = RunProgress(Console(file=sys.stderr, highlight=False, soft_wrap=True))
        workflow = Workflow(
            loaded, Workspace(workspace), options, phase=progress.phase, tell=notes.append
        )
        told = nullcontext() if variants else telling_funnel(workflow, known)
        with progress.shown(), told:
            _plan(workflow, bool(variants), notes)
            written = _written(recipe) if overrides else None
            outlooks = _outlooks(workflow, [loaded, *recipes], written, notes)
        rules = describe_rules([one.name for one in loaded.sources], workflow.manifests)
        if outlooks:
            rules = _effects(outlooks[0])
        short = [*settled_notes(loaded.mix, workflow.budgets), *shortfalls(workflow.budgets)]
        packed = packing_notes(workflow.manifests.get("mix"), loaded.mix.sequence)
        work = estimate_work(workflow.todo())
        outlook = outlooks[0] if outlooks and not workflow.budgets else None
        refused = outlook.refused if outlook and not variants else None
        seconds = [one.core_seconds for one in work]
        compared_with = describe_published(workflow.published)
        answer = {
            "stages": [state.to_json() for state in workflow.states],
            "sources": _sources(loaded, workflow),
            "curriculum": describe_curriculum(loaded.mix, workflow.budgets),
            "windows": describe_windows(loaded.mix, workflow.windows),
            "rules": rules,
            "outlook": describe_outlook(outlook) if outlook else None,
            "sweep": [
                {
                    "set": dict(variant.values),
                    "sources": describe_outlook(its),
                    "refused": its.refused,
                }
                for variant, its in zip(variants, outlooks[1:], strict=False)
            ],
            "work": [asdict(one) for one in work],
            "core_hours": None
            if None in seconds
            else round(sum(one or 0.0 for one in seconds) / SECONDS_PER_HOUR, 6),
            "exchanged_bytes": sum(one["most_bytes"] for one in workflow.exchanges),
            "near_duplicates": describe_fuzzy(loaded.fuzzy) if loaded.fuzzy else None,
            "against": compared_with,
            "exchanges": workflow.exchanges,
            "notes": [
                *notes,
                *([f"a run would refuse this: {refused}"] if refused else []),
                *short,
                *packed,
            ],
        }
        if plot:
            _draw(plot, kind, workflow, variants, outlooks[1:])
    if as_json:
        print_json(answer)
        return
    for note in notes:
        ANSWERS.print(note, markup=False)
    if variants:  # what is asked; the rest is the same without a sweep, and with --json
        for screen in sweep_tables(variants, outlooks[1:]):
            ANSWERS.print(screen)
        if plot:
            ANSWERS.print(f"The plot: {plot}", markup=False)
        return
    # The mix and what it lacks first, then why, and last what a run would do.
    if outlook:
        for screen in outlook_tables(outlook):
            ANSWERS.print(screen)
    else:
        ANSWERS.print(budgets_table(_totals(answer["sources"]), short))
    if answer["windows"]:
        ANSWERS.print(windows_table(answer["windows"]))
    if answer["curriculum"]:
        ANSWERS.print(curriculum_table(answer["curriculum"]))
    for name, its in answer["sources"].items():
        for screen in quality_tables(name, its["cells"] or []):
            ANSWERS.print(screen)
    for note in packed:
        ANSWERS.print(note, markup=False)
    if any(its["rules"] for its in rules.values()):
        ANSWERS.print(rules_table(rules))
    if loaded.fuzzy:
        ANSWERS.print(bands_table(describe_fuzzy(loaded.fuzzy)))
    if workflow.published:
        ANSWERS.print(published_table(compared_with))
    if workflow.exchanges:
        ANSWERS.print(exchanges_table(workflow.exchanges))
    ANSWERS.print(stages_table(workflow.states))
    if work:
        ANSWERS.print(work_table(work))
    if plot:
        ANSWERS.print(f"The plot: {plot}", markup=False)


def _variants(
    path: str, overrides: tuple[str, ...], sweeps: Sequence[str], loaded: Recipe
) -> tuple[list[Variant], list[Recipe]]:
    """The combinations of a sweep and their recipes; CommandError where one is no recipe or would
    measure something else."""
    from pipelines.planning.sweeps import make_grid, parse_sweep
    from pipelines.planning.what_if import check_comparable
    from pipelines.recipes.recipe import RecipeError, load_recipe

    if not sweeps:
        return [], []
    variants = make_grid([parse_sweep(one, loaded) for one in sweeps])
    recipes = []
    wrong: dict[str, None] = {}  # in the order found
    for variant in variants:
        try:
            recipes.append(load_recipe(path, (*overrides, *variant.overrides)))
        except RecipeError as error:
            told = ", ".join(f"{key}={value}" for key, value in variant.values)
            wrong |= dict.fromkeys(f"--sweep {told}: {one.message}" for one in error.problems)
    if wrong:
        raise CommandError("\n".join(wrong))
    for one in recipes:
        check_comparable(loaded, one)
    return variants, recipes


def _plan(workflow: Workflow, sweeping: bool, notes: list[str]) -> None:
    """Look at what is up to date. A sweep goes on where the recipe itself asks for too much."""
    from transforms.mixing.budget import BudgetError

    try:
        workflow.plan()
    except BudgetError as error:
        if not sweeping or workflow.scored is None:
            raise
        notes += str(error).splitlines()


def _written(path: str) -> Recipe | None:
    """The recipe without what `--set` changed; None where it is none without."""
    from pipelines.recipes.recipe import RecipeError, load_recipe

    try:
        return load_recipe(path)
    except RecipeError:
        return None


def _outlooks(
    workflow: Workflow, recipes: Sequence[Recipe], written: Recipe | None, notes: list[str]
) -> list[Outlook]:
    """What recipes would leave, the planned one first; none where it is known without. `notes` get
    what is to be known of the tables that this is counted from."""
    from pipelines.planning.later_tables import find_later_tables
    from pipelines.planning.what_if import look_ahead

    sweeping = len(recipes) > 1
    if workflow.scored is None:
        if sweeping:
            raise CommandError(
                "a sweep looks at stored scores, which are not there yet or not up to date:"
                " run the recipe first, with the same --workspace"
            )
        return []
    if workflow.budgets and not sweeping:
        return []
    documents = {
        source.name: workflow.manifests[f"documents {source.name}"]
        for source in workflow.recipe.sources
    }
    with workflow.phase("what-if: asking stored scores"):
        later = find_later_tables(workflow, written)
        if later.told and sweeping and later.unforeseen:
            raise CommandError(later.told)
        notes += [later.told] if later.told else []
        return look_ahead(workflow.workspace, recipes, later, documents, workflow.options)


def _effects(outlook: Outlook) -> dict[str, Any]:
    return {
        source: {
            "seen": its.documents,
            "kept": its.kept_documents,
            "removed": its.documents - its.kept_documents,
            "rules": [asdict(one) for one in its.rules],
        }
        for source, its in outlook.sources.items()
    }


def _sources(loaded: Recipe, workflow: Workflow) -> dict[str, dict[str, Any]]:
    from transforms.mixing.budget import divide_tokens
    from transforms.mixing.cells import GradedBudget

    asked = divide_tokens(loaded.mix.tokens, loaded.mix.proportions)
    sources: dict[str, dict[str, Any]] = {}
    for name in loaded.mix.proportions:
        budget = workflow.budgets.get(name)
        sources[name] = {
            "available_tokens": budget.available_tokens if budget else None,
            "asked_tokens": asked[name],
            "wanted_tokens": budget.wanted_tokens if budget else None,
            "taken_tokens": budget.taken_tokens if budget else None,
            "epochs": budget.epochs if budget else None,
            "cells": describe_cells(budget) if isinstance(budget, GradedBudget) else None,
        }
    return sources


def _totals(sources: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: one for key, one in its.items() if key != "cells"}
        for name, its in sources.items()
    }


def _kind_of(plot: str | None) -> str:
    kind = (plot or "").rpartition(".")[2].lower()
    if plot and kind not in PLOTS:
        raise CommandError(f"--plot writes {' or '.join(PLOTS)}: {plot!r} ends in neither")
    return kind


def _draw(
    path: str,
    kind: str,
    workflow: Workflow,
    variants: Sequence[Variant],
    outlooks: Sequence[Outlook],
) -> None:
    from pipelines.reports.plots import draw_quality, draw_sweep
    from transforms import storage
    from transforms.mixing.cells import GradedBudget

    if variants:
        key = variants[0].values[0][0]
        values = list(dict.fromkeys(variant.values[0][1] for variant in variants))
        there: dict[str, list[float | None]] = {}
        wanted: dict[str, list[float | None]] = {}
        mixed = dict.fromkeys(source for one in outlooks for source in one.mixed)
        for variant, outlook in zip(variants, outlooks, strict=True):
            rest = ", ".join(f"{name}={value}" for name, value in variant.values[1:])
            for source in mixed:
                label = f"{source}, {rest}" if rest else source
                its = outlook.sources[source] if source in outlook.mixed else None
                there.setdefault(label, []).append(its.available_tokens if its else None)
                wanted.setdefault(label, []).append(its.wanted_tokens if its else None)
        content = draw_sweep(key, values, there, wanted, kind)
    else:
        graded = {
            name: one for name, one in workflow.budgets.items() if isinstance(one, GradedBudget)
        }
        if not graded:
            raise CommandError(
                "--plot has nothing to draw: name a --sweep, or a recipe with mix.quality whose"
                " pool is tokenized"
            )
        content = draw_quality(graded, kind)
    storage.write_bytes(path, content)
