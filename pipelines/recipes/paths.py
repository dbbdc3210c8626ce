"""The paths of a recipe's tree: spelled in one way, or seen from another folder.

In: a recipe's tree. Out: the same with its paths changed. `spelled_alike` is how a published mix
holds its recipe: local paths are without `.`, `..` inside and doubled or last slashes, and those of
files below the recipe's folder are relative to it. So a mix does not depend on how its recipe
spells where things lie; what lies there is in the fingerprints of its inputs. `moved_paths` is for
a recipe that another one in another folder extends. URIs, names of a hub and patterns' wildcards
stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from transforms import storage
from transforms.quality.url_lists import LIST_KINDS

if TYPE_CHECKING:
    from pipelines.recipes.recipe import Recipe

__all__ = ["moved_paths", "spelled_alike"]

_OF_RULES = ("model", *LIST_KINDS)  # options of rules that name files
_TOKENIZER_FILES = (".json", ".tiktoken")  # other names may be a hub's
Change = Callable[[str], str]


def spelled_alike(recipe: Recipe, workspace: str) -> dict[str, Any]:
    """The recipe's tree, its paths spelled in one way; `workspace` is where its tokenizer may
    lie."""

    def tokenizer(name: str) -> str:
        is_file = recipe.tokenizer(workspace).name != name or os.path.isabs(name)
        return _spelled(name, recipe.folder) if is_file else name

    tree = _changed(dict(recipe.tree), lambda path: _spelled(path, recipe.folder), tokenizer)
    tree.pop("gates", None)  # bounds make no other mix: its gate judges the same one again
    dedup = tree["pool"].get("dedup")
    if isinstance(dedup, Mapping):  # nor does what is published beside it
        kept = {key: one for key, one in dedup.items() if key != "keys"}
        tree["pool"] = {**tree["pool"], "dedup": kept}
    return tree


def moved_paths(tree: dict[str, Any], folder: str, new: str) -> dict[str, Any]:
    """A recipe's tree as it is in `folder`, seen from the folder `new`: relative paths lead to the
    same files. The tree need not be a good one."""

    def moved(path: str) -> str:
        if "://" in path or os.path.isabs(path) or path.startswith("{workspace}"):
            return path
        if "://" in folder:
            return storage.join(folder, path)
        if "://" in new:
            return os.path.abspath(os.path.join(folder, path))
        return os.path.join(os.path.relpath(folder, new), path)

    def tokenizer(name: str) -> str:
        is_file = name.endswith(_TOKENIZER_FILES) or storage.exists(storage.join(folder, name))
        return moved(name) if is_file else name

    return _changed(tree, moved, tokenizer)


def _changed(tree: dict[str, Any], change: Change, tokenizer: Change) -> dict[str, Any]:
    """The tree with all its paths changed. What is not as the schema wants it stays."""
    tree = dict(tree)
    pool, mix = tree.get("pool"), tree.get("mix")
    if isinstance(pool, Mapping):
        pool = dict(pool)
        if isinstance(pool.get("sources"), Mapping):
            pool["sources"] = {
                name: _source(source, change) for name, source in pool["sources"].items()
            }
        dedup = pool.get("dedup")
        if isinstance(dedup, Mapping) and "against" in dedup:
            pool["dedup"] = {**dedup, "against": _files(dedup["against"], change)}
        decontaminate = pool.get("decontaminate")
        if isinstance(decontaminate, Mapping) and isinstance(decontaminate.get("benchmarks"), list):
            benchmarks = [_with_paths(one, change) for one in decontaminate["benchmarks"]]
            pool["decontaminate"] = {**decontaminate, "benchmarks": benchmarks}
        tree["pool"] = pool
    if isinstance(mix, Mapping) and "tokenizer" in mix:
        named = mix["tokenizer"]
        if isinstance(named, Mapping) and isinstance(named.get("name"), str):
            named = {**named, "name": tokenizer(named["name"])}
        elif isinstance(named, str):
            named = tokenizer(named)
        tree["mix"] = {**mix, "tokenizer": named}
    return tree


def _source(source: Any, change: Change) -> Any:
    changed = _with_paths(source, change)
    if isinstance(changed, dict) and isinstance(changed.get("rules"), list):
        changed["rules"] = [_rule(one, change) for one in changed["rules"]]
    return changed


def _with_paths(value: Any, change: Change) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {**value, "paths": _files(value["paths"], change)} if "paths" in value else {**value}


def _rule(value: Any, change: Change) -> Any:
    """A rule with the files that it names; they stand below its name or its classifier's."""
    if isinstance(value, Mapping):
        return {
            key: _files(one, change) if key in _OF_RULES else _rule(one, change)
            for key, one in value.items()
        }
    return value


def _files(value: Any, change: Change) -> Any:
    if isinstance(value, list):
        return [_files(one, change) for one in value]
    return change(value) if isinstance(value, str) else value


def _spelled(path: str, folder: str) -> str:
    if "://" in path or "://" in folder:
        return path
    if not os.path.isabs(path):
        return os.path.normpath(path)
    path, above = os.path.normpath(path), os.path.abspath(folder)
    return os.path.relpath(path, above) if path.startswith(f"{above.rstrip('/')}/") else path
