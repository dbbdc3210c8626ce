"""Gone documents: those of earlier runs that gave way to a near duplicate, and whom they count for.

Their keys are not compared any more, but the clusters of the documents that stay are as large as if
they were, and stand for what they stand for by now: other documents of this pool may equal a gone
one. `near` (transforms.dedup.published), exact duplicates of this pool -> Exchange by shard of the
document that stays, kept in scratch until these are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
import numpy as np
import numpy.typing as npt

from pipelines.dedup.pool_graphs import by_shard, is_valid, pool_sources, with_addresses
from transforms import storage
from transforms.dedup.pool import PoolShard, stood_for
from transforms.dedup.published import renumber
from transforms.exchange import Partition, find_stored
from transforms.rows import Rows

__all__ = ["GONE", "count_gone", "gather_gone", "read_gone"]

# Who stays, and for how many documents the gone one stands.
GONE = np.dtype([("address", "<u8"), ("stands_for", "<u8")])
_NAME = "gone"  # of the exchange


def gather_gone(
    run: Callable[[Callable[[beam.Pipeline], object]], None],
    shards: Sequence[PoolShard],
    work: str,
) -> None:
    """Bring the gone documents of published shards to the shards of those that stay, unless that is
    done; `run` takes a pipeline to its end.

    Published shards need the tables `near` and `candidates`, and those of `pool.DUPLICATES` that
    were made before near duplicates.
    """
    published = [shard for shard in shards if shard.is_published]
    if published and find_stored(storage.join(work, _NAME), GONE) is None:
        run(
            lambda pipeline: (
                pool_sources(pipeline, published, work)
                | by_shard(work, _NAME, GONE, _read_near, shards)
            )
        )


def _read_near(shard: PoolShard) -> Iterator[Rows]:
    for _, batches in with_addresses(shard, (*shard.judged_by, "near")):
        column = batches["near"].column("survivor")
        gone = is_valid(column)
        rows = np.empty(int(gone.sum()), GONE)
        rows["address"] = renumber(column.drop_null().to_numpy(), shard.numbering)
        rows["stands_for"] = stood_for(batches)[gone]
        yield rows


def read_gone(work: str, shard: PoolShard) -> Rows:
    """Sorted rows of `GONE` for the documents of a shard; none for one that is not published."""
    if not shard.is_published:
        return np.empty(0, GONE)
    return Partition(storage.join(work, _NAME), GONE, shard.number, shard.number + 1).read()


def count_gone(
    gone: Rows, address: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """How many gave way to each document, and for how many these stand, uint64[documents] each.
    `gone`: sorted rows of `GONE`."""
    first = np.searchsorted(gone["address"], address)
    end = np.searchsorted(gone["address"], address, side="right")
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(gone["stands_for"])])
    return (end - first).astype(np.uint64), total[end] - total[first]
