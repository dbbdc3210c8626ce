"""Recipes: read, checked and turned into frozen values before any work is done.

A recipe is YAML checked by `mixes/recipe.schema.json` and then for sense: shares that sum to one,
names that exist, rules and their options. Every problem is one sentence with file, line, key and
the nearest valid key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from mixes.schema_errors import Violation, violations
from pipelines.recipes.checks import Checks
from pipelines.recipes.files import Problem, RecipeError, read_recipe_tree
from pipelines.recipes.mix_part import Mix, read_mix
from pipelines.recipes.pool_part import (
    Decontamination,
    Fuzzy,
    Repeats,
    Source,
    read_decontamination,
    read_exact,
    read_fuzzy,
    read_repeats,
    read_source,
)
from transforms import storage
from transforms.tokens.specification import TIKTOKEN_PATTERNS, TokenizerSpec

__all__ = [
    "Problem",
    "Recipe",
    "RecipeError",
    "find_problems",
    "load_recipe",
    "load_sound_parts",
    "recipe_schema",
]


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. `text` is the tree it was made from, overrides applied."""

    name: str
    sources: tuple[Source, ...]
    urls: bool
    exact: str | None  # what must be equal: text or words
    fuzzy: Fuzzy | None
    repeats: tuple[Repeats, ...]
    keep: tuple[str, ...]
    keys: bool  # whether they are published
    against: tuple[str, ...]  # published keys of earlier runs
    decontamination: Decontamination | None
    mix: Mix
    gates: Mapping[str, Mapping[str, float]]
    folder: str
    tree: Mapping[str, Any]
    problem: Callable[[tuple[str | int, ...], str], Problem] = field(repr=False, compare=False)
    """A problem found later, with the file and line of its key path."""
    description: str = ""  # for the mix's datasheet

    def source(self, name: str) -> Source:
        """The source of this name."""
        return next(source for source in self.sources if source.name == name)

    def pattern(self, path: str, workspace: str) -> str:
        """A path of the recipe as a glob pattern: `{workspace}` filled in, else relative to the
        recipe's folder."""
        return _pattern(self.folder, path, workspace)

    def place(self, path: str, workspace: str) -> str:
        """A path of the recipe that names one thing, found as `pattern` finds files."""
        return _below(self.folder, path.replace("{workspace}", _absolute(workspace)))

    def missing_files(self, workspace: str) -> list[Problem]:
        """A problem for each path that matches no file."""
        missing = Checks(self.tree, ()).missing_files(lambda path: self.pattern(path, workspace))
        return [self.problem(one.path, one.message) for one in missing]

    def tokenizer(self, workspace: str) -> TokenizerSpec:
        """What the recipe says of its tokenizer; a file's path is resolved, any other name kept.

        RecipeError for an empty name, a folder without a `tokenizer.json`, and what stands beside
        the name of an encoding that has its own.
        """
        spec = TokenizerSpec.from_recipe(self.mix.tokenizer)
        if not spec.name:
            message = "'mix.tokenizer' is empty; name a tokenizer.json, a .tiktoken file or a hub's"
            raise RecipeError([self.problem(("mix", "tokenizer"), message)])
        path = _below(self.folder, spec.name.replace("{workspace}", _absolute(workspace)))
        inside = storage.join(path, "tokenizer.json")  # a tokenizer may be named by its folder
        places = (path, inside) if "://" in path else (inside, path)  # a store has no folders
        found = next((one for one in places if storage.exists(one)), None)
        if found is not None and found != inside and os.path.isdir(found):
            message = f"the folder {found} has no tokenizer.json; name a tokenizer's file"
            raise RecipeError([self.problem(("mix", "tokenizer"), message)])
        if found is not None:
            return replace(spec, name=found)
        if spec.name in TIKTOKEN_PATTERNS and (spec.pattern or spec.special_tokens):
            message = (
                f"'{spec.name}' has a split pattern and special tokens of its own: leave out"
                " 'pattern' and 'special_tokens', or name its rank file"
            )
            raise RecipeError([self.problem(("mix", "tokenizer"), message)])
        return spec


def _pattern(folder: str, path: str, workspace: str) -> str:
    workspace = storage.escape(_absolute(workspace))
    return _below(storage.escape(folder), path.replace("{workspace}", workspace))


def _absolute(uri: str) -> str:
    return uri.rstrip("/") if "://" in uri else os.path.abspath(uri)


def _below(folder: str, path: str) -> str:
    """A path as it is when absolute or a URI, else below the folder."""
    if "://" in path or os.path.isabs(path):
        return path
    return storage.join(folder, path) if "://" in folder else os.path.abspath(f"{folder}/{path}")


def load_recipe(path: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read and check a recipe; `overrides` are `key.path=value`. RecipeError tells all that is
    wrong."""
    reading = _Reading(path, overrides)
    problems = reading.problems()
    if problems:
        raise RecipeError(problems)
    return reading.build()


def load_sound_parts(path: str, overrides: tuple[str, ...] = ()) -> Recipe | None:
    """The recipe without the keys that are wrong, so that the rest of it can be checked; None where
    it is none without them. RecipeError where it cannot be read at all."""
    return _Reading(path, overrides).build_sound_parts()


def find_problems(
    path: str, overrides: tuple[str, ...] = (), files: bool = True, workspace: str | None = None
) -> list[Problem]:
    """All that is wrong with a recipe by itself and, with `files`, all files that it names and that
    are not there. RecipeError where it cannot be read at all."""
    reading = _Reading(path, overrides)
    return [*reading.problems(), *(reading.missing_files(workspace) if files else ())]


@cache
def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of recipes."""
    text = (files("mixes") / "recipe.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


class _Reading:
    """One recipe on the way from its files to values."""

    def __init__(self, path: str, overrides: tuple[str, ...]) -> None:
        self.folder = path.rpartition("/")[0] or "."
        self.files = read_recipe_tree(path, overrides)
        self.tree = self.files.tree

    def problems(self) -> list[Problem]:
        """All that is wrong with keys, types, numbers and sense, in the order of the lines."""
        return self._sorted([*self.files.found, *self._violations()])

    def _violations(self) -> list[Violation]:
        found = list(violations(self.tree, recipe_schema()))
        if not found and isinstance(self.tree["pool"], str):
            message = "'pool' must be a mapping here: only the recipe itself can name a pool file"
            found.append(Violation(("pool",), message))
        return [*found, *Checks(self.tree, found).sense()]

    def build_sound_parts(self) -> Recipe | None:
        """See `load_sound_parts`."""
        wrong = {one.path for one in self._violations()}
        if self.files.found or any(not path or isinstance(path[-1], int) for path in wrong):
            return None  # items behind one that is left out would be told at other places
        sound = copy(self)
        sound.tree = deepcopy(self.tree)
        for path in sorted(wrong, key=len):
            holder = sound.tree
            for part in path[:-1]:
                missing = isinstance(holder, Mapping) and part not in holder
                holder = {} if missing else holder[part]
            if isinstance(holder, dict) and path != ("mix", "shares"):
                holder.pop(path[-1], None)
        if any(path[:2] == ("mix", "shares") for path in wrong):
            shares = sound.tree["mix"]["shares"]
            if not isinstance(shares, Mapping) or not shares:
                return None
            # Any that are of these sources and sum to 1.
            sound.tree["mix"]["shares"] = dict.fromkeys(shares, 1 / len(shares))
        return None if sound._violations() else sound.build()

    def missing_files(self, workspace: str | None) -> list[Problem]:
        """A problem for each path that matches no file; those below the workspace are looked for
        where it is named."""
        found = list(violations(self.tree, recipe_schema()))

        def pattern(path: str) -> str | None:
            if workspace is None and "{workspace}" in path:
                return None
            return _pattern(self.folder, path, workspace or "")

        return self._sorted(Checks(self.tree, found).missing_files(pattern))

    def _sorted(self, found: Iterable[Violation]) -> list[Problem]:
        problems = [self.files.problem(one.path, one.message) for one in found]
        return sorted(dict.fromkeys(problems), key=lambda one: (one.file, one.line, one.column))

    def build(self) -> Recipe:
        pool, mix = self.tree["pool"], self.tree["mix"]
        dedup = pool.get("dedup", {})
        return Recipe(
            name=self.tree["name"],
            sources=tuple(read_source(name, tree) for name, tree in pool["sources"].items()),
            urls=dedup.get("urls", False),
            exact=read_exact(dedup.get("exact", "dedup" in pool)),
            fuzzy=read_fuzzy(dedup.get("fuzzy", False)),
            repeats=read_repeats(dedup),
            keep=tuple(dedup.get("keep", ["source order"])),
            keys=dedup.get("keys", False),
            against=tuple(dedup.get("against", [])),
            decontamination=read_decontamination(pool.get("decontaminate")),
            mix=read_mix(mix),
            gates=self.tree.get("gates", {}),
            folder=self.folder,
            tree=self.tree,
            problem=self.files.problem,
            description=self.tree.get("description", "").strip(),
        )
