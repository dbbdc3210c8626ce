"""Union-find: items that are joined by pairs, by whatever chain.

In: pairs of items. Out: `parent`, int64[items], which leads from each item to the least one of its
cluster.
"""

from __future__ import annotations

from numba import njit

__all__ = ["find_roots", "join_pairs"]


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
