"""Near duplicates: clusters of documents whose true Jaccard similarity reaches the threshold.

In: members of whole components (members.py), as many as fit a worker's memory; a component is never
cut. Two documents are compared when they share a band (kernels.clusters); those at the threshold or
above are joined, and of each cluster the document with the least ranks survives. So each document
that is removed has a partner at the threshold or above, its nearest, while its similarity to the
survivor, at the other end of a chain perhaps, may be lower.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from transforms.dedup.members import Members
from transforms.kernels.clusters import cluster_similar
from transforms.kernels.shingles import Sets, jaccard
from transforms.rows import Rows

__all__ = ["FUZZY_SCHEMA", "FUZZY_VERSION", "NEAR", "SIMILARITY", "find_near_duplicates"]

SIMILARITY = 0.8  # Jaccard, inclusive (Dolma 3)
FUZZY_VERSION = 1  # of the grouping; raised when `fuzzy_duplicates` changes for the same input

FUZZY_SCHEMA = pa.schema(
    [
        pa.field("duplicate_of", pa.uint64()),  # address of the survivor; null: not a duplicate
        pa.field("similarity", pa.float32()),  # true Jaccard with the survivor
        pa.field("nearest", pa.uint64()),  # address of the most similar partner found
        pa.field("nearest_similarity", pa.float32()),  # true Jaccard with it
        pa.field("cluster_size", pa.uint32()),  # candidates in its cluster; null: no candidate
    ]
)

# What is found about one document, on its way back to its shard.
NEAR = np.dtype(
    [
        ("address", "<u8"),
        ("survivor", "<u8"),
        ("similarity", "<f4"),
        ("nearest", "<u8"),
        ("nearest_similarity", "<f4"),
        ("cluster_size", "<u4"),
    ]
)


def find_near_duplicates(members: Members, at_least: float) -> Rows:
    """Rows of `NEAR` for each member of a cluster of two or more.

    `at_least`: Jaccard similarity, inclusive. The result depends on ranks, bands and shingles
    alone; addresses decide only between members all of whose ranks are equal.
    """
    order = np.lexsort([members.address, *reversed(members.ranks.T)])
    sets = _reorder(members.sets, order)
    clusters = cluster_similar(members.bands[order], sets, at_least)

    sizes = np.bincount(clusters.root, minlength=len(order))[clusters.root]
    inside = np.flatnonzero(sizes > 1)
    root = clusters.root[inside]
    nearest, nearest_similarity = _nearest(
        np.concatenate([clusters.a, clusters.b]),
        np.concatenate([clusters.b, clusters.a]),
        np.concatenate([clusters.similarity, clusters.similarity]),
    )
    address = members.address[order]
    found = np.empty(len(inside), NEAR)
    found["address"] = address[inside]
    found["survivor"] = address[root]
    found["similarity"] = jaccard(sets, inside, root)
    found["nearest"] = address[nearest]
    found["nearest_similarity"] = nearest_similarity
    found["cluster_size"] = sizes[inside]
    return found


def _reorder(sets: Sets, order: np.ndarray) -> Sets:
    sizes = np.diff(sets.bounds)[order]
    bounds = np.zeros(len(order) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    source = np.repeat(sets.bounds[:-1][order] - bounds[:-1], sizes) + np.arange(bounds[-1])
    return Sets(sets.values[source], bounds)


def _nearest(
    node: np.ndarray, partner: np.ndarray, similarity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best partner of each node that has an edge, by node: the most similar, then the least."""
    order = np.lexsort([partner, -similarity, node])
    node = node[order]
    first = np.ones(len(node), np.bool_)
    first[1:] = node[1:] != node[:-1]
    best = order[first]
    return partner[best], similarity[best]
