"""Which annotators read a source's text, and which columns conditions may name.

A source is scored for its own rules, for duplicates, and for what the recipe's `where` and `keep`
name: those speak of all sources, so what they name is measured of all.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from pipelines.mixing.eligible import Grade
from pipelines.recipes.checks import keep_sql
from pipelines.recipes.pool_part import Source
from pipelines.recipes.recipe import Recipe
from pipelines.stage_names import TABLES
from pipelines.tokenize import TOKENS_SCHEMA
from transforms.annotators import Annotator
from transforms.decontamination.annotator import CONTAMINATION_SCHEMA
from transforms.decontamination.annotator import NAME as CONTAMINATION
from transforms.dedup.exact import EXACT_SCHEMA, ExactHash
from transforms.dedup.fuzzy import FUZZY_SCHEMA
from transforms.dedup.minhash import MinHash
from transforms.dedup.passages import PASSAGES_SCHEMA
from transforms.dedup.url import UrlHash
from transforms.documents import SCHEMA as DOCUMENTS_SCHEMA
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.rules import rule
from transforms.quality.size import Size
from transforms.query import tables_named

__all__ = [
    "MEASURABLE",
    "grades",
    "keep_criteria",
    "mix_expressions_of",
    "mixing_schemas",
    "scorers",
    "source_schemas",
    "where_expressions",
]

NEED_OPTIONS = ("classifier", "url_lists")  # rules that measure nothing until told by what
# Tables that `where` and `keep` may name though no rule does.
MEASURABLE = tuple(sorted(RULE_SCHEMAS.keys() - {*NEED_OPTIONS}))
SOURCE_ORDER = "source order"
# What else `keep` says in words: the greatest of which survives. The documents' own times cannot
# be named otherwise: what SQL says of them could depend on where it runs.
_WORDS = {
    "newest": "epoch_us(coalesce(documents.created, documents.added))",
    "longest": "size.bytes",
}
_TIMES = pa.schema([one for one in DOCUMENTS_SCHEMA if pa.types.is_timestamp(one.type)])


def where_expressions(recipe: Recipe) -> list[str]:
    """The recipe's `where`, if it has one."""
    return [recipe.mix.where] if recipe.mix.where else []


def keep_criteria(recipe: Recipe, source: Source) -> tuple[tuple[str, bool], ...]:
    """(SQL over a document's attributes, descending) of the recipe's `keep`."""
    place = [one.name for one in recipe.sources].index(source.name)
    return tuple(_criterion(one, place) for one in recipe.keep)


def _criterion(kept: str, place: int) -> tuple[str, bool]:
    if kept == SOURCE_ORDER:
        return str(place), False
    if kept in _WORDS:
        return _WORDS[kept], True
    return keep_sql(kept), kept.endswith(" desc")


def grades(recipe: Recipe) -> dict[str, Grade]:
    """By source, what sorts its documents into cells, where quality or repetition decide."""
    quality, repeat = recipe.mix.quality, recipe.mix.repeat
    found = {}
    for source in recipe.mix.proportions:
        its = quality if quality and quality.grades(source) else None
        if its or repeat:
            found[source] = Grade(
                score=its.score if its else None,
                topic=its.topic if its else None,
                by=(repeat.by or _stands_for(recipe)) if repeat else None,
                steps=((0, 1), *(repeat.times if repeat else ())),
            )
    return found


def mix_expressions_of(recipe: Recipe, source: str) -> list[str]:
    """All SQL by which the mix chooses among a source's documents."""
    grade, window = grades(recipe).get(source), recipe.mix.windows.get(source)
    return [
        *where_expressions(recipe),
        *([window.score] if window else []),
        *(grade.expressions if grade else []),
    ]


def _stands_for(recipe: Recipe) -> str:
    """For how many documents one stands after the last deduplication; 1 without any."""
    if recipe.fuzzy:
        return "fuzzy_duplicates.stands_for"
    if recipe.exact:
        return "exact_duplicates.stands_for"
    return "url_duplicates.stands_for" if recipe.urls else "1"


def scorers(recipe: Recipe, source: Source) -> list[Annotator]:
    """The annotators of a source, each once, but for the one that needs the benchmark index."""
    its: dict[str, Annotator] = {"size": Size()}
    if recipe.urls:
        its["url"] = UrlHash()
    if recipe.exact:
        its["exact"] = ExactHash(recipe.exact)
    if recipe.fuzzy:
        its["minhash"] = MinHash(recipe.fuzzy.ngram, recipe.fuzzy.bands, recipe.fuzzy.rows)
    columns = [column for column, _ in keep_criteria(recipe, source)]
    # What another source's rule measures is measured here with the options of the first that has
    # it, else with those of a rule without any.
    lent: dict[str, Annotator] = {}
    for one in (one for other in recipe.sources for one in other.rules):
        for annotator in one.annotators:
            lent.setdefault(annotator.name, annotator)
    for name in tables_named([*mix_expressions_of(recipe, source.name), *columns]):
        if name in lent:
            its[name] = lent[name]
        elif name in MEASURABLE:
            its.update((annotator.name, annotator) for annotator in rule(name, {}).annotators)
    for one in source.rules:
        its.update((annotator.name, annotator) for annotator in one.annotators)
    return list(its.values())


def source_schemas(recipe: Recipe, source: Source) -> dict[str, pa.Schema]:
    """The attribute tables of a source that its rules and `keep` may name."""
    its = {"documents": _TIMES, **{one.name: one.schema for one in scorers(recipe, source)}}
    if recipe.decontamination:
        its[CONTAMINATION] = CONTAMINATION_SCHEMA
    return its


def mixing_schemas(recipe: Recipe, sources: Collection[str] = ()) -> dict[str, pa.Schema]:
    """What the SQL of the mix may name: tables that all of these sources have (none: all that there
    are), and those made after filtering."""
    its = [source for source in recipe.sources if not sources or source.name in sources]
    first, *others = [source_schemas(recipe, source) for source in its]
    common = {
        name: pa.schema([one for one in schema if all(one in other[name] for other in others)])
        for name, schema in first.items()
        if name != "documents" and all(name in other for other in others)
    }
    if recipe.urls:
        common["url_duplicates"] = EXACT_SCHEMA
    if recipe.exact:
        common["exact_duplicates"] = EXACT_SCHEMA
    if recipe.fuzzy:
        common["fuzzy_duplicates"] = FUZZY_SCHEMA
    common.update((TABLES[repeats.stage], PASSAGES_SCHEMA) for repeats in recipe.repeats)
    return {**common, "tokens": TOKENS_SCHEMA}
