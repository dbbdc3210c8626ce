"""Clusters of similar sets: pairs that share a band, verified as they are met, joined by
union-find.

In: band keys and shingle sets (kernels.shingles) of items. Out: the root of each item's cluster
and the edges: pairs whose true Jaccard similarity is at least the threshold. No list of candidate
pairs is ever held. Items are numbered from best to worst, so the root of a cluster, its least
item, is its survivor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.shingles import Sets, jaccard_of

__all__ = ["Clusters", "cluster_similar", "find_roots", "join_pairs"]

SMALL_GROUP = 64  # items that share a band key; up to here all pairs are compared
NEIGHBOURS = (
    32  # in a larger group, each item is compared with its best and with so many neighbours
)


class Clusters(NamedTuple):
    """`root` int64[items]: least item of each one's cluster (itself, if alone). Edges: `a` < `b`
    int64[edges], `similarity` float64[edges]."""

    root: npt.NDArray[np.int64]
    a: npt.NDArray[np.int64]
    b: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]


@njit(nogil=True, cache=True)
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(nogil=True, cache=True)
def join_pairs(parent, a, b):  # type: ignore[no-untyped-def]
    """Join the clusters of a[p] and b[p], int64[pairs], in `parent` int64[items], which is changed.
    The lesser root stays one."""
    for p in range(len(a)):
        i, j = _root(parent, a[p]), _root(parent, b[p])
        if i < j:
            parent[j] = i
        elif j < i:
            parent[i] = j


@njit(nogil=True, cache=True)
def find_roots(parent):  # type: ignore[no-untyped-def]
    """Point every item straight at its root, in place."""
    for i in range(len(parent)):
        parent[i] = _root(parent, i)


@njit(nogil=True, cache=True)
def _grown(array):  # type: ignore[no-untyped-def]
    more = np.empty(2 * len(array), array.dtype)
    more[: len(array)] = array
    return more


@njit(nogil=True, cache=True)
def _met_before(bands, small, band, i, j):  # type: ignore[no-untyped-def]
    """True when both were in one small group of an earlier band, where all pairs are compared."""
    for k in range(band):  # noqa: SIM110 (Numba has no `any`)
        if bands[i, k] == bands[j, k] and small[i, k]:
            return True
    return False


@njit(nogil=True, cache=True)
def _cluster(bands, order, small, values, bounds, at_least):  # type: ignore[no-untyped-def]
    items = bands.shape[0]
    parent = np.arange(items)
    a = np.empty(64, np.int64)
    b = np.empty(64, np.int64)
    similarity = np.empty(64, np.float64)
    edges = 0
    for band in range(bands.shape[1]):
        first = 0
        while first < items:
            key = bands[order[band, first], band]
            end = first + 1
            while end < items and bands[order[band, end], band] == key:
                end += 1
            is_small = end - first <= SMALL_GROUP
            best = order[band, first]
            for p in range(first, end):
                small[order[band, p], band] = is_small
                best = min(best, order[band, p])
            for p in range(first, end):
                last = end if is_small else min(end, p + 1 + NEIGHBOURS)
                # In a large group the turn before the first neighbour is the best item's.
                for q in range(p + 1 if is_small else p, last):
                    i = order[band, p]
                    j = order[band, q] if q > p else best
                    if i > j:
                        i, j = j, i
                    if i == j or _met_before(bands, small, band, i, j):
                        continue
                    if not is_small and _root(parent, i) == _root(parent, j):
                        continue
                    s = jaccard_of(
                        values, bounds[i], bounds[i + 1], bounds[j], bounds[j + 1], at_least
                    )
                    if s < at_least:
                        continue
                    if edges == len(a):
                        a, b, similarity = _grown(a), _grown(b), _grown(similarity)
                    a[edges], b[edges], similarity[edges] = i, j, s
                    edges += 1
                    x, y = _root(parent, i), _root(parent, j)
                    if x != y:
                        parent[max(x, y)] = min(x, y)
            first = end
    find_roots(parent)
    return parent, a[:edges], b[:edges], similarity[:edges]


def cluster_similar(bands: npt.NDArray[np.uint64], sets: Sets, at_least: float) -> Clusters:
    """Compare items that share a band key, join those of `at_least` (inclusive) or more.

    `bands` uint64[items, bands]: equal keys in one column make a group. All pairs of groups of up
    to `SMALL_GROUP` items are compared. In a larger group each item is compared with the group's
    best and with its `NEIGHBOURS` next ones in the order of the following two bands' keys, unless
    they are already in one cluster; so the work is linear in the items. Nothing depends on anything
    but the order of the items. Memory: 8 bytes per item and band, 24 per edge.
    """
    items, count = bands.shape
    order = np.empty((count, items), np.int64)
    for band in range(count):
        second, third = bands[:, (band + 1) % count], bands[:, (band + 2) % count]
        order[band] = np.lexsort([np.arange(items), third, second, bands[:, band]])
    small = np.zeros((items, count), np.bool_)
    return Clusters(*_cluster(bands, order, small, sets.values, sets.bounds, float(at_least)))
