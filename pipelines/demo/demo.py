"""The demo from end to end: make the sources, run the recipe, tell what was found, say what to try.

The run is the same as `vineleaf run mixes/demo.yaml`; only the sources are special.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.resources import files
from shlex import quote
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.command_line import CommandError
from pipelines.demo.compilation import compiling
from pipelines.demo.outcome import Finding, check_planted, find_document
from pipelines.demo.sources import SourcesReport, make_sources
from pipelines.recipes.recipe import load_recipe
from pipelines.stages import RunFailed
from pipelines.workspace import Workspace
from transforms import storage

__all__ = ["run_demo"]

# `vineleaf run`: recipe, workspace, runner, Beam's arguments, overrides, whether JSON is wanted.
Run = Callable[[str, str, str, list[str], list[str], bool], dict[str, Any]]


def run_demo(workspace_uri: str, as_json: bool, run: Run) -> dict[str, Any]:
    """Run the demo in a local folder; the answer of `run` with `sources` and `planted` added.

    CommandError for a workspace that is no local folder, RunFailed when the run misses what was
    planted.
    """
    if "://" in workspace_uri:
        raise CommandError(
            f"the demo makes its sources in a local folder (got {workspace_uri}): name one with"
            " --workspace"
        )
    workspace = Workspace(workspace_uri)
    progress, answers = Console(file=sys.stderr), Console(highlight=False, soft_wrap=True)
    recipe_path = _recipe_path()
    with compiling(recipe_path):
        with progress.status("Making the demo's sources from Python's own documentation and code"):
            report = make_sources(os.path.join(workspace.uri, "input"))
        if not as_json:
            answers.print(_sources_table(report))
        answer = run(recipe_path, workspace_uri, "DirectRunner", [], [], as_json)

    recipe = load_recipe(recipe_path)
    assert recipe.fuzzy is not None  # the demo's own recipe
    planted = storage.read_json(report.planted_path)
    findings = check_planted(workspace, planted, recipe.name, recipe.fuzzy.similarity)
    if not as_json:
        answers.print(_findings_table(findings))
        first = planted["contaminated"][0]
        known = find_document(workspace, first["source"], first["document"])
        answers.print(_next_commands(recipe_path, workspace, recipe.name, str(known)), markup=False)
    missed = [name for finding in findings for name in finding.missed]
    if missed:
        raise RunFailed(f"the run missed what was planted: {'; '.join(missed)}")
    return {
        **answer,
        "sources": {kind: asdict(count) for kind, count in report.kinds.items()},
        "planted": [asdict(finding) for finding in findings],
    }


def _recipe_path() -> str:
    return _shortest(str(files("mixes") / "demo.yaml"))


def _shortest(path: str) -> str:
    """The path as a user would name it: relative where it lies below the current folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _sources_table(report: SourcesReport) -> Table:
    made = "found" if report.reused else "made"
    title = escape(f"Sources, {made} in {report.folder}")
    table = Table(title=title, title_justify="left", pad_edge=False)
    table.add_column("source")
    table.add_column("files", justify="right")
    table.add_column("MB", justify="right")
    for kind, count in report.kinds.items():
        table.add_row(kind, f"{count.files:,}", f"{count.size_bytes / 1e6:.1f}")
    return table


def _findings_table(findings: list[Finding]) -> Table:
    table = Table(title="Planted on purpose", title_justify="left", pad_edge=False)
    table.add_column("what")
    table.add_column("planted", justify="right")
    table.add_column("as it must be", justify="right")
    for finding in findings:
        table.add_row(finding.kind, str(finding.planted), str(finding.found))
    return table


def _next_commands(recipe_path: str, workspace: Workspace, recipe: str, identifier: str) -> str:
    """Three commands to try next."""
    command = quote(os.path.join(_shortest(os.path.dirname(sys.executable)), "vineleaf"))
    uri, mix, recipe_path = (
        quote(one) for one in (workspace.uri, workspace.mix(recipe), recipe_path)
    )
    return (
        "Try next:\n"
        f"  {command} verify {mix}\n"
        f"  {command} why {identifier} --workspace {uri}\n"
        f"  {command} plan {recipe_path} --workspace {uri}"
        " --set mix.shares.web=0.17 --set mix.shares.code=0.50"
    )
