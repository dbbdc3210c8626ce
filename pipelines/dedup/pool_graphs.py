"""What the Beam graphs of deduplication share: the pool's shards as sources of an exchange, their
tables with addresses, and exchanges whose partitions stand for shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms import storage
from transforms.attributes import read_aligned
from transforms.dedup.pool import PoolShard
from transforms.documents import addresses
from transforms.exchange import Carrier, Exchange, Partition
from transforms.rows import Rows
from transforms.stored_lists import Listed, StoredList

__all__ = [
    "by_number",
    "by_shard",
    "is_valid",
    "named_partition",
    "pool_sources",
    "with_addresses",
]


def pool_sources(
    pipeline: beam.Pipeline, shards: Sequence[PoolShard], work: str
) -> PCollection[tuple[str, PoolShard]]:
    """(name as a writer of runs, shard), spread over all workers."""
    named = [(f"{shard.number:08d}", shard) for shard in shards]
    sources: PCollection[tuple[str, PoolShard]] = (
        pipeline | "Shards" >> Listed(named, work) | "Spread" >> beam.Reshuffle()
    )
    return sources


def by_shard(
    work: str,
    name: str,
    dtype: np.dtype[Any],
    rows: Callable[[Any], Iterable[Rows]],
    shards: Sequence[PoolShard],
    carrier: Carrier = "files",
) -> Exchange:
    """The exchange, with runs in `work/name`, that brings rows to the shard of their first field,
    an address."""
    count = max((shard.number for shard in shards), default=0) + 1
    return Exchange(storage.join(work, name), dtype, rows, count, by="shard", carrier=carrier)


def by_number(shards: Sequence[PoolShard], work: str) -> StoredList[PoolShard | None]:
    """The shards at the places of their numbers; None where a number is not used."""
    places = {shard.number: shard for shard in shards}
    return StoredList.write([places.get(n) for n in range(max(places, default=-1) + 1)], work)


def named_partition(partition: Partition) -> tuple[str, Partition]:
    """A partition as the source of the next exchange."""
    return partition.name, partition


def with_addresses(
    shard: PoolShard, tables: tuple[str, ...]
) -> Iterator[tuple[npt.NDArray[np.uint64], dict[str, pa.RecordBatch]]]:
    """Some tables of a shard, batch by batch, each with the addresses of its rows."""
    everyone = addresses(shard.number, shard.file.rows)
    first = 0
    for batches in read_aligned(shard.paths(*tables), shard.file.rows_digest):
        end = first + batches[tables[0]].num_rows
        yield everyone[first:end], batches
        first = end


def is_valid(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Where a column is not null, bool[rows]."""
    return column.is_valid().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
