"""`vineleaf plan`: what a run would do, and what the mix would hold."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from pipelines.cli.options import AsJson, Overrides, RecipePath, WorkspaceUri, beam_options
from pipelines.cli.outcomes import ANSWERS, outcomes, print_json
from pipelines.cli.run import telling_funnel
from pipelines.cli.screens import (
    bands_table,
    budgets_table,
    describe_fuzzy,
    exchanges_table,
    packing_notes,
    settled_notes,
    shortfalls,
    stages_table,
)

__all__ = ["plan"]


def plan(
    context: typer.Context,
    recipe: RecipePath,
    workspace: WorkspaceUri = "workspace",
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Tell what `run` would do and what the mix would hold; runs nothing that writes a dataset.

    Try a change before you make it: `vineleaf plan mixes/demo.yaml --set mix.shares.web=0.3 --set
    mix.shares.code=0.3`

    Beam options that choose what carries exchanges follow `--`: `-- --exchange_carrier=groupbykey
    --max_num_workers=20`
    """
    from pipelines.progress import RunProgress
    from pipelines.recipe import load_recipe
    from pipelines.workflow import Workflow
    from pipelines.workspace import Workspace

    with outcomes(as_json) as known:
        loaded = load_recipe(recipe, tuple(set_ or []))
        options = beam_options("DirectRunner", list(context.args))
        notes: list[str] = []
        # Bound to this stream: while a pipeline runs here another one stands in its place.
        progress = RunProgress(Console(file=sys.stderr, highlight=False, soft_wrap=True))
        workflow = Workflow(
            loaded, Workspace(workspace), options, phase=progress.phase, tell=notes.append
        )
        with progress.shown(), telling_funnel(workflow, known):
            workflow.plan()
        from transforms.mixing.budget import divide_tokens

        asked = divide_tokens(loaded.mix.tokens, loaded.mix.proportions)
        sources = {}
        for name in loaded.mix.proportions:
            budget = workflow.budgets.get(name)
            sources[name] = {
                "available_tokens": budget.available_tokens if budget else None,
                "asked_tokens": asked[name],
                "wanted_tokens": budget.wanted_tokens if budget else None,
                "taken_tokens": budget.taken_tokens if budget else None,
                "epochs": budget.epochs if budget else None,
            }
        short = [*settled_notes(loaded.mix, workflow.budgets), *shortfalls(workflow.budgets)]
        packed = packing_notes(workflow.manifests.get("mix"), loaded.mix.sequence)
        answer = {
            "stages": [state.to_json() for state in workflow.states],
            "sources": sources,
            "near_duplicates": describe_fuzzy(loaded.fuzzy) if loaded.fuzzy else None,
            "exchanges": workflow.exchanges,
            "notes": [*notes, *short, *packed],
        }
    if as_json:
        print_json(answer)
        return
    for note in notes:
        ANSWERS.print(note, markup=False)
    ANSWERS.print(stages_table(workflow.states))
    if loaded.fuzzy:
        ANSWERS.print(bands_table(describe_fuzzy(loaded.fuzzy)))
    if workflow.exchanges:
        ANSWERS.print(exchanges_table(workflow.exchanges))
    ANSWERS.print(budgets_table(sources, short))
    for note in packed:
        ANSWERS.print(note, markup=False)
