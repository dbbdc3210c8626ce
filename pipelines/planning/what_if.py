"""What if: what other thresholds, queries and shares would leave of the pool, from stored scores.

In: recipes that measure the same (variants) and the tables that annotate has made. Out, for each
variant and source: documents that its rules keep, and tokens that it would have. Rules and `where`
are asked anew of every document; nothing is run. Tokens are exact for what the recipe's own tables
hold (later_tables.py). A document that only the new rules let in was neither deduplicated nor
tokenized: its tokens are estimated by its bytes, at the rate at which the bytes of other candidates
of its source became tokens. Windows keep what lies between the bounds that were found for them,
which is exact while nothing moves these; a changed one its share of documents. What stricter rules
do to duplicates (another one may stay) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.command_line import CommandError
from pipelines.filter import source_conditions
from pipelines.mixing.eligible import as_scores
from pipelines.mixing.shard_passes import ShardPasses
from pipelines.planning.foreseen import unforeseen
from pipelines.planning.later_tables import LaterTables
from pipelines.recipes.mix_part import Mix
from pipelines.recipes.recipe import Recipe
from pipelines.recipes.sql import mix_schemas
from pipelines.scorers import mixing_schemas, scorers, source_schemas
from pipelines.scratch import scratch
from pipelines.stage_names import ANNOTATE, FILTER, TABLES, TOKENIZE
from pipelines.workspace import Workspace
from transforms.attributes import read_aligned
from transforms.datasets import Manifest
from transforms.dedup.pool import PoolShard
from transforms.mixing.budget import BudgetError, divide_tokens, most_tokens
from transforms.mixing.shortage import settle
from transforms.mixing.window import WindowBounds
from transforms.query import EVALUATED_ROWS, columns_used, evaluate

__all__ = ["Outlook", "RuleEffect", "SourceOutlook", "check_comparable", "look_ahead"]

Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RuleEffect:
    """What a rule removes: `alone`, were it the only one; `only`, what no other rule removes, so
    that would stay without it; `first`, what no rule before it removes. Documents each."""

    reason: str
    alone: int
    only: int
    first: int


@dataclass(frozen=True)
class SourceOutlook:
    """What a variant would leave of a source and take of it. Tokens are None where the source was
    never tokenized. `kept_documents`: by the rules; `pool_documents`: of these those that meet
    `where`, were no duplicates and lie inside a window whose bounds are known, where that was
    looked at (None: nowhere); `estimated_documents`: of these those of which that, or their tokens,
    is estimated; `taken_tokens`: at most, since documents are whole: less than one of
    them lacks; `missing_tokens`: of what is wanted, beyond what the source can give."""

    documents: int
    kept_documents: int
    kept_bytes: int
    pool_documents: int | None
    estimated_documents: int
    available_tokens: int | None
    wanted_tokens: int
    taken_tokens: int | None
    missing_tokens: int | None
    rules: tuple[RuleEffect, ...]

    @property
    def epochs(self) -> float | None:
        """Taken over available tokens."""
        if self.taken_tokens is None or not self.available_tokens:
            return None
        return self.taken_tokens / self.available_tokens


@dataclass(frozen=True)
class Outlook:
    """What a variant would leave, by source; `mixed`: those that are in its mix. `refused`: why a
    run would refuse it for want of tokens, a sentence; None where it would not, or where tokens
    are not known."""

    sources: Mapping[str, SourceOutlook]
    mixed: tuple[str, ...]
    refused: str | None


@dataclass(frozen=True)
class _Asked:
    """What a variant asks of a source's documents, as places in `_Question.expressions`: its
    conditions in order, its query, and the score of its window where bounds of this are known.
    `exact`: all that it has to ask is asked, of tables of its own."""

    conditions: tuple[int, ...]
    where: int | None
    window: int | None
    exact: bool


@dataclass(frozen=True)
class _Question:
    """Distinct SQL, and which of it each variant asks. `bounds`: of the source's window."""

    expressions: tuple[str, ...]
    variants: tuple[_Asked, ...]
    schemas: Mapping[str, pa.Schema]
    bounds: WindowBounds | None


def check_comparable(base: Recipe, other: Recipe) -> None:
    """CommandError where a variant would measure something else, or find other duplicates,
    passages or tokens, which only a run can."""
    for source in base.sources:
        if source.name not in {one.name for one in other.sources}:
            raise CommandError(f"a sweep keeps the sources: {source.name} is gone; run it instead")
        theirs = {one.name: one for one in scorers(other, other.source(source.name))}
        ours = {one.name: one for one in scorers(base, source)}
        changed = sorted(n for n in {*theirs, *ours} if theirs.get(n) != ours.get(n))
        if changed:
            raise CommandError(
                f"this changes what {ANNOTATE} measures ({changed[0]} of {source.name}), which no"
                " sweep can see: run it with a name of its own"
            )
    key = unforeseen(base.tree, other.tree)
    if key:
        raise CommandError(
            f"this changes {key}, which no sweep can see: run it with a name of its own"
        )


def look_ahead(
    workspace: Workspace,
    variants: Sequence[Recipe],
    later: LaterTables,
    documents: Mapping[str, Manifest],
    options: PipelineOptions,
) -> list[Outlook]:
    """The outlook of each variant, over shards with the tables of annotate and of what follows.
    `documents`: manifests of the pool by source."""
    tables = {shard.source: {*shard.tables} for shard in later.shards}
    questions = {
        source: _question(variants, source, tables.get(source, set()), later)
        for source in documents
    }
    shards = [shard for shard in later.shards if shard.file.rows]
    with scratch(workspace, "what-if") as folder:
        passes = ShardPasses("what-if", workspace, shards, folder, options)
        counted = passes.collect("count", partial(_count, questions=questions), _join)
    return [_outlook(recipe, index, questions, counted) for index, recipe in enumerate(variants)]


def _question(
    variants: Sequence[Recipe], source: str, tables: set[str], later: LaterTables
) -> _Question:
    numbers: dict[str, int] = {}
    asked = []
    schemas: dict[str, pa.Schema] = {}
    for recipe in variants:
        its = recipe.source(source)
        conditions = [one.to_sql() for one in source_conditions(recipe, its)]
        schemas |= mixing_schemas(recipe) | source_schemas(recipe, its)
        exact = later.own
        where = recipe.mix.where
        if where and not set(columns_used([where], schemas)) <= tables:
            where, exact = None, False  # of tables that are still to be made
        window = recipe.mix.windows.get(source) if source in recipe.mix.proportions else None
        score = None
        if window:
            schemas |= mix_schemas(recipe, ("mix", "window", source, "score"))
            score = window.score if later.has_bounds(source, window) else None
            if score and not set(columns_used([score], schemas)) <= tables:
                score = None
            exact = exact and score is not None and later.knows_window(recipe, source)
        for sql in [*conditions, where, score]:
            if sql:
                numbers.setdefault(sql, len(numbers))
        asked.append(
            _Asked(
                tuple(numbers[one] for one in conditions),
                numbers[where] if where else None,
                numbers[score] if score else None,
                exact,
            )
        )
    bounds = later.windows[source].bounds if source in later.windows else None
    return _Question(tuple(numbers), tuple(asked), schemas, bounds)


def _count(shard: PoolShard, questions: Mapping[str, _Question]) -> tuple[str, dict[str, Array]]:
    """What each variant keeps of a shard; see `_answer`."""
    question = questions[shard.source]
    used = columns_used(question.expressions, question.schemas)
    columns: dict[str, list[str] | None] = {table: list(names) for table, names in used.items()}
    columns["size"] = sorted({*(columns.get("size") or []), "bytes"})
    for table, column in ((TABLES[FILTER], "candidate"), (TABLES[TOKENIZE], "count")):
        if table in shard.tables:
            columns[table] = sorted({*(columns.get(table) or []), column})
    paths = {name: shard.tables[name] for name in columns if name in shard.tables}
    if "documents" in columns:
        paths["documents"] = shard.documents
    parts: list[dict[str, Array]] = []
    for tables in read_aligned(paths, shard.file.rows_digest, columns, EVALUATED_ROWS):
        parts.append(_answer(question, used, tables))
    return shard.source, _join(parts)


def _answer(
    question: _Question, used: Mapping[str, Any], tables: Mapping[str, pa.RecordBatch]
) -> dict[str, Array]:
    """Counts of some documents. `pool`: documents, bytes of candidates, bytes and tokens of the
    pool; `variants` [variants, 6]: documents and bytes kept by the rules, documents and tokens of
    these in the pool, documents and bytes of these that were no candidates; `rules` [conditions of
    the first variant, 3]: documents that each removes alone, only, first."""
    sizes = tables["size"].column("bytes").to_numpy(zero_copy_only=False).astype(np.int64)
    rows = len(sizes)
    values = evaluate(question.expressions, {name: tables[name] for name in used}, rows)
    scores = {asked.window for asked in question.variants} - {None}
    met = [
        _inside(one, question.bounds)
        if number in scores
        else one.fill_null(False).to_numpy(zero_copy_only=False)
        for number, one in enumerate(values)
    ]
    candidate = np.zeros(rows, np.bool_)
    if TABLES[FILTER] in tables:
        column = tables[TABLES[FILTER]].column("candidate").fill_null(False)
        candidate = column.to_numpy(zero_copy_only=False)
    pooled, tokens = np.zeros(rows, np.bool_), np.zeros(rows, np.int64)
    if TABLES[TOKENIZE] in tables:
        counts = tables[TABLES[TOKENIZE]].column("count")
        pooled = counts.is_valid().to_numpy(zero_copy_only=False)
        tokens = counts.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    variants = []
    everyone = np.ones(rows, np.bool_)
    for one in question.variants:
        kept = np.logical_and.reduce([everyone, *(met[number] for number in one.conditions)])
        asked = kept
        for number in (one.where, one.window):
            asked = asked if number is None else asked & met[number]
        known, new = asked & pooled, asked & ~candidate
        variants.append(
            [
                int(kept.sum()), int(sizes[kept].sum()),
                int(known.sum()), int(tokens[known].sum()),
                int(new.sum()), int(sizes[new].sum()),
            ]
        )  # fmt: skip
    fails = [~met[number] for number in question.variants[0].conditions]
    often = np.sum(fails, axis=0) if fails else np.zeros(rows, np.int64)
    rules = []
    before = np.zeros(rows, np.bool_)
    for alone in fails:
        only, first = alone & (often == 1), alone & ~before
        rules.append([int(alone.sum()), int(only.sum()), int(first.sum())])
        before |= alone
    pool = [rows, int(sizes[candidate].sum()), int(sizes[pooled].sum()), int(tokens.sum())]
    return {
        "pool": np.array(pool, np.int64),
        "variants": np.array(variants, np.int64),
        "rules": np.array(rules, np.int64).reshape(len(fails), 3),
    }


def _inside(scores: pa.Array, bounds: WindowBounds | None) -> npt.NDArray[np.bool_]:
    """Which documents lie inside a window."""
    assert bounds is not None  # else its score is not asked
    return bounds.inside(as_scores(scores))


def _join(results: Iterable[dict[str, Array]]) -> dict[str, Array]:
    total: dict[str, Array] = {}
    for one in results:
        total = {name: its + total[name] if total else its for name, its in one.items()}
    return total


def _outlook(
    recipe: Recipe,
    index: int,
    questions: Mapping[str, _Question],
    counted: Mapping[str, dict[str, Array]],
) -> Outlook:
    rates = _rates(counted)
    available: dict[str, int | None] = {}
    for source, its in counted.items():
        known, new = int(its["variants"][index][3]), int(its["variants"][index][5])
        rate = rates[source]
        available[source] = None if rate is None else known + round(new * rate)
        there, window = available[source], recipe.mix.windows.get(source)
        asked = questions[source].variants[index]
        if window and source in recipe.mix.proportions and asked.window is None and there:
            # As if documents had the same lengths everywhere: where bounds will lie is not known.
            available[source] = round(there * (window.high - window.low))
    shares = recipe.mix.proportions
    wanted, most, refused = _settled(recipe.mix, available)
    outlook = {}
    for source in questions:
        its = counted.get(source, {})
        counts = its["variants"][index].tolist() if its else [0] * 6
        can = most.get(source)
        taken = None if can is None else min(wanted.get(source, 0), can)
        missing = None if can is None else max(wanted.get(source, 0) - can, 0)
        reasons = [one.reason for one in source_conditions(recipe, recipe.source(source))]
        exact = questions[source].variants[index].exact
        effects = its["rules"].tolist() if its and index == 0 else []
        outlook[source] = SourceOutlook(
            documents=int(its["pool"][0]) if its else 0,
            kept_documents=counts[0],
            kept_bytes=counts[1],
            # Of candidates of which none was tokenized nobody knows which are duplicates.
            pool_documents=None
            if its and (rates[source] is None or (its["pool"][1] and not its["pool"][3]))
            else counts[2] + counts[4],
            estimated_documents=counts[4] + (0 if exact else counts[2]),
            available_tokens=available.get(source, 0),
            wanted_tokens=wanted.get(source, 0),
            taken_tokens=taken if source in shares else 0,
            missing_tokens=missing if source in shares else 0,
            rules=tuple(
                RuleEffect(reason, *numbers)
                for reason, numbers in zip(reasons, effects, strict=False)
            ),
        )
    return Outlook(outlook, tuple(shares), refused)


def _rates(counted: Mapping[str, dict[str, Array]]) -> dict[str, float | None]:
    """Tokens that a byte of a candidate became, by source; of one without candidates, of all."""
    whole = np.sum([its["pool"] for its in counted.values()], axis=0) if counted else [0] * 4
    overall = float(whole[3] / whole[1]) if whole[1] and whole[3] else None
    return {
        source: float(its["pool"][3] / its["pool"][1])
        if its["pool"][1] and its["pool"][3]
        else overall
        for source, its in counted.items()
    }


def _settled(
    mix: Mix, available: Mapping[str, int | None]
) -> tuple[dict[str, int], dict[str, int | None], str | None]:
    """Tokens wanted of each source, what each can give (None where that is not known), and why a
    run would refuse that."""
    most: dict[str, int | None] = {}
    for source in mix.proportions:
        its = available.get(source, 0)
        most[source] = None if its is None else _can_give(mix, source, its)
    known = {source: its for source, its in most.items() if its is not None}
    if len(known) == len(most):
        try:
            wanted = settle(mix.tokens, mix.proportions, known, mix.shortage)
        except BudgetError as error:
            return divide_tokens(mix.tokens, mix.proportions), most, str(error)
    else:
        wanted = divide_tokens(mix.tokens, mix.proportions)
    return wanted, most, _lacking(wanted, known) if mix.shortage == "refuse" else None


def _lacking(wanted: Mapping[str, int], most: Mapping[str, int]) -> str | None:
    """A sentence of the sources that cannot give what is wanted; None where there are none."""
    short = [
        f"{source} lacks {tokens - most[source]:,} of the {tokens:,} tokens of its share"
        for source, tokens in wanted.items()
        if source in most and tokens > most[source]
    ]
    if not short:
        return None
    return (
        f"{', '.join(short)}: lower mix.tokens or the share, raise mix.max_epochs, or let"
        " mix.shortage be share_out or less"
    )


def _can_give(mix: Mix, source: str, available: int) -> int:
    """A bound: every document counts as one that stands in the pool most often."""
    available *= mix.most_times
    most = most_tokens(available, mix.max_epochs[source])
    if mix.quality and mix.quality.grades(source):
        kept = int(available * (1 - mix.quality.discard))
        most = min(most, most_tokens(kept, mix.quality.max_epochs))
    return most
