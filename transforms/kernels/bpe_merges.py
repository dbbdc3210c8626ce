"""The merges of byte-level BPE inside one piece of text.

The pair of symbols with the lowest rank is merged first, the leftmost of equals, until no pair has
a rank. Short pieces are merged many at a time, longer ones with a heap.

A piece of any length takes time in proportion to n log n and scratch memory for one window. That is
exact: a sequence of tokens is the encoding of its bytes if, and only if, each two neighbours are
the encoding of their own bytes. (Were a merge across a boundary ever made, the first one would be
made in the same way when the two neighbours are encoded alone, since nothing else reached them.)
So windows are encoded one after the other and only the pair at each seam is checked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int32, int64, njit, uint32, uint64

from transforms.kernels.bpe_tables import ALL_BITS, NO_RANK, pair_key, pair_rank, pair_slot
from transforms.kernels.loops import INLINE, LOOP, LOOP_WITH_ARRAYS
from transforms.kernels.prefetch import prefetch

__all__ = [
    "SHORT_BYTES",
    "WINDOW_BYTES",
    "begin_symbols",
    "merge_heap",
    "merge_long",
    "merge_together",
    "new_pending",
]

WINDOW_BYTES = 1 << 16  # bytes of a long piece that are encoded at once; 40 bytes of scratch each
SHORT_BYTES = 63  # pieces up to here are merged many at a time, longer ones with a heap
LANES = 64  # places of a short piece's scratch, one more than it has bytes
LANES_AT_ONCE = 16  # of these as many as hold the piece and one more are in use
PENDING = 64  # pieces that are merged at a time
_NONE = np.uint32(0xFFFFFF00)  # the same as rank << 8 | place


class _Pending(NamedTuple):
    """Pieces whose tokens are not known yet, and scratch for their merges: a row each.

    Piece k is `lengths[k]` bytes from `starts[k]` of the data on, its key `keys[k]`. It has as many
    places in the output from `places[k]` on, of which its tokens take `counts[k]`. The symbol that
    begins at its byte i is at p = LANES * k + i of the other columns: `ids[p]` its token,
    `before[p]` and `after[p]` the bytes where its neighbours begin, `ranks[p]` the rank of it and
    the one after << 8 | i. `going` are the pieces that are not done, `last` where each merged last.
    """

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    places: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    going: npt.NDArray[np.int64]
    last: npt.NDArray[np.uint64]
    ids: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.uint32]
    after: npt.NDArray[np.uint8]
    before: npt.NDArray[np.uint8]


def new_pending() -> _Pending:
    """Room for PENDING pieces."""
    return _Pending(
        starts=np.empty(PENDING, np.int64),
        lengths=np.empty(PENDING, np.int64),
        keys=np.empty((PENDING, 2), np.uint64),
        places=np.empty(PENDING, np.int64),
        counts=np.empty(PENDING, np.int64),
        going=np.empty(PENDING, np.int64),
        last=np.empty(PENDING, np.uint64),
        ids=np.empty(PENDING * LANES, np.int32),
        ranks=np.empty(PENDING * LANES, np.uint32),
        after=np.empty(PENDING * LANES, np.uint8),
        before=np.empty(PENDING * LANES, np.uint8),
    )


@njit(**LOOP)
def merge_together(data, pending, words, v, out):  # type: ignore[no-untyped-def]
    """Encode the pieces pending.going[:words], of at most 63 bytes, each to its place in `out`.

    One merge of each piece after the other: what a merge needs from the table of pairs is asked for
    a round before, so that pieces wait for the memory together and not one by one.
    """
    going, last, ids, ranks = pending.going, pending.last, pending.ids, pending.ranks
    after, before = pending.after, pending.before
    for a in range(words):
        k = going[a]
        row = uint64(k) * uint64(LANES)  # places are unsigned, which needs no check of their sign
        start, n = pending.starts[k], pending.lengths[k]
        for i in range(n // LANES_AT_ONCE * LANES_AT_ONCE + LANES_AT_ONCE):
            ranks[row + uint64(i)] = _NONE | uint32(i)
        for i in range(n):
            at = row + uint64(i)
            ids[at] = v.byte_ids[data[start + i]]
            after[at] = i + 1
            before[at] = max(i - 1, 0)
        for i in range(n - 1):
            rank = v.byte_ranks[uint64(data[start + i]) << uint64(8) | uint64(data[start + i + 1])]
            ranks[row + uint64(i)] = (rank << uint32(8)) | uint32(i)
    while words > 0:
        left = 0
        for a in range(words):
            k = going[a]
            row = uint64(k) * uint64(LANES)
            n = pending.lengths[k]
            best = ALL_BITS
            for i in range(LANES_AT_ONCE):
                best = min(best, ranks[row + uint64(i)])
            for first in range(LANES_AT_ONCE, n + 1, LANES_AT_ONCE):
                for i in range(LANES_AT_ONCE):
                    best = min(best, ranks[row + uint64(first + i)])
            if best >= _NONE:
                o = pending.places[k]
                at = uint64(0)
                while at < uint64(n):
                    out[o] = uint32(ids[row + at])
                    o += 1
                    at = uint64(after[row + at])
                pending.counts[k] = o - pending.places[k]
                continue
            at = uint64(best & uint32(0xFF))
            token = v.merged[uint64(best >> uint32(8))]
            ids[row + at] = token
            gone = uint64(after[row + at])
            right = uint64(after[row + gone])
            ranks[row + gone] = _NONE | uint32(gone)
            after[row + at] = right
            if right < uint64(n):
                before[row + right] = at
                key = pair_key(token, ids[row + right])
                prefetch(v.pairs, pair_slot(key, v.pairs))
            if at > uint64(0):
                key = pair_key(ids[row + uint64(before[row + at])], token)
                prefetch(v.pairs, pair_slot(key, v.pairs))
            going[left] = k
            last[left] = row + at
            left += 1
        words = left
        for a in range(words):
            at = last[a]
            k = going[a]
            row = uint64(k) * uint64(LANES)
            right = uint64(after[at])
            rank = NO_RANK
            if right < uint64(pending.lengths[k]):
                rank = pair_rank(ids[at], ids[row + right], v.pairs)
            ranks[at] = (rank << uint32(8)) | uint32(at - row)
            if at > row:
                other = row + uint64(before[at])
                rank = pair_rank(ids[other], ids[at], v.pairs)
                ranks[other] = (rank << uint32(8)) | uint32(other - row)


@njit(**INLINE)
def _sift_down(heap, size, i):  # type: ignore[no-untyped-def]
    value = heap[i]
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = value


@njit(**INLINE)
def _push(heap, size, rank, at):  # type: ignore[no-untyped-def]
    value = (uint64(rank) << uint64(32)) | uint64(at)
    i = size
    while i > 0:
        parent = (i - 1) // 2
        if heap[parent] <= value:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = value
    return size + 1


@njit(**INLINE)
def begin_symbols(data, start, end, v, ids, ranks):  # type: ignore[no-untyped-def]
    """Symbols of data[start:end] for `merge_heap`: bytes. Returns how many."""
    n = end - start
    for i in range(n):
        ids[i] = v.byte_ids[data[start + i]]
        ranks[i] = NO_RANK
    for i in range(n - 1):
        ranks[i] = v.byte_ranks[int64(data[start + i]) << 8 | int64(data[start + i + 1])]
    return n


@njit(**LOOP)
def merge_heap(n, v, ids, ranks, after, before, heap):  # type: ignore[no-untyped-def]
    """Encode a piece of n bytes, whose symbols `begin_symbols` has set, into ids[0:m]; returns m.

    ids, ranks, after, before hold n entries; heap three times as many: rank << 32 | place each,
    and one overtaken by another merge is known by its rank when it comes up."""
    size = 0
    for i in range(n):
        after[i] = i + 1
        before[i] = i - 1
        if ranks[i] != NO_RANK:
            heap[size] = (uint64(ranks[i]) << uint64(32)) | uint64(i)
            size += 1
    for i in range(size // 2 - 1, -1, -1):
        _sift_down(heap, size, i)
    while size > 0:
        top = heap[0]
        size -= 1
        heap[0] = heap[size]
        _sift_down(heap, size, 0)
        i = int64(top & uint64(0xFFFFFFFF))
        if uint64(ranks[i]) != top >> uint64(32):
            continue
        ids[i] = v.merged[ranks[i]]
        gone = int64(after[i])
        ranks[gone] = NO_RANK
        after[i] = after[gone]
        ranks[i] = NO_RANK
        if after[i] < n:
            before[after[i]] = i
            ranks[i] = pair_rank(ids[i], ids[after[i]], v.pairs)
            if ranks[i] != NO_RANK:
                size = _push(heap, size, ranks[i], i)
        if i > 0:
            left = int64(before[i])
            ranks[left] = pair_rank(ids[left], ids[i], v.pairs)
            if ranks[left] != NO_RANK:
                size = _push(heap, size, ranks[left], left)
    count = 0
    i = 0
    while i < n:
        ids[count] = ids[i]
        count += 1
        i = int64(after[i])
    return count


@njit(**LOOP_WITH_ARRAYS)
def merge_long(data, start, end, v, window, out, o):  # type: ignore[no-untyped-def]
    """Encode a long piece data[start:end] into out[o:], window by window; returns the new o.

    The last eighth of a window is encoded again with the next, so that its end leaves no mark. A
    seam that does not hold starts the piece anew with windows twice as long.
    """
    two = 2 * v.longest  # bytes of the tokens at a seam, at most
    seam = np.empty(two, np.uint8)
    seam_ids = np.empty(two, np.int32)
    while True:
        room = min(window, end - start)
        ids = np.empty(room, np.int32)
        after = np.empty(max(room, two), np.int32)
        before = np.empty(max(room, two), np.int32)
        ranks = np.empty(max(room, two), np.uint32)
        heap = np.empty(3 * max(room, two), np.uint64)
        at, q, holds = start, o, True
        while at < end:
            stop = min(at + room, end)
            n = begin_symbols(data, at, stop, v, ids, ranks)
            n = merge_heap(n, v, ids, ranks, after, before, heap)
            if at > start:
                m = 0
                for token in (int64(out[q - 1]), int64(ids[0])):
                    for i in range(v.token_bytes.offsets[token], v.token_bytes.offsets[token + 1]):
                        seam[m] = v.token_bytes.data[i]
                        m += 1
                k = begin_symbols(seam, 0, m, v, seam_ids, ranks)
                k = merge_heap(k, v, seam_ids, ranks, after, before, heap)
                if k != 2 or seam_ids[0] != int32(out[q - 1]) or seam_ids[1] != ids[0]:
                    holds = False
                    break
            keep = end if stop == end else stop - room // 8
            i = 0
            while i < n and at < keep:
                out[q] = uint32(ids[i])
                at += v.token_bytes.offsets[ids[i] + 1] - v.token_bytes.offsets[ids[i]]
                q += 1
                i += 1
        if holds:
            return q
        window *= 2
