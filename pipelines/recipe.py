"""Recipes: read, checked and turned into frozen values before any work is done.

A recipe is YAML checked by `mixes/recipe.schema.json` and then for sense: shares that sum to one,
names that exist, rules and their options. Every problem is one sentence with file, line, key and
the nearest valid key.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from mixes.located_yaml import LocatedYaml, YamlError, load_yaml, parse_scalar
from mixes.schema_errors import nearest, violations
from transforms import storage
from transforms.decontamination.benchmarks import Benchmark, BenchmarkError
from transforms.dedup.fuzzy import SIMILARITY
from transforms.dedup.minhash import BANDS, NGRAM, ROWS, choose_bands
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.rules import Rule, rule
from transforms.tokens.specification import TokenizerError, TokenizerSpec

__all__ = [
    "Decontamination",
    "Fuzzy",
    "Mix",
    "Problem",
    "Recipe",
    "RecipeError",
    "Source",
    "load_recipe",
    "read_mix",
]

SHARE_SUM_TOLERANCE = 1e-6
MOST_TOKENS = 10**18
HIGHEST_CHOSEN = 0.99  # similarity up to which bands are chosen; above, there is nothing to weigh
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a recipe."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class RecipeError(ValueError):
    """A recipe that cannot be used, with all its problems."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Source:
    """Where documents come from and which rules they must pass."""

    name: str
    ingest: str
    paths: tuple[str, ...]
    rules: tuple[Rule, ...]
    ocr: Mapping[str, Any]
    pdf: Mapping[str, Any]
    allow_empty: bool


@dataclass(frozen=True)
class Fuzzy:
    """Near-duplicate search: word n-gram shingles, bands x rows MinHash, true Jaccard threshold
    (inclusive)."""

    ngram: int
    bands: int
    rows: int
    similarity: float


@dataclass(frozen=True)
class Decontamination:
    """n-gram decontamination; `remove` is document or passage."""

    ngram: int
    remove: str
    ignore: tuple[str, ...]
    benchmarks: tuple[Benchmark, ...]


@dataclass(frozen=True)
class Mix:
    """What is taken from the pool. `shares` are as written; `proportions` leave out what is
    excluded."""

    tokens: int
    tokenizer: str | Mapping[str, Any]
    shares: Mapping[str, float]
    where: str | None
    exclude: tuple[str, ...]
    max_epochs: Mapping[str, float]  # every source of `proportions`
    seed: int
    file_tokens: int

    @property
    def proportions(self) -> dict[str, float]:
        """Share per source after `exclude`, summing to one."""
        left = {name: share for name, share in self.shares.items() if name not in self.exclude}
        total = math.fsum(left.values())
        return {name: share / total for name, share in left.items()}


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. `text` is the tree it was made from, overrides applied."""

    name: str
    sources: tuple[Source, ...]
    exact: bool
    fuzzy: Fuzzy | None
    keep: tuple[str, ...]
    decontamination: Decontamination | None
    mix: Mix
    gates: Mapping[str, Mapping[str, float]]
    folder: str
    tree: Mapping[str, Any]
    problem: Callable[[tuple[str | int, ...], str], Problem] = field(repr=False, compare=False)
    """A problem found later, with the file and line of its key path."""

    def source(self, name: str) -> Source:
        """The source of this name."""
        return next(source for source in self.sources if source.name == name)

    def pattern(self, path: str, workspace: str) -> str:
        """A path of the recipe as a glob pattern: `{workspace}` filled in, else relative to the
        recipe's folder."""
        folder, workspace = storage.escape(self.folder), storage.escape(_absolute(workspace))
        return _below(folder, path.replace("{workspace}", workspace))

    def tokenizer(self, workspace: str) -> TokenizerSpec:
        """What the recipe says of its tokenizer; a file's path is resolved, any other name kept.

        RecipeError for an empty name and a folder without a `tokenizer.json`.
        """
        spec = TokenizerSpec.from_recipe(self.mix.tokenizer)
        if not spec.name:
            message = "'mix.tokenizer' is empty; name a tokenizer.json, a .tiktoken file or a hub's"
            raise RecipeError([self.problem(("mix", "tokenizer"), message)])
        path = _below(self.folder, spec.name.replace("{workspace}", _absolute(workspace)))
        inside = storage.join(path, "tokenizer.json")  # a tokenizer may be named by its folder
        found = next((one for one in (inside, path) if storage.exists(one)), None)
        if found is not None and found != inside and os.path.isdir(found):
            message = f"the folder {found} has no tokenizer.json; name a tokenizer's file"
            raise RecipeError([self.problem(("mix", "tokenizer"), message)])
        return spec if found is None else replace(spec, name=found)


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
    problems = list(reading.problems())
    if problems:
        raise RecipeError(problems)
    return reading.build()


@cache
def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of recipes."""
    text = (files("mixes") / "recipe.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


class _Reading:
    """One recipe file (and its pool file) on the way from text to values."""

    def __init__(self, path: str, overrides: tuple[str, ...]) -> None:
        self.path = path
        self.folder = path.rpartition("/")[0] or "."
        # Key path -> (file, its YAML).
        self.files: dict[tuple[str, ...], tuple[str, LocatedYaml]] = {(): (path, _read(path))}
        tree = self.files[()][1].value
        if isinstance(tree, dict) and isinstance(tree.get("pool"), str):
            pool_path = os.path.join(self.folder, tree["pool"])
            located = _read(pool_path)
            self.files[("pool",)] = (pool_path, located)
            tree = {**tree, "pool": located.value}
        self.tree = tree
        self.set_keys = [self._set(override) for override in overrides]

    def _set(self, override: str) -> tuple[str, ...]:
        key, equals, text = override.partition("=")
        parts = tuple(key.strip().split("."))
        if not equals or not all(parts):
            raise RecipeError(
                [Problem("--set", 1, key, f"--set takes key.path=value (got '{override}')")]
            )
        node = self.tree
        for part in parts[:-1]:
            if not isinstance(node, dict):
                break
            node = node.setdefault(part, {})
        if not isinstance(node, dict):
            message = f"'{key}' is below a value, not a mapping"
            raise RecipeError([Problem("--set", 1, key, message)])
        try:
            node[parts[-1]] = parse_scalar(text)
        except YamlError as error:
            message = f"'{text}' is no YAML value: {error}"
            raise RecipeError([Problem("--set", 1, key, message)]) from error
        return parts

    def problem(self, path: tuple[str | int, ...], message: str) -> Problem:
        dotted = ".".join(str(part) for part in path)
        if any(path[: len(key)] == key for key in self.set_keys):
            return Problem("--set", 1, dotted, message)
        if path[:1] == ("pool",) and ("pool",) in self.files:
            file, located = self.files[("pool",)]
            return Problem(file, located.line(path[1:]), dotted, message)
        file, located = self.files[()]
        return Problem(file, located.line(path), dotted, message)

    def problems(self) -> Iterator[Problem]:
        found = [self.problem(*violation) for violation in violations(self.tree, recipe_schema())]
        yield from found
        if found:
            return
        if isinstance(self.tree["pool"], str):
            message = "'pool' must be a mapping here: only the recipe itself can name a pool file"
            yield self.problem(("pool",), message)
            return
        yield from self._sense()

    def _sense(self) -> Iterator[Problem]:
        pool, mix = self.tree["pool"], self.tree["mix"]
        sources = list(pool["sources"])
        for name, source in pool["sources"].items():
            place = ("pool", "sources", name)
            for key in sorted({"ocr", "pdf"} & set(source)) if source["ingest"] != "pdf" else ():
                message = f"'{key}' is for sources with ingest: pdf (it is {source['ingest']})"
                yield self.problem((*place, key), message)
            named: list[str] = []
            for index, item in enumerate(source.get("rules", [])):
                yield from self._rule_problems((*place, "rules", index), item)
                rule_name, options = _rule_item(item)
                # There may be several classifiers, each with its table.
                if rule_name == "classifier" and isinstance(options, dict):
                    rule_name = f"classifier {options.get('name')}"
                if rule_name in named:
                    message = f"rule '{rule_name}' stands twice in {name}; give its options at once"
                    yield self.problem((*place, "rules", index), message)
                named.append(rule_name)
        benchmarks = pool.get("decontaminate", {}).get("benchmarks", [])
        names = [benchmark["name"] for benchmark in benchmarks]
        for index, benchmark in enumerate(benchmarks):
            at = ("pool", "decontaminate", "benchmarks", index)
            try:
                _benchmark(benchmark)
            except BenchmarkError as error:
                yield self.problem(at, str(error))
            if benchmark["name"] in names[:index]:
                message = (
                    f"two benchmarks are called '{benchmark['name']}'; give each a name of its own,"
                    " or name all its files under one"
                )
                yield self.problem(at, message)
        dedup = pool.get("dedup", {})
        if dedup.get("fuzzy", False) is not False and not dedup.get("exact", True):
            message = "fuzzy deduplication needs 'exact: true': it looks at what exact left"
            yield self.problem(("pool", "dedup", "exact"), message)
        keep = dedup.get("keep", [])
        if "source order" in keep[1:]:
            message = "'source order' must come first in pool.dedup.keep"
            yield self.problem(("pool", "dedup", "keep"), message)
        yield from self._unknown(("mix", "shares"), list(mix["shares"]), sources)
        for index, name in enumerate(mix.get("exclude", [])):
            if name not in mix["shares"]:
                near = nearest(name, list(mix["shares"]))
                message = f"'{name}' is excluded but has no share{near}"
                yield self.problem(("mix", "exclude", index), message)
        if set(mix["shares"]) <= set(mix.get("exclude", [])):
            message = "every source is excluded; nothing is left to mix"
            yield self.problem(("mix", "exclude"), message)
        total = math.fsum(mix["shares"].values())
        if abs(total - 1) > SHARE_SUM_TOLERANCE:
            yield self.problem(("mix", "shares"), f"shares must sum to 1 (they sum to {total:g})")
        if isinstance(mix.get("max_epochs"), dict):
            known = ["default", *sources]
            yield from self._unknown(("mix", "max_epochs"), list(mix["max_epochs"]), known)
        if _tokens(mix["tokens"]) < 1:
            yield self.problem(("mix", "tokens"), "'mix.tokens' must be at least 1 token")
        if _tokens(mix["tokens"]) > MOST_TOKENS:
            message = f"'mix.tokens' must be at most {MOST_TOKENS:,} (got {mix['tokens']})"
            yield self.problem(("mix", "tokens"), message)
        try:
            TokenizerSpec.from_recipe(mix["tokenizer"])
        except TokenizerError as error:
            yield self.problem(("mix", "tokenizer"), str(error))
        for name, bounds in self.tree.get("gates", {}).items():
            if bounds.get("at_least", 0.0) > bounds.get("at_most", 1.0):
                message = f"gates.{name}: at_least is above at_most, so nothing can pass"
                yield self.problem(("gates", name), message)

    def _unknown(
        self, place: tuple[str, ...], names: list[str], known: list[str]
    ) -> Iterator[Problem]:
        for name in names:
            if name not in known:
                message = f"'{name}' in {'.'.join(place)} is no source{nearest(name, known)}"
                yield self.problem((*place, name), message)

    def _rule_problems(self, place: tuple[str | int, ...], item: Any) -> Iterator[Problem]:
        name, options = _rule_item(item)
        if name not in RULE_SCHEMAS:
            message = f"unknown rule '{name}'{nearest(name, list(RULE_SCHEMAS))}"
            yield self.problem(place, message)
            return
        wrong = False
        for path, message in violations(options, RULE_SCHEMAS[name]):
            wrong = True
            message = message.replace("the recipe", f"rule '{name}'")
            yield self.problem((*place, name, *path), message)
        if not wrong:
            try:
                rule(name, options)
            except ValueError as error:
                yield self.problem((*place, name), f"rule '{name}': {error}")

    def build(self) -> Recipe:
        pool, mix = self.tree["pool"], self.tree["mix"]
        dedup = pool.get("dedup", {})
        return Recipe(
            name=self.tree["name"],
            sources=tuple(_source(name, tree) for name, tree in pool["sources"].items()),
            exact=dedup.get("exact", "dedup" in pool),
            fuzzy=_fuzzy(dedup.get("fuzzy", False)),
            keep=tuple(dedup.get("keep", ["source order"])),
            decontamination=_decontamination(pool.get("decontaminate")),
            mix=read_mix(mix),
            gates=self.tree.get("gates", {}),
            folder=self.folder,
            tree=self.tree,
            problem=self.problem,
        )


def _read(path: str) -> LocatedYaml:
    try:
        text = storage.read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"not UTF-8 (byte {error.start})"
        raise RecipeError([Problem(path, 1, "", message)]) from error
    except OSError as error:
        raise RecipeError([Problem(path, 1, "", f"cannot be read: {error}")]) from error
    try:
        return load_yaml(text)
    except YamlError as error:
        raise RecipeError([Problem(path, error.line, "", f"not YAML: {error}")]) from error


def _rule_item(item: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(item, str):
        return item, {}
    name, options = next(iter(item.items()))
    return name, {} if options is None else options


def _tokens(value: int | str) -> int:
    if isinstance(value, int):
        return value
    number, unit = re.fullmatch(r"([0-9.]+)([KMBT]?)", value).groups()  # type: ignore[union-attr]
    whole, _, decimals = number.partition(".")
    scaled = int(whole + decimals) * _UNITS[unit]  # exact: no float in between
    return int(scaled // 10 ** len(decimals))


def _source(name: str, tree: Mapping[str, Any]) -> Source:
    return Source(
        name=name,
        ingest=tree["ingest"],
        paths=tuple(tree["paths"]),
        rules=tuple(rule(*_rule_item(item)) for item in tree.get("rules", [])),
        ocr=tree.get("ocr", {}),
        pdf=tree.get("pdf", {}),
        allow_empty=tree.get("allow_empty", False),
    )


def _fuzzy(tree: Mapping[str, Any] | bool) -> Fuzzy | None:
    if tree is False:
        return None
    options: Mapping[str, Any] = tree if isinstance(tree, Mapping) else {}
    similarity = float(options.get("similarity", SIMILARITY))
    bands, rows = BANDS, ROWS
    if similarity != SIMILARITY and not {"bands", "rows"} & set(options):
        bands, rows = choose_bands(min(similarity, HIGHEST_CHOSEN))
    return Fuzzy(
        ngram=options.get("ngram", NGRAM),
        bands=options.get("bands", bands),
        rows=options.get("rows", rows),
        similarity=similarity,
    )


def _decontamination(tree: Mapping[str, Any] | None) -> Decontamination | None:
    if tree is None:
        return None
    return Decontamination(
        ngram=tree.get("ngram", 8),
        remove=tree.get("remove", "document"),
        ignore=tuple(tree.get("ignore", [])),
        benchmarks=tuple(_benchmark(one) for one in tree["benchmarks"]),
    )


def _benchmark(tree: Mapping[str, Any]) -> Benchmark:
    return Benchmark(
        name=tree["name"],
        paths=tuple(tree["paths"]),
        layout=tree.get("layout", ""),
        fields=tuple(tree.get("fields", [])),
        identifier=tree.get("id", ""),
    )


def read_mix(tree: Mapping[str, Any]) -> Mix:
    """The `mix` of a checked recipe's tree."""
    epochs = tree.get("max_epochs", 1)
    per_source = epochs if isinstance(epochs, dict) else {"default": epochs}
    default = float(per_source.get("default", 1))
    return Mix(
        tokens=_tokens(tree["tokens"]),
        tokenizer=tree["tokenizer"],
        shares=dict(tree["shares"]),
        where=tree.get("where"),
        exclude=tuple(tree.get("exclude", [])),
        max_epochs={name: float(per_source.get(name, default)) for name in tree["shares"]},
        seed=tree.get("seed", 0),
        file_tokens=tree.get("file_tokens", 1 << 26),
    )
