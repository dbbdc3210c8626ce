"""Filter: apply the thresholds of a recipe to stored scores; one table `candidates` per source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from expectations.gate import Verdict, run_gates
from expectations.metrics import Metrics
from pipelines.recipes.pool_part import Source
from pipelines.recipes.recipe import Recipe
from pipelines.stage_names import FILTER, TABLES
from pipelines.stages import Finished, Job, Stage
from pipelines.tables import TableTask, table_job, table_metrics, table_stages
from pipelines.workspace import Workspace
from transforms.attributes import read_aligned, write_table
from transforms.checks.attributes import count_attributes
from transforms.datasets import Manifest, TaskRecord, sum_counts
from transforms.decontamination.annotator import NAME as CONTAMINATION
from transforms.dedup.pool import PoolShard
from transforms.documents import StoredTable
from transforms.environment import environment
from transforms.quality.candidates import (
    CANDIDATES_VERSION,
    Judged,
    candidate_columns,
    candidate_schema,
    judge,
)
from transforms.quality.conditions import Condition
from transforms.query import EVALUATED_ROWS

__all__ = ["CONTAMINATED", "Judgement", "filter_job", "filter_shard", "source_conditions"]

CONTAMINATED = "contaminated"  # reason of documents that hold an n-gram of a benchmark


def source_conditions(recipe: Recipe, source: Source) -> list[Condition]:
    """What a document of a source must meet, in the order in which it is asked."""
    conditions = [condition for rule in source.rules for condition in rule.conditions]
    decontamination = recipe.decontamination
    if decontamination and decontamination.remove == "document":
        conditions.append(Condition(CONTAMINATED, f"{CONTAMINATION}.hits", at_most=0))
    return conditions


@dataclass(frozen=True)
class Judgement:
    """How documents of one source are judged: conditions in order, and (SQL, descending) of what
    decides between duplicates. `schemas`: its attribute tables."""

    conditions: tuple[Condition, ...]
    criteria: tuple[tuple[str, bool], ...]
    schemas: Mapping[str, pa.Schema]

    def parameters(self) -> dict[str, Any]:
        """What the fingerprint needs."""
        return {
            "conditions": [asdict(condition) for condition in self.conditions],
            "criteria": [list(one) for one in self.criteria],
            "environment": environment(("duckdb",)),
        }


def filter_shard(task: TableTask, judgements: Mapping[str, Judgement]) -> str:
    """Write the table `candidates` of a shard and its record; gives the task's name."""
    shard, its = task.shard, judgements[task.shard.source]
    columns = candidate_columns(its.conditions, its.criteria, its.schemas)
    counts: list[dict[str, int]] = []

    def batches() -> Iterator[pa.RecordBatch]:
        wanted = {**columns, "documents": ["id", *columns.get("documents", [])]}
        wanted["size"] = sorted({*columns.get("size", []), "bytes"})
        paths = shard.paths(*wanted)
        with StoredTable(paths["documents"]) as documents:
            groups = iter(documents.group_rows)
        for aligned in read_aligned(paths, shard.file.rows_digest, wanted, EVALUATED_ROWS):
            ids = aligned["documents"].column("id")
            judged = judge(aligned, ids, its.conditions, its.criteria)
            counted = _count(judged, aligned["size"].column("bytes"))
            counts.append({**count_attributes(judged.table), **counted})
            first = 0
            while first < len(ids):  # as the tables that it is read with
                rows = next(groups)
                yield judged.table.slice(first, rows)
                first += rows

    file = write_table(task.dataset, shard.file, candidate_schema(len(its.criteria)), batches())
    task.dataset.write_record(TaskRecord(shard.task, [file], sum_counts(counts)))
    return task.name


def _count(judged: Judged, sizes_bytes: pa.Array) -> dict[str, int]:
    """`removed.<reason>` counts each document once, under the first condition that it does not
    meet; `found.<reason>` counts it under every one."""
    kept = judged.table.column("candidate").to_numpy(zero_copy_only=False)
    counts = {
        "candidates": judged.table.num_rows,
        "removed": int((~kept).sum()),
        "kept": int(kept.sum()),
        "kept_text_bytes": int(sizes_bytes.to_numpy()[kept].sum()),
    }
    counts |= {f"found.{reason}": count for reason, count in judged.found.items() if count}
    for entry in judged.table.column("reason").drop_null().value_counts().to_pylist():
        counts[f"removed.{entry['values']}"] = int(entry["counts"])
    return counts


def filter_job(
    workspace: Workspace,
    recipe: Mapping[str, Any],
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    judgements: Mapping[str, Judgement],
    inputs: Mapping[str, Mapping[str, str]],
) -> Job:
    """The job that filters all sources. `judgements` and `inputs` are by source."""
    stages = table_stages(
        TABLES[FILTER],
        lambda source: workspace.attributes(TABLES[FILTER], source),
        CANDIDATES_VERSION,
        shards,
        {source: judgement.parameters() for source, judgement in judgements.items()},
        inputs,
    )
    function = partial(filter_shard, judgements=judgements)
    return table_job(FILTER, stages, shards, function, partial(_gate, documents, recipe))


def _gate(
    documents: Mapping[str, Manifest],
    recipe: Mapping[str, Any],
    finished: Sequence[Finished],
) -> list[Verdict]:
    tables = [_metrics(documents, recipe, *one) for one in finished]
    return run_gates("attributes", tables, recipe)


def _metrics(
    documents: Mapping[str, Manifest],
    recipe: Mapping[str, Any],
    stage: Stage,
    records: Sequence[TaskRecord],
) -> list[Metrics]:
    """Two subjects: all that was removed, and what was removed for contamination."""
    source = stage.name.split(" ")[1]
    everything = table_metrics("candidates", source, documents[source], records, recipe, "removed")
    contaminated = [
        TaskRecord(
            record.task,
            record.files,
            {**record.counts, "removed": record.counts.get(f"removed.{CONTAMINATED}", 0)},
        )
        for record in records
    ]
    leaked = table_metrics(
        "contamination", source, documents[source], contaminated, recipe, "contaminated"
    )
    return [everything, leaked]
