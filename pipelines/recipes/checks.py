"""What is wrong with a recipe beyond its schema: sense, rules and files.

In: the recipe's tree as it was read, and what the schema already found. Out: `Violation`s. Each
check looks only at parts that are whole, so that one mistake hides no other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixes.schema_errors import Violation, nearest, violations
from pipelines.recipes.curriculum_checks import stage_problems
from pipelines.recipes.files import SHARE_SUM_TOLERANCE
from transforms import storage
from transforms.annotators import ReadsFiles
from transforms.decontamination.benchmarks import Benchmark, BenchmarkError
from transforms.dedup.fuzzy import SIMILARITY
from transforms.dedup.minhash import PERMUTATIONS, RECALL, choose_bands
from transforms.mixing.curriculum import sources_mixed
from transforms.quality.conditions import quoted
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.rules import Rule, rule
from transforms.query import QueryError, tables_named
from transforms.tokens.mds import MOST_TOKENS as MDS_TOKENS
from transforms.tokens.parts import FILE_TOKENS
from transforms.tokens.specification import TokenizerError, TokenizerSpec

__all__ = [
    "DIRECTIONS",
    "Checks",
    "benchmark_of",
    "count_tokens",
    "keep_sql",
    "places_of",
    "rule_item",
]

MOST_TOKENS = 10**18
MOST_FILE_TOKENS = 1 << 40
DIRECTIONS = (" asc", " desc")  # of `pool.dedup.keep`, behind an attribute
Path = tuple[str | int, ...]
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_TOKENIZER_FILES = (".json", ".tiktoken")  # other names may be a hub's or an encoding's


@dataclass(frozen=True)
class Checks:
    """The checks of one tree. `found`: violations of the schema, of which nothing is said again."""

    tree: Any
    found: Sequence[Violation]

    def sense(self) -> Iterator[Violation]:
        """Numbers, names, rules and SQL that cannot be meant."""
        yield from self._sources()
        yield from self._benchmarks()
        yield from self._dedup()
        yield from self._shares()
        yield from self._stages()
        yield from self._mix()
        yield from self._quality()
        yield from self._gates()

    def missing_files(self, pattern: Callable[[str], str | None]) -> Iterator[Violation]:
        """A violation for each path that matches no file. `pattern`: a path of the recipe as a
        glob, None for one that is not to be looked for."""
        for place, holder, path in self._files():
            glob = pattern(path)
            if glob is not None and not storage.list_files([glob]):
                yield Violation(place, f"{holder}: no file matches {glob}")

    def _get(self, *path: str | int) -> Any:
        """The value at a place; None where there is none or something in it is wrong."""
        value = self.tree
        for part in path:
            if isinstance(part, int) or not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        return None if self._is_wrong(path) else value

    def _is_wrong(self, path: Path) -> bool:
        return any(one.path[: len(path)] == path for one in self.found if not one.is_unknown_key)

    def _names(self) -> list[str]:
        """The sources, whatever is wrong inside them; none where they cannot be told."""
        pool = self.tree.get("pool") if isinstance(self.tree, Mapping) else None
        sources = pool.get("sources") if isinstance(pool, Mapping) else None
        return list(sources) if isinstance(sources, Mapping) else []

    def _sources(self) -> Iterator[Violation]:
        for name in self._names():
            place = ("pool", "sources", name)
            ingest = self._get(*place, "ingest")
            for key in ("ocr", "pdf"):
                if ingest not in (None, "pdf") and self._get(*place, key) is not None:
                    message = f"'{key}' is for sources with ingest: pdf (it is {ingest})"
                    yield Violation((*place, key), message)
            named: list[str] = []
            for index, item in self._rules(name):
                yield from rule_problems((*place, "rules", index), item)
                rule_name, options = rule_item(item)
                # There may be several classifiers, each with its table.
                if rule_name == "classifier" and isinstance(options, dict):
                    rule_name = f"classifier {options.get('name')}"
                if rule_name in named:
                    message = f"rule '{rule_name}' stands twice in {name}; give its options at once"
                    yield Violation((*place, "rules", index), message)
                named.append(rule_name)

    def _rules(self, source: str) -> Iterator[tuple[int, Any]]:
        """Items of a source's rules that are whole."""
        place = ("pool", "sources", source)
        its = self.tree["pool"]["sources"][source]
        rules = its.get("rules") if isinstance(its, Mapping) else None
        for index, item in enumerate(rules if isinstance(rules, list) else ()):
            if not self._is_wrong((*place, "rules", index)):
                yield index, item

    def _benchmarks(self) -> Iterator[Violation]:
        names: list[str] = []
        for place, benchmark in self._whole_benchmarks():
            try:
                benchmark_of(benchmark)
            except BenchmarkError as error:
                yield Violation(place, str(error))
            if benchmark["name"] in names:
                message = (
                    f"two benchmarks are called '{benchmark['name']}'; give each a name of its own,"
                    " or name all its files under one"
                )
                yield Violation(place, message)
            names.append(benchmark["name"])

    def _whole_benchmarks(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        place = ("pool", "decontaminate", "benchmarks")
        value: Any = self.tree
        for part in place:
            value = value.get(part) if isinstance(value, Mapping) else None
        for index, one in enumerate(value if isinstance(value, list) else ()):
            # A misspelled key is not told again as one that lacks.
            if not any(wrong.path[: len(place) + 1] == (*place, index) for wrong in self.found):
                yield (*place, index), one

    def _dedup(self) -> Iterator[Violation]:
        place = ("pool", "dedup")
        fuzzy, exact = self._get(*place, "fuzzy"), self._get(*place, "exact")
        if fuzzy not in (None, False) and exact is False:
            message = "fuzzy deduplication needs 'exact: true': it looks at what exact left"
            yield Violation((*place, "exact"), message)
        if isinstance(fuzzy, Mapping):
            yield from self._fuzzy((*place, "fuzzy"), fuzzy)
        against = self._get(*place, "against") or []
        if against and self._get(*place, "substring") not in (None, False):
            message = (
                "'substring' cannot be asked of published keys, since passages are compared byte"
                " by byte and keys hold no text: leave out 'substring' or 'against'"
            )
            yield Violation((*place, "substring"), message)
        for index, one in enumerate(against):
            if one in against[:index]:
                yield Violation((*place, "against", index), f"'{one}' stands twice in 'against'")
        keep = self._get(*place, "keep") or []
        for index, one in enumerate(keep):
            if one in keep[:index]:
                yield Violation((*place, "keep", index), f"'{one}' stands twice in pool.dedup.keep")
            if one.endswith(DIRECTIONS):
                yield from _sql((*place, "keep", index), keep_sql(one))

    def _fuzzy(self, place: Path, fuzzy: Mapping[str, Any]) -> Iterator[Violation]:
        """Options that contradict each other, and a recall that cannot be had."""
        named = [key for key in ("bands", "rows") if key in fuzzy]
        if len(named) == 1:
            message = f"'{named[0]}' says nothing alone: name both bands and rows, or neither"
            yield Violation((*place, named[0]), message)
        chosen = "preset" if "preset" in fuzzy else "bands and rows" if named else ""
        asked = [key for key in ("recall", "permutations") if key in fuzzy]
        for key in asked if chosen else ():
            message = f"'{key}' is for bands that are chosen; leave it out, or '{chosen}'"
            yield Violation((*place, key), message)
        if not chosen:
            try:
                choose_bands(
                    fuzzy.get("similarity", SIMILARITY),
                    fuzzy.get("recall", RECALL),
                    fuzzy.get("permutations", PERMUTATIONS),
                )
            except ValueError as error:
                yield Violation((*place, *asked[:1]), f"pool.dedup.fuzzy: {error}")

    def _shares(self) -> Iterator[Violation]:
        place, names = ("mix", "shares"), self._names()
        shares = self._get(*place)
        exclude = self._get("mix", "exclude") or []
        if shares is not None:
            yield from _unknown(place, list(shares), names) if names else ()
            shared = self._shared() or {}
            for index, name in enumerate(exclude):
                if name not in shared:
                    message = f"'{name}' is excluded but has no share{nearest(name, list(shared))}"
                    yield Violation(("mix", "exclude", index), message)
            if set(shared) <= set(exclude):
                message = "every source is excluded; nothing is left to mix"
                yield Violation(("mix", "exclude"), message)
            total = math.fsum(shares.values())
            if abs(total - 1) > SHARE_SUM_TOLERANCE:
                yield Violation(place, f"shares must sum to 1 (they sum to {total:g})")
        epochs = self._get("mix", "max_epochs")
        if isinstance(epochs, dict) and names:
            yield from _unknown(("mix", "max_epochs"), list(epochs), ["default", *names])

    def _stages(self) -> Iterator[Violation]:
        """A curriculum's stages."""
        order = self._get("mix", "order")
        if isinstance(order, Mapping):
            shares, exclude = self._get("mix", "shares"), self._get("mix", "exclude") or []
            for index, stage in enumerate(order["stages"] if self._names() else ()):
                place = ("mix", "order", "stages", index, "shares")
                yield from _unknown(place, list(stage.get("shares", {})), self._names())
            yield from stage_problems(order["stages"], shares or {}, exclude)
            if order.get("quality") == "rising" and self._get("mix", "quality") is None:
                message = "'mix.order.quality' needs 'mix.quality', by which documents are good"
                yield Violation(("mix", "order", "quality"), message)

    def _shared(self) -> Any:
        """The sources that have a share, of the whole mix or of a stage; None where something is
        wrong in those of the mix."""
        shares, order = self._get("mix", "shares"), self._get("mix", "order")
        stages = order["stages"] if isinstance(order, Mapping) else []
        named = sources_mixed(shares or {}, stages)
        return None if shares is None else {**dict.fromkeys(named, 0.0), **shares}

    def _quality(self) -> Iterator[Violation]:
        """Names and shares of `mix.quality`, and its SQL."""
        place, shares = ("mix", "quality"), self._shared()
        quality = self._get(*place)
        repeat = self._get("mix", "repeat")
        if repeat is not None and "by" in repeat:
            yield from _sql(("mix", "repeat", "by"), repeat["by"])
        elif repeat is not None and self._get("pool") is not None and not self._deduplicates():
            message = "'mix.repeat' needs 'by': without deduplication no document stands for others"
            yield Violation(("mix", "repeat"), message)
        if quality is None:
            return
        for key in ("score", "topic"):
            if key in quality:
                yield from _sql((*place, key), quality[key])
        its = quality.get("sources", list(shares or ()))
        for index, name in enumerate(its if "sources" in quality and shares is not None else ()):
            if name not in shares:
                message = f"'{name}' in mix.quality.sources has no share{nearest(name, [*shares])}"
                yield Violation((*place, "sources", index), message)
        topics = quality.get("topics", {})
        if topics and "topic" not in quality:
            message = "'mix.quality.topics' needs 'topic': SQL that gives a document's label"
            yield Violation((*place, "topics"), message)
        for name, parts in topics.items():
            if name not in its and shares is not None:
                message = (
                    f"'{name}' in mix.quality.topics is no source of it{nearest(name, [*its])}"
                )
                yield Violation((*place, "topics", name), message)
            total = math.fsum(parts.values())
            if abs(total - 1) > SHARE_SUM_TOLERANCE:
                message = f"shares of the topics of {name} must sum to 1 (they sum to {total:g})"
                yield Violation((*place, "topics", name), message)

    def _deduplicates(self) -> bool:
        dedup = self._get("pool", "dedup")
        return dedup is not None and (
            dedup.get("exact", True) is not False or dedup.get("urls", False)
        )

    def _mix(self) -> Iterator[Violation]:
        yield from self._token_number("tokens", MOST_TOKENS)
        yield from self._token_number("file_tokens", MOST_FILE_TOKENS)
        file_tokens = count_tokens(self._get("mix", "file_tokens") or FILE_TOKENS)
        tokenizer = self._get("mix", "tokenizer")
        if tokenizer is not None:
            try:
                TokenizerSpec.from_recipe(tokenizer)
            except TokenizerError as error:
                yield Violation(("mix", "tokenizer"), str(error))
        outputs = self._get("mix", "outputs")
        if outputs is not None and "tokens" not in outputs:
            message = "'mix.outputs' must name tokens: by them a mix is proven, and the others too"
            yield Violation(("mix", "outputs"), message)
        if "mds" in (outputs or ()) and file_tokens > MDS_TOKENS:
            message = f"'mix.file_tokens' must be at most {MDS_TOKENS:,} for mds, whose files end"
            yield Violation(("mix", "file_tokens"), f"{message} at 4 GiB")
        sequence = self._get("mix", "sequence")
        if sequence is not None:
            yield from _sequence(sequence)
        if sequence is not None and sequence["length"] > file_tokens:
            told = f"which is {file_tokens:,}"
            message = f"a sequence must not be longer than 'mix.file_tokens', {told}"
            yield Violation(("mix", "sequence"), f"{message}: token files are packed one by one")
        if (self._get("mix", "order") or "shards") != "shards" and (
            self._get("mix", "slices") or 1
        ) > 1:
            message = "'mix.slices' divide the files of a shard; a shuffled mix has none"
            yield Violation(("mix", "slices"), message)
        middles = self._get("mix", "fill_in_middle")
        if middles is not None and self._names():
            place = ("mix", "fill_in_middle", "sources")
            yield from _unknown(place, middles["sources"], self._names())
        for name, window in (self._get("mix", "window") or {}).items():
            place, shared = ("mix", "window", name), self._shared()
            yield from _sql((*place, "score"), window["score"])
            if window["keep"][0] >= window["keep"][1]:
                message = f"the second quantile of mix.window.{name}.keep must be above the first"
                yield Violation((*place, "keep"), message)
            if shared is not None and name not in shared:
                message = f"'{name}' in mix.window has no share{nearest(name, [*shared])}"
                yield Violation(place, message)
        where = self._get("mix", "where")
        if where:
            yield from _sql(("mix", "where"), where)

    def _token_number(self, key: str, most: int) -> Iterator[Violation]:
        """A number with a unit that is out of its bounds; others are told by the schema."""
        value = self._get("mix", key)
        if value is not None and count_tokens(value) < 1:
            yield Violation(("mix", key), f"'mix.{key}' must be at least 1 token (got {value})")
        if value is not None and count_tokens(value) > most:
            message = f"'mix.{key}' must be at most {most:,} (got {value})"
            yield Violation(("mix", key), message)

    def _gates(self) -> Iterator[Violation]:
        for name, bounds in (self._get("gates") or {}).items():
            if not isinstance(bounds, Mapping):
                continue  # told by the schema
            if bounds.get("at_least", 0.0) > bounds.get("at_most", 1.0):
                message = f"gates.{name}: at_least is above at_most, so nothing can pass"
                yield Violation(("gates", name), message)

    def _files(self) -> Iterator[tuple[Path, str, str]]:
        """(place, of what it is, path) of every file that the recipe cannot do without."""
        for name in self._names():
            place = ("pool", "sources", name)
            if not self._get(*place, "allow_empty"):
                for index, path in enumerate(self._get(*place, "paths") or ()):
                    yield (*place, "paths", index), f"source {name}", path
            for index, item in self._rules(name):
                at = (*place, "rules", index)
                built = None if any(rule_problems(at, item)) else rule(*rule_item(item))
                for path in _files_of(built) if built else ():
                    below = next(places_of(item, path), ())  # the line that names it
                    yield (*at, *below), f"rule {rule_item(item)[0]}", path
        for whole, benchmark in self._whole_benchmarks():
            for index, path in enumerate(benchmark["paths"]):
                yield (*whole, "paths", index), f"benchmark {benchmark['name']}", path
        tokenizer = self._get("mix", "tokenizer")
        named = tokenizer.get("name") if isinstance(tokenizer, Mapping) else tokenizer
        if isinstance(named, str) and named.endswith(_TOKENIZER_FILES):
            yield ("mix", "tokenizer"), "tokenizer", named


def keep_sql(kept: str) -> str:
    """The SQL of `<attribute> desc` or `asc` in `pool.dedup.keep`; of a table alone, its score."""
    name = kept.rsplit(" ", 1)[0]
    return quoted(name if "." in name else f"{name}.score")


def rule_problems(place: Path, item: Any) -> Iterator[Violation]:
    """What is wrong with an item of a source's `rules`."""
    name, options = rule_item(item)
    if name not in RULE_SCHEMAS:
        message = f"unknown rule '{name}'{nearest(name, list(RULE_SCHEMAS))}"
        yield Violation(place, message)
        return
    wrong = False
    for path, message, _ in violations(options, RULE_SCHEMAS[name]):
        wrong = True
        message = message.replace("the recipe", f"rule '{name}'")
        yield Violation((*place, name, *path), message)
    if not wrong:
        try:
            rule(name, options)
        except ValueError as error:
            yield Violation((*place, name), f"rule '{name}': {error}")


def rule_item(item: Any) -> tuple[str, dict[str, Any]]:
    """Name and options of an item of `rules`."""
    if isinstance(item, str):
        return item, {}
    name, options = next(iter(item.items()))
    return name, {} if options is None else options


def benchmark_of(tree: Mapping[str, Any]) -> Benchmark:
    """A benchmark of a recipe; BenchmarkError where it names no layout and no fields, or both."""
    return Benchmark(
        name=tree["name"],
        paths=tuple(tree["paths"]),
        layout=tree.get("layout", ""),
        fields=tuple(tree.get("fields", [])),
        identifier=tree.get("id", ""),
    )


def count_tokens(value: int | str) -> int:
    """`1.5M` as a whole number."""
    if isinstance(value, int):
        return value
    number, unit = re.fullmatch(r"([0-9.]+)([KMBT]?)", value).groups()  # type: ignore[union-attr]
    whole, _, decimals = number.partition(".")
    scaled = int(whole + decimals) * _UNITS[unit]  # exact: no float in between
    return int(scaled // 10 ** len(decimals))


def _sequence(sequence: Mapping[str, Any]) -> Iterator[Violation]:
    """Options of `mix.sequence` that its packing does not know, and buckets that cannot be."""
    place = ("mix", "sequence")
    packing, length = sequence.get("packing", "best_fit"), sequence["length"]
    if packing == "concatenate" and "long" in sequence:
        message = "'long' is for best_fit: documents that are concatenated go on in the next"
        yield Violation((*place, "long"), f"{message} sequence")
    if packing == "buckets" and "long" in sequence:
        message = "'long' is for best_fit: in buckets a longer document is several sequences"
        yield Violation((*place, "long"), message)
    if packing != "buckets" and "shortest" in sequence:
        message = f"'mix.sequence.shortest' is for packing: buckets (it is {packing})"
        yield Violation((*place, "shortest"), message)
    if packing == "buckets":
        for key in ("length", "shortest"):
            value = sequence.get(key, 256)
            if value & (value - 1):
                lower = 1 << (value.bit_length() - 1)
                message = f"'mix.sequence.{key}' must be a power of two with packing: buckets"
                told = f"{message} (got {value}); {lower} or {2 * lower} is"
                yield Violation((*place, key), told)
        if sequence.get("shortest", 0) > length:
            message = f"'shortest' must not be above 'length', which is {length:,}"
            yield Violation((*place, "shortest"), message)


def _files_of(built: Rule) -> Iterator[str]:
    for annotator in built.annotators:
        if isinstance(annotator, ReadsFiles):
            yield from (file.path for file in annotator.files)


def places_of(value: Any, wanted: str) -> Iterator[Path]:
    """Key paths at which a text stands in a tree."""
    if value == wanted:
        yield ()
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from ((key, *place) for place in places_of(one, wanted))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, one in enumerate(value):
            yield from ((index, *place) for place in places_of(one, wanted))


def _unknown(place: Path, names: list[str], known: list[str]) -> Iterator[Violation]:
    for name in names:
        if name not in known:
            message = f"'{name}' in {'.'.join(map(str, place))} is no source{nearest(name, known)}"
            yield Violation((*place, name), message)


def _sql(place: Path, expression: str) -> Iterator[Violation]:
    """A violation where an expression is no SQL; what it names is looked at by the workflow."""
    try:
        tables_named([expression])
    except QueryError as error:
        named = ".".join(str(one) for one in place)
        yield Violation(place, f"{named}: {error}")
