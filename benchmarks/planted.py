"""A pool of signatures without text, with clusters that are planted: any size, made as it is read.

Every number is a hash of the document's number, so the pool is the same however it is cut into
shards. Of a hundred documents 70 are alone, 25 lie in clusters of some 3, 4 in clusters of some 400
and one in a single cluster that a hundredth of the pool shares. A document of a cluster keeps each
of its cluster's bands, and each of its shingles, with a chance that gives two of them a Jaccard
similarity of some 0.9.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from transforms.datasets import OutputFile
from transforms.dedup.components import BAND
from transforms.dedup.members import Members, pack_members
from transforms.dedup.pool import PoolShard
from transforms.dedup.slices import slice_components
from transforms.documents import addresses
from transforms.exchange import Partition
from transforms.kernels.hashing import hash_keys
from transforms.kernels.shingles import Sets
from transforms.rows import Rows

__all__ = ["BANDS", "RANKS", "SHINGLES", "Planted"]

BANDS = 26
RANKS = 2
SHINGLES = 100  # of each document
SHARD_ROWS = 500_000  # documents
BATCH_ROWS = 20_000  # made at once
KEPT_BAND = 0.56  # of a cluster's bands: 0.9**11 of two documents' 26 are equal
KEPT_SHINGLE = 0.973  # of a cluster's shingles: Jaccard 0.9 of two documents
_STEP = np.uint64(0x9E3779B97F4A7C15)


def _hash(*columns: npt.NDArray[np.uint64] | int) -> npt.NDArray[np.uint64]:
    """One hash of several columns of numbers, which are broadcast."""
    seen = np.zeros(np.broadcast_shapes(*(np.shape(one) for one in columns)), np.uint64)
    for column in columns:
        mixed = (seen * _STEP) ^ np.asarray(column, np.uint64)
        seen = hash_keys(np.ascontiguousarray(mixed).reshape(-1)).reshape(seen.shape)
    return seen


def _chance(*columns: npt.NDArray[np.uint64] | int) -> npt.NDArray[np.float64]:
    return _hash(*columns) / 2.0**64  # type: ignore[no-any-return]


class Planted:
    """A pool of so many documents."""

    def __init__(self, documents: int) -> None:
        self.documents = documents
        self.shards = [
            PoolShard(
                number,
                "planted",
                "",
                OutputFile("", 0, "", min(SHARD_ROWS, documents - number * SHARD_ROWS), "", 0),
                {},
            )
            for number in range(-(-documents // SHARD_ROWS))
        ]

    def clusters(self, number: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """The cluster of each document; of one that is alone its own number."""
        kind, place = _chance(number, 1), _hash(number, 2)
        small = np.uint64(max(1, self.documents // 12))
        large = np.uint64(max(1, self.documents // 10_000))
        found = np.where(kind < 0.25, (place % small) + np.uint64(1 << 40), number)
        found = np.where(
            (kind >= 0.25) & (kind < 0.29), (place % large) + np.uint64(2 << 40), found
        )
        return np.where((kind >= 0.29) & (kind < 0.30), np.uint64(3 << 40), found)

    def read_bands(self, shard: PoolShard) -> Iterator[Rows]:
        """Rows of `BAND` of a shard's documents."""
        address = addresses(shard.number, shard.file.rows)
        for first in range(0, shard.file.rows, BATCH_ROWS):
            here = address[first : first + BATCH_ROWS]
            rows = np.empty((len(here), BANDS), BAND)
            rows["key"] = self._bands(self._numbers(here))
            rows["address"] = here[:, None]
            yield rows.reshape(-1)

    def read_members(self, partition: Partition) -> Iterator[Rows]:
        """Rows of `member_dtype` of a shard's linked documents."""
        linked = partition.read()
        for first in range(0, len(linked), BATCH_ROWS):
            here = linked[first : first + BATCH_ROWS]
            number = self._numbers(here["address"])
            values = np.sort(self._kept(number, SHINGLES, KEPT_SHINGLE, 4), axis=1)
            sets = Sets(values.reshape(-1), np.arange(len(here) + 1) * SHINGLES)
            yield pack_members(
                Members(
                    slice_components(here["component"], here["documents"], sets),
                    here["address"],
                    np.ones(len(here), np.uint64),
                    np.stack([np.zeros(len(here), np.uint64), _hash(number, 5)], axis=1),
                    self._bands(number),
                    sets,
                    np.ones(len(here), np.uint64),
                )
            )

    def count(self) -> dict[str, int]:
        """What is planted: documents in clusters of two or more, and these clusters."""
        seen = np.concatenate(
            [
                found[found >= np.uint64(1 << 40)]
                for first in range(0, self.documents, SHARD_ROWS)
                for found in [
                    self.clusters(
                        np.arange(first, min(first + SHARD_ROWS, self.documents), dtype=np.uint64)
                    )
                ]
            ]
        )
        _, sizes = np.unique(seen, return_counts=True)
        return {
            "planted_documents": int(sizes[sizes > 1].sum()),
            "planted_clusters": int((sizes > 1).sum()),
            "largest_planted": int(sizes.max(initial=0)),
        }

    def _numbers(self, address: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        return (address >> np.uint64(32)) * np.uint64(SHARD_ROWS) + (
            address & np.uint64(0xFFFFFFFF)
        )

    def _bands(self, number: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        return self._kept(number, BANDS, KEPT_BAND, 3)

    def _kept(
        self, number: npt.NDArray[np.uint64], count: int, chance: float, seed: int
    ) -> npt.NDArray[np.uint64]:
        """The values of the document's cluster, some replaced by its own: uint64[rows, count]."""
        place = np.arange(count, dtype=np.uint64)
        cluster = self.clusters(number)[:, None]
        own = _hash(number[:, None], place, 100 + seed)
        kept = _chance(number[:, None], place, 200 + seed) < chance
        return np.where(kept, _hash(cluster, place, 300 + seed), own)
