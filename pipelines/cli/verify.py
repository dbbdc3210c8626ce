"""`vineleaf verify`: prove a published mix from its files."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.options import AsJson
from pipelines.cli.outcomes import ANSWERS, CHECK_FAILED, ERRORS, GOOD, outcomes, print_json
from pipelines.cli.screens import checks_table
from pipelines.command_line import CommandError

__all__ = ["verify"]


def verify(
    mix: Annotated[str, typer.Argument(metavar="MIX", help="Folder of a published mix.")],
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe whose benchmark files are read anew; default: the mix's index."),
    ] = None,
    workspace: Annotated[
        str,
        typer.Option(
            "--workspace", "-w", metavar="URI", help="What {workspace} in that recipe stands for."
        ),
    ] = "workspace",
    show_all: Annotated[
        bool, typer.Option("--all", help="Show all checks, not only those that failed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prove a published mix from its files: hashes, tokens, boundaries, decoding, shares, rescan.

    The mix holds an index of its benchmarks' n-grams. With --recipe the benchmarks are read anew
    from their files, which {workspace} in the recipe's paths may name.

    `vineleaf verify workspace/mixes/demo`
    """
    from pipelines.benchmarks import build_benchmark_index, find_benchmarks
    from pipelines.progress import RunProgress
    from pipelines.recipes.recipe import load_recipe
    from pipelines.verification.verify import verify_mix
    from pipelines.workspace import Workspace

    with outcomes(as_json):
        index = None
        if recipe is not None:
            loaded = load_recipe(recipe)
            if loaded.decontamination is None:
                raise CommandError(f"{recipe} names no benchmark to scan for")
            benchmarks, _ = find_benchmarks(loaded, Workspace(workspace))
            index = build_benchmark_index(benchmarks, loaded.decontamination)
        progress = RunProgress(ERRORS)
        with progress.shown(), progress.phase("verify: reading the whole mix"):
            checks = verify_mix(mix, index)
        good = all(one.ok for one in checks)
    if as_json:
        print_json({"ok": good, "checks": [one.to_json() for one in checks]})
    else:
        shown = checks if show_all else [one for one in checks if not one.ok]
        if shown:
            ANSWERS.print(checks_table(mix, shown))
        bad = sum(not one.ok for one in checks)
        verdict = (
            f"{bad} of {len(checks)} checks failed" if bad else f"all {len(checks)} checks hold"
        )
        ANSWERS.print(verdict if show_all else f"{verdict}; --all shows each with what it saw")
    raise typer.Exit(GOOD if good else CHECK_FAILED)
