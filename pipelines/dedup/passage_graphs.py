"""The Beam graphs of substring, line and paragraph deduplication: which passages of documents that
survived stand somewhere before; they go into one table per shard.

Substring: anchors -> Exchange by key -> places that meet -> Exchange by shard -> second read of the
text, of documents with such a place alone -> excerpts; when all are there, the same partitions of
anchors -> places compared by reading excerpts -> Exchange by shard -> tables. What is exchanged
is 16 bytes per anchor, then 8 per place that meets another and 22 per piece that is cut: some 10 %
of the text. Lines and paragraphs: keys of their words -> Exchange by key -> all but the first ->
Exchange by shard -> tables.

Shards of earlier runs (transforms.dedup.published) take part in lines and paragraphs by their
stored keys.

Runs and excerpts are kept below `work` until `exchange.remove_runs(work)`; a killed job called
again with the same inputs takes up what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import AsList

from pipelines.dedup.pool_graphs import (
    by_number,
    by_shard,
    named_partition,
    pool_sources,
    with_addresses,
)
from pipelines.dedup.pool_tables import write_tables
from pipelines.runners.beam_options import PlannedExchange, choose_carrier
from transforms import storage
from transforms.attributes import read_aligned
from transforms.datasets import Dataset
from transforms.dedup.excerpts import (
    ExcerptFiles,
    Neighbourhoods,
    compare_excerpts,
    excerpt_dtype,
    find_places,
    write_excerpts,
)
from transforms.dedup.passages import (
    FOUND_PASSAGE,
    PASSAGES_SCHEMA,
    document_starts,
    documents_of,
    passage_columns,
    place_of,
)
from transforms.dedup.pool import (
    PoolShard,
    in_pool,
    published_from,
    rank_matrix,
    read_selected,
)
from transforms.dedup.stored_sets import unpack_sets
from transforms.dedup.substring import (
    ANCHOR,
    EDGE_BYTES,
    SIZE,
    find_repeats,
    gram_of,
    shared_anchors,
)
from transforms.dedup.units import find_units, group_units, unit_dtype
from transforms.documents import DocumentBatch, addresses, text_buffers
from transforms.exchange import MOST_PARTITION_BYTES, Exchange, Partition, count_buckets
from transforms.kernels.winnow import find_anchors
from transforms.rows import Rows
from transforms.sealed_rows import read_rows, write_rows
from transforms.stored_lists import StoredList

__all__ = ["build_substring", "build_units", "substring_exchanges", "unit_exchanges"]

PLACE = np.dtype([("place", "<u8")])
_LOW = np.uint64(0xFFFFFFFF)
WORD_TEXT_BYTES = 2  # that a word of a line takes at least, with what parts it from the next


class Shape(NamedTuple):
    """Of substring deduplication: bytes of a window, bytes of an anchor, rank columns."""

    size: int
    gram: int
    ranks: int


def build_substring(
    pipeline: beam.Pipeline,
    shards: Sequence[PoolShard],
    outputs: Mapping[str, Dataset],
    work: str,
    ranks: int,
    size: int = SIZE,
    joined_from: float | None = None,
    most_bytes: int = MOST_PARTITION_BYTES // 2,
) -> None:
    """Write the table `repeated_passages` (PASSAGES_SCHEMA) and a record for each shard without
    one.

    Shards need the tables `size` and `candidates`, and those of `pool.DUPLICATES` that there are:
    passages are sought in what these leave. `size`: bytes of the shortest passage; `joined_from`:
    see `passages.passage_columns`. Otherwise as `graphs.build_exact`. Counts of a record:
    documents, candidates, removed (0), kept_text_bytes (without what is cut), cut.documents,
    cut.passages, cut.bytes and those of `checks.attributes`.
    """
    shape = Shape(size, gram_of(size), ranks)
    numbered = by_number(shards, work)
    anchors = _count_anchors(shards, size)
    met = (
        pool_sources(pipeline, shards, work)
        | "Anchors"
        >> Exchange(
            storage.join(work, "anchors"),
            ANCHOR,
            partial(_read_anchors, shape=shape, work=work),
            count_buckets(anchors, ANCHOR.itemsize, most_bytes),
            most_bytes=most_bytes,
        )
        | "NameAnchors" >> beam.Map(named_partition)
    )
    excerpts = (
        met
        | "Places" >> by_shard(work, "places", PLACE, _shared_places, shards)
        | "Excerpts" >> beam.Map(_write_excerpts, shards=numbered, shape=shape, work=work)
    )
    found = (
        met
        | "AfterExcerpts" >> beam.Map(_after, AsList(excerpts))
        | "Compare"
        >> by_shard(work, "found", FOUND_PASSAGE, partial(_compare, shape=shape, work=work), shards)
    )
    fill = partial(_fill, joined_from=joined_from, more=partial(_read_own, shape=shape, work=work))
    write_tables(found, numbered, outputs, PASSAGES_SCHEMA, fill)


def build_units(
    pipeline: beam.Pipeline,
    shards: Sequence[PoolShard],
    outputs: Mapping[str, Dataset],
    work: str,
    ranks: int,
    paragraphs: bool,
    words: int,
    most_bytes: int = MOST_PARTITION_BYTES,
) -> None:
    """Write the table `repeated_lines` or `repeated_paragraphs` (PASSAGES_SCHEMA) and a record
    for each shard without one.

    `words`: of the shortest line or paragraph that is looked at. Otherwise as `build_substring`.
    """
    dtype = unit_dtype(ranks)
    planned = unit_exchanges(shards, ranks, words)
    own = [shard for shard in shards if not shard.is_published]
    found = (
        pool_sources(pipeline, shards, work)
        | "Units"
        >> Exchange(
            storage.join(work, "units"),
            dtype,
            partial(_read_units, ranks=ranks, paragraphs=paragraphs, words=words),
            count_buckets(_count_units(shards, words), dtype.itemsize, most_bytes),
            most_bytes=most_bytes,
            carrier=choose_carrier(pipeline.options, planned["units"]),
        )
        | "NameUnits" >> beam.Map(named_partition)
        | "ByShard"
        >> by_shard(
            work,
            "found",
            FOUND_PASSAGE,
            partial(_group_units, published_from=published_from(shards)),
            own,
            choose_carrier(pipeline.options, planned["found"]),
        )
    )
    fill = partial(_fill, joined_from=None, more=None)
    write_tables(found, by_number(own, work), outputs, PASSAGES_SCHEMA, fill)


def _count_anchors(shards: Sequence[PoolShard], size: int) -> int:
    text_bytes = sum(shard.file.text_bytes for shard in shards)
    return 2 * text_bytes // (size - gram_of(size) + 2) + sum(shard.file.rows for shard in shards)


def substring_exchanges(shards: Sequence[PoolShard], size: int) -> dict[str, PlannedExchange]:
    """What `build_substring` exchanges, at most some; its partitions are read twice, from files."""
    anchors = _count_anchors(shards, size)
    widths = {"anchors": ANCHOR, "places": PLACE, "found": FOUND_PASSAGE}
    return {
        name: PlannedExchange(anchors * dtype.itemsize, by_files=True)
        for name, dtype in widths.items()
    }


def unit_exchanges(
    shards: Sequence[PoolShard], ranks: int, words: int
) -> dict[str, PlannedExchange]:
    """What `build_units` exchanges, at most."""
    units = _count_units(shards, words)
    return {
        "units": PlannedExchange(units * unit_dtype(ranks).itemsize, is_hot=True),
        "found": PlannedExchange(units * FOUND_PASSAGE.itemsize),
    }


def _count_units(shards: Sequence[PoolShard], words: int) -> int:
    """Lines or paragraphs of `words` or more, at most: behind all but a text's last there is a line
    feed."""
    most = sum(shard.file.text_bytes + shard.file.rows for shard in shards)
    return most // (words * WORD_TEXT_BYTES)


def _after(element: tuple[str, Partition], excerpts: list[int]) -> tuple[str, Partition]:
    """The element, once all excerpts are written."""
    return element


def _own_path(work: str, shard: int) -> str:
    return storage.join(work, "own", f"{shard:08d}")


def _read_anchors(shard: PoolShard, shape: Shape, work: str) -> Iterator[Rows]:
    """Anchors of a shard; what of its documents repeats them a short period before goes into a file
    of scratch, which is there before the run is."""
    columns: dict[str, list[str] | None] = {"documents": ["text"]}
    own = [np.empty(0, FOUND_PASSAGE)]
    first_row, first_byte = 0, 0
    everyone = addresses(shard.number, shard.file.rows)
    for tables in read_aligned(
        shard.paths("documents", *shard.judged_by), shard.file.rows_digest, columns
    ):
        data, offsets = text_buffers(tables["documents"].column("text"))
        rows = tables["documents"].num_rows
        if rows:
            wanted = in_pool(tables)
            found = find_anchors(data, offsets, wanted, shape.size, shape.gram)
            shift = first_byte - int(offsets[0])
            anchors = np.empty(len(found.keys), ANCHOR)
            anchors["key"] = found.keys
            anchors["place"] = place_of(shard.number, found.places + shift)
            yield anchors
            repeats = np.empty(len(found.starts), FOUND_PASSAGE)
            repeats["start"] = place_of(shard.number, found.starts + shift)
            its = documents_of(found.starts, offsets)
            repeats["first_in"] = everyone[first_row:][its]
            repeats["length"] = found.ends - found.starts
            repeats["head"], repeats["tail"] = found.head, found.tail
            own.append(repeats)
            first_byte += int(offsets[-1] - offsets[0])
        first_row += rows
    write_rows(_own_path(work, shard.number), np.concatenate(own))


def _read_own(shard: PoolShard, shape: Shape, work: str) -> Rows:
    """What `_read_anchors` left; it is called again where that was lost or changed since."""
    path = _own_path(work, shard.number)
    own = read_rows(path, FOUND_PASSAGE)
    if own is None:
        for _ in _read_anchors(shard, shape, work):
            pass
        own = read_rows(path, FOUND_PASSAGE)
    if own is None:
        raise storage.DamagedFile(f"{path} does not hold what was just written: see to the disk")
    return own


def _shared_places(partition: Partition) -> Iterator[Rows]:
    for shared in shared_anchors(partition.pieces()):
        places = np.empty(len(shared), PLACE)
        places["place"] = shared["place"]
        yield places


def _write_excerpts(
    partition: Partition, shards: StoredList[PoolShard | None], shape: Shape, work: str
) -> int:
    """Write the excerpts of the shard that the partition stands for; gives the shard's number."""
    number = partition.first_bucket
    files = ExcerptFiles.of(storage.join(work, "excerpts"), number)
    shard = shards[number] if shards else None
    if shard is not None and not storage.exists(files.heads):
        offsets = (partition.read()["place"] & _LOW).astype(np.int64)
        write_excerpts(files, _neighbourhoods(shard, offsets, shape), shape.ranks)
    return number


def _neighbourhoods(
    shard: PoolShard, offsets: npt.NDArray[np.int64], shape: Shape
) -> Iterator[Neighbourhoods]:
    starts = document_starts(_sizes(shard))
    rows = documents_of(offsets, starts)
    columns = {"documents": ["text"], "candidates": [f"rank_{k}" for k in range(shape.ranks)]}
    for inside, tables in read_selected(shard, columns, np.unique(rows)):
        data, bounds = text_buffers(tables["documents"].column("text"))
        here = slice(*np.searchsorted(rows, [inside[0], inside[-1] + 1]))
        its = np.searchsorted(inside, rows[here])
        index = np.empty(len(its), excerpt_dtype(shape.ranks))
        index["offset"], index["row"] = offsets[here], rows[here]
        index["at"] = at = bounds[its] + offsets[here] - starts[rows[here]]
        index["left"] = np.minimum(at - bounds[its], shape.size - shape.gram + EDGE_BYTES)
        index["right"] = np.minimum(bounds[its + 1] - at, shape.size + EDGE_BYTES)
        matrix = rank_matrix(tables["candidates"], shape.ranks)
        for k in range(shape.ranks):
            index[f"rank_{k}"] = matrix[its, k]
        yield Neighbourhoods(data, index)


def _sizes(shard: PoolShard) -> npt.NDArray[np.int64]:
    """Bytes of each document of a shard, int64[rows]."""
    columns: dict[str, list[str] | None] = {"size": ["bytes"]}
    tables = read_aligned(shard.paths("size"), shard.file.rows_digest, columns)
    sizes = [one["size"].column("bytes").to_numpy().astype(np.int64) for one in tables]
    return np.concatenate([np.empty(0, np.int64), *sizes])


def _compare(partition: Partition, shape: Shape, work: str) -> Iterator[Rows]:
    """Compare the places that meet in a partition; text is read from the excerpts of all shards."""
    folder = storage.join(work, "excerpts")
    blocks = (
        find_places(shared, shape.ranks, folder)
        for shared in shared_anchors(partition.pieces())
        if len(shared)
    )
    compare = partial(compare_excerpts, size=shape.size, folder=folder)
    most_bytes = partition.most_bytes
    yield from find_repeats(blocks, shape.ranks, shape.size, shape.gram, compare, most_bytes)


def _read_units(shard: PoolShard, ranks: int, paragraphs: bool, words: int) -> Iterator[Rows]:
    columns: dict[str, list[str] | None] = {"documents": ["text"]}
    everyone = addresses(shard.number, shard.file.rows)
    first_row, first_byte = 0, 0
    if shard.is_published:
        yield from _published_units(shard, ranks, "paragraphs" if paragraphs else "lines")
        return
    for tables in read_aligned(
        shard.paths("documents", *shard.judged_by), shard.file.rows_digest, columns
    ):
        batch = DocumentBatch(tables["documents"])
        if batch.rows:
            units = find_units(batch, paragraphs)
            kept = in_pool(tables)[units.rows] & (units.words >= words)
            rows = np.empty(int(kept.sum()), unit_dtype(ranks))
            its = units.rows[kept]
            rows["key"], rows["address"] = units.keys[kept], everyone[first_row:][its]
            matrix = rank_matrix(tables["candidates"], ranks, shard.place)
            for k in range(ranks):
                rows[f"rank_{k}"] = matrix[its, k]
            rows["offset"] = first_byte + units.starts[kept]
            rows["length"] = (units.ends - units.starts)[kept]
            yield rows
            first_byte += int(batch.text[1][-1] - batch.text[1][0])
        first_row += batch.rows


def _published_units(shard: PoolShard, ranks: int, table: str) -> Iterator[Rows]:
    """Those that a published shard keeps; no byte of them is cut, so where they stand is not
    known."""
    for address, tables in with_addresses(shard, ("candidates", table)):
        sets = unpack_sets(tables[table].column("gaps"))
        its = np.repeat(np.arange(len(address)), np.diff(sets.bounds))
        rows = np.zeros(len(its), unit_dtype(ranks))
        rows["key"], rows["address"] = sets.values, address[its]
        matrix = rank_matrix(tables["candidates"], ranks, shard.place)
        for k in range(ranks):
            rows[f"rank_{k}"] = matrix[its, k]
        yield rows


def _group_units(partition: Partition, published_from: np.uint64) -> Iterator[Rows]:
    for found in group_units(partition.pieces()):
        yield found[found["start"] < published_from]


def _fill(
    shard: PoolShard,
    found: Rows,
    joined_from: float | None,
    more: Callable[[PoolShard], Rows] | None,
) -> Iterator[tuple[pa.RecordBatch, dict[str, int]]]:
    """The table of PASSAGES_SCHEMA of a shard, batch by batch, each with its counts. `more`: what
    is known of a shard without an exchange."""
    if more is not None:
        found = np.concatenate([found, more(shard)])
        found = found[np.argsort(found["start"], kind="stable")]
    first_byte = 0
    for tables in read_aligned(shard.paths("size", *shard.judged_by), shard.file.rows_digest):
        sizes = tables["size"].column("bytes").to_numpy().astype(np.int64)
        starts = first_byte + document_starts(sizes)
        first_byte = int(starts[-1])
        bounds = place_of(shard.number, starts[[0, -1]])
        here = found[slice(*np.searchsorted(found["start"], bounds))]
        columns, passages = passage_columns(here, starts, joined_from)
        mask = in_pool(tables)
        cut = columns["cut_bytes"].to_numpy()
        table = pa.record_batch(
            [
                pc.if_else(pa.array(mask), columns[field.name], pa.scalar(None, field.type))
                for field in PASSAGES_SCHEMA
            ],
            schema=PASSAGES_SCHEMA,
        )
        yield (
            table,
            {
                "candidates": int(mask.sum()),
                "kept_text_bytes": int((sizes - cut)[mask].sum()),
                "cut.documents": int((cut > 0).sum()),
                "cut.passages": passages,
                "cut.bytes": int(cut.sum()),
            },
        )
