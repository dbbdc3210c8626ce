"""Near duplicates: documents that give way to a better one that is truly similar.

In: members of whole components (members.py), as many as fit a worker's memory; passes.py does the
same for a component that does not. Who survives is decided in the order of their ranks
(kernels.survivors): a document gives way to the best survivor with which it shares a band and whose
true Jaccard similarity reaches the threshold. So no chain of links and no boilerplate that many
share removes a document that is unlike its survivor, and a pool of survivors can be extended: later
documents of worse ranks change nothing about it. Published survivors are such a pool: they rank
before all others, and stay.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from transforms.dedup.members import Members, take_members
from transforms.dedup.pool import NONE_PUBLISHED
from transforms.kernels.survivors import choose_survivors
from transforms.rows import Rows

__all__ = ["FUZZY_SCHEMA", "FUZZY_VERSION", "NEAR", "SIMILARITY", "find_near_duplicates"]

SIMILARITY = 0.8  # Jaccard, inclusive (Dolma 3)
FUZZY_VERSION = 6  # of the grouping; raised when `fuzzy_duplicates` changes for the same input

FUZZY_SCHEMA = pa.schema(
    [
        pa.field("duplicate_of", pa.uint64()),  # address of the survivor; null: not a duplicate
        pa.field("similarity", pa.float32()),  # true Jaccard with the survivor
        pa.field("shared_bands", pa.uint16()),  # band keys that both have
        pa.field("cluster_size", pa.uint32()),  # candidates in its cluster; null: no candidate
        # Documents that its survivor stands for: those of the cluster, and those that earlier
        # stages removed for them.
        pa.field("stands_for", pa.uint32()),
    ]
)

# What is found about one document, on its way back to its shard.
NEAR = np.dtype(
    [
        ("address", "<u8"),
        ("survivor", "<u8"),
        ("similarity", "<f4"),
        ("shared_bands", "<u2"),
        ("cluster_size", "<u4"),
        ("stands_for", "<u4"),
    ]
)


def find_near_duplicates(
    members: Members, at_least: float, published_from: np.uint64 = NONE_PUBLISHED
) -> Rows:
    """Rows of `NEAR` for each member of a cluster of two or more that is not published.

    `at_least`: Jaccard similarity, inclusive. `published_from`: the least address of a published
    document; those here have survived, and their ranks come before all others. The result depends
    on components, ranks, bands and shingles alone; addresses decide only between members all of
    whose ranks are equal.
    """
    order = np.lexsort([members.address, *reversed(members.ranks.T)])
    members = take_members(members, order)
    # Slices of one component have bands in common, but may not meet, read together or not.
    bands = members.bands ^ members.component[:, None]
    address = members.address
    is_published = address >= published_from
    survivor, similarity = choose_survivors(
        bands, members.sets, at_least, settled=int(is_published.sum())
    )
    sizes, stands_for = np.zeros((2, len(order)), np.uint64)
    np.add.at(sizes, survivor, members.sizes)
    np.add.at(stands_for, survivor, members.stands_for)
    inside = np.flatnonzero((sizes[survivor] > 1) & ~is_published)
    root = survivor[inside]
    found = np.empty(len(inside), NEAR)
    found["address"] = address[inside]
    found["survivor"] = address[root]
    found["similarity"] = similarity[inside]
    found["shared_bands"] = (bands[inside] == bands[root]).sum(axis=1)
    found["cluster_size"] = sizes[root]
    found["stands_for"] = stands_for[root]
    return found
