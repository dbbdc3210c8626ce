"""What the Beam graphs of deduplication share: the pool's shards as sources of an exchange, and
exchanges whose partitions stand for shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import PCollection

from transforms import storage
from transforms.dedup.pool import PoolShard
from transforms.exchange import Exchange, Partition
from transforms.rows import Rows
from transforms.stored_lists import Listed, StoredList

__all__ = ["by_number", "by_shard", "named_partition", "pool_sources"]


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
) -> Exchange:
    """The exchange, with runs in `work/name`, that brings rows to the shard of their first field,
    an address."""
    count = max((shard.number for shard in shards), default=0) + 1
    return Exchange(storage.join(work, name), dtype, rows, count, by="shard")


def by_number(shards: Sequence[PoolShard], work: str) -> StoredList[PoolShard | None]:
    """The shards at the places of their numbers; None where a number is not used."""
    places = {shard.number: shard for shard in shards}
    return StoredList.write([places.get(n) for n in range(max(places, default=-1) + 1)], work)


def named_partition(partition: Partition) -> tuple[str, Partition]:
    """A partition as the source of the next exchange."""
    return partition.name, partition
