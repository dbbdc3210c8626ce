"""Members: what is needed to compare the documents of a component, packed into rows of an Exchange.

A document is a stream of uint64 (for how many it stands, of how many its cluster is, band keys,
shingles) cut into blocks of `BLOCK_VALUES`, one row each, so that documents of any length are rows
of one fixed size. Sorted, they stand by component and then in the order in which they survive. A
block costs 24 bytes and 8 a rank beside its values, and a document's last block is padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.kernels.shingles import Sets
from transforms.rows import Rows

__all__ = [
    "BLOCK_VALUES",
    "Members",
    "head_values",
    "join_members",
    "member_dtype",
    "pack_members",
    "take_members",
    "unpack_members",
]

BLOCK_VALUES = 59  # 512 bytes a row with two ranks


def member_dtype(ranks: int) -> np.dtype[Any]:
    """A block of a document with so many ranks: its component, ranks and address, the block's place
    in its stream, and values, of which `used` are; the others are zero."""
    return np.dtype(
        [
            ("component", "<u8"),
            *((f"rank_{k}", "<u8") for k in range(ranks)),
            ("address", "<u8"),
            ("block", "<u4"),
            ("used", "<u4"),
            ("values", "<u8", (BLOCK_VALUES,)),
        ]
    )


class Members(NamedTuple):
    """Documents to compare. `component`, `address` uint64[members]; `stands_for` uint64[members]:
    documents that it stands for since earlier stages, itself included; `ranks` uint64[members,
    ranks]; `bands` uint64[members, bands]; `sets`: their shingles; `sizes` uint64[members]: the
    documents of its cluster so far, 1 where it is not known to have any."""

    component: npt.NDArray[np.uint64]
    address: npt.NDArray[np.uint64]
    stands_for: npt.NDArray[np.uint64]
    ranks: npt.NDArray[np.uint64]
    bands: npt.NDArray[np.uint64]
    sets: Sets
    sizes: npt.NDArray[np.uint64]


def take_members(members: Members, which: npt.NDArray[np.int64]) -> Members:
    """Some of the members, by number, in this order."""
    sets = members.sets
    sizes = np.diff(sets.bounds)[which]
    bounds = np.zeros(len(which) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    source = np.repeat(sets.bounds[:-1][which] - bounds[:-1], sizes) + np.arange(bounds[-1])
    return Members(
        members.component[which],
        members.address[which],
        members.stands_for[which],
        members.ranks[which],
        members.bands[which],
        Sets(sets.values[source], bounds),
        members.sizes[which],
    )


def join_members(parts: Sequence[Members]) -> Members:
    """The members of all parts, one part after the other; with as many ranks and bands in each."""
    sizes = np.concatenate([np.diff(part.sets.bounds) for part in parts])
    bounds = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    return Members(
        np.concatenate([one.component for one in parts]),
        np.concatenate([one.address for one in parts]),
        np.concatenate([one.stands_for for one in parts]),
        np.concatenate([one.ranks for one in parts]),
        np.concatenate([one.bands for one in parts]),
        Sets(np.concatenate([one.sets.values for one in parts]), bounds),
        np.concatenate([one.sizes for one in parts]),
    )


def _within(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, ... n-1 for each length n, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)


def head_values(bands: int) -> int:
    """Values of a document's stream before its shingles."""
    return 2 + bands


def pack_members(members: Members) -> Rows:
    """Rows of `member_dtype`, by member and block."""
    counts = np.stack([members.stands_for, members.sizes], axis=1)
    head = np.concatenate([counts, members.bands], axis=1)
    sizes = np.diff(members.sets.bounds)
    lengths = head.shape[1] + sizes
    blocks = -(-lengths // BLOCK_VALUES)
    rows = np.zeros(int(blocks.sum()), member_dtype(members.ranks.shape[1]))
    rows["component"] = np.repeat(members.component, blocks)
    for k, rank in enumerate(members.ranks.T):
        rows[f"rank_{k}"] = np.repeat(rank, blocks)
    rows["address"] = np.repeat(members.address, blocks)
    rows["block"] = _within(blocks)
    rows["used"] = np.minimum(
        np.repeat(lengths, blocks) - rows["block"].astype(np.int64) * BLOCK_VALUES, BLOCK_VALUES
    )
    flat = np.zeros(len(rows) * BLOCK_VALUES, np.uint64)
    starts = (np.cumsum(blocks) - blocks) * BLOCK_VALUES
    flat[starts[:, None] + np.arange(head.shape[1])] = head
    flat[np.repeat(starts + head.shape[1], sizes) + _within(sizes)] = members.sets.values
    rows["values"] = flat.reshape(-1, BLOCK_VALUES)
    return rows


def unpack_members(rows: Rows, bands: int) -> Members:
    """The members of sorted rows of `member_dtype`; all blocks of a member must be there."""
    first = np.flatnonzero(rows["block"] == 0)
    used = rows["used"].astype(np.int64)
    is_used = np.arange(BLOCK_VALUES) < used[:, None]
    lengths = np.add.reduceat(used, first) if len(first) else np.empty(0, np.int64)
    head = head_values(bands)
    ranks = [rows[name][first] for name in rows.dtype.names or () if name.startswith("rank_")]
    if len(first):
        # A member's first values may lie in several blocks: take its head from its stream.
        stream = rows["values"][is_used]
        starts = np.cumsum(lengths) - lengths
        heads = stream[starts[:, None] + np.arange(head)]
        is_shingle = _within(lengths) >= head
        values = stream[is_shingle]
    else:
        heads, values = np.empty((0, head), np.uint64), np.empty(0, np.uint64)
    bounds = np.zeros(len(first) + 1, np.int64)
    np.cumsum(lengths - head, out=bounds[1:])
    return Members(
        rows["component"][first],
        rows["address"][first],
        heads[:, 0],
        np.stack(ranks, axis=1),
        heads[:, 2:],
        Sets(values, bounds),
        heads[:, 1],
    )
