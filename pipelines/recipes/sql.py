"""The SQL that users write in a recipe: where it stands, what it may name, whether it makes sense.

All of it is asked of DuckDB before any work, on empty tables of the columns that there will be.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pipelines.recipes.checks import DIRECTIONS, keep_sql
from pipelines.recipes.recipe import Recipe, RecipeError
from pipelines.scorers import MEASURABLE, mixing_schemas, source_schemas, where_expressions
from transforms.query import QueryError, check_expressions

__all__ = ["WHERE", "Place", "check_sql", "mix_expressions", "mix_schemas"]

Place = tuple[str | int, ...]  # keys that lead to a value of the recipe
WHERE: Place = ("mix", "where")
_KEEP: Place = ("pool", "dedup", "keep")
# A place, what is written there, the tables that it may name and what it must give.
_Check = tuple[Place, list[str], dict[str, pa.Schema], str]


def mix_expressions(recipe: Recipe) -> dict[Place, str]:
    """The SQL of the mix, by where it stands in the recipe."""
    mix = recipe.mix
    written: dict[Place, str | None] = {WHERE: mix.where}
    if mix.quality and any(map(mix.quality.grades, mix.proportions)):
        written |= {("mix", "quality", "score"): mix.quality.score}
        written |= {("mix", "quality", "topic"): mix.quality.topic}
    for source, window in mix.windows.items():
        if source in mix.proportions:
            written |= {("mix", "window", source, "score"): window.score}
    if mix.repeat:
        written |= {("mix", "repeat", "by"): mix.repeat.by}
    return {place: one for place, one in written.items() if one}


def mix_schemas(recipe: Recipe, place: Place) -> dict[str, pa.Schema]:
    """What an SQL of the mix may name: what all sources have of which it is asked."""
    quality = recipe.mix.quality if "quality" in place else None
    asked = [name for name in recipe.mix.proportions if quality is None or quality.grades(name)]
    if place[1] == "window":
        asked = [str(place[2])]
    return mixing_schemas(recipe, () if place == WHERE else asked)


def check_sql(recipe: Recipe) -> None:
    """RecipeError with a problem for each SQL that names what is not there, or gives what cannot
    be used there."""
    problems = []
    for place, expressions, schemas, kind in _checks(recipe):
        try:
            others = () if place[-1] == "rules" else MEASURABLE
            check_expressions(expressions, schemas, kind, others)
        except QueryError as error:
            named = ".".join(str(part) for part in place)
            problems.append(recipe.problem(place, f"{named}: {error}"))
    if problems:
        raise RecipeError(list(dict.fromkeys(problems)))


def _checks(recipe: Recipe) -> Iterator[_Check]:
    yield WHERE, where_expressions(recipe), mixing_schemas(recipe), "boolean"
    for place, expression in mix_expressions(recipe).items():
        if place != WHERE:
            kind = {"topic": "text", "by": "whole number"}.get(str(place[-1]), "number")
            yield place, [expression], mix_schemas(recipe, place), kind
    for source in recipe.sources:
        # The documents' times, which `newest` looks at, have no name for users.
        schemas = source_schemas(recipe, source)
        nameable = {name: one for name, one in schemas.items() if name != "documents"}
        for index, one in enumerate(recipe.keep):
            if one.endswith(DIRECTIONS):
                yield (*_KEEP, index), [keep_sql(one)], nameable, "number"
        conditions = [one.to_sql() for its in source.rules for one in its.conditions]
        yield ("pool", "sources", source.name, "rules"), conditions, schemas, "boolean"
