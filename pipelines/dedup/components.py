"""The Beam graphs that join documents by equal bands: signatures in, components by shard out.

A pool of at most `most_nodes` documents is joined inside the pipeline that goes on with it: band
keys -> Exchange by key -> links -> one worker's union-find -> Exchange by shard. A larger one is
linked by a pipeline of its own, whose exchange stays on storage. If so few documents turn out to
have a link, one worker joins them; else each round is a pipeline: arcs by node -> large star ->
Exchange -> small star -> Exchange. Rounds go on until one has changed nothing, so their number is
found by running them; each takes up what a killed one left. Components are the same on all ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import PCollection

from pipelines.dedup.pool_graphs import (
    by_shard,
    is_valid,
    named_partition,
    pool_sources,
    with_addresses,
)
from pipelines.runners.beam_options import PlannedExchange, choose_carrier
from transforms import storage
from transforms.dedup.components import (
    ARC,
    BAND,
    COMPONENT,
    LINK,
    NODE_BYTES,
    STAR,
    both_ways,
    count_stars,
    find_components,
    large_star,
    link_bands,
    open_nodes,
    small_star,
    star_components,
)
from transforms.dedup.minhash import band_matrix
from transforms.dedup.pool import PoolShard, in_pool, published_from
from transforms.exchange import (
    MOST_PARTITION_BYTES,
    Exchange,
    Partition,
    Stored,
    count_buckets,
    find_stored,
    remove_runs,
)
from transforms.rows import Rows
from transforms.sorted_pieces import with_heads
from transforms.stored_lists import Listed

__all__ = ["MOST_NODES", "Linking", "RunPipeline", "band_exchanges"]

ONE_WORKER_BYTES = 1 << 30  # of memory, for a union-find over all documents with a link
MOST_NODES = ONE_WORKER_BYTES // NODE_BYTES  # 25.6 million documents

RunPipeline = Callable[[Callable[[beam.Pipeline], object]], None]  # to its end


def _read_bands(shard: PoolShard) -> Iterator[Rows]:
    """Rows of `BAND` for a shard's documents that are in the pool."""
    for address, batches in with_addresses(shard, (*shard.judged_by, "minhash")):
        column = batches["minhash"].column("bands")
        wanted = in_pool(batches) & is_valid(column)
        keys = band_matrix(column)[wanted]
        rows = np.empty(keys.shape, BAND)
        rows["key"] = keys
        rows["address"] = address[wanted][:, None]
        yield rows.reshape(-1)


@dataclass(frozen=True)
class Linking:
    """How a pool's documents are joined. Shards need the tables `candidates` and `minhash`, with
    `bands` keys a document. `work`: scratch of this stage and these inputs alone. `most_nodes`:
    documents that one worker may join; neither it nor `most_bytes` changes a component. `read`:
    a shard's rows of `BAND`."""

    shards: Sequence[PoolShard]
    work: str
    bands: int
    most_bytes: int = MOST_PARTITION_BYTES
    most_nodes: int = MOST_NODES
    read: Callable[[PoolShard], Iterator[Rows]] = _read_bands

    def prepare(self, run: RunPipeline) -> None:
        """Run the pipelines that must end before `components` is built: none for a small pool."""
        if self._documents <= self.most_nodes:
            return
        if self._latest() is None:
            run(self._link_pool)
        number, arcs = self._found()
        while arcs.rows > self.most_nodes and not self._is_joined(number):
            run(partial(self._round, number=number, arcs=arcs))
            if number:
                remove_runs(self._folder(number - 1))
            number, arcs = self._found()

    def components(self, pipeline: beam.Pipeline) -> PCollection[Partition]:
        """Partitions of `COMPONENT` by shard: a row for every document with a link."""
        if self._documents <= self.most_nodes:
            sources = (
                self._banded(pipeline)
                | "Links"
                >> Exchange(storage.join(self.work, "links"), LINK, self._by(_link), buckets=1)
                | "NameLinks" >> beam.Map(lambda links: ("all", [links]))
            )
            rows: Callable[..., Iterator[Rows]] = _join
        else:
            _, arcs = self._found()
            one_worker = arcs.rows <= self.most_nodes
            named: list[tuple[str, object]] = (
                [("all", arcs.partitions)]
                if one_worker
                else [(one.name, one) for one in arcs.partitions]
            )
            sources = pipeline | "Arcs" >> Listed(named, self.work) | "Spread" >> beam.Reshuffle()
            rows = _join
            if not one_worker:
                stars = self._by_key(
                    storage.join(self.work, "rounds", "last", "stars"), STAR, _read_stars, arcs.rows
                )
                sources = sources | "Stars" >> stars | "NameStars" >> beam.Map(named_partition)
                rows = _count_stars
        carrier = choose_carrier(pipeline.options, self._planned["components"])
        exchange = by_shard(self.work, "components", COMPONENT, rows, self.shards, carrier)
        partitions: PCollection[Partition] = sources | "Components" >> exchange
        return partitions

    def _by(self, link: Callable[..., Iterator[Rows]]) -> Callable[[Partition], Iterator[Rows]]:
        return partial(link, published_from=published_from(self.shards))

    @property
    def _documents(self) -> int:
        return sum(shard.file.rows for shard in self.shards)

    @property
    def _planned(self) -> dict[str, PlannedExchange]:
        return band_exchanges(self.shards, self.bands)

    def _folder(self, number: int) -> str:
        return storage.join(self.work, "rounds", f"{number:04d}")

    def _arcs(self, number: int) -> str:
        """Where a round's input lies."""
        return storage.join(self._folder(number), "arcs")

    def _open(self, number: int) -> str:
        """Where the counts lie of what was open when a round's input was made: beside that input,
        since the folder of the round before may be gone when that has to be made again."""
        return storage.join(self._folder(number), "open")

    def _latest(self) -> tuple[int, Stored] | None:
        """The last round whose input is whole."""
        found = storage.join(storage.escape(self.work), "rounds", "*", "arcs", "partitions.json")
        names = [file.path.split("/")[-3] for file in storage.list_files([found])]
        for number in sorted(map(int, names), reverse=True):
            stored = find_stored(self._arcs(number), ARC, self.most_bytes)
            if stored is not None:
                return number, stored
        return None

    def _found(self) -> tuple[int, Stored]:
        found = self._latest()
        assert found is not None  # `prepare` has run
        return found

    def _is_joined(self, number: int) -> bool:
        """Whether the round that made these arcs found nothing left to do. Where its counts are
        not there, nothing is known, so one more round has to tell."""
        pattern = storage.join(storage.escape(self._open(number)), "*.json")
        counts = [storage.read_json(file.path) for file in storage.list_files([pattern])]
        return bool(counts) and not any(counts)

    def _banded(self, pipeline: beam.Pipeline) -> PCollection[tuple[str, Partition]]:
        named: PCollection[tuple[str, Partition]] = (
            pool_sources(pipeline, self.shards, self.work)
            | "ByBand"
            >> Exchange(
                storage.join(self.work, "bands"),
                BAND,
                self.read,
                count_buckets(self._documents * self.bands, BAND.itemsize, self.most_bytes),
                most_bytes=self.most_bytes,
                carrier=choose_carrier(pipeline.options, self._planned["bands"]),
            )
            | "NameBands" >> beam.Map(named_partition)
        )
        return named

    def _link_pool(self, pipeline: beam.Pipeline) -> None:
        arcs = 2 * self._documents * self.bands
        link = self._by(_link_both_ways)
        _ = self._banded(pipeline) | self._by_key(self._arcs(0), ARC, link, arcs)

    def _round(self, pipeline: beam.Pipeline, number: int, arcs: Stored) -> None:
        counts = self._open(number + 1)
        stars = storage.join(self._folder(number), "stars")
        named = [named_partition(one) for one in arcs.partitions]
        _ = (
            pipeline
            | "Arcs" >> Listed(named, self.work)
            | "Spread" >> beam.Reshuffle()
            | "LargeStar"
            >> self._by_key(stars, ARC, partial(_large_star, counts=counts), arcs.rows // 2)
            | "NameStars" >> beam.Map(named_partition)
            | "SmallStar" >> self._by_key(self._arcs(number + 1), ARC, _small_star, arcs.rows)
        )

    def _by_key(
        self,
        folder: str,
        dtype: np.dtype[Any],
        rows: Callable[[Partition], Iterator[Rows]],
        count: int,
    ) -> Exchange:
        buckets = count_buckets(count, dtype.itemsize, self.most_bytes)
        return Exchange(folder, dtype, rows, buckets, most_bytes=self.most_bytes)


def band_exchanges(shards: Sequence[PoolShard], bands: int) -> dict[str, PlannedExchange]:
    """What `Linking` exchanges, at most; each round of a large pool as much as twice the links."""
    documents = sum(shard.file.rows for shard in shards)
    return {
        "bands": PlannedExchange(documents * bands * BAND.itemsize, is_hot=True),
        "links": PlannedExchange(documents * bands * LINK.itemsize, by_files=True),
        "components": PlannedExchange(documents * COMPONENT.itemsize),
    }


def _link(partition: Partition, published_from: np.uint64) -> Iterator[Rows]:
    return link_bands(partition.pieces(), published_from)


def _link_both_ways(partition: Partition, published_from: np.uint64) -> Iterator[Rows]:
    return map(both_ways, link_bands(partition.pieces(), published_from))


def _join(partitions: Sequence[Partition]) -> Iterator[Rows]:
    def blocks() -> Iterator[Rows]:
        for partition in partitions:
            yield from partition.blocks()

    return find_components(blocks)


def _read_stars(partition: Partition) -> Iterator[Rows]:
    return star_components(partition.pieces())


def _count_stars(partition: Partition) -> Iterator[Rows]:
    return count_stars(partition.pieces)


def _large_star(partition: Partition, counts: str) -> Iterator[Rows]:
    """Large star of a partition; what it found open is written before its run is whole."""
    found = 0

    def pieces() -> Iterator[Rows]:
        nonlocal found
        for rows in with_heads(partition.pieces(), ["node"]):
            found += open_nodes(rows)
            yield rows

    yield from large_star(pieces())
    storage.write_json(storage.join(counts, f"{partition.name}.json"), found)


def _small_star(partition: Partition) -> Iterator[Rows]:
    return small_star(partition.pieces())
