"""Tables that the graphs of deduplication write: one file per shard, aligned with its documents,
and a record of what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms import storage
from transforms.attributes import write_table
from transforms.checks.attributes import count_attributes
from transforms.datasets import Dataset, TaskRecord, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.exchange import Partition
from transforms.rows import Rows
from transforms.stored_lists import StoredList

__all__ = ["Fill", "write_tables"]

# (shard, what was found about its documents) -> batches of its table, each with its counts.
Fill = Callable[[PoolShard, Rows], Iterator[tuple[pa.RecordBatch, dict[str, int]]]]


def write_tables(
    found: PCollection[Partition],
    shards: StoredList[PoolShard | None],
    outputs: Mapping[str, Dataset],
    schema: pa.Schema,
    fill: Fill,
    counted: tuple[str, ...] = (),
) -> None:
    """Write a table of `schema` and a record for each shard without one, from partitions by shard.

    `outputs`: source -> dataset. Counts of a record: documents, removed, those of `fill` and those
    of `checks.attributes`; those in `counted` are 0 where a shard holds no document.
    """
    write = partial(
        _write, shards=shards, outputs=dict(outputs), schema=schema, fill=fill, counted=counted
    )
    _ = found | "WriteTables" >> beam.Map(write)


def _write(
    partition: Partition,
    shards: StoredList[PoolShard | None],
    outputs: Mapping[str, Dataset],
    schema: pa.Schema,
    fill: Fill,
    counted: tuple[str, ...],
) -> None:
    shard = shards[partition.first_bucket] if shards else None
    if shard is None or storage.exists(outputs[shard.source].record_path(shard.task)):
        return
    counts = [{"documents": shard.file.rows, "removed": 0, **dict.fromkeys(counted, 0)}]

    def batches() -> Iterator[pa.RecordBatch]:
        for table, its in fill(shard, partition.read()):
            counts.extend([its, count_attributes(table)])
            yield table

    dataset = outputs[shard.source]
    file = write_table(dataset, shard.file, schema, batches())
    dataset.write_record(TaskRecord(shard.task, [file], sum_counts(counts)))
