"""Survivors: of similar sets the best ones, so that no two that survive were found to be similar.

In: band keys and shingle sets (kernels.shingles) of items, numbered from best to worst. Items are
taken in that order: one that shares a band with a survivor, and whose true Jaccard similarity to it
is at least the threshold, gives way to it (to the best, where there are several); else it survives.
So whoever is removed is truly similar to its survivor, a chain of similar items does not collapse
into one, every cluster has a survivor, and an item's fate depends on better ones alone: worse items
may come later without changing anything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int32, int64, njit

from transforms.kernels.shingles import Sets, jaccard_of

__all__ = ["MOST_MET", "Survivors", "choose_survivors"]

MOST_MET = 256  # survivors of a band that an item meets, at most, and as many by the next


class Survivors(NamedTuple):
    """`survivor` int64[items]: itself for one that survives. `similarity` float64[items]: true
    Jaccard with it, 1.0 for itself."""

    survivor: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]


@njit(nogil=True, cache=True)
def _choose(  # type: ignore[no-untyped-def]
    groups, narrow, values, bounds, at_least, most_met, settled, closed
):
    items, count = groups.shape
    survivor = np.arange(items)
    similarity = np.ones(items, np.float64)
    met_by = np.full(items, -1, np.int64)  # the item that a survivor was last compared with
    # The survivors of each group, best first, as linked lists of their places.
    slots = np.empty(1024, np.int64)
    following = np.empty(1024, np.int32)
    used = 0
    lists = 2 * int64(max(groups.max(), narrow.max()) + 1) if items and count else 0
    first = np.full(lists, -1, np.int32)
    last = np.full(lists, -1, np.int32)
    length = np.zeros(lists, np.int32)
    for i in range(items):
        best = items
        for band in range(count if i >= settled else 0):
            if groups[i, band] < 0:
                continue
            at = 2 * int64(groups[i, band])
            for turn in range(2):
                if turn == 1:
                    if length[at] < most_met or narrow[i, band] < 0:
                        break
                    at = 2 * int64(narrow[i, band]) + 1
                place = first[at]
                while place >= 0:
                    other = slots[place]
                    place = following[place]
                    if other >= best:
                        break  # lists rise
                    if met_by[other] == i:
                        continue
                    met_by[other] = i
                    s = jaccard_of(
                        values, bounds[other], bounds[other + 1], bounds[i], bounds[i + 1], at_least
                    )
                    if s >= at_least:
                        best = other
                        similarity[i] = s
        if best < items:
            survivor[i] = best
            continue
        if closed and i >= settled:
            continue
        for band in range(count):
            if groups[i, band] < 0:
                continue
            at = 2 * int64(groups[i, band])
            if length[at] == most_met:
                if narrow[i, band] < 0:
                    continue
                at = 2 * int64(narrow[i, band]) + 1
                if length[at] == most_met:
                    continue
            if used == len(slots):
                slots, following = _grown(slots), _grown(following)
            slots[used], following[used] = i, -1
            if first[at] < 0:
                first[at] = used
            else:
                following[last[at]] = used
            last[at] = int32(used)
            length[at] += 1
            used += 1
    return survivor, similarity


@njit(nogil=True, cache=True)
def _grown(array):  # type: ignore[no-untyped-def]
    more = np.empty(2 * len(array), array.dtype)
    more[: len(array)] = array
    return more


def choose_survivors(
    bands: npt.NDArray[np.uint64],
    sets: Sets,
    at_least: float,
    most_met: int = MOST_MET,
    settled: int = 0,
    closed: bool = False,
) -> Survivors:
    """Who survives of items `bands` uint64[items, bands]: equal keys in one column make a group.

    `at_least`: Jaccard similarity, inclusive, above 0. Through a band an item meets the `most_met`
    best survivors of its group, and where these are all its places as many that share the next band
    as well; so the work is linear in the items. Memory: 8 bytes for each item and band, 12 for each
    survivor and band.

    So many first items that are `settled` are known to survive. `closed`: the others meet these
    alone, and one that is like none of them has itself for its survivor.
    """
    groups = _number_groups([bands])
    following = np.roll(bands, -1, axis=1)
    sizes = np.bincount(groups[groups >= 0])
    is_large = (groups >= 0) & (sizes[groups] > most_met) if len(sizes) else groups >= 0
    narrow = np.full_like(groups, -1)
    if is_large.any():
        narrow = np.where(is_large, _number_groups([bands, following]), np.int32(-1))
    return Survivors(
        *_choose(
            groups,
            narrow,
            sets.values,
            sets.bounds,
            float(at_least),
            np.int32(most_met),
            settled,
            closed,
        )
    )


def _number_groups(keys: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.int32]:
    """A number, int32[items, bands], for items that are equal in a column of all keys; -1 for those
    that are alone."""
    items, count = keys[0].shape
    numbers = np.full((items, count), -1, np.int32)
    known = 0
    for band in range(count):
        columns = [one[:, band] for one in keys]
        order = np.lexsort(columns)
        begins = np.ones(items, np.bool_)
        begins[1:] = np.any([one[order][1:] != one[order][:-1] for one in columns], axis=0)
        group = np.cumsum(begins) - 1
        shared = np.bincount(group)[group] > 1
        several = np.cumsum(begins & shared) - 1  # groups of one take no number
        numbers[order[shared], band] = several[shared] + known
        known += int((begins & shared).sum())
    return numbers
