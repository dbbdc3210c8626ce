"""Lists on storage, so that a pipeline's graph holds a path, however many tasks it has.

A graph goes to a runner as one message, whose size is limited (10 MB on Dataflow, a frame on
Flink), and 200,000 shards in it would be tens of megabytes for each function that knows them. In:
values that can be pickled. On storage: blocks of `BLOCK_ITEMS` of them, compressed, one after the
other in a file that is named by its content.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import apache_beam as beam
import zstandard
from apache_beam.transforms import combiners

from transforms import storage

__all__ = ["Afterwards", "Listed", "StoredList"]

BLOCK_ITEMS = 512  # some 40 KB of tasks, read at once
KEPT_BLOCKS = 32  # in the memory of a process

Item = TypeVar("Item")


@dataclass(frozen=True)
class StoredList(Generic[Item]):
    """A list that lies in a file. `offsets`: where its blocks begin, and the end of the last, in
    bytes."""

    path: str
    count: int
    offsets: tuple[int, ...]

    @staticmethod
    def write(items: Sequence[Item], folder: str) -> StoredList[Item]:
        """Store the items below a folder, which is the caller's to clean; no item needs none."""
        compressor = zstandard.ZstdCompressor()
        blocks = [
            compressor.compress(pickle.dumps(list(items[first : first + BLOCK_ITEMS])))
            for first in range(0, len(items), BLOCK_ITEMS)
        ]
        offsets = [0]
        for block in blocks:
            offsets.append(offsets[-1] + len(block))
        content = b"".join(blocks)
        name = hashlib.blake2b(content, digest_size=8).hexdigest()
        path = storage.join(folder, f"{name}.list")
        if items and not storage.exists(path):
            storage.write_bytes(path, content)
        return StoredList(path, len(items), tuple(offsets))

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.offsets) - 1

    def block(self, number: int) -> list[Item]:
        """The items of a block, in order."""
        return _read_block(self.path, self.offsets[number], self.offsets[number + 1])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < self.count:
            raise IndexError(f"item {index} of {self.count}")
        return self.block(index // BLOCK_ITEMS)[index % BLOCK_ITEMS]

    def __iter__(self) -> Iterator[Item]:
        for number in range(self.blocks):
            yield from self.block(number)


@lru_cache(KEPT_BLOCKS)
def _read_block(path: str, start: int, end: int) -> list[Any]:
    with storage.open_read(path) as file:
        file.seek(start)
        content = file.read(end - start)
    return pickle.loads(zstandard.ZstdDecompressor().decompress(content))  # type: ignore[no-any-return]


class Listed(beam.PTransform):  # type: ignore[misc,type-arg]
    """A PCollection of the items, as `beam.Create` gives it, by way of a file below `folder`."""

    def __init__(self, items: Sequence[Any], folder: str) -> None:
        super().__init__()
        self._items = items
        self._folder = folder

    def expand(self, root: Any) -> Any:
        stored = StoredList.write(self._items, self._folder)
        return (
            root
            | "Blocks" >> beam.Create(range(stored.blocks), reshuffle=False)
            | "Read block" >> beam.FlatMap(stored.block)
        )


class Afterwards(beam.PTransform):  # type: ignore[misc,type-arg]
    """The items, as `Listed` gives them, once a PCollection is there in full."""

    def __init__(self, items: Sequence[Any], folder: str) -> None:
        super().__init__()
        self._items = items
        self._folder = folder

    def expand(self, before: Any) -> Any:
        stored = StoredList.write(self._items, self._folder)
        return (
            before
            | "Wait" >> combiners.Count.Globally()
            | "Blocks" >> beam.FlatMap(lambda _: range(stored.blocks))
            | "Spread" >> beam.Reshuffle()
            | "Read block" >> beam.FlatMap(stored.block)
        )
