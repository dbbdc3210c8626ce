"""Components: documents that are linked, by whatever chain, through equal bands.

`link_bands` turns the rows of an Exchange by band key into links, a star per group of equal keys.
Where the pool is small, `find_components` joins all links in one worker: they are streamed twice,
and what is held is `NODE_BYTES` for each document that has one. Where it is larger, links are
joined in rounds of two exchanges by node (Kiveris et al. 2014, "Connected Components in MapReduce
and Beyond"): `large_star` hands each node's greater neighbours to its least one, `small_star` its
lesser ones, until every component is a star around its least address. No step holds more than a
piece of sorted rows (sorted_pieces), however many neighbours a node has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from transforms.dedup.pool import NONE_PUBLISHED
from transforms.kernels.clusters import find_roots, join_pairs
from transforms.rows import Rows
from transforms.sorted_pieces import with_heads

__all__ = [
    "ARC",
    "BAND",
    "COMPONENT",
    "LINK",
    "NODE_BYTES",
    "STAR",
    "both_ways",
    "count_stars",
    "find_components",
    "large_star",
    "link_bands",
    "open_nodes",
    "small_star",
    "star_components",
]

BAND = np.dtype([("key", "<u8"), ("address", "<u8")])  # a document's key in some band
LINK = np.dtype([("address", "<u8"), ("other", "<u8")])  # address < other
ARC = np.dtype([("node", "<u8"), ("neighbour", "<u8")])  # a link, seen from one of its ends
STAR = np.dtype([("component", "<u8"), ("address", "<u8")])  # component: its least address
COMPONENT = np.dtype(  # and how many documents it has
    [("address", "<u8"), ("component", "<u8"), ("documents", "<u8")]
)
PIECE_ROWS = 1 << 20  # rows of COMPONENT given at once
NODE_BYTES = 42  # held by `find_components` for a document with a link, while nodes are merged


def link_bands(
    pieces: Iterable[Rows], published_from: np.uint64 = NONE_PUBLISHED
) -> Iterator[Rows]:
    """Sorted pieces of `BAND` -> rows of `LINK`: each document of a group with the group's least
    address; distinct within each array that is given. A group of published documents alone
    (addresses from `published_from` on), which are not compared anew, gives none."""
    for rows in with_heads(pieces, ["key"]):
        starts = np.flatnonzero(_begins(rows, "key"))
        links = np.empty(len(rows), LINK)
        links["address"] = np.repeat(rows["address"][starts], np.diff(starts, append=len(rows)))
        links["other"] = rows["address"]
        links = links[(links["address"] != links["other"]) & (links["address"] < published_from)]
        yield _fresh(links[np.lexsort([links["other"], links["address"]])])


def both_ways(links: Rows) -> Rows:
    """Rows of `LINK` -> rows of `ARC`, two for each, those from the lesser end first."""
    return _arcs([links["address"], links["other"]], [links["other"], links["address"]])


def large_star(pieces: Iterable[Rows]) -> Iterator[Rows]:
    """Sorted pieces of `ARC`, both ways -> `ARC` from greater to lesser: each neighbour above a
    node goes to the least of the node and its neighbours."""
    for rows in with_heads(pieces, ["node"]):
        rows = _fresh(rows)
        least = np.minimum(_least_neighbour(rows), rows["node"])
        above = rows["neighbour"] > rows["node"]
        yield _arcs([rows["neighbour"][above]], [least[above]])


def small_star(pieces: Iterable[Rows]) -> Iterator[Rows]:
    """Sorted pieces of `ARC` from greater to lesser -> `ARC`, both ways: each node and its
    neighbours go to the least of these."""
    for rows in with_heads(pieces, ["node"]):
        rows = _fresh(rows)
        least = _least_neighbour(rows)
        is_least = rows["neighbour"] == least
        who = np.where(is_least, rows["node"], rows["neighbour"])
        yield _arcs([who, least], [least, who])


def open_nodes(rows: Rows) -> int:
    """Nodes of a sorted piece of `ARC`, both ways and behind its head, that have a lesser neighbour
    and another one. Without any in all pieces, every component is a star around its least."""
    rows = _fresh(rows)
    starts = np.flatnonzero(_begins(rows, "node"))
    several = np.diff(starts, append=len(rows)) > 1
    return int((several & (rows["neighbour"][starts] < rows["node"][starts])).sum())


def star_components(pieces: Iterable[Rows]) -> Iterator[Rows]:
    """Sorted pieces of `ARC`, both ways, of stars around their least node -> rows of `STAR`, one
    for each node."""
    last = None  # node of the piece before
    for piece in pieces:
        first = piece[_begins(piece, "node")]
        first, last = first[int(first["node"][0] == last) :], piece["node"][-1]
        found = np.empty(len(first), STAR)
        found["address"] = first["node"]
        found["component"] = np.minimum(first["node"], first["neighbour"])
        yield found


def count_stars(pieces: Callable[[], Iterable[Rows]]) -> Iterator[Rows]:
    """Sorted pieces of `STAR`, which are asked for twice -> rows of `COMPONENT`. Holds 16 bytes a
    component."""
    seen = [np.unique(piece["component"], return_counts=True) for piece in pieces()]
    if not seen:
        return
    # A component may go on over any number of pieces.
    names, place = np.unique(np.concatenate([one[0] for one in seen]), return_inverse=True)
    documents = np.zeros(len(names), np.int64)
    np.add.at(documents, place, np.concatenate([one[1] for one in seen]))
    for piece in pieces():
        found = np.empty(len(piece), COMPONENT)
        found["address"], found["component"] = piece["address"], piece["component"]
        found["documents"] = documents[np.searchsorted(names, piece["component"])]
        yield found


def _arcs(nodes: list[npt.NDArray[np.uint64]], neighbours: list[npt.NDArray[np.uint64]]) -> Rows:
    arcs = np.empty(sum(map(len, nodes)), ARC)
    np.concatenate(nodes, out=arcs["node"])
    np.concatenate(neighbours, out=arcs["neighbour"])
    return arcs


def _begins(rows: Rows, name: str) -> npt.NDArray[np.bool_]:
    """Whether a sorted row's field differs from that of the row before."""
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = rows[name][1:] != rows[name][:-1]
    return begins


def _fresh(rows: Rows) -> Rows:
    """The distinct ones of sorted rows of two fields."""
    first, second = rows.dtype.names or ()
    distinct: Rows = rows[_begins(rows, first) | _begins(rows, second)]
    return distinct


def _least_neighbour(rows: Rows) -> npt.NDArray[np.uint64]:
    """Of each sorted row's node, uint64[rows]."""
    starts = np.flatnonzero(_begins(rows, "node"))
    return np.repeat(rows["neighbour"][starts], np.diff(starts, append=len(rows)))


def _distinct(parts: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    """Distinct values of all parts, ascending."""
    values = np.concatenate(parts)
    values.sort()
    fresh = np.ones(len(values), np.bool_)
    fresh[1:] = values[1:] != values[:-1]
    return values[fresh]


def find_components(blocks: Callable[[], Iterable[Rows]]) -> Iterator[Rows]:
    """Rows of `COMPONENT` for every document with a link, by address.

    `blocks` gives rows of `LINK` or `ARC` in pieces; it is called twice and must give the same
    rows.
    """
    nodes = np.empty(0, np.uint64)
    waiting: list[npt.NDArray[np.uint64]] = []
    for block in blocks():
        waiting += [block[name] for name in block.dtype.names or ()]
        # Merged when they are as many as those known: each node is sorted a few times in all.
        if sum(map(len, waiting)) >= max(len(nodes), PIECE_ROWS):
            nodes, waiting = _distinct([nodes, *waiting]), []
    nodes = _distinct([nodes, *waiting])
    parent = np.arange(len(nodes))
    for block in blocks():
        one, other = (np.searchsorted(nodes, block[name]) for name in block.dtype.names or ())
        join_pairs(parent, one, other)
    find_roots(parent)
    documents = np.bincount(parent, minlength=len(nodes))
    for start in range(0, len(nodes), PIECE_ROWS):
        piece = np.empty(min(PIECE_ROWS, len(nodes) - start), COMPONENT)
        piece["address"] = nodes[start : start + PIECE_ROWS]
        piece["component"] = nodes[parent[start : start + PIECE_ROWS]]
        piece["documents"] = documents[parent[start : start + PIECE_ROWS]]
        yield piece
