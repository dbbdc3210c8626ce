"""Published keys: what a run keeps of its pool, so that a later one can be compared with it without
its text.

A dataset of Parquet tables, `<table>/<shard>.parquet` for each shard of the run's pool, aligned row
by row with its documents; all is null for documents that its rules did not keep.

| table | columns | of |
|---|---|---|
| `ids` | `id` | candidates |
| `candidates` | `candidate`; `rank_0`, ... as the run compared them | candidates |
| `size` | `bytes` of text | candidates |
| `url` | `url_hash` | candidates |
| `exact` | `text_hash` | what URLs left |
| `near` | `survivor`: address, in the run's own pool, of whom it gave way to | near duplicates |
| `minhash` | `bands` | survivors |
| `shingles` | `gaps` (stored_sets.py) | survivors |
| `lines`, `paragraphs` | `gaps`: hashes of those that stand nowhere before | survivors |

So documents that the run removed are there, too, without what is only compared with survivors: a
text that equals one of them, or a cluster that they belong to, is counted as if both runs had been
one. In another pool the shards follow the pool's own; `published_shards` numbers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.dedup.pool import PoolShard

__all__ = [
    "IDS",
    "KEYS_STAGE",
    "KEYS_VERSION",
    "NEAR_SCHEMA",
    "Published",
    "keys_path",
    "published_shards",
    "renumber",
]

KEYS_STAGE = "keys"  # name of the stage in the manifest
KEYS_VERSION = 2  # raised when the tables change for the same input
IDS = "ids"  # the table that stands for the documents
NEAR_SCHEMA = pa.schema([pa.field("survivor", pa.uint64())])


@dataclass(frozen=True)
class Published:
    """The keys of an earlier run. `source`: what it is called among the sources of a pool, which
    have no such names; `uri`: where the keys lie."""

    source: str
    uri: str
    manifest: Manifest

    @property
    def dataset(self) -> Dataset:
        return Dataset(self.uri, self.manifest.fingerprint)

    @property
    def name(self) -> str:
        """The recipe of the run."""
        return str(self.manifest.parameters["recipe"])

    @property
    def ranks(self) -> int:
        """Rank columns of its candidates."""
        return int(self.manifest.parameters["ranks"])

    @property
    def against(self) -> list[tuple[str, int]]:
        """(fingerprint, shards) of the keys that its own run was compared with, in their order."""
        return [(one[0], one[1]) for one in self.manifest.parameters["against"]]

    @property
    def shards(self) -> list[OutputFile]:
        """The files of `ids`, one a shard, by the shards' numbers."""
        return [file for file in self.manifest.files if file.path.startswith(f"{IDS}/")]

    @property
    def documents(self) -> Manifest:
        """A manifest as that of documents: of its shards, by the names of their tables."""
        files = [replace(one, path=one.path.removeprefix(f"{IDS}/")) for one in self.shards]
        counts = {"documents": sum(file.rows for file in files)}
        return replace(self.manifest, files=files, counts=counts)


def keys_path(table: str, number: int) -> str:
    """Path of a table's file below the version's folder."""
    return f"{table}/{number:05d}.parquet"


def published_shards(runs: Sequence[Published], first: int) -> list[PoolShard]:
    """The shards of earlier runs in a pool that has `first` shards of its own. The documents of a
    run rank before those of the next. What a run was compared with must stand before it."""
    shards: list[PoolShard] = []
    begins: dict[str, int] = {}  # fingerprint -> number of its first shard
    for place, run in enumerate(runs):
        begins[run.manifest.fingerprint] = first + len(shards)
        numbering = [(0, first + len(shards))]
        its_next = len(run.shards)
        for fingerprint, count in run.against:
            numbering.append((its_next, begins[fingerprint]))
            its_next += count
        tables = sorted({file.path.partition("/")[0] for file in run.manifest.files})
        for number, file in enumerate(run.documents.files):
            paths = {one: run.dataset.path(keys_path(one, number)) for one in tables}
            at = first + len(shards)
            shards.append(
                PoolShard(at, run.source, paths[IDS], file, paths, place, tuple(numbering))
            )
    return shards


def renumber(
    address: npt.NDArray[np.uint64], numbering: Sequence[tuple[int, int]]
) -> npt.NDArray[np.uint64]:
    """Addresses of a run's own pool as they are in the pool of `PoolShard.numbering`."""
    firsts, here = np.array(numbering, np.int64).reshape(-1, 2).T
    number = (address >> np.uint64(32)).astype(np.int64)
    row = np.searchsorted(firsts, number, side="right") - 1
    moved = (number - firsts[row] + here[row]).astype(np.uint64)
    return (moved << np.uint64(32)) | (address & np.uint64(0xFFFFFFFF))
