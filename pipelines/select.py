"""Select: how often each document of the pool is in a mix, from the recipe's query, shares and
budget.

In: tokens and attributes. Out: per source the table `selection`, aligned with the documents:
`eligible` bool (in the pool and met by the recipe's query), `copies` uint32. The budget is found
first, in two small pipelines over token counts, so a recipe that asks for more than there is fails
before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.recipe import Mix
from pipelines.stage_names import SELECT
from pipelines.stages import Job, ProcessTasks, Stage
from pipelines.submission import RunFailed, run_pipeline
from pipelines.tables import TableTask, table_gate, table_job, table_stages
from pipelines.workspace import Workspace
from transforms import storage
from transforms.attributes import read_aligned, write_table
from transforms.checks.attributes import count_attributes
from transforms.checks.documents import id_hashes
from transforms.datasets import Manifest, TaskRecord, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.environment import environment
from transforms.exchange import remove_runs
from transforms.mixing.budget import (
    BINS,
    BudgetError,
    Histogram,
    SourceBudget,
    copies,
    count_tokens,
    cut_in_bin,
    divide_tokens,
    find_bin,
    order_key,
    tokens_by_bin,
)
from transforms.mixing.identity import document_digests, sum_digests
from transforms.query import columns_used, evaluate
from transforms.stored_lists import Listed

__all__ = [
    "DIGEST",
    "SELECTION_SCHEMA",
    "SELECTION_VERSION",
    "Choice",
    "find_budgets",
    "select_job",
    "select_stages",
]

SELECTION_VERSION = 3
SELECTION_SCHEMA = pa.schema(
    [
        pa.field("eligible", pa.bool_(), nullable=False),
        pa.field("copies", pa.uint32(), nullable=False),
    ]
)
DIGEST = "documents_digest"  # counter, whose sum counts modulo 2**64
_ORDERED = np.dtype([("order", "<u8"), ("tokens", "<i8")])


@dataclass(frozen=True)
class Choice:
    """What decides about a document: the recipe's query (SQL or None) and the seed of its order.

    `schemas` are the attribute tables that the query may name.
    """

    where: str | None
    seed: int
    schemas: Mapping[str, pa.Schema]


@dataclass(frozen=True)
class _Scored:
    """One row group, an entry a row: order uint64, tokens int64 (EOS included), text_bytes int64
    (what is left after cuts), digest uint64 (of id and tokens), pooled and eligible bool."""

    order: npt.NDArray[np.uint64]
    tokens: npt.NDArray[np.int64]
    text_bytes: npt.NDArray[np.int64]
    digest: npt.NDArray[np.uint64]
    pooled: npt.NDArray[np.bool_]
    eligible: npt.NDArray[np.bool_]


def _score(shard: PoolShard, choice: Choice) -> Iterator[_Scored]:
    used = columns_used([choice.where], choice.schemas) if choice.where else {}
    columns: dict[str, list[str] | None] = {table: list(names) for table, names in used.items()}
    columns["tokens"] = sorted({*(columns.get("tokens") or []), "count", "cut_bytes", "digest"})
    columns["size"] = sorted({*(columns.get("size") or []), "bytes"})
    tables = {name: shard.tables[name] for name in columns}
    columns["documents"] = ["id"]
    tables = {"documents": shard.documents, **tables}
    for aligned in read_aligned(tables, shard.file.rows_digest, columns):
        ids = aligned["documents"].column("id")
        counts = aligned["tokens"].column("count")
        pooled = counts.is_valid().to_numpy(zero_copy_only=False)
        eligible = pooled
        if choice.where:
            batches = {name: aligned[name] for name in used}
            (met,) = evaluate([choice.where], batches, len(ids))
            eligible = pooled & met.fill_null(False).to_numpy(zero_copy_only=False)
        tokens = counts.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        sizes = aligned["size"].column("bytes").to_numpy()
        cut = aligned["tokens"].column("cut_bytes").fill_null(0).to_numpy(zero_copy_only=False)
        order = order_key(id_hashes(ids)[0], choice.seed)
        hashes = aligned["tokens"].column("digest").fill_null(0).to_numpy()
        digest = document_digests(ids, hashes)
        yield _Scored(order, tokens, sizes - cut, digest, pooled, eligible)


def _histogram(shard: PoolShard, choice: Choice) -> tuple[str, npt.NDArray[np.int64]]:
    total = np.zeros((2, BINS), np.int64)
    for scored in _score(shard, choice):
        of_batch = tokens_by_bin(scored.order[scored.eligible], scored.tokens[scored.eligible])
        total += np.stack([of_batch.tokens, of_batch.documents])
    return shard.source, total


def _in_bin(
    shard: PoolShard, choice: Choice, bins: Mapping[str, int]
) -> tuple[str, npt.NDArray[np.void]]:
    found = []
    for scored in _score(shard, choice):
        inside = scored.eligible & (
            (scored.order >> np.uint64(48)) == np.uint64(bins[shard.source])
        )
        rows = np.empty(int(inside.sum()), _ORDERED)
        rows["order"], rows["tokens"] = scored.order[inside], scored.tokens[inside]
        found.append(rows)
    return shard.source, np.concatenate([np.empty(0, _ORDERED), *found])


def _sum_arrays(arrays: Iterable[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    total = np.zeros((2, BINS), np.int64)
    for array in arrays:
        total = total + array
    return total


def _join_arrays(arrays: Iterable[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    return np.concatenate([np.empty(0, _ORDERED), *arrays])


def _save(found: tuple[str, npt.NDArray[np.generic]], folder: str) -> None:
    storage.write_bytes(storage.join(folder, found[0]), found[1].tobytes())


def find_budgets(
    workspace: Workspace,
    mix: Mix,
    shards: Sequence[PoolShard],
    choice: Choice,
    options: PipelineOptions,
) -> dict[str, SourceBudget]:
    """What the mix takes of each source. BudgetError tells all sources that hold too little, and
    those of which not even the first document would fit."""
    proportions = mix.proportions
    wanted = divide_tokens(mix.tokens, proportions)
    its = [shard for shard in shards if shard.source in proportions]
    # A folder of this call's own: `plan` looks without a lock while a run may do the same.
    folder = workspace.work("budget", uuid4().hex)
    with_rows = {shard.source for shard in its if shard.file.rows}

    def collect(step: str, function: Callable[[PoolShard], Any], combine: Any) -> dict[str, bytes]:
        target = storage.join(folder, step)
        with_shards = [shard for shard in its if shard.file.rows]
        run_pipeline(
            SELECT,
            lambda pipeline: (
                pipeline
                | "Shards" >> Listed(with_shards, target)
                | ProcessTasks(function, f"{SELECT}, {step}")
                | "Join per source" >> beam.CombinePerKey(combine)
                | "Save" >> beam.Map(partial(_save, folder=target))
            ),
            options,
            place=workspace.uri,
        )
        paths = {source: storage.join(target, source) for source in sorted(with_rows)}
        for source, path in paths.items():
            if not storage.exists(path):
                raise RunFailed(f"{SELECT}, {step}: {path} of {source} is gone; run it again")
        return {source: storage.read_bytes(path) for source, path in paths.items()}

    try:
        histograms = collect("histogram", partial(_histogram, choice=choice), _sum_arrays)
        budgets: dict[str, SourceBudget] = {}
        bins: dict[str, int] = {}
        problems = []
        for source in sorted(proportions):
            raw = np.frombuffer(histograms.get(source, bytes(16 * BINS)), np.int64).reshape(2, BINS)
            try:
                budgets[source], bins[source] = find_bin(
                    source, Histogram(raw[0], raw[1]), wanted[source], mix.max_epochs[source]
                )
            except BudgetError as error:
                problems.append(str(error))
        if problems:
            raise BudgetError("\n".join(problems))
        rows = collect("cut", partial(_in_bin, choice=choice, bins=bins), _join_arrays)
        for source, budget in budgets.items():
            inside = np.frombuffer(rows.get(source, b""), _ORDERED)
            budgets[source] = cut_in_bin(budget, inside["order"], inside["tokens"])
    finally:
        remove_runs(folder)
    empty = [
        f"{source}: the recipe asks for {count_tokens(budget.wanted_tokens)}, less than its first"
        f" document ({budget.next_document_tokens:,}), so the mix would hold nothing of it;"
        f" raise mix.tokens or its share, or name it in mix.exclude"
        for source, budget in budgets.items()
        if budget.wanted_tokens and not budget.taken_documents
    ]
    if empty:
        raise BudgetError("\n".join(empty))
    return budgets


def select_shard(task: TableTask, choice: Choice, budgets: Mapping[str, SourceBudget]) -> str:
    """Write the table `selection` of a shard and its record; gives the task's name.

    A source without a budget is not in the mix.
    """
    shard, budget = task.shard, budgets.get(task.shard.source)
    counts: list[Mapping[str, int]] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for scored in _score(shard, choice):
            eligible = scored.eligible if budget else np.zeros(len(scored.eligible), np.bool_)
            chosen = np.zeros(len(eligible), np.uint32)
            if budget:
                chosen = copies(scored.order, eligible, budget)
            table = pa.RecordBatch.from_arrays(
                [pa.array(eligible), pa.array(chosen)], schema=SELECTION_SCHEMA
            )
            counts.append(count_attributes(table))
            counts.append(_count(scored, eligible, chosen, budget is None))
            yield table

    file = write_table(task.dataset, shard.file, SELECTION_SCHEMA, batches())
    task.dataset.write_record(TaskRecord(shard.task, [file], sum_counts(counts)))
    return task.name


def _count(
    scored: _Scored,
    eligible: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.uint32],
    excluded: bool,
) -> dict[str, int]:
    unmet = int((scored.pooled & ~eligible).sum())
    undrawn = int((eligible & (chosen == 0)).sum())
    return {
        "candidates": int(scored.pooled.sum()),
        "removed": unmet + undrawn,
        "removed.not in this mix" if excluded else "removed.where": unmet,
        "removed.not drawn": undrawn,
        "kept": int((chosen > 0).sum()),
        "kept_text_bytes": int((chosen.astype(np.int64) * scored.text_bytes).sum()),
        "copies": int(chosen.sum()),
        "largest_document_tokens": int(scored.tokens[chosen > 0].max(initial=0)),
        DIGEST: sum_digests(scored.digest, chosen),
        "tokens": int((chosen.astype(np.int64) * scored.tokens).sum()),
    }


def select_stages(
    workspace: Workspace,
    recipe: str,
    mix: Mix,
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    inputs: Mapping[str, Mapping[str, str]],
) -> dict[str, Stage]:
    """The selection stage of each source, by source."""
    wanted = divide_tokens(mix.tokens, mix.proportions)
    parameters = {
        source: {
            "where": mix.where,
            "seed": mix.seed,
            "wanted_tokens": wanted.get(source, 0),
            "max_epochs": mix.max_epochs.get(source, 0),
            "environment": environment(("duckdb",)),
        }
        for source in documents
    }
    table = f"selection-{recipe}"
    return table_stages(
        "selection",
        lambda source: workspace.attributes(table, source),
        SELECTION_VERSION,
        shards,
        parameters,
        inputs,
    )


def select_job(
    recipe: Mapping[str, Any],
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    stages: Mapping[str, Stage],
    choice: Choice,
    budgets: Mapping[str, SourceBudget],
) -> Job:
    """The job that writes the selection of each source; `stages` are of `select_stages`."""

    def details(stage: Stage, records: Sequence[TaskRecord]) -> dict[str, Any]:
        source = stage.name.split(" ")[1]
        return {"budget": budgets[source].to_json()} if source in budgets else {}

    function = partial(select_shard, choice=choice, budgets=budgets)
    gate = table_gate(documents, recipe)
    return table_job(SELECT, stages, shards, function, gate, details)
