"""Sweeps: `--sweep gopher.words.min=30,50,100`, what a recipe would give with several values.

In: keys with values, as the command line has them. Out: for each combination of values (a grid,
bounded) the overrides that make that recipe. A key may be written shortly: a rule's (`gopher.words
.min`, in all sources that have the rule), a source's (`web.gopher.words.min`) or one of `mix`
(`shares.web`, `tokens`); `min` and `max` stand for `at_least` and `at_most`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product

from mixes.schema_errors import nearest
from pipelines.command_line import CommandError
from pipelines.recipes.recipe import Recipe, recipe_schema
from transforms.quality.rule_schemas import RULE_SCHEMAS

__all__ = ["MOST_VARIANTS", "Sweep", "Variant", "make_grid", "parse_sweep"]

MOST_VARIANTS = 64  # of a grid: each is evaluated over all documents
_BOUNDS = {"min": "at_least", "max": "at_most"}
_WHOLE = ("mix", "pool", "gates")  # keys that begin a full path


@dataclass(frozen=True)
class Sweep:
    """A key as it was written, the recipe's keys that it means, and its values as texts."""

    key: str
    paths: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """One combination: value by key as written, and the overrides that set it."""

    values: tuple[tuple[str, str], ...]
    overrides: tuple[str, ...]


def parse_sweep(text: str, recipe: Recipe) -> Sweep:
    """A sweep of a recipe. CommandError for what is none, with the nearest name."""
    key, equals, listed = text.partition("=")
    key = key.strip()
    values = tuple(dict.fromkeys(one.strip() for one in listed.split(",")))
    if not equals or not key or not all(values):
        raise CommandError(f"--sweep takes KEY=VALUE,VALUE (got '{text}')")
    return Sweep(key, tuple(_paths(key, recipe)), values)


def _paths(key: str, recipe: Recipe) -> Iterator[str]:
    parts = key.split(".")
    in_mix = (*recipe.tree["mix"], "max_epochs", "shortage", "where", "exclude", "quality")
    names = [source.name for source in recipe.sources]
    if parts[0] in _WHOLE:
        yield key
    elif parts[0] in RULE_SCHEMAS:
        its = [one.name for one in recipe.sources if parts[0] in {r.name for r in one.rules}]
        if not its:
            raise CommandError(f"no source has the rule '{parts[0]}', which --sweep {key} names")
        for source in its:
            yield _rule_path(source, parts)
    elif parts[0] in names and len(parts) > 1 and parts[1] in RULE_SCHEMAS:
        yield _rule_path(parts[0], parts[1:])
    elif parts[0] in in_mix:
        yield f"mix.{key}"
    else:
        its = recipe_schema()["$defs"]["dedup"]["properties"].get(parts[0])
        if its is not None:
            its = recipe_schema()["$defs"]["units"] if "$ref" in its else its
            close = get_close_matches(parts[-1], its.get("properties", {}), n=1)
            whole = ".".join(["pool.dedup", parts[0], *(close if len(parts) > 1 else ())])
            raise CommandError(
                f"--sweep names no key of the recipe: '{key}'; did you mean '{whole}'?"
            )
        known = sorted({*RULE_SCHEMAS, *names, *in_mix, *_WHOLE})
        raise CommandError(f"--sweep names no key of the recipe: '{key}'{nearest(parts[0], known)}")


def _rule_path(source: str, parts: Sequence[str]) -> str:
    rest = [*parts[:-1], _BOUNDS.get(parts[-1], parts[-1])]
    return f"pool.sources.{source}.rules.{'.'.join(rest)}"


def make_grid(sweeps: Sequence[Sweep]) -> list[Variant]:
    """All combinations, the last key's values fastest. CommandError when there are too many, or
    when two sweeps change the same key."""
    swept: dict[str, str] = {}
    for sweep in sweeps:
        for path in sweep.paths:
            if path in swept:
                raise CommandError(
                    f"--sweep changes {path} twice, as '{swept[path]}' and '{sweep.key}': give all"
                    " its values at once"
                )
            swept[path] = sweep.key
    count = 1
    for sweep in sweeps:
        count *= len(sweep.values)
    if count > MOST_VARIANTS:
        raise CommandError(
            f"{count} combinations are more than a sweep may have ({MOST_VARIANTS}):"
            " give fewer values"
        )
    grid = []
    for values in product(*(sweep.values for sweep in sweeps)):
        pairs = list(zip(sweeps, values, strict=True))
        grid.append(
            Variant(
                tuple((sweep.key, value) for sweep, value in pairs),
                tuple(f"{path}={value}" for sweep, value in pairs for path in sweep.paths),
            )
        )
    return grid
