"""The pool of a recipe as frozen values: its sources, what counts as a duplicate, benchmarks.

In: parts of a checked recipe's tree. Each default stands here alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.recipes.checks import benchmark_of, rule_item
from pipelines.stage_names import LINE_DEDUP, PARAGRAPH_DEDUP, SUBSTRING_DEDUP
from transforms.decontamination.benchmarks import Benchmark
from transforms.dedup.fuzzy import SIMILARITY
from transforms.dedup.minhash import NGRAM, PERMUTATIONS, PRESETS, RECALL, choose_bands
from transforms.dedup.substring import SIZE
from transforms.dedup.units import WORDS
from transforms.quality.rules import Rule, rule

__all__ = [
    "REPEATS",
    "Decontamination",
    "Fuzzy",
    "Repeats",
    "Source",
    "read_decontamination",
    "read_exact",
    "read_fuzzy",
    "read_repeats",
    "read_source",
]

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


def read_source(name: str, tree: Mapping[str, Any]) -> Source:
    """One of `pool.sources`."""
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


def read_exact(tree: Mapping[str, Any] | bool) -> str | None:
    """`pool.dedup.exact`: what must be equal, text or words; None where nothing is looked for."""
    if isinstance(tree, bool):
        return "text" if tree else None
    return str(tree.get("by", "text"))


def read_fuzzy(tree: Mapping[str, Any] | bool) -> Fuzzy | None:
    """`pool.dedup.fuzzy`, with bands and rows chosen where the recipe names none."""
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


def read_repeats(dedup: Mapping[str, Any]) -> tuple[Repeats, ...]:
    """What `pool.dedup` wants cut, in the order of `REPEATS`."""
    found = []
    for unit in REPEATS:
        tree = dedup.get(unit, False)
        if tree is not False:
            options: Mapping[str, Any] = tree if isinstance(tree, Mapping) else {}
            least = options.get("at_least", SIZE if unit == "substring" else WORDS)
            found.append(Repeats(unit, least, options.get("join")))
    return tuple(found)


def read_decontamination(tree: Mapping[str, Any] | None) -> Decontamination | None:
    """`pool.decontaminate`."""
    if tree is None:
        return None
    return Decontamination(
        ngram=tree.get("ngram", 8),
        remove=tree.get("remove", "document"),
        ignore=tuple(tree.get("ignore", [])),
        benchmarks=tuple(benchmark_of(one) for one in tree["benchmarks"]),
    )
