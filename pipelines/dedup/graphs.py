"""The Beam graphs of deduplication: exact, then fuzzy on what is left; evidence goes into one table
per shard.

Exact: hashes of candidates -> Exchange by hash -> survivor of each group -> Exchange by shard ->
tables. Fuzzy: band keys -> Exchange by key -> links -> components -> Exchange by shard -> second
read of the text, of linked documents alone -> packed shingle sets -> Exchange by component -> pairs
verified, survivors -> Exchange by shard -> tables. Text stays where it is; what is
exchanged is 16 bytes per document and band, then some 8 per word of linked documents. Shards of
earlier runs (transforms.dedup.published) take part by their stored keys, and are not written to,
but for tables of exact duplicates: they count for whom their documents stand by now.

Runs are kept below `work` until `exchange.remove_runs(work)`; a killed job called again with the
same inputs takes up what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.pvalue import PCollection

from pipelines.dedup.components import MOST_NODES, Linking, band_exchanges
from pipelines.dedup.gone_documents import GONE, count_gone, read_gone
from pipelines.dedup.pool_graphs import (
    by_number,
    by_shard,
    is_valid,
    named_partition,
    pool_sources,
    with_addresses,
)
from pipelines.dedup.pool_tables import write_tables
from pipelines.runners.beam_options import PlannedExchange, choose_carrier
from transforms import storage
from transforms.datasets import Dataset
from transforms.dedup.exact import EXACT_SCHEMA, FOUND, exact_dtype, group_exact, hash_halves
from transforms.dedup.fuzzy import FUZZY_SCHEMA, NEAR, SIMILARITY
from transforms.dedup.members import (
    BLOCK_VALUES,
    Members,
    head_values,
    member_dtype,
    pack_members,
)
from transforms.dedup.minhash import BANDS, NGRAM, band_matrix
from transforms.dedup.passes import compare_components
from transforms.dedup.pool import (
    DUPLICATES,
    NONE_PUBLISHED,
    PoolShard,
    in_pool,
    published_from,
    rank_matrix,
    read_selected,
    stood_for,
)
from transforms.dedup.slices import slice_components
from transforms.dedup.stored_sets import unpack_sets
from transforms.documents import DocumentBatch
from transforms.exchange import MOST_PARTITION_BYTES, Exchange, Partition, count_buckets
from transforms.kernels.shingles import Sets, find_shingles
from transforms.rows import Rows
from transforms.stored_lists import StoredList

__all__ = ["build_exact", "build_fuzzy", "compare_linked", "exact_exchanges", "fuzzy_exchanges"]

# Counters of a pool that is compared with earlier runs.
_REPEATS_OWN, _REPEATS_PUBLISHED = "removed.duplicate", "removed.duplicate of published"
COUNTED = ("candidates", "kept_text_bytes", "largest_cluster")  # in all records
LEAST_BYTES_PER_BLOCK = 2 * BLOCK_VALUES  # of text: a word, and so a shingle, has 2 or more


def build_exact(
    pipeline: beam.Pipeline,
    shards: Sequence[PoolShard],
    outputs: Mapping[str, Dataset],
    work: str,
    ranks: int,
    hashed: tuple[str, str] = ("exact", "text_hash"),
    most_bytes: int = MOST_PARTITION_BYTES,
) -> None:
    """Write a table of EXACT_SCHEMA and a record for each shard without one.

    Shards need the tables `size`, `candidates` (with `ranks` rank columns) and the one of `hashed`,
    (table, column of 128-bit hashes): documents with equal hashes are duplicates. Those that an
    earlier table of `pool.DUPLICATES` removed take no part. `outputs`: source -> dataset. `work`:
    scratch folder of this stage and these inputs alone. Counts of a record: documents, candidates,
    removed, kept_text_bytes, largest_cluster (candidates, of those who stay) and those of
    `checks.attributes`.
    """
    documents = sum(shard.file.rows for shard in shards)
    dtype = exact_dtype(ranks)
    planned = exact_exchanges(shards, ranks)
    found = (
        pool_sources(pipeline, shards, work)
        | "ByHash"
        >> Exchange(
            storage.join(work, "hashes"),
            dtype,
            partial(_read_hashes, ranks=ranks, hashed=hashed),
            count_buckets(documents, dtype.itemsize, most_bytes),
            most_bytes=most_bytes,
            carrier=choose_carrier(pipeline.options, planned["hashes"]),
        )
        | "NamePartition" >> beam.Map(named_partition)
        | "ByShard"
        >> by_shard(
            work,
            "found",
            FOUND,
            _group_exact,
            shards,
            choose_carrier(pipeline.options, planned["found"]),
        )
    )
    evidence = _url_columns if hashed[0] == "url" else _exact_columns
    published = published_from(shards)
    fill = partial(_fill, schema=EXACT_SCHEMA, evidence=evidence, published_from=published)
    write_tables(found, by_number(shards, work), outputs, EXACT_SCHEMA, fill, COUNTED)


def exact_exchanges(shards: Sequence[PoolShard], ranks: int) -> dict[str, PlannedExchange]:
    """What `build_exact` exchanges, at most."""
    documents = sum(shard.file.rows for shard in shards)
    return {
        "hashes": PlannedExchange(documents * exact_dtype(ranks).itemsize, is_hot=True),
        "found": PlannedExchange(documents * FOUND.itemsize),
    }


def build_fuzzy(
    pipeline: beam.Pipeline,
    shards: Sequence[PoolShard],
    outputs: Mapping[str, Dataset],
    work: str,
    ranks: int,
    similarity: float = SIMILARITY,
    ngram: int = NGRAM,
    bands: int = BANDS,
    most_bytes: int = MOST_PARTITION_BYTES,
    most_nodes: int = MOST_NODES,
) -> None:
    """Write the table `fuzzy_duplicates` (FUZZY_SCHEMA) and a record for each shard without one.

    Shards need the tables `size`, `candidates` and `minhash`, whose `ngram` and `bands` must be
    these. `similarity`: true Jaccard, 0..1, inclusive. `most_nodes`: see `Linking`, whose `prepare`
    must have run, as must `gone_documents.gather_gone`. Published shards have `shingles`, and no
    table is written of them. Otherwise as `build_exact`.
    """
    if not 0.0 < similarity <= 1.0:
        raise ValueError(f"similarity must be above 0 and at most 1 (got {similarity})")
    own = [shard for shard in shards if not shard.is_published]
    partitions = compare_linked(
        Linking(shards, work, bands, most_bytes, most_nodes),
        pipeline,
        partial(_read_members, shards=by_number(shards, work), ranks=ranks, ngram=ngram, work=work),
        _count_blocks(shards, bands),
        ranks,
        similarity,
    )
    published = published_from(shards)
    fill = partial(_fill, schema=FUZZY_SCHEMA, evidence=_fuzzy_columns, published_from=published)
    write_tables(partitions, by_number(own, work), outputs, FUZZY_SCHEMA, fill, COUNTED)


def fuzzy_exchanges(
    shards: Sequence[PoolShard], ranks: int, bands: int
) -> dict[str, PlannedExchange]:
    """What `build_fuzzy` exchanges, at most."""
    own = sum(shard.file.rows for shard in shards if not shard.is_published)
    published = sum(shard.file.rows for shard in shards) - own
    gone = PlannedExchange(published * GONE.itemsize, by_files=True)
    return {
        **({"gone": gone} if published else {}),
        **band_exchanges(shards, bands),
        "members": _plan_members(_count_blocks(shards, bands), ranks),
        "found": PlannedExchange(own * NEAR.itemsize),
    }


def _plan_members(blocks: int, ranks: int) -> PlannedExchange:
    return PlannedExchange(blocks * member_dtype(ranks).itemsize, is_hot=True)


def _count_blocks(shards: Sequence[PoolShard], bands: int) -> int:
    """Rows of `member_dtype` of all documents, at most."""
    text_bytes = sum(shard.file.text_bytes for shard in shards)
    heads = -(-head_values(bands) // BLOCK_VALUES) + 1  # that a document begins
    return text_bytes // LEAST_BYTES_PER_BLOCK + heads * sum(one.file.rows for one in shards)


def compare_linked(
    linking: Linking,
    pipeline: beam.Pipeline,
    members: Callable[[Partition], Iterator[Rows]],
    blocks: int,
    ranks: int,
    similarity: float,
) -> PCollection[Partition]:
    """Compare the documents that `linking` joins; gives partitions of `NEAR` by shard.

    `members`: components of a shard (rows of COMPONENT) -> rows of `member_dtype`, `blocks`
    in all, at most.
    """
    work, most_bytes = linking.work, linking.most_bytes
    own = [shard for shard in linking.shards if not shard.is_published]
    documents = sum(shard.file.rows for shard in own)
    dtype = member_dtype(ranks)
    found_planned = PlannedExchange(documents * NEAR.itemsize)
    found: PCollection[Partition] = (
        linking.components(pipeline)
        | "NameShards" >> beam.Map(named_partition)
        | "ByComponent"
        >> Exchange(
            storage.join(work, "members"),
            dtype,
            members,
            count_buckets(blocks, dtype.itemsize, most_bytes),
            most_bytes=most_bytes,
            carrier=choose_carrier(pipeline.options, _plan_members(blocks, ranks)),
        )
        | "NameComponents" >> beam.Map(named_partition)
        | "ByShard"
        >> by_shard(
            work,
            "found",
            NEAR,
            partial(
                _find_near,
                bands=linking.bands,
                similarity=similarity,
                published_from=published_from(linking.shards),
            ),
            own,
            choose_carrier(pipeline.options, found_planned),
        )
    )
    return found


def _read_hashes(shard: PoolShard, ranks: int, hashed: tuple[str, str]) -> Iterator[Rows]:
    table, name = hashed
    for address, batches in with_addresses(shard, (*shard.judged_by, table)):
        column = batches[table].column(name)
        wanted = in_pool(batches) & is_valid(column)
        key, low = hash_halves(column)
        matrix = rank_matrix(batches["candidates"], ranks, shard.place)
        rows = np.empty(len(address), exact_dtype(ranks))
        rows["key"], rows["low"], rows["address"] = key, low, address
        for rank in range(ranks):
            rows[f"rank_{rank}"] = matrix[:, rank]
        rows["stands_for"] = stood_for(batches)
        yield rows[wanted]


def _group_exact(partition: Partition) -> Iterator[Rows]:
    return group_exact(partition.pieces)


def _read_members(
    partition: Partition,
    shards: StoredList[PoolShard | None],
    ranks: int,
    ngram: int,
    work: str,
) -> Iterator[Rows]:
    """Read the text of a shard's linked documents, or what is stored of them, and pack what their
    comparison needs."""
    linked = partition.read()
    if len(linked) == 0:
        return
    shard = shards[partition.first_bucket]
    assert shard is not None  # documents that are linked lie somewhere
    numbers = (linked["address"] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    gone = read_gone(work, shard)
    columns: dict[str, list[str] | None] = {
        **({"shingles": ["gaps"]} if shard.is_published else {"documents": ["text"]}),
        "candidates": None,
        "minhash": ["bands"],
        **{name: ["stands_for"] for name in shard.judged_by[-1:] if name in DUPLICATES},
    }
    first = 0
    for inside, batches in read_selected(shard, columns, numbers):
        here = linked[first : first + len(inside)]
        first += len(inside)
        sets = _shingles(batches, ngram)
        sizes, stands_for = count_gone(gone, here["address"])
        yield pack_members(
            Members(
                slice_components(here["component"], here["documents"], sets),
                here["address"],
                stands_for + stood_for(batches),
                rank_matrix(batches["candidates"], ranks, shard.place),
                band_matrix(batches["minhash"].column("bands")),
                sets,
                sizes + np.uint64(1),
            )
        )


def _shingles(batches: Mapping[str, pa.RecordBatch], ngram: int) -> Sets:
    if "shingles" in batches:
        return unpack_sets(batches["shingles"].column("gaps"))
    return find_shingles(DocumentBatch(batches["documents"]).words, ngram)


def _find_near(
    partition: Partition, bands: int, similarity: float, published_from: np.uint64
) -> Iterator[Rows]:
    return compare_components(partition.pieces(), bands, similarity, published_from=published_from)


def _fill(
    shard: PoolShard,
    found: Rows,
    schema: pa.Schema,
    evidence: Callable[[Rows], dict[str, pa.Array]],
    published_from: np.uint64,
) -> Iterator[tuple[pa.RecordBatch, dict[str, int]]]:
    """A shard's table of duplicates, batch by batch, each with its counts."""
    for address, tables in with_addresses(shard, (*shard.judged_by, "size")):
        here = found[
            np.searchsorted(found["address"], address[:1])[0] : np.searchsorted(
                found["address"], address[-1:], side="right"
            )[0]
        ]
        mask = in_pool(tables)
        places = (here["address"] - address[0]).astype(np.int64)
        columns = _align(evidence(here), places, len(address))
        for name, alone in (("cluster_size", np.uint32(1)), ("stands_for", stood_for(tables))):
            sizes = np.full(len(address), alone)
            sizes[places] = here[name]
            columns[name] = pa.array(sizes, mask=~mask)
        kept = mask & columns["duplicate_of"].is_null().to_numpy(zero_copy_only=False)
        largest = columns["cluster_size"].filter(pa.array(kept)).to_numpy().max(initial=0)
        gave_way = columns["duplicate_of"].drop_null().to_numpy()
        reasons = {}
        if published_from != NONE_PUBLISHED and not shard.is_published:
            of_published = int((gave_way >= published_from).sum())
            reasons[_REPEATS_PUBLISHED] = of_published
            reasons[_REPEATS_OWN] = len(gave_way) - of_published
        yield (
            pa.record_batch([columns[name] for name in schema.names], schema=schema),
            {
                **reasons,
                "candidates": int(mask.sum()),
                "removed": len(gave_way),
                "kept_text_bytes": int(tables["size"].column("bytes").to_numpy()[kept].sum()),
                "largest_cluster": int(largest),
            },
        )


def _align(
    columns: Mapping[str, pa.Array], places: npt.NDArray[np.int64], rows: int
) -> dict[str, pa.Array]:
    """Spread values over `rows` rows: value k stands in row places[k], all other rows are null."""
    source = np.zeros(rows, np.int64)
    source[places] = np.arange(len(places))
    absent = np.ones(rows, np.bool_)
    absent[places] = False
    indices = pa.array(source, mask=absent)
    return {name: column.take(indices) for name, column in columns.items()}


def _exact_columns(found: Rows) -> dict[str, pa.Array]:
    survives = found["survivor"] == found["address"]
    return {
        "duplicate_of": pa.array(found["survivor"], mask=survives),
        "similarity": pa.array(np.ones(len(found), np.float32), mask=survives),
    }


def _url_columns(found: Rows) -> dict[str, pa.Array]:
    """As of exact ones, but an equal URL says nothing of how similar the texts are."""
    columns = _exact_columns(found)
    return {**columns, "similarity": pa.nulls(len(found), pa.float32())}


def _fuzzy_columns(found: Rows) -> dict[str, pa.Array]:
    survives = found["survivor"] == found["address"]
    return {
        "duplicate_of": pa.array(found["survivor"], mask=survives),
        "similarity": pa.array(found["similarity"], mask=survives),
        "shared_bands": pa.array(found["shared_bands"], mask=survives),
    }
