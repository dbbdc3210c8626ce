"""`vineleaf run`: make a mix, show progress, the funnel and what the mix holds."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from pipelines.cli.options import (
    AsJson,
    Overrides,
    RecipePath,
    ReuseTokens,
    Runner,
    WorkspaceUri,
    beam_options,
)
from pipelines.cli.outcomes import ANSWERS, ERRORS, Known, outcomes, print_json
from pipelines.cli.screens import mix_table, packing_notes, settled_notes, shortfalls

if TYPE_CHECKING:
    from pipelines.workflow import Workflow
    from pipelines.workspace import Workspace

__all__ = ["run", "run_recipe", "telling_funnel"]


def run(
    context: typer.Context,
    recipe: RecipePath,
    workspace: WorkspaceUri = "workspace",
    runner: Runner = "DirectRunner",
    set_: Overrides = None,
    as_json: AsJson = False,
    reuse_tokens: ReuseTokens = False,
) -> None:
    """Make the mix of a recipe: run or submit whatever is not up to date.

    An interrupted run goes on where it stopped when the same command is given again. Beam options
    follow `--`:

    `vineleaf run mixes/demo.yaml --workspace workspace -- --direct_num_workers=1`
    """
    with outcomes(as_json) as known:
        beam = list(context.args)
        answer = run_recipe(
            recipe, workspace, runner, beam, set_ or [], as_json, known, reuse_tokens
        )
    if as_json:
        print_json(answer)


def run_recipe(
    recipe_path: str,
    workspace_uri: str,
    runner: str,
    beam_arguments: list[str],
    overrides: list[str],
    as_json: bool,
    known: Known,
    reuse_tokens: bool = False,
) -> dict[str, Any]:
    """Run a recipe and show what came of it; gives the answer of `--json`. What `known` holds is
    told in the answer of a failure."""
    from pipelines.lock import locked
    from pipelines.progress import RunProgress
    from pipelines.recipes.recipe import load_recipe
    from pipelines.runners.dataflow import check_dataflow
    from pipelines.runners.flink_rest import check_flink
    from pipelines.runners.submission import describe_runner, end_left_jobs, name_jobs
    from pipelines.workflow import Workflow
    from pipelines.workspace import Workspace
    from transforms import storage
    from transforms.datasets import README
    from transforms.kernels.compiled import is_compiled, note_compiled

    options = beam_options(runner, beam_arguments)
    check_dataflow(options, workspace_uri)
    check_flink(options)
    jobs = name_jobs(options, workspace_uri)
    recipe = load_recipe(recipe_path, tuple(overrides))
    workspace = Workspace(workspace_uri)
    if not is_compiled():
        ERRORS.print("The inner loops are compiled as they are first used, once: a minute or two.")
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    console.print(f"Runner: {describe_runner(options)}", markup=False)
    progress = RunProgress(console)
    notes: list[str] = []

    def tell(sentence: str) -> None:
        notes.append(sentence)
        console.print(sentence, markup=False)

    workflow = Workflow(
        recipe,
        workspace,
        options,
        progress.job,
        progress.phase,
        progress.observe,
        tell,
        reuse_tokens,
    )
    with (
        locked(workspace.uri),
        telling_funnel(workflow, known, workspace.report(recipe.name)),
        progress.shown(),
        _keep_traceback(workspace, recipe.name),
    ):
        for name in end_left_jobs(options, jobs):
            tell(f"An earlier run had left the job {name} on Flink: it was cancelled.")
        workflow.run()
    note_compiled()
    funnel = workflow.funnel
    storage.write_json(workspace.report(recipe.name), funnel.to_json())
    mix = workspace.mix(recipe.name)
    packed = packing_notes(workflow.manifests["mix"], recipe.mix.sequence)
    settled = settled_notes(recipe.mix, workflow.budgets)
    if not as_json:
        if all(state.state == "up to date" for state in workflow.states):
            ANSWERS.print("Everything was up to date: nothing was made anew.")
        ANSWERS.print(funnel)
        ANSWERS.print(mix_table(recipe, workflow))
        for note in [*settled, *packed]:
            ANSWERS.print(note, markup=False)
        if "benchmarks" in workflow.manifests:
            counts = workflow.manifests["benchmarks"].counts
            ANSWERS.print(
                f"Benchmarks: {counts['items']:,} items, {counts['ngrams']:,} n-grams;"
                f" {counts['unmatchable_items']:,} items are too short to be looked for"
            )
        tokens = storage.join(mix, workflow.manifests["mix"].fingerprint, "tokens")
        ANSWERS.print(f"The mix: {mix}, its token files: {tokens}", markup=False)
        ANSWERS.print(f"What is in it, for people: {storage.join(mix, README)}", markup=False)
    return {
        "stages": [state.to_json() for state in workflow.states],
        "mix": mix,
        "ledger": funnel.ledger(),
        "notes": [*notes, *settled, *shortfalls(workflow.budgets), *packed],
    }


@contextmanager
def telling_funnel(workflow: Workflow, known: Known, report: str = "") -> Iterator[None]:
    """When there are too few tokens, show where they went: the funnel as far as it is known, of the
    sources that have too few. All of it is written to `report`, where one is named."""
    from transforms import storage
    from transforms.mixing.budget import BudgetError

    try:
        yield
    except BudgetError as error:
        funnel = workflow.funnel
        if funnel.steps:
            known.answer["ledger"] = funnel.ledger()
            short = {sentence.partition(":")[0] for sentence in str(error).splitlines()}
            known.shown.append(funnel.of_sources(short) or funnel)
            if report:
                storage.write_json(report, funnel.to_json())
        raise


@contextmanager
def _keep_traceback(workspace: Workspace, recipe: str) -> Iterator[None]:
    """Store where a run failed, for whoever has to mend it; the user gets the sentence."""
    from pipelines.stages import RunFailed
    from transforms import storage

    path = storage.join(workspace.uri, "reports", f"{recipe}.traceback.txt")
    try:
        yield
    except RunFailed as error:
        with suppress(OSError):  # the disk may be what failed
            storage.write_bytes(path, traceback.format_exc().encode())
            raise RunFailed(f"{error} (traceback: {path})") from error
        raise
