"""A recipe's tree with each path spelled in one way, as a published mix holds it.

In: a checked recipe. Out: its tree, in which local paths are without `.`, `..` inside and doubled
or last slashes, and those of files below the recipe's folder are relative to it. So a mix does not
depend on how its recipe spells where things lie; what lies there is in the fingerprints of its
inputs. URIs, names of a hub and patterns' wildcards stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pipelines.recipe import Recipe
from transforms.quality.url_lists import LIST_KINDS

__all__ = ["spelled_alike"]

_OF_RULES = ("model", *LIST_KINDS)  # options of rules that name files


def spelled_alike(recipe: Recipe, workspace: str) -> dict[str, Any]:
    """The recipe's tree, its paths spelled in one way; `workspace` is where its tokenizer may
    lie."""
    tree = dict(recipe.tree)
    pool = dict(tree["pool"])
    pool["sources"] = {
        name: _source(source, recipe.folder) for name, source in pool["sources"].items()
    }
    if pool.get("decontaminate"):
        benchmarks = pool["decontaminate"]["benchmarks"]
        pool["decontaminate"] = {
            **pool["decontaminate"],
            "benchmarks": [_with_paths(one, recipe.folder) for one in benchmarks],
        }
    tree.pop("gates", None)  # bounds make no other mix: its gate judges the same one again
    return {**tree, "pool": pool, "mix": _mix(tree["mix"], recipe, workspace)}


def _source(source: Mapping[str, Any], folder: str) -> dict[str, Any]:
    spelled = _with_paths(source, folder)
    if "rules" in spelled:
        spelled["rules"] = [_rule(one, folder) for one in spelled["rules"]]
    return spelled


def _with_paths(value: Mapping[str, Any], folder: str) -> dict[str, Any]:
    return {**value, "paths": [_spelled(path, folder) for path in value["paths"]]}


def _rule(value: Any, folder: str) -> Any:
    """A rule with the files that it names; they stand below its name or its classifier's."""
    if isinstance(value, Mapping):
        return {
            key: _files(one, folder) if key in _OF_RULES else _rule(one, folder)
            for key, one in value.items()
        }
    return value


def _files(value: Any, folder: str) -> Any:
    if isinstance(value, list):
        return [_files(one, folder) for one in value]
    return _spelled(value, folder) if isinstance(value, str) else value


def _mix(mix: Mapping[str, Any], recipe: Recipe, workspace: str) -> dict[str, Any]:
    named = mix["tokenizer"]
    name = named["name"] if isinstance(named, Mapping) else named
    if recipe.tokenizer(workspace).name != name or os.path.isabs(name):  # it is a file
        name = _spelled(name, recipe.folder)
    return {**mix, "tokenizer": {**named, "name": name} if isinstance(named, Mapping) else name}


def _spelled(path: str, folder: str) -> str:
    if "://" in path or "://" in folder:
        return path
    if not os.path.isabs(path):
        return os.path.normpath(path)
    path, above = os.path.normpath(path), os.path.abspath(folder)
    return os.path.relpath(path, above) if path.startswith(f"{above.rstrip('/')}/") else path
