"""Substring deduplication: from documents and what filtering left to the table of passages."""

from __future__ import annotations

import os
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.inputs import read_documents
from benchmarks.work import Task, Work
from pipelines.annotate import AnnotateTask, annotate_shard
from pipelines.dedup.passage_graphs import build_substring
from pipelines.filter import Judgement, filter_shard
from pipelines.runners.submission import in_process_runner
from pipelines.tables import TableTask, with_tables
from transforms.datasets import Dataset, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.documents import Document
from transforms.ingest.writer import write_documents
from transforms.quality.size import Size

__all__ = ["substring"]

SHARDS = 4
SOURCE = "all"
RANKS = 1  # of the id
WARM_BYTES = 200_000  # of text, on which kernels are compiled


def substring(task: Task) -> Work:
    """Passages of 500 bytes or more, all documents as candidates, on one worker through Beam; the
    answer counts what is cut: {"documents", "passages", "bytes"}."""
    shards = _shards(os.path.join(task.scratch, "pool"), task, task.text_bytes)
    few = _shards(os.path.join(task.scratch, "few"), task, WARM_BYTES)
    runs: list[str] = []

    def run(pool: Sequence[PoolShard]) -> dict[str, int]:
        runs.append(os.path.join(task.scratch, f"run-{len(runs)}"))
        dataset = Dataset(os.path.join(runs[-1], "repeated"), "f")
        options = PipelineOptions(["--direct_num_workers=1"])
        with beam.Pipeline(runner=in_process_runner(), options=options) as pipeline:
            work = os.path.join(runs[-1], "work")
            build_substring(pipeline, pool, {SOURCE: dataset}, work, RANKS)
        return sum_counts(dataset.read_record(shard.task).counts for shard in pool)

    return Work(
        run=lambda: run(shards),
        run_bytes=sum(shard.file.text_bytes for shard in shards),
        warm=lambda: run(few),
        answer=lambda counts: {
            what: counts[f"cut.{what}"] for what in ("documents", "passages", "bytes")
        },
    )


def _shards(folder: str, task: Task, text_bytes: int) -> list[PoolShard]:
    """The task's documents as shards with the tables that the stage reads."""
    documents, aside, size, candidates = (
        Dataset(os.path.join(folder, name), "f")
        for name in ("documents", "aside", "size", "candidates")
    )
    everything = read_documents(task.corpus, text_bytes)
    shards: list[PoolShard] = []
    for number in range(SHARDS):
        its = [
            Document(one["id"], one["text"], None, None, {}) for one in everything[number::SHARDS]
        ]
        for file in write_documents(documents, aside, f"{number:05d}", SOURCE, its).files:
            shards.append(PoolShard(len(shards), SOURCE, documents.path(file.path), file, {}))
    for shard in shards:
        annotate_shard(AnnotateTask(shard, ((Size(), size),)))
    shards = with_tables(shards, "size", {SOURCE: size})
    for shard in shards:
        filter_shard(TableTask(shard, candidates), {SOURCE: Judgement((), (), {})})
    return with_tables(shards, "candidates", {SOURCE: candidates})
