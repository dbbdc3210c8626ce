"""The command `vineleaf`: run, plan, check, verify, why, train-classifier, demo.

Answers go to standard output (with `--json` one JSON object), everything else to standard error.
Exit codes: 0 good; 1 a gate or check failed; 2 the recipe or the command line is wrong; 3 the run
failed.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pipelines.recipe import Problem
    from pipelines.workflow import StageState, Workflow
    from pipelines.workspace import Workspace

__all__ = ["app", "main"]

GOOD, CHECK_FAILED, RECIPE_WRONG, RUN_FAILED = 0, 1, 2, 3
HASH_HEX = 64  # digits of a SHA-256
MISSING_TOLD = 0.02  # share of a source's wanted tokens; when more are missing the run says why

app = typer.Typer(
    name="vineleaf",
    help="Curate web pages, code and PDFs into tokenized pretraining mixes.",
    epilog="Start with: vineleaf demo --workspace workspace",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)
_answers = Console(highlight=False, soft_wrap=True)

RecipePath = Annotated[str, typer.Argument(metavar="RECIPE", help="Recipe in YAML.")]
WorkspaceUri = Annotated[
    str,
    typer.Option(
        "--workspace", "-w", metavar="URI", help="Folder or URI (s3://, gs://) for all output."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the recipe, as mix.tokens=2M; repeatable.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Runner = Annotated[
    str,
    typer.Option(help="Beam runner by its name; DirectRunner is the in-process one, on all cores."),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vineleaf {version('vineleaf')}")
        raise typer.Exit


@app.callback()
def vineleaf(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Curate web pages, code and PDFs into tokenized pretraining mixes."""


def main() -> None:
    """Entry point of the command."""
    # Standard error is for progress and our own errors; what libraries warn of is not for users.
    logging.getLogger().setLevel(logging.ERROR)
    for name in ("great_expectations", "pypdf"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Its tracebacks are kept by _keep_traceback.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:  # of the answer: what else fails is told by _outcomes
        _errors.print(f"error: the answer cannot be written: {error.strerror}", markup=False)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        sys.exit(RUN_FAILED)


@contextmanager
def _importing() -> Iterator[None]:
    """Imports make a million objects, which stay: to walk them for garbage takes half a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _outcomes(as_json: bool) -> Iterator[dict[str, Any]]:
    """Turn known failures into one sentence and an exit code. What the caller puts into the mapping
    stands in the JSON of a failure too."""
    with _importing():
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.options.pipeline_options import PipelineOptions

        import pipelines.workflow  # noqa: F401, with all that most commands need
        from pipelines.recipe import RecipeError
        from pipelines.stages import GateFailed, RunFailed
        from transforms.decontamination.benchmarks import BenchmarkError
        from transforms.mixing.budget import BudgetError
        from transforms.query import QueryError
        from transforms.storage import DamagedFile

    # Object stores are read before the first pipeline would tell Beam its options.
    FileSystems.set_options(PipelineOptions([]))
    known: dict[str, Any] = {}
    try:
        yield known
    except RecipeError as error:
        _fail(as_json, RECIPE_WRONG, [str(problem) for problem in error.problems])
    except (QueryError, BudgetError, BenchmarkError, FileNotFoundError, ValueError) as error:
        _fail(as_json, RECIPE_WRONG, str(error).splitlines(), known)
    except GateFailed as error:
        _fail(as_json, CHECK_FAILED, [*error.sentences, f"report: {error.report}"])
    except (RunFailed, DamagedFile, OSError) as error:
        _fail(as_json, RUN_FAILED, [str(error)])
    except typer.Exit:
        raise
    except Exception:
        traceback.print_exc()
        _fail(as_json, RUN_FAILED, ["this is a defect of vineleaf; the lines above show where"])
    except KeyboardInterrupt:
        _fail(as_json, RUN_FAILED, ["interrupted; run the same command again to go on from here"])


def _fail(
    as_json: bool, code: int, sentences: list[str], known: dict[str, Any] | None = None
) -> None:
    for sentence in sentences:
        _errors.print(f"error: {sentence}", markup=False, style="red")
    if as_json:
        _print_json({"ok": False, "errors": sentences, **(known or {})})
    raise typer.Exit(code)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _beam_options(runner: str, arguments: list[str]) -> Any:
    """Beam's options: what follows `--`, on all cores of this machine unless it says otherwise."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from mixes.schema_errors import nearest

    if runner in {"DirectRunner", "FnApiRunner"}:
        defaults = {
            "--direct_running_mode": "multi_threading",
            "--direct_num_workers": str(os.cpu_count() or 1),
        }
        given = {argument.split("=")[0] for argument in arguments}
        arguments = [
            *(f"{name}={value}" for name, value in defaults.items() if name not in given),
            *arguments,
        ]
    options = PipelineOptions([f"--runner={runner}", *arguments])
    known = sorted(options.get_all_options())
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and name.removeprefix("no_") not in known:
            raise ValueError(f"Beam has no option --{name}{nearest(name, known)}")
    FileSystems.set_options(options)  # an endpoint of S3, say
    return options


@app.command(context_settings={"allow_extra_args": True})
def run(
    context: typer.Context,
    recipe: RecipePath,
    workspace: WorkspaceUri = "workspace",
    runner: Runner = "DirectRunner",
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Make the mix of a recipe: run or submit whatever is not up to date.

    An interrupted run goes on where it stopped when the same command is given again. Beam options
    follow `--`:

    `vineleaf run mixes/demo.yaml --workspace workspace -- --direct_num_workers=1`
    """
    with _outcomes(as_json) as known:
        answer = _run(recipe, workspace, runner, list(context.args), set_ or [], as_json, known)
    if as_json:
        _print_json(answer)


def _run(
    recipe_path: str,
    workspace_uri: str,
    runner: str,
    beam_arguments: list[str],
    overrides: list[str],
    as_json: bool,
    known: dict[str, Any],
) -> dict[str, Any]:
    from pipelines.progress import RunProgress
    from pipelines.recipe import load_recipe
    from pipelines.workflow import Workflow
    from pipelines.workspace import Workspace
    from transforms import storage
    from transforms.kernels.compiled import is_compiled

    options = _beam_options(runner, beam_arguments)
    recipe = load_recipe(recipe_path, tuple(overrides))
    workspace = Workspace(workspace_uri)
    if not is_compiled():
        _errors.print("The inner loops are compiled as they are first used, once: a minute or two.")
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    progress = RunProgress(console)
    notes: list[str] = []

    def tell(sentence: str) -> None:
        notes.append(sentence)
        console.print(sentence, markup=False)

    workflow = Workflow(
        recipe, workspace, options, progress.job, progress.phase, progress.observe, tell
    )
    with (
        workspace.locked(),
        _telling_funnel(workflow, known, workspace.report(recipe.name)),
        progress.shown(),
        _keep_traceback(workspace, recipe.name),
    ):
        workflow.run()
    funnel = workflow.funnel
    storage.write_json(workspace.report(recipe.name), funnel.to_json())
    mix = workspace.mix(recipe.name)
    if not as_json:
        _answers.print(funnel)
        _answers.print(_mix_table(recipe, workflow))
        if "benchmarks" in workflow.manifests:
            counts = workflow.manifests["benchmarks"].counts
            _answers.print(
                f"Benchmarks: {counts['items']:,} items, {counts['ngrams']:,} n-grams;"
                f" {counts['unmatchable_items']:,} items are too short to be looked for"
            )
        tokens = storage.join(mix, workflow.manifests["mix"].fingerprint, "tokens")
        _answers.print(f"The mix: {mix}, its token files: {tokens}", markup=False)
    return {
        "stages": [state.to_json() for state in workflow.states],
        "mix": mix,
        "ledger": funnel.ledger(),
        "notes": notes,
    }


@contextmanager
def _telling_funnel(workflow: Workflow, known: dict[str, Any], report: str = "") -> Iterator[None]:
    """When there are too few tokens, show where they went: the funnel as far as it is known. It is
    written to `report`, where one is named."""
    from transforms import storage
    from transforms.mixing.budget import BudgetError

    try:
        yield
    except BudgetError:
        funnel = workflow.funnel
        if funnel.steps:
            known["ledger"] = funnel.ledger()
            _errors.print(funnel)
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


def _mix_table(recipe: Any, workflow: Any) -> Table:
    table = Table(title="Mix", title_justify="left")
    table.add_column("source")
    for name in ("available", "wanted", "taken", "epochs", "share", "asked"):
        table.add_column(name, justify="right")
    budgets = workflow.budgets
    total = sum(budget.taken_tokens for budget in budgets.values())
    short = []
    for source, share in recipe.mix.proportions.items():
        budget = budgets[source]
        table.add_row(
            source,
            f"{budget.available_tokens:,}",
            f"{budget.wanted_tokens:,}",
            f"{budget.taken_tokens:,}",
            f"{budget.epochs:.2f}",
            f"{budget.taken_tokens / total:.4f}" if total else "",
            f"{share:.4f}",
        )
        missing = budget.wanted_tokens - budget.taken_tokens
        if missing > MISSING_TOLD * budget.wanted_tokens:
            short.append(
                f"{source} lacks {missing:,} tokens: its next document has"
                f" {budget.next_document_tokens:,}, more than would fit"
            )
    if short:
        table.caption, table.caption_justify = "\n".join(short), "left"
    return table


@app.command()
def plan(
    recipe: RecipePath,
    workspace: WorkspaceUri = "workspace",
    set_: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Tell what `run` would do and what the mix would hold; runs nothing that writes a dataset.

    Try a change before you make it: `vineleaf plan mixes/demo.yaml --set mix.shares.web=0.3 --set
    mix.shares.code=0.3`
    """
    from pipelines.recipe import load_recipe
    from pipelines.workflow import Workflow
    from pipelines.workspace import Workspace

    with _outcomes(as_json) as known:
        loaded = load_recipe(recipe, tuple(set_ or []))
        options = _beam_options("DirectRunner", [])
        notes: list[str] = []
        workflow = Workflow(loaded, Workspace(workspace), options, tell=notes.append)
        with _telling_funnel(workflow, known):
            workflow.plan()
        from transforms.mixing.budget import divide_tokens

        wanted = divide_tokens(loaded.mix.tokens, loaded.mix.proportions)
        sources = {}
        for name in loaded.mix.proportions:
            budget = workflow.budgets.get(name)
            sources[name] = {
                "available_tokens": budget.available_tokens if budget else None,
                "wanted_tokens": wanted[name],
                "taken_tokens": budget.taken_tokens if budget else None,
                "epochs": budget.epochs if budget else None,
            }
        answer = {
            "stages": [state.to_json() for state in workflow.states],
            "sources": sources,
            "notes": notes,
        }
    if as_json:
        _print_json(answer)
        return
    for note in notes:
        _answers.print(note, markup=False)
    _answers.print(_stages_table(workflow.states))
    table = Table(title="Mix", title_justify="left")
    for title in ("source", "available tokens", "wanted", "taken", "epochs"):
        table.add_column(title, justify="left" if title == "source" else "right")
    for name, numbers in sources.items():
        shown = [
            "not known yet"
            if value is None
            else f"{value:,.2f}"
            if isinstance(value, float)
            else f"{value:,}"
            for value in numbers.values()
        ]
        table.add_row(name, *shown)
    _answers.print(table)


def _stages_table(states: list[StageState]) -> Table:
    """One row per stage, its sources and tables together."""
    from transforms.datasets import sum_counts

    by_stage: dict[str, list[StageState]] = {}
    for state in states:
        by_stage.setdefault(state.stage, []).append(state)
    table = Table(title="Stages", title_justify="left")
    for title in ("stage", "state", "removes"):
        table.add_column(title, overflow="fold")
    for stage, its in by_stage.items():
        to_do = [one.name.partition(" ")[2] for one in its if one.state == "to do"]
        named = f": {', '.join(to_do)}" if 0 < len(to_do) < len(its) else ""
        counts = sum_counts(one.counts for one in its)
        reasons = [
            f"{count:,} {reason.removeprefix('removed.').replace('quarantined.', 'quarantined: ')}"
            for reason, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            if reason.startswith(("removed.", "quarantined.")) and count
        ]
        if not reasons and counts.get("removed"):
            reasons = [f"{counts['removed']:,} duplicate"]
        if counts.get("unmatchable_items"):
            reasons.append(f"{counts['unmatchable_items']:,} items too short to be looked for")
        if to_do:
            reasons = []  # of some sources only, or of another version
        table.add_row(stage, f"to do{named}" if to_do else "up to date", "\n".join(reasons))
    return table


@app.command()
def check(
    recipe: RecipePath,
    set_: Overrides = None,
    files: Annotated[
        bool, typer.Option(help="Look for the files that the recipe names, and read benchmarks.")
    ] = True,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace", "-w", metavar="URI", help="Look below {workspace} as well: here."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell all that is wrong with a recipe: keys, types, numbers, SQL, then missing files.

    Each mistake is one line with file, line and the nearest valid key. Nothing is written, and no
    input but benchmarks is read.

    `vineleaf check mixes/demo.yaml`
    """
    from pipelines.recipe import RecipeError, find_problems

    with _outcomes(as_json):
        try:
            problems = find_problems(recipe, tuple(set_ or []), files, workspace)
            problems += _problems_of_the_whole(recipe, tuple(set_ or []), files, workspace)
        except RecipeError as error:  # what cannot be read at all
            problems = error.problems
    problems = list(dict.fromkeys(problems))
    if as_json:
        _print_json({"ok": not problems, "errors": [asdict(one) for one in problems]})
    else:
        for one in problems:
            _errors.print(str(one) if one.file else one.message, markup=False, style="red")
        if not problems:
            _answers.print(f"{recipe} is good.", markup=False)
    raise typer.Exit(RECIPE_WRONG if problems else GOOD)


def _problems_of_the_whole(
    path: str, overrides: tuple[str, ...], files: bool, workspace: str | None
) -> list[Problem]:
    """What can be told only of a recipe whose keys and values are good: columns that SQL names,
    gates, and the contents of benchmarks."""
    from pipelines.benchmarks import check_benchmarks
    from pipelines.recipe import Problem, RecipeError, load_recipe
    from pipelines.workflow import Workflow
    from pipelines.workspace import Workspace

    try:
        loaded = load_recipe(path, overrides)
    except RecipeError:
        return []  # told already
    somewhere = Workspace(workspace or "workspace")
    checks = [Workflow(loaded, somewhere, _beam_options("DirectRunner", [])).check]
    if files and loaded.decontamination is not None:
        checks.append(partial(check_benchmarks, loaded, somewhere))
    problems: list[Problem] = []
    for one in checks:
        try:
            one()
        except RecipeError as error:
            problems += error.problems
        except ValueError as error:  # of a suite of expectations, say: it names its own place
            problems += [Problem("", 0, "", line) for line in str(error).splitlines()]
    return problems


@app.command()
def verify(
    mix: Annotated[str, typer.Argument(metavar="MIX", help="Folder of a published mix.")],
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe whose benchmark files are read anew; default: the mix's index."),
    ] = None,
    workspace: WorkspaceUri = "workspace",
    as_json: AsJson = False,
) -> None:
    """Prove a published mix from its files: hashes, tokens, boundaries, decoding, shares, rescan.

    The mix holds an index of its benchmarks' n-grams. With --recipe the benchmarks are read anew
    from their files, which {workspace} in the recipe's paths may name.

    `vineleaf verify workspace/mixes/demo`
    """
    from pipelines.benchmarks import build_benchmark_index, find_benchmarks
    from pipelines.recipe import load_recipe
    from pipelines.verify import verify_mix
    from pipelines.workspace import Workspace

    with _outcomes(as_json):
        index = None
        if recipe is not None:
            loaded = load_recipe(recipe)
            if loaded.decontamination is None:
                raise ValueError(f"{recipe} names no benchmark to scan for")
            benchmarks, _ = find_benchmarks(loaded, Workspace(workspace))
            index = build_benchmark_index(benchmarks, loaded.decontamination)
        checks = verify_mix(mix, index)
        good = all(one.ok for one in checks)
    if as_json:
        _print_json({"ok": good, "checks": [one.to_json() for one in checks]})
    else:
        table = Table(title=escape(f"Verify {mix}"), title_justify="left")
        for title in ("check", "verdict", "seen", "wanted"):
            table.add_column(title, overflow="fold")
        for one in sorted(checks, key=lambda one: one.ok):  # what failed comes first
            verdict = "[green]good[/green]" if one.ok else "[red]FAILED[/red]"
            table.add_row(escape(one.name), verdict, _shown(one.seen), _shown(one.wanted))
        _answers.print(table)
    raise typer.Exit(GOOD if good else CHECK_FAILED)


def _shown(value: object) -> str:
    """A value of a check for a table: one source a line, hashes shortened."""
    if isinstance(value, dict):
        return "\n".join(
            f"{source} {count:,.4g}" if isinstance(count, float) else f"{source} {count:,}"
            for source, count in value.items()
        )
    if isinstance(value, str) and len(value) == HASH_HEX:
        return f"{value[:16]}..."
    return "" if value is None else escape(f"{value:,}" if isinstance(value, int) else str(value))


@app.command()
def why(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of a document.")],
    workspace: WorkspaceUri = "workspace",
    recipe: Annotated[
        str | None, typer.Option(help="Name of the mix; default: all mixes of the workspace.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell one document's story: where it came from, its scores, why it was kept or removed,
    what it duplicates.
    """
    from pipelines.why import tell_story
    from pipelines.workspace import Workspace

    with _outcomes(as_json):
        story = tell_story(Workspace(workspace), id_, recipe)
    if as_json:
        _print_json(story.to_json())
    else:
        _answers.print(story.text(), markup=False)


@app.command()
def train_classifier(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Model to write (.bin, .ftz); or URI.")],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL=PATTERN", help="Documents of a label; repeatable."),
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="Key of the metadata that holds the label of --input's.")
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="PATTERN", help="Documents labelled by --field."),
    ] = None,
    dim: Annotated[int, typer.Option(help="Values of a vector.")] = 100,
    word_ngrams: Annotated[int, typer.Option(help="Words of the longest n-gram.")] = 2,
    epochs: Annotated[int, typer.Option(help="Passes over the documents.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="Step of the first pass.")] = 0.1,
    min_count: Annotated[int, typer.Option(help="Occurrences that a word needs.")] = 1,
    buckets: Annotated[int, typer.Option(help="Buckets that n-grams are hashed into.")] = 2_000_000,
    held_out: Annotated[float, typer.Option(help="Share of documents to measure on.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Key of the hash that holds documents out.")] = 0,
    quantize: Annotated[
        bool, typer.Option("--quantize", help="Make the model small, at some cost of precision.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a fastText model for the rule `classifier` on labelled documents (Dolma JSONL).

    Prints precision and recall on documents that it was not trained on. The same documents give the
    same model.

    `vineleaf train-classifier models/quality.bin --label hq='good/*.jsonl.gz'
    --label lq='web/*.jsonl.zst'`
    """
    from pipelines.train_classifier import Training
    from pipelines.train_classifier import train_classifier as train

    with _outcomes(as_json):
        labelled: dict[str, list[str]] = {}
        for one in label or []:
            name, equals, pattern = one.partition("=")
            if not (name and equals and pattern):
                raise ValueError(f"--label takes LABEL=PATTERN (got '{one}')")
            labelled.setdefault(name, []).append(pattern)
        if (field is None) != (not input_):
            raise ValueError("--field and --input go together: a key of the metadata, and files")
        training = Training(
            dim, word_ngrams, epochs, learning_rate, min_count, buckets, held_out, seed, quantize
        )
        by_field = None if field is None else (field, input_ or [])
        outcome = train(out, labelled, training, by_field)
    if as_json:
        _print_json({"ok": True, **outcome.to_json()})
        return
    table = Table(title="On documents held out", title_justify="left")
    table.add_column("label", overflow="fold")
    for title in ("at least", "documents", "precision", "recall"):
        table.add_column(title, justify="right")
    for name, rows in outcome.labels.items():
        for row in rows:
            shares = (row["precision"], row["recall"])
            table.add_row(
                escape(name),
                f"{row['at_least']:.2f}",
                f"{row['documents']:,}",
                *("" if share is None else f"{share:.3f}" for share in shares),
            )
        table.add_section()
    _answers.print(table)
    for title, counts in (
        ("Trained on", outcome.trained),
        ("Held out", outcome.held_out),
        ("Left out", outcome.left_out),
    ):
        parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        _answers.print(f"{title}: {parts or 'nothing'}", markup=False)
    _answers.print(
        f"The right label is the most likely for {outcome.accuracy:.1%} of those held out."
    )
    _answers.print(f"The model: {outcome.model}", markup=False)


@app.command()
def demo(
    workspace: WorkspaceUri = "workspace",
    as_json: AsJson = False,
) -> None:
    """Make a mix from what is on this machine: documentation pages, code, PDFs, planted
    duplicates and benchmarks.
    """
    from pipelines.demo.demo import run_demo

    with _outcomes(as_json) as known:
        answer = run_demo(workspace, as_json, partial(_run, known=known))
    if as_json:
        _print_json(answer)
