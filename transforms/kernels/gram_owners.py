"""Grams to distinct keys, each with all who own it: how an index of n-grams is ordered.

In: grams of texts, text by text, and the owner of each text, ascending. Out: keys in order of hash
and length, and their owners in order of number, each with the fields of its first text that holds
the gram. Grams are spread over buckets by the first bits of their hashes, which leaves a few for
each to sort: a sort of all takes twice as long.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

__all__ = ["OwnedGrams", "group_grams"]

MOST_BITS = 22  # of a hash that choose a bucket: 32 MiB of bounds
GRAMS_PER_BUCKET = 8  # about
LONG_BUCKET = 64  # grams from which it is sorted by a sort: moving each to its place is quadratic


class OwnedGrams(NamedTuple):
    """Distinct grams: keys uint64[grams] and lengths uint8[grams] (words), ascending by both.
    Gram g belongs to owner[k] through fields[k] for k in bounds[g]..bounds[g + 1] - 1; bounds
    int64[grams + 1], owner int32[] ascending within a gram, fields uint32[]."""

    keys: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int32]
    fields: npt.NDArray[np.uint32]


class _Grams(NamedTuple):
    """Grams while they are sorted: hashes uint64[], lengths uint8[], texts int32[]."""

    hashes: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.uint8]
    texts: npt.NDArray[np.int32]


@njit(nogil=True, cache=True)
def _spread(grams, bits, starts, spread):  # type: ignore[no-untyped-def]
    """Copy grams into buckets, in the order given within each: starts int64[buckets + 1]."""
    shift = uint64(64 - bits)
    for x in grams.hashes:
        starts[(x >> shift) + uint64(1)] += 1
    for b in range(1, len(starts)):
        starts[b] += starts[b - 1]
    free = starts[:-1].copy()
    for g in range(len(grams.hashes)):
        b = grams.hashes[g] >> shift
        i = free[b]
        spread.hashes[i] = grams.hashes[g]
        spread.lengths[i] = grams.lengths[g]
        spread.texts[i] = grams.texts[g]
        free[b] = i + 1


@njit(nogil=True, cache=True)
def _settle(starts, grams):  # type: ignore[no-untyped-def]
    """Sort each bucket that is not long by hash and length; equal ones keep their order."""
    hashes, lengths, texts = grams
    for b in range(len(starts) - 1):
        first = starts[b]
        if starts[b + 1] - first >= LONG_BUCKET:
            continue
        for i in range(first + 1, starts[b + 1]):
            x, words, text = hashes[i], lengths[i], texts[i]
            j = i
            while j > first and (
                hashes[j - 1] > x or (hashes[j - 1] == x and lengths[j - 1] > words)
            ):
                hashes[j], lengths[j], texts[j] = hashes[j - 1], lengths[j - 1], texts[j - 1]
                j -= 1
            hashes[j], lengths[j], texts[j] = x, words, text


@njit(nogil=True, cache=True)
def _count_owned(grams, owners):  # type: ignore[no-untyped-def]
    """(distinct grams, pairs of a gram and its owner)"""
    hashes, lengths, texts = grams
    distinct, pairs = 0, 0
    for i in range(len(hashes)):
        new = i == 0 or hashes[i] != hashes[i - 1] or lengths[i] != lengths[i - 1]
        distinct += new
        pairs += new or owners[texts[i]] != owners[texts[i - 1]]
    return distinct, pairs


@njit(nogil=True, cache=True)
def _fill_owned(grams, owners, masks, owned):  # type: ignore[no-untyped-def]
    hashes, lengths, texts = grams
    distinct, pairs = 0, 0
    for i in range(len(hashes)):
        owner = owners[texts[i]]
        new = i == 0 or hashes[i] != hashes[i - 1] or lengths[i] != lengths[i - 1]
        if new:
            owned.keys[distinct] = hashes[i]
            owned.lengths[distinct] = lengths[i]
            owned.bounds[distinct] = pairs
            distinct += 1
        if new or owner != owners[texts[i - 1]]:
            owned.owner[pairs] = owner
            owned.fields[pairs] = masks[texts[i]]
            pairs += 1
    owned.bounds[distinct] = pairs


def group_grams(
    hashes: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.uint8],
    texts: npt.NDArray[np.int32],
    owners: npt.NDArray[np.int32],
    masks: npt.NDArray[np.uint32],
) -> OwnedGrams:
    """Group the grams of texts by (hash, length).

    hashes uint64[grams], lengths uint8[grams], texts int32[grams] ascending; owners int32[texts]
    ascending, masks uint32[texts]: the fields that a text is of. Scratch: 13 bytes a gram
    and some 2 for buckets; the answer has 17 a distinct gram and 8 for each of its owners.
    """
    bits = min(max((len(hashes) // GRAMS_PER_BUCKET).bit_length(), 1), MOST_BITS)
    starts = np.zeros((1 << bits) + 1, np.int64)
    grams = _Grams(np.empty_like(hashes), np.empty_like(lengths), np.empty_like(texts))
    _spread(_Grams(hashes, lengths, texts), bits, starts, grams)
    _settle(starts, grams)
    for bucket in np.flatnonzero(np.diff(starts) >= LONG_BUCKET).tolist():
        within = slice(starts[bucket], starts[bucket + 1])
        order = np.lexsort((grams.lengths[within], grams.hashes[within]))
        for column in grams:
            column[within] = column[within][order]
    distinct, pairs = _count_owned(grams, owners)
    owned = OwnedGrams(
        np.empty(distinct, np.uint64),
        np.empty(distinct, np.uint8),
        np.empty(distinct + 1, np.int64),
        np.empty(pairs, np.int32),
        np.empty(pairs, np.uint32),
    )
    _fill_owned(grams, owners, masks, owned)
    return owned
