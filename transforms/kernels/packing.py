"""Best-fit-decreasing packing: which piece of text goes into which sequence.

In: lengths of pieces, int64[pieces], each at most the sequence's. Out: per piece the number of its
sequence and its place there, int64 each. The longest piece comes first (of equal ones the first
given), each into the sequence with the least room that holds it; of several with equal room into
the one that got it last. Ding et al. 2024, "Fewer truncations improve language modeling"; room is
looked up in a tree over 0..length, so a piece costs the logarithm of the length.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["pack_best_fit"]


@njit(nogil=True, cache=True)
def _clear(tree, node):  # type: ignore[no-untyped-def]
    tree[node] = False
    node //= 2
    while node >= 1 and not tree[2 * node] and not tree[2 * node + 1]:
        tree[node] = False
        node //= 2


@njit(nogil=True, cache=True)
def _pack(lengths, order, length, sequences, places):  # type: ignore[no-untyped-def]
    leaves = 1
    while leaves < length + 1:
        leaves *= 2
    # tree[leaves + r]: whether a sequence has room r; inner nodes: whether one below has.
    tree = np.zeros(2 * leaves, np.bool_)
    top = np.full(length + 1, -1, np.int64)  # last sequence with this room
    below = np.full(len(lengths), -1, np.int64)  # the one before it with the same room
    count = 0
    for index in range(len(order)):
        piece = order[index]
        size = lengths[piece]
        # The least room that is no less than the piece: up from its leaf, then down to the left.
        node = leaves + size
        if not tree[node]:
            while node > 1 and not (node % 2 == 0 and tree[node + 1]):
                node //= 2
            if node > 1:
                node += 1
                while node < leaves:
                    node = 2 * node if tree[2 * node] else 2 * node + 1
        if node > 1:
            room = node - leaves
            sequence = top[room]
            top[room] = below[sequence]
            if top[room] < 0:
                _clear(tree, node)
        else:
            room = length
            sequence = count
            count += 1
        sequences[piece] = sequence
        places[piece] = length - room
        room -= size
        if room > 0:
            below[sequence] = top[room]
            top[room] = sequence
            node = leaves + room
            while node >= 1 and not tree[node]:
                tree[node] = True
                node //= 2
    return count


def pack_best_fit(
    lengths: npt.NDArray[np.int64], length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Sequence and place of each piece, int64[pieces] each, and the number of sequences.

    ValueError for a piece that is empty or longer than `length`.
    """
    if len(lengths) and not 0 < lengths.min() <= lengths.max() <= length:
        raise ValueError(f"pieces must have 1 to {length} tokens")
    sequences, places = np.empty(len(lengths), np.int64), np.empty(len(lengths), np.int64)
    order = np.argsort(-lengths, kind="stable")
    count = _pack(np.ascontiguousarray(lengths, np.int64), order, length, sequences, places)
    return sequences, places, int(count)
