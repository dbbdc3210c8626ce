"""Jobs that make one attribute table per source, a task per shard: what annotate, judge, tokenize
and select share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam

from expectations.gate import Verdict, run_gates
from expectations.metrics import Metrics, attribute_metrics, count_misaligned
from pipelines.stages import Finished, Job, ProcessTasks, Stage
from transforms.datasets import Dataset, Manifest, TaskRecord, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.stored_lists import Listed

__all__ = ["TableTask", "table_gate", "table_job", "table_metrics", "table_stages", "with_tables"]


@dataclass(frozen=True)
class TableTask:
    """One shard whose table is to be written into a dataset."""

    shard: PoolShard
    dataset: Dataset

    @property
    def name(self) -> str:
        return f"{self.shard.source}/{self.shard.task}"


def table_stages(
    table: str,
    folder: Callable[[str], str],
    version: int,
    shards: Sequence[PoolShard],
    parameters: Mapping[str, Mapping[str, Any]],
    inputs: Mapping[str, Mapping[str, str]],
) -> dict[str, Stage]:
    """A table's stage for each source; `folder`, `parameters` and `inputs` are by source."""
    return {
        source: Stage(
            name=f"{table} {source}",
            folder=folder(source),
            version=version,
            parameters=dict(parameters[source]),
            inputs=inputs[source],
            tasks=[shard.task for shard in shards if shard.source == source],
        )
        for source in parameters
    }


def table_job(
    table: str,
    stages: Mapping[str, Stage],
    shards: Sequence[PoolShard],
    function: Callable[[TableTask], str],
    gate: Callable[[Sequence[Finished]], Sequence[Verdict]],
    details: Callable[[Stage, Sequence[TaskRecord]], dict[str, Any]] = lambda stage, records: {},
) -> Job:
    """The job that calls `function` for each shard without a record. `stages` are by source."""

    def build(pipeline: beam.Pipeline, missing: Mapping[str, Sequence[str]]) -> None:
        wanted = {stage: frozenset(tasks) for stage, tasks in missing.items()}
        tasks = [
            TableTask(shard, stages[shard.source].dataset)
            for shard in shards
            if shard.source in stages
            and shard.task in wanted.get(stages[shard.source].name, frozenset())
        ]
        aside = tasks[0].dataset.aside if tasks else ""
        pipeline | "Shards" >> Listed(tasks, aside) | ProcessTasks(function, table)

    return Job(table, list(stages.values()), build, gate, details)


def table_gate(
    documents: Mapping[str, Manifest],
    recipe: Mapping[str, Any],
    removes: str | None = None,
    unbounded: Collection[str] = (),
) -> Callable[[Sequence[Finished]], Sequence[Verdict]]:
    """The gate of attribute tables: aligned, scored, and removing no more than the recipe allows.

    `removes`: name of the recipe's bounds under `gates`, None for tables that only score;
    `unbounded`: sources that these do not speak of. Stage names are '<table> <source>'.
    """

    def gate(finished: Sequence[Finished]) -> list[Verdict]:
        return run_gates("attributes", [[metrics(*one)] for one in finished], recipe)

    def metrics(stage: Stage, records: Sequence[TaskRecord]) -> Metrics:
        table, source = stage.name.split(" ")
        bounds = None if source in unbounded else removes
        return table_metrics(table, source, documents[source], records, recipe, bounds)

    return gate


def table_metrics(
    table: str,
    source: str,
    documents: Manifest,
    records: Sequence[TaskRecord],
    recipe: Mapping[str, Any],
    removes: str | None = None,
) -> Metrics:
    """One row of the gate's metric table; see `table_gate`."""
    files = [file for record in records for file in record.files]
    counted = sum_counts(record.counts for record in records)
    if records:
        counted = {"rows": sum(file.rows for file in files), **counted}
    return attribute_metrics(
        source,
        table,
        counted,
        documents=documents.counts["documents"],
        misaligned_files=count_misaligned(documents.files, files),
        removes=None if removes is None else recipe.get("gates", {}).get(removes, {}),
    )


def with_tables(
    shards: Sequence[PoolShard], table: str, datasets: Mapping[str, Dataset]
) -> list[PoolShard]:
    """The shards with one more table, for the sources that have a dataset of it."""
    return [
        replace(
            shard,
            tables={**shard.tables, table: datasets[shard.source].path(shard.file.path)},
        )
        if shard.source in datasets
        else shard
        for shard in shards
    ]
