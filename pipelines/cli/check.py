"""`vineleaf check`: all that is wrong with a recipe, before any work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import AsJson, Overrides, RecipePath, beam_options
from pipelines.cli.outcomes import ANSWERS, ERRORS, GOOD, RECIPE_WRONG, outcomes, print_json

if TYPE_CHECKING:
    from pipelines.recipes.recipe import Problem, Recipe
    from pipelines.workspace import Workspace

__all__ = ["check"]


def check(
    recipe: RecipePath,
    set_: Overrides = None,
    files: Annotated[
        bool,
        typer.Option(
            help="Look for the files that the recipe names, read benchmarks, load the tokenizer."
        ),
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

    Each mistake is one line with file, line, column and the nearest valid key. Nothing is written,
    and no input but benchmarks is read.

    `vineleaf check mixes/demo.yaml`
    """
    from pipelines.recipes.recipe import RecipeError, find_problems, load_sound_parts

    with outcomes(as_json):
        sound = None
        try:
            problems = find_problems(recipe, tuple(set_ or []), files, workspace)
            sound = load_sound_parts(recipe, tuple(set_ or []))
            if sound is not None:
                problems += _problems_of_the_whole(sound, files, workspace)
        except RecipeError as error:  # what cannot be read at all
            problems = error.problems
    problems = list(dict.fromkeys(problems))
    if as_json:
        print_json({"ok": not problems, "errors": [asdict(one) for one in problems]})
    else:
        for one in problems:
            ERRORS.print(str(one) if one.file else one.message, markup=False, style="red")
        if problems and sound is None:
            ERRORS.print(
                "Columns in SQL, gates, tokenizer and benchmarks are looked at after that."
            )
        if not problems:
            ANSWERS.print(f"{recipe} is good.", markup=False)
    raise typer.Exit(RECIPE_WRONG if problems else GOOD)


def _load_tokenizer(recipe: Recipe, workspace: Workspace) -> None:
    from pipelines.recipes.recipe import RecipeError
    from pipelines.recipes.sentinels import find_middles
    from transforms.tokens.loading import load_tokenizer
    from transforms.tokens.specification import TokenizerError

    place = ("mix", "tokenizer")
    if any(one.key.startswith("mix.tokenizer") for one in recipe.missing_files(workspace.uri)):
        return  # told already
    try:
        loaded = load_tokenizer(recipe.tokenizer(workspace.uri))
    except TokenizerError as error:
        raise RecipeError([recipe.problem(place, str(error))]) from error
    find_middles(recipe, loaded)


def _problems_of_the_whole(loaded: Recipe, files: bool, workspace: str | None) -> list[Problem]:
    """What can be told only of a recipe whose keys and values are good: columns that SQL names,
    gates, and the contents of benchmarks."""
    from pipelines.benchmarks import check_benchmarks
    from pipelines.dedup.against import find_published
    from pipelines.recipes.recipe import Problem, RecipeError
    from pipelines.workflow import Workflow
    from pipelines.workspace import Workspace

    somewhere = Workspace(workspace or "workspace")
    checks: list[Callable[[], object]] = [
        Workflow(loaded, somewhere, beam_options("DirectRunner", [])).check
    ]
    if files and (workspace or "{workspace}" not in str(loaded.mix.tokenizer)):
        checks.append(partial(_load_tokenizer, loaded, somewhere))
    if files and (workspace or not any("{workspace}" in one for one in loaded.against)):
        checks.append(partial(find_published, loaded, somewhere))
    if files and loaded.decontamination is not None:
        checks.append(partial(check_benchmarks, loaded, somewhere))
    problems: list[Problem] = []
    for one in checks:
        try:
            one()
        except RecipeError as error:
            problems += error.problems
        except ValueError as error:  # of a suite of expectations, say: it names its own place
            problems += [Problem("", 0, 0, "", line) for line in str(error).splitlines()]
    return problems
