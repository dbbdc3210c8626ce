"""Annotate: one read of a shard's text for all annotators that have not seen it yet.

In: document shards. Out: per annotator and source a dataset of attribute tables. An annotator whose
table of a shard exists is left out of that read, so adding one computes only that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipelines.stage_names import ANNOTATE
from pipelines.stages import Job, ProcessTasks, Stage
from pipelines.tables import table_gate
from pipelines.workspace import Workspace
from transforms.annotators import Annotator
from transforms.attributes import open_table
from transforms.checks.attributes import count_attributes
from transforms.datasets import Dataset, Manifest, TaskRecord, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.documents import DocumentBatch, read_batches
from transforms.environment import environment
from transforms.stored_lists import Listed

__all__ = ["annotate_job", "annotate_shard"]

# Distributions whose models or parsers decide about an annotator's output.
SCORED_BY = {"code": ("resiliparse",)}


@dataclass(frozen=True)
class AnnotateTask:
    """A shard and the annotators that have not seen it, each with the dataset that it writes."""

    shard: PoolShard
    annotators: tuple[tuple[Annotator, Dataset], ...]

    @property
    def name(self) -> str:
        return f"{self.shard.source}/{self.shard.task}"


def annotate_shard(task: AnnotateTask) -> str:
    """Read a shard's text once and write a table and a record for each annotator; gives its
    name.
    """
    shard = task.shard
    with ExitStack() as stack:
        tables = [
            stack.enter_context(open_table(dataset, shard.file, annotator.schema))
            for annotator, dataset in task.annotators
        ]
        counts: list[list[Mapping[str, int]]] = [[] for _ in tables]
        for documents in read_batches(shard.documents):
            batch = DocumentBatch(documents)
            for (annotator, _), table, counted in zip(task.annotators, tables, counts, strict=True):
                attributes = _checked(annotator, annotator.annotate(batch), batch.rows)
                table.write(attributes)
                counted.append(count_attributes(attributes))
    for (_, dataset), table, counted in zip(task.annotators, tables, counts, strict=True):
        assert table.file is not None
        total = sum_counts([*counted, {"text_bytes": shard.file.text_bytes}])
        dataset.write_record(TaskRecord(shard.task, [table.file], total))
    return task.name


def _checked(annotator: Annotator, attributes: pa.RecordBatch, rows: int) -> pa.RecordBatch:
    if attributes.num_rows != rows or attributes.schema != annotator.schema:
        raise TypeError(
            f"{annotator.name} gave {attributes.num_rows} rows of {attributes.schema}"
            f" for {rows} documents of {annotator.schema}"
        )
    return attributes


def annotate_job(
    workspace: Workspace,
    recipe: Mapping[str, Any],
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    annotators: Mapping[str, Sequence[Annotator]],
) -> Job:
    """The job that brings all annotators up to date; `documents` and `annotators` are by source."""
    stages: dict[tuple[str, str], Stage] = {}
    for source, its in annotators.items():
        tasks = [shard.task for shard in shards if shard.source == source]
        for annotator in its:
            stages[annotator.name, source] = Stage(
                name=f"{annotator.name} {source}",
                folder=workspace.attributes(annotator.name, source),
                version=annotator.version,
                parameters={
                    **annotator.parameters(),
                    "environment": environment(SCORED_BY.get(annotator.name, ())),
                },
                inputs={f"documents {source}": documents[source].fingerprint},
                tasks=tasks,
            )

    def build(pipeline: beam.Pipeline, missing: Mapping[str, Sequence[str]]) -> None:
        wanted = {name: frozenset(tasks) for name, tasks in missing.items()}
        tasks = []
        for shard in shards:
            its = tuple(
                (annotator, stages[annotator.name, shard.source].dataset)
                for annotator in annotators[shard.source]
                if shard.task in wanted.get(stages[annotator.name, shard.source].name, ())
            )
            if its:
                tasks.append(AnnotateTask(shard, its))
        aside = tasks[0].annotators[0][1].aside if tasks else ""
        pipeline | "Shards" >> Listed(tasks, aside) | ProcessTasks(annotate_shard, ANNOTATE)

    return Job(ANNOTATE, list(stages.values()), build, table_gate(documents, recipe))
