"""Against: the published keys of earlier runs that a recipe names, found and checked before any
work.

In: `pool.dedup.against`. Out: `Published` runs in their order. A problem, in one sentence, where
there are no keys, where they were made by other settings or are not whole, and where a run is
lacking that they were themselves compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.dedup.publish_keys import compared
from pipelines.recipes.recipe import Problem, Recipe, RecipeError
from pipelines.workspace import Workspace
from transforms import storage
from transforms.datasets import Dataset
from transforms.dedup.published import KEYS_STAGE, KEYS_VERSION, Published

__all__ = ["describe_published", "find_published"]

_PLACE = ("pool", "dedup", "against")
_OTHER_VERSION = (
    "the keys at {} were made by another version of Vineleaf, or by a Python with another Unicode:"
    " make them again"
)


def find_published(recipe: Recipe, workspace: Workspace) -> tuple[Published, ...]:
    """The runs whose documents come first. RecipeError tells all that is wrong with them."""
    found: list[Published] = []
    problems: list[Problem] = []
    for index, path in enumerate(recipe.against):
        uri = recipe.place(path, workspace.uri).rstrip("/")
        try:
            if uri == recipe.place(Workspace("{workspace}").keys(recipe.name), workspace.uri):
                raise ValueError(f"{uri} holds this recipe's own keys: name those of another run")
            run = _read(uri, [one.source for one in found])
            _check_settings(run, recipe)
            _check_files(run)
            _check_order(run, found)
            found.append(run)
        except ValueError as error:
            problems.append(recipe.problem((*_PLACE, index), str(error)))
    if problems:
        raise RecipeError(problems)
    return tuple(found)


def describe_published(runs: Sequence[Published]) -> list[dict[str, object]]:
    """What a pool is compared with, as `plan` tells it."""
    return [
        {
            "recipe": run.name,
            "keys": run.uri,
            "fingerprint": run.manifest.fingerprint,
            "documents": run.manifest.counts["candidates"],
            "survivors": run.manifest.counts["survivors"],
            "bytes": sum(file.size_bytes for file in run.manifest.files),
        }
        for run in runs
    ]


def _read(uri: str, taken: Sequence[str]) -> Published:
    """ValueError where there are no keys that can be read. `taken`: what other runs are called."""
    try:
        _, manifest = Dataset.published(uri)
    except FileNotFoundError:
        pattern = storage.join(storage.escape(uri), "keys", "*", "manifest.json")
        below = [file.path.rpartition("/")[0] for file in storage.list_files([pattern])]
        hint = "a run with 'pool.dedup.keys: true' publishes them below its workspace's 'keys'"
        if below:
            hint = f"it is a workspace: name {' or '.join(sorted(below))}"
        raise ValueError(f"no published keys are at {uri}; {hint}") from None
    except storage.DamagedFile:
        raise ValueError(
            f"the manifest of the keys at {uri} was cut or changed: get them again"
        ) from None
    if manifest.stage != KEYS_STAGE:
        raise ValueError(f"{uri} holds {manifest.stage}, not published keys")
    if manifest.version != KEYS_VERSION:
        raise ValueError(_OTHER_VERSION.format(uri))
    source = f"@{manifest.parameters['recipe']}"  # no name of a source has an @
    return Published(source if source not in taken else f"{source}-{len(taken)}", uri, manifest)


def _check_settings(run: Published, recipe: Recipe) -> None:
    theirs, ours = run.manifest.parameters["compared"], compared(recipe).to_json()
    if theirs.get("versions") != ours["versions"]:
        raise ValueError(_OTHER_VERSION.format(run.uri))
    unlike = [name for name in ours if theirs.get(name) != ours[name]]
    if unlike:
        told = ", ".join(f"{name} {_shown(theirs.get(name))}" for name in unlike)
        asked = ", ".join(f"{name} {_shown(ours[name])}" for name in unlike)
        raise ValueError(
            f"the keys at {run.uri} were made with {told}, and this recipe asks for {asked}:"
            " both must compare in the same way"
        )


def _shown(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _check_files(run: Published) -> None:
    base = run.dataset.base
    found = storage.list_files([storage.join(storage.escape(base), "**")], base)
    sizes = {file.name: file.size_bytes for file in found}
    lost = [file.path for file in run.manifest.files if sizes.get(file.path) != file.size_bytes]
    if lost:
        raise ValueError(
            f"{len(lost):,} of {len(run.manifest.files):,} files of the keys at {run.uri} are"
            f" lacking or have another size, {run.dataset.path(lost[0])} first: get them again"
        )


def _check_order(run: Published, before: Sequence[Published]) -> None:
    known = {one.manifest.fingerprint for one in before}
    if run.manifest.fingerprint in known:
        raise ValueError(f"the keys at {run.uri} are named twice, here by another path")
    lacking = [fingerprint for fingerprint, _ in run.against if fingerprint not in known]
    if lacking:
        raise ValueError(
            f"the keys at {run.uri} ('{run.name}') were made against keys"
            f" {', '.join(lacking)}: name these before them"
        )
