"""Components: documents that are linked, by whatever chain, through equal bands.

`link_bands` turns the rows of an Exchange by band key into links, a star per group of equal keys;
`find_components` joins all links of the pool. The links are streamed twice, and what is held is 24
bytes for each document that has one (1 GB for 40 million): this step is one worker's, and bounds
the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from transforms.kernels.clusters import find_roots, join_pairs
from transforms.rows import Rows

__all__ = ["BAND", "COMPONENT", "LINK", "find_components", "link_bands"]

BAND = np.dtype([("key", "<u8"), ("address", "<u8")])  # a document's key in some band
LINK = np.dtype([("address", "<u8"), ("other", "<u8")])  # address < other
COMPONENT = np.dtype([("address", "<u8"), ("component", "<u8")])  # component: its least address
PIECE_ROWS = 1 << 20  # rows of COMPONENT given at once


def link_bands(rows: Rows) -> Rows:
    """Sorted rows of `BAND` -> distinct rows of `LINK`: each document of a group with the group's
    least address."""
    if len(rows) == 0:
        return np.empty(0, LINK)
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = rows["key"][1:] != rows["key"][:-1]
    starts = np.flatnonzero(begins)
    links = np.empty(len(rows), LINK)
    links["address"] = np.repeat(rows["address"][starts], np.diff(starts, append=len(rows)))
    links["other"] = rows["address"]
    links = links[links["address"] != links["other"]]
    links = links[np.lexsort([links["other"], links["address"]])]
    fresh = np.ones(len(links), np.bool_)
    fresh[1:] = links[1:] != links[:-1]
    distinct: Rows = links[fresh]
    return distinct


def _distinct(parts: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    """Distinct values of all parts, ascending."""
    values = np.concatenate(parts)
    values.sort()
    fresh = np.ones(len(values), np.bool_)
    fresh[1:] = values[1:] != values[:-1]
    return values[fresh]


def find_components(blocks: Callable[[], Iterable[Rows]]) -> Iterator[Rows]:
    """Rows of `COMPONENT` for every document with a link, by address.

    `blocks` gives rows of `LINK` in pieces; it is called twice and must give the same rows.
    """
    nodes = np.empty(0, np.uint64)
    waiting: list[npt.NDArray[np.uint64]] = []
    for block in blocks():
        waiting += [block["address"], block["other"]]
        # Merged when they are as many as those known: each node is sorted a few times in all.
        if sum(map(len, waiting)) >= max(len(nodes), PIECE_ROWS):
            nodes, waiting = _distinct([nodes, *waiting]), []
    nodes = _distinct([nodes, *waiting])
    parent = np.arange(len(nodes))
    for block in blocks():
        join_pairs(
            parent,
            np.searchsorted(nodes, block["address"]),
            np.searchsorted(nodes, block["other"]),
        )
    find_roots(parent)
    for start in range(0, len(nodes), PIECE_ROWS):
        piece = np.empty(min(PIECE_ROWS, len(nodes) - start), COMPONENT)
        piece["address"] = nodes[start : start + PIECE_ROWS]
        piece["component"] = nodes[parent[start : start + PIECE_ROWS]]
        yield piece
