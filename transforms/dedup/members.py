"""Members: what is needed to compare the documents of a component, packed into rows of an Exchange.

A document is a stream of uint64 (for how many it stands, its ranks, band keys, shingles) cut into
blocks of `BLOCK_VALUES`, one row each, so that documents of any length are rows of one fixed size.
A block costs 40 bytes beside its values, and a document's last block is padded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.kernels.shingles import Sets
from transforms.rows import Rows

__all__ = ["BLOCK_VALUES", "MEMBER_BLOCK", "Members", "pack_members", "unpack_members"]

BLOCK_VALUES = 59  # 512 bytes a row
MEMBER_BLOCK = np.dtype(
    [
        ("component", "<u8"),
        ("least_band", "<u8"),  # of the document's band keys
        ("last_rank", "<u8"),  # of its ranks: the hash of its id
        ("address", "<u8"),
        ("block", "<u4"),  # place in the document's stream
        ("used", "<u4"),  # values in this block; the rest is zero
        ("values", "<u8", (BLOCK_VALUES,)),
    ]
)


class Members(NamedTuple):
    """Documents to compare. `component`, `address` uint64[members]; `stands_for` uint64[members]:
    documents that it stands for since earlier stages, itself included; `ranks` uint64[members,
    ranks]; `bands` uint64[members, bands]; `sets`: their shingles."""

    component: npt.NDArray[np.uint64]
    address: npt.NDArray[np.uint64]
    stands_for: npt.NDArray[np.uint64]
    ranks: npt.NDArray[np.uint64]
    bands: npt.NDArray[np.uint64]
    sets: Sets


def _within(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, ... n-1 for each length n, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)


def pack_members(members: Members) -> Rows:
    """Rows of `MEMBER_BLOCK`, by member and block."""
    head = np.concatenate([members.stands_for[:, None], members.ranks, members.bands], axis=1)
    sizes = np.diff(members.sets.bounds)
    lengths = head.shape[1] + sizes
    blocks = -(-lengths // BLOCK_VALUES)
    rows = np.zeros(int(blocks.sum()), MEMBER_BLOCK)
    rows["component"] = np.repeat(members.component, blocks)
    rows["least_band"] = np.repeat(members.bands.min(axis=1), blocks)
    rows["last_rank"] = np.repeat(members.ranks[:, -1], blocks)
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


def unpack_members(rows: Rows, ranks: int, bands: int) -> Members:
    """The members of sorted rows of `MEMBER_BLOCK`; all blocks of a member must be there."""
    first = np.flatnonzero(rows["block"] == 0)
    used = rows["used"].astype(np.int64)
    is_used = np.arange(BLOCK_VALUES) < used[:, None]
    lengths = np.add.reduceat(used, first) if len(first) else np.empty(0, np.int64)
    head = 1 + ranks + bands
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
        heads[:, 1 : 1 + ranks],
        heads[:, 1 + ranks :],
        Sets(values, bounds),
    )
