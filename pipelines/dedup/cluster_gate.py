"""The gate of near duplicates: what each source loses, and its largest cluster, by the recipe.

A cluster counts for the source of the document that stays in its place. Where it is larger than
`gates.largest_cluster` allows, the largest ones are named with their size and how they begin, so
that one sees what template or test page they are.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from expectations.gate import Verdict, run_gates
from expectations.metrics import Metrics
from pipelines.stages import Finished
from pipelines.tables import table_metrics, with_tables
from transforms.attributes import read_aligned
from transforms.datasets import Dataset, Manifest
from transforms.dedup.pool import PoolShard, read_selected

__all__ = ["judge_clusters"]

NAMED = 3  # largest clusters of a source that a failure names
BEGINS = 60  # characters of a text that are shown


def judge_clusters(
    finished: Sequence[Finished],
    documents: Mapping[str, Manifest],
    recipe: Mapping[str, Any],
    shards: Sequence[PoolShard],
) -> list[Verdict]:
    """A verdict for each stage of `fuzzy_duplicates`; `shards` are those of the pool."""
    bounds = recipe.get("gates", {}).get("largest_cluster", {})
    tables = []
    for stage, records in finished:
        table, source = stage.name.split(" ")
        row = table_metrics(table, source, documents[source], records, recipe, "duplicates")
        if "at_most" in bounds:
            row["cluster_at_most"] = bounds["at_most"]
            if _exceeds(row):
                its = [shard for shard in shards if shard.source == source]
                row["largest_clusters"] = _name_largest(table, source, stage.dataset, its)
        tables.append([row])
    return run_gates("attributes", tables, recipe)


def _exceeds(row: Metrics) -> bool:
    largest, most = row["largest_cluster"], row["cluster_at_most"]
    return isinstance(largest, int) and isinstance(most, int) and largest > most


def _name_largest(table: str, source: str, dataset: Dataset, shards: Sequence[PoolShard]) -> str:
    """`1,204 like 'id', which begins '...'` of the largest clusters, the largest first."""
    largest = heapq.nlargest(
        NAMED, _survivors(table, with_tables(shards, table, {source: dataset}))
    )
    told = []
    for size, number, row in largest:
        shard = next(one for one in shards if one.number == -number)
        rows = np.array([-row], np.int64)
        for _, batches in read_selected(shard, {"documents": ["id", "text"]}, rows):
            (document,) = batches["documents"].to_pylist()
            begins = " ".join(document["text"].split())[:BEGINS]
            told.append(f"{size:,} like {document['id']!r}, which begins {begins!r}")
    return "; ".join(told)


def _survivors(table: str, shards: Sequence[PoolShard]) -> Iterator[tuple[int, int, int]]:
    """(documents of its cluster, - shard number, - row) of those who may be among the largest."""
    for shard in shards:
        first = 0
        for batches in read_aligned(
            shard.paths(table), shard.file.rows_digest, {table: ["duplicate_of", "cluster_size"]}
        ):
            its = batches[table]
            sizes = its.column("cluster_size").fill_null(0).to_numpy(zero_copy_only=False)
            stays = its.column("duplicate_of").is_null().to_numpy(zero_copy_only=False)
            for row in np.argsort(np.where(stays, -sizes.astype(np.int64), 0), kind="stable")[
                :NAMED
            ]:
                if stays[row] and sizes[row] > 1:
                    yield int(sizes[row]), -shard.number, -(first + int(row))
            first += its.num_rows
