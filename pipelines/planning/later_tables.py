"""Later tables: those of filter and of what follows it that a what-if counts from.

In: a workflow that was planned, and the recipe as it is written without `--set`. Out: the pool's
shards with the versions of these tables that the recipe itself has; else those that the recipe as
it is written has, else those of the last mix of its name, as long as it was changed in what can be
foreseen alone; else, marked, those that anyone made last of the same documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.filter import source_conditions
from pipelines.inputs import NoInput
from pipelines.planning.foreseen import unforeseen
from pipelines.recipes.paths import spelled_alike
from pipelines.recipes.pool_part import REPEATS
from pipelines.recipes.recipe import Recipe, RecipeError
from pipelines.stage_names import FILTER, SELECT, TABLES, TOKENIZE
from pipelines.table_versions import Version, made_from
from pipelines.tables import with_tables
from pipelines.workflow import Workflow
from pipelines.workspace import Workspace
from transforms.datasets import Dataset, Manifest
from transforms.dedup.pool import DUPLICATES, PoolShard
from transforms.mixing.budget import BudgetError
from transforms.mixing.window import Window, WindowBounds

__all__ = ["KnownWindow", "LaterTables", "find_later_tables"]

_LATER = (TABLES[FILTER], *DUPLICATES, *(TABLES[one] for one in REPEATS.values()), TABLES[TOKENIZE])
_OTHERS = (
    "this recipe has no tables of its own behind its scores yet, so what has ~ is estimated by"
    " tables that another recipe made last in this workspace"
)
_Versions = dict[str, dict[str, Version]]  # by source, by table


@dataclass(frozen=True)
class KnownWindow:
    """The bounds that were found for a window among the documents that met `where`."""

    window: Mapping[str, Any]
    where: str | None
    bounds: WindowBounds


@dataclass(frozen=True)
class LaterTables:
    """The pool's shards with the tables that there are. `own`: they are of the recipe that is
    changed; `unforeseen`: the key for whose change nothing can be counted from them; `told`: what a
    user should know of them; `conditions`: by source what its candidates have met; `windows`: by
    source."""

    shards: Sequence[PoolShard]
    own: bool = True
    unforeseen: str = ""
    told: str = ""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    windows: Mapping[str, KnownWindow] = field(default_factory=dict)

    def knows_window(self, recipe: Recipe, source: str) -> bool:
        """Whether the bounds of a source's window are known and stay what they are."""
        known, window = self.windows.get(source), recipe.mix.windows.get(source)
        return (
            known is not None
            and self.has_bounds(source, window)
            and known.where == recipe.mix.where
            and self.conditions.get(source) == _conditions(recipe, source)
        )

    def has_bounds(self, source: str, window: Window | None) -> bool:
        """Whether bounds of this window are known, of some documents."""
        known = self.windows.get(source)
        return known is not None and window is not None and known.window == asdict(window)


def find_later_tables(workflow: Workflow, written: Recipe | None) -> LaterTables:
    """The tables to count a planned workflow's recipe from. `written`: it without what `--set`
    changed, None where nothing was."""
    scored = list(workflow.scored or ())
    changed = ""
    for versions, its in _own(workflow, written):
        key = unforeseen(its, spelled_alike(workflow.recipe, workflow.workspace.uri), True)
        if not key:
            return _later(workflow, scored, versions)
        changed = changed or key
    if changed:
        told = f"this changes {changed}, which no plan can see: run it with a name of its own"
        return LaterTables(scored, unforeseen=changed, told=f"{told} to know its tokens")
    versions = {}
    for source, manifest in _documents(workflow).items():
        try:
            folder = workflow.workspace.attributes(TABLES[TOKENIZE], source)
            last = Dataset.published(folder)
        except FileNotFoundError:
            continue
        if last[1].inputs.get(f"documents {source}") == manifest.fingerprint:
            versions[source] = _with_inputs(workflow.workspace, source, last)
    shards = _with_versions(scored, versions)
    return LaterTables(shards, own=False, told=_OTHERS if versions else "")


def _own(
    workflow: Workflow, written: Recipe | None
) -> Iterator[tuple[_Versions, Mapping[str, Any]]]:
    """The versions that the recipe has, as it is, as it was written and as it was mixed last, each
    with the tree of the recipe that they are of."""
    workspace = workflow.workspace
    found = _found(workflow)
    if found:
        yield found, spelled_alike(workflow.recipe, workspace.uri)
        return
    if written is not None:
        base = Workflow(written, workspace, workflow.options, phase=workflow.phase)
        # It is not what was asked for: what was found of it counts.
        with suppress(RecipeError, NoInput, BudgetError):
            base.find_tables()
        found = _found(base)
        if found and _documents(base) == _documents(workflow):
            yield found, spelled_alike(base.recipe, workspace.uri)
    found = {}
    try:
        _, mix = Dataset.published(workspace.mix(workflow.recipe.name))
    except FileNotFoundError:
        return
    for source, manifest in _documents(workflow).items():
        folder = workspace.attributes(f"{TABLES[SELECT]}-{workflow.recipe.name}", source)
        selection = Dataset(folder, mix.inputs.get(f"{TABLES[SELECT]} {source}", "")).manifest()
        its = made_from(workspace, source, selection.inputs) if selection else {}
        if (
            TABLES[TOKENIZE] not in its
            or mix.inputs.get(f"documents {source}") != manifest.fingerprint
        ):
            return
        found[source] = its
    tree = mix.parameters["recipe"]
    if mix.parameters["tokenizer"] != workflow.tokenizer:
        tree = {**tree, "mix": {**tree["mix"], "tokenizer": mix.parameters["tokenizer"]}}
    yield found, tree


def _documents(workflow: Workflow) -> dict[str, Manifest]:
    return {
        source.name: workflow.manifests[f"documents {source.name}"]
        for source in workflow.recipe.sources
    }


def _found(workflow: Workflow) -> _Versions:
    """The versions that a workflow has looked at; nothing where a source is not tokenized."""
    found = {}
    for source in workflow.recipe.sources:
        manifest = workflow.manifests.get(f"{TABLES[TOKENIZE]} {source.name}")
        if manifest is None:
            return {}
        folder = workflow.workspace.attributes(TABLES[TOKENIZE], source.name)
        last = Dataset(folder, manifest.fingerprint), manifest
        found[source.name] = _with_inputs(workflow.workspace, source.name, last)
    return found


def _with_inputs(workspace: Workspace, source: str, last: Version) -> dict[str, Version]:
    """A version of the tokens and those that it was made from."""
    return {TABLES[TOKENIZE]: last, **made_from(workspace, source, last[1].inputs)}


def _with_versions(shards: list[PoolShard], versions: _Versions) -> list[PoolShard]:
    for table in _LATER:
        datasets = {source: its[table][0] for source, its in versions.items() if table in its}
        shards = with_tables(shards, table, datasets)
    return shards


def _later(workflow: Workflow, scored: list[PoolShard], versions: _Versions) -> LaterTables:
    recipe = workflow.recipe
    windows, conditions = {}, {}
    for source, its in versions.items():
        if TABLES[FILTER] in its:
            conditions[source] = its[TABLES[FILTER]][1].parameters["conditions"]
        if source in workflow.windows:
            window = asdict(recipe.mix.windows[source])
            windows[source] = KnownWindow(window, recipe.mix.where, workflow.windows[source])
            continue
        folder = workflow.workspace.attributes(f"{TABLES[SELECT]}-{recipe.name}", source)
        try:
            _, selection = Dataset.published(folder)
        except FileNotFoundError:
            continue
        tokens = selection.inputs.get(f"{TABLES[TOKENIZE]} {source}")
        if "window" in selection.details and tokens == its[TABLES[TOKENIZE]][1].fingerprint:
            windows[source] = KnownWindow(
                selection.parameters["window"],
                selection.parameters["where"],
                WindowBounds.from_json(selection.details["window"]),
            )
    shards = _with_versions(scored, versions)
    return LaterTables(shards, conditions=conditions, windows=windows)


def _conditions(recipe: Recipe, source: str) -> Any:
    """As manifests hold them."""
    its = [asdict(one) for one in source_conditions(recipe, recipe.source(source))]
    return json.loads(json.dumps(its))
