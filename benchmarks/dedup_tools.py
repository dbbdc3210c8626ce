"""Near-duplicate removal by this package and by peers, on the same texts with the same bands.

Each tool takes texts and (bands, rows) and tells which are removed, bool[texts], and for whom,
int64[texts] (itself for one that stays), where it says so. rensa and datasketch get true word
5-grams, are asked for each text's candidates, and all that hang together keep their first; they
verify nothing, as they are used. datatrove finds words itself.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.inputs import word_shingles
from transforms.dedup.fuzzy import find_near_duplicates
from transforms.dedup.members import Members
from transforms.dedup.minhash import NGRAM, SEED, MinHash, band_matrix
from transforms.dedup.survivors import rank_ids
from transforms.documents import DocumentBatch
from transforms.kernels.shingles import find_shingles

__all__ = ["TOOLS", "Removed"]

SIMILARITY = 0.8  # Jaccard, inclusive


class Removed(NamedTuple):
    """`survivor` is None where a tool does not tell it."""

    removed: npt.NDArray[np.bool_]
    survivor: npt.NDArray[np.int64] | None


def vineleaf(texts: Sequence[str], bands: int, rows: int) -> Removed:
    """The annotator, the shingle sets and the verified choice of survivors, as one worker."""
    batch = DocumentBatch(pa.record_batch({"text": pa.array(texts, pa.large_string())}))
    column = MinHash(NGRAM, bands, rows).annotate(batch).column("bands")
    seen = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    part = DocumentBatch(batch.table.take(pa.array(seen)))
    members = Members(
        np.zeros(len(seen), np.uint64),
        seen.astype(np.uint64),
        np.ones(len(seen), np.uint64),
        rank_ids(pa.array([str(one) for one in seen]), SEED)[:, None],
        band_matrix(column)[seen],
        find_shingles(part.words, NGRAM),
        np.ones(len(seen), np.uint64),
    )
    survivor = np.arange(len(texts))
    found = find_near_duplicates(members, SIMILARITY)
    survivor[found["address"].astype(np.int64)] = found["survivor"]
    return Removed(survivor != np.arange(len(texts)), survivor)


def rensa(texts: Sequence[str], bands: int, rows: int) -> Removed:
    """RMinHash and RMinHashLSH."""
    from rensa import RMinHash, RMinHashLSH

    known = []
    for text in texts:
        one = RMinHash(num_perm=bands * rows, seed=SEED)
        one.update(word_shingles(text))
        known.append(one)
    index = RMinHashLSH(threshold=SIMILARITY, num_perm=bands * rows, num_bands=bands)
    for number, one in enumerate(known):
        index.insert(number, one)
    return _joined(texts, lambda number: index.query(known[number]))


def datasketch(texts: Sequence[str], bands: int, rows: int) -> Removed:
    """MinHash and MinHashLSH."""
    from datasketch import MinHash as Signature
    from datasketch import MinHashLSH

    empty = Signature(bands * rows, SEED)
    known = []
    for text in texts:
        one = empty.copy()
        one.update_batch([shingle.encode() for shingle in word_shingles(text)])
        known.append(one)
    index = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
    for number, one in enumerate(known):
        index.insert(number, one)
    return _joined(texts, lambda number: index.query(known[number]))


def _joined(texts: Sequence[str], query: Callable[[int], Sequence[Any]]) -> Removed:
    """Texts with a word that hang together through candidates; the first of each cluster stays."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    def pairs() -> Iterator[tuple[int, int]]:
        for number, text in enumerate(texts):
            if word_shingles(text):
                yield from ((number, int(other)) for other in query(number))

    edges = np.array(sorted(pairs()), np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(texts), len(texts)))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    survivor = first[label].astype(np.int64)
    return Removed(survivor != np.arange(len(texts)), survivor)


def datatrove(texts: Sequence[str], bands: int, rows: int) -> Removed:
    """Its four steps: signatures, buckets, clusters, filter."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config = MinhashConfig(NGRAM, bands, rows)
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "input")
        os.makedirs(source)
        with open(os.path.join(source, "0.jsonl"), "w", encoding="utf-8") as file:
            for number, text in enumerate(texts):
                file.write(json.dumps({"id": str(number), "text": text}) + "\n")

        def step(number: int, blocks: list[Any]) -> None:
            LocalPipelineExecutor(
                pipeline=blocks, tasks=1, workers=1, logging_dir=f"{folder}/logs/{number}"
            ).run()

        step(1, [JsonlReader(source), MinhashDedupSignature(f"{folder}/signatures", config)])
        for bucket in range(bands):
            MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config).run(
                None, bucket, bands
            )
        step(2, [MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config)])
        kept_files = JsonlWriter(f"{folder}/kept", compression=None)
        step(3, [JsonlReader(source), MinhashDedupFilter(f"{folder}/remove"), kept_files])
        removed = np.ones(len(texts), np.bool_)
        for path in sorted(Path(folder, "kept").rglob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                removed[int(json.loads(line)["id"])] = False
    return Removed(removed, None)


TOOLS: dict[str, Callable[[Sequence[str], int, int], Removed]] = {
    "vineleaf": vineleaf,
    "rensa": rensa,
    "datasketch": datasketch,
    "datatrove": datatrove,
}
