"""Recipes: read, checked and turned into frozen values before any work is done.

A recipe is YAML checked by `mixes/recipe.schema.json` and then for sense: shares that sum to one,
names that exist, rules and their options. Every problem is one sentence with file, line, key and
the nearest valid key.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from mixes.schema_errors import Violation, violations
from pipelines.recipe_checks import Checks, benchmark_of, count_tokens, rule_item
from pipelines.recipe_files import Problem, RecipeError, read_recipe_tree
from pipelines.stage_names import LINE_DEDUP, PARAGRAPH_DEDUP, SUBSTRING_DEDUP
from transforms import storage
from transforms.decontamination.benchmarks import Benchmark
from transforms.dedup.fuzzy import SIMILARITY
from transforms.dedup.minhash import NGRAM, PERMUTATIONS, PRESETS, RECALL, choose_bands
from transforms.dedup.substring import SIZE
from transforms.dedup.units import WORDS
from transforms.mixing.curriculum import (
    Curriculum,
    CurriculumStage,
    shares_in_stage,
    sources_mixed,
)
from transforms.mixing.partition import Quality, Repeat
from transforms.mixing.sequences import Sequencing
from transforms.mixing.window import Window
from transforms.quality.rules import Rule, rule
from transforms.tokens.parts import FILE_TOKENS
from transforms.tokens.specification import TokenizerSpec

__all__ = [
    "REPEATS",
    "Decontamination",
    "Fuzzy",
    "Middles",
    "Mix",
    "Problem",
    "Recipe",
    "RecipeError",
    "Repeats",
    "Source",
    "find_problems",
    "load_recipe",
    "load_sound_parts",
    "read_mix",
]

SHORTEST_BUCKET = 256  # tokens of the shortest sequences, unless a recipe says others
# Key of `pool.dedup` -> the stage that cuts what is repeated, in the order in which they run.
REPEATS = {"substring": SUBSTRING_DEDUP, "lines": LINE_DEDUP, "paragraphs": PARAGRAPH_DEDUP}


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
    # For the mix's datasheet:
    description: str = ""
    homepage: str = ""
    license: str = ""


@dataclass(frozen=True)
class Fuzzy:
    """Near-duplicate search: word n-gram shingles, bands x rows MinHash, true Jaccard threshold
    (inclusive)."""

    ngram: int
    bands: int
    rows: int
    similarity: float


@dataclass(frozen=True)
class Repeats:
    """Passages that are cut where they stand again. `unit`: substring, lines or paragraphs;
    `at_least`: bytes of the shortest substring, words of the shortest of the others; `join`: share
    that must be repeated for neighbouring substrings to be cut with what is between them."""

    unit: str
    at_least: int
    join: float | None

    @property
    def stage(self) -> str:
        """Its stage (stage_names), of whose table the column `spans` is cut."""
        return REPEATS[self.unit]


@dataclass(frozen=True)
class Decontamination:
    """n-gram decontamination; `remove` is document or passage."""

    ngram: int
    remove: str
    ignore: tuple[str, ...]
    benchmarks: tuple[Benchmark, ...]


@dataclass(frozen=True)
class Middles:
    """Which documents are rearranged to be filled in the middle, and the sentinels by name: see
    `transforms.tokens.fill_in_middle`."""

    sources: tuple[str, ...]
    rate: float
    suffix_first: float
    split: str
    prefix: str
    middle: str
    suffix: str


@dataclass(frozen=True)
class Mix:
    """What is taken from the pool. `shares` are as written; `proportions`, those of the whole mix,
    leave out what is excluded and follow from the stages where there are some."""

    tokens: int
    tokenizer: str | Mapping[str, Any]
    shares: Mapping[str, float]
    where: str | None
    exclude: tuple[str, ...]
    max_epochs: Mapping[str, float]  # every source of `proportions`
    seed: int
    file_tokens: int
    outputs: tuple[str, ...]
    sequence: Sequencing | None = None
    order: str = "shards"  # or shuffled, as a mix with stages is
    curriculum: Curriculum | None = None
    middles: Middles | None = None
    slices: int = 1  # groups of parts a shard's documents are divided into, a power of two
    long_documents: str = "own_file"  # or refuse: what becomes of one longer than `file_tokens`
    shortage: str = "refuse"  # see transforms.mixing.shortage
    quality: Quality | None = None
    repeat: Repeat | None = None
    windows: Mapping[str, Window] = field(default_factory=dict)  # by source

    @property
    def proportions(self) -> dict[str, float]:
        """Share per source after `exclude`, summing to one."""
        if self.curriculum is not None:
            return self.curriculum.proportions()
        left = {name: share for name, share in self.shares.items() if name not in self.exclude}
        total = math.fsum(left.values())
        return {name: share / total for name, share in left.items()}

    def stage_ends(self, source: str, tokens: int) -> tuple[int, ...]:
        """How many of a source's tokens stand up to the end of each stage but the last; nothing
        without stages."""
        return self.curriculum.ends(source, tokens) if self.curriculum else ()

    @property
    def most_times(self) -> int:
        """No document stands in the pool more often."""
        return max([1, *(often for _, often in self.repeat.times)]) if self.repeat else 1


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

        RecipeError for an empty name and a folder without a `tokenizer.json`.
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
        return spec if found is None else replace(spec, name=found)


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
            sources=tuple(_source(name, tree) for name, tree in pool["sources"].items()),
            urls=dedup.get("urls", False),
            exact=_exact(dedup.get("exact", "dedup" in pool)),
            fuzzy=_fuzzy(dedup.get("fuzzy", False)),
            repeats=_repeats(dedup),
            keep=tuple(dedup.get("keep", ["source order"])),
            keys=dedup.get("keys", False),
            against=tuple(dedup.get("against", [])),
            decontamination=_decontamination(pool.get("decontaminate")),
            mix=read_mix(mix),
            gates=self.tree.get("gates", {}),
            folder=self.folder,
            tree=self.tree,
            problem=self.files.problem,
            description=self.tree.get("description", "").strip(),
        )


def _source(name: str, tree: Mapping[str, Any]) -> Source:
    return Source(
        name=name,
        ingest=tree["ingest"],
        paths=tuple(tree["paths"]),
        rules=tuple(rule(*rule_item(item)) for item in tree.get("rules", [])),
        ocr=tree.get("ocr", {}),
        pdf=tree.get("pdf", {}),
        allow_empty=tree.get("allow_empty", False),
        description=tree.get("description", "").strip(),
        homepage=tree.get("homepage", "").strip(),
        license=tree.get("license", "").strip(),
    )


def _exact(tree: Mapping[str, Any] | bool) -> str | None:
    if isinstance(tree, bool):
        return "text" if tree else None
    return str(tree.get("by", "text"))


def _fuzzy(tree: Mapping[str, Any] | bool) -> Fuzzy | None:
    if tree is False:
        return None
    options: Mapping[str, Any] = tree if isinstance(tree, Mapping) else {}
    preset = PRESETS.get(options.get("preset", ""))
    similarity = float(options.get("similarity", preset.similarity if preset else SIMILARITY))
    if {"bands", "rows"} <= set(options):
        bands, rows = options["bands"], options["rows"]
    elif preset:
        bands, rows = preset.bands, preset.rows
    else:
        bands, rows = choose_bands(
            similarity,
            options.get("recall", RECALL),
            options.get("permutations", PERMUTATIONS),
        )
    ngram = options.get("ngram", preset.ngram if preset else NGRAM)
    return Fuzzy(ngram=ngram, bands=bands, rows=rows, similarity=similarity)


def _repeats(dedup: Mapping[str, Any]) -> tuple[Repeats, ...]:
    found = []
    for unit in REPEATS:
        tree = dedup.get(unit, False)
        if tree is not False:
            options: Mapping[str, Any] = tree if isinstance(tree, Mapping) else {}
            least = options.get("at_least", SIZE if unit == "substring" else WORDS)
            found.append(Repeats(unit, least, options.get("join")))
    return tuple(found)


def _decontamination(tree: Mapping[str, Any] | None) -> Decontamination | None:
    if tree is None:
        return None
    return Decontamination(
        ngram=tree.get("ngram", 8),
        remove=tree.get("remove", "document"),
        ignore=tuple(tree.get("ignore", [])),
        benchmarks=tuple(benchmark_of(one) for one in tree["benchmarks"]),
    )


def read_mix(tree: Mapping[str, Any]) -> Mix:
    """The `mix` of a checked recipe's tree."""
    epochs = tree.get("max_epochs", 1)
    per_source = epochs if isinstance(epochs, dict) else {"default": epochs}
    default = float(per_source.get("default", 1))
    order = tree.get("order", "shards")
    stages = order["stages"] if isinstance(order, dict) else []
    names = sources_mixed(tree["shares"], stages)
    return Mix(
        tokens=count_tokens(tree["tokens"]),
        tokenizer=tree["tokenizer"],
        shares=dict(tree["shares"]),
        where=tree.get("where"),
        exclude=tuple(tree.get("exclude", [])),
        max_epochs={name: float(per_source.get(name, default)) for name in names},
        seed=tree.get("seed", 0),
        file_tokens=tree.get("file_tokens", FILE_TOKENS),
        outputs=tuple(tree.get("outputs", ["tokens"])),
        sequence=_sequence(tree.get("sequence")),
        order="shuffled" if stages else order,
        curriculum=_curriculum(tree, order, names) if stages else None,
        slices=tree.get("slices", 1),
        long_documents=tree.get("long_documents", "own_file"),
        middles=_middles(tree.get("fill_in_middle")),
        shortage=tree.get("shortage", "refuse"),
        quality=_quality(tree.get("quality")),
        repeat=_repeat(tree.get("repeat")),
        windows={
            name: Window(one["score"], *map(float, one["keep"]))
            for name, one in tree.get("window", {}).items()
        },
    )


def _curriculum(
    mix: Mapping[str, Any], order: Mapping[str, Any], names: Sequence[str]
) -> Curriculum:
    exclude = mix.get("exclude", [])
    stages = tuple(
        CurriculumStage(
            float(one["share"]),
            shares_in_stage(mix["shares"], one.get("shares", {}), names, exclude),
        )
        for one in order["stages"]
    )
    return Curriculum(stages, order.get("quality", "even"))


def _quality(tree: Mapping[str, Any] | None) -> Quality | None:
    if tree is None:
        return None
    return Quality(
        score=tree["score"],
        topic=tree.get("topic"),
        bins=tree.get("bins", 20),
        discard=float(tree.get("discard", 0.4)),
        max_epochs=float(tree.get("max_epochs", 7)),
        sources=tuple(tree.get("sources", [])),
        topics=tree.get("topics", {}),
    )


def _repeat(tree: Mapping[str, Any] | None) -> Repeat | None:
    if tree is None:
        return None
    times = sorted((int(number), often) for number, often in tree["times"].items())
    return Repeat(tree.get("by"), tuple(times))


def _sequence(tree: Mapping[str, Any] | None) -> Sequencing | None:
    if tree is None:
        return None
    packing, length = tree.get("packing", "best_fit"), tree["length"]
    shortest = tree.get("shortest", min(SHORTEST_BUCKET, length)) if packing == "buckets" else 0
    return Sequencing(length, packing, tree.get("long", "split"), shortest)


def _middles(tree: Mapping[str, Any] | None) -> Middles | None:
    if tree is None:
        return None
    return Middles(
        sources=tuple(tree["sources"]),
        rate=float(tree.get("rate", 0.5)),
        suffix_first=float(tree.get("suffix_first", 0.5)),
        split=tree.get("split", "characters"),
        prefix=tree.get("prefix", "<|fim_prefix|>"),
        middle=tree.get("middle", "<|fim_middle|>"),
        suffix=tree.get("suffix", "<|fim_suffix|>"),
    )
