"""The order in which a mix is read: blocks, ranks, windows.

In: how many items (documents or sequences) each part of a mix holds, and its bytes. A *block* is a
run of neighbouring items of one part, of some `BLOCK_BYTES`: what one request reads. The blocks of
an epoch stand in their own order or in that of a keyed hash of their numbers; rank r of w reads the
blocks at r, r + w, r + 2w ... of it, some at once (a *window*), and gives the items of a window in
their order or in that of a keyed hash. So every item is given once by one rank, what a rank reads
no other does, and memory is bounded by the window.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.kernels.hashing import hash_keys

__all__ = ["BLOCK_BYTES", "Blocks", "cut_blocks", "order_blocks", "order_items", "windows_from"]

BLOCK_BYTES = 4 << 20  # that one request reads, of items as long as their part's mean
_LAST = (1 << 64) - 1
_OF_BLOCKS, _OF_ITEMS = 1, 2  # what a key is for

Numbers = npt.NDArray[np.int64]


class Blocks(NamedTuple):
    """Blocks of a mix, int64[blocks] each: `parts` (their part), `firsts` (first item in the part),
    `counts` (items), `numbers` (of the first item, counted over all parts)."""

    parts: Numbers
    firsts: Numbers
    counts: Numbers
    numbers: Numbers


def cut_blocks(items: Numbers, sizes: Numbers, block_bytes: int = BLOCK_BYTES) -> Blocks:
    """The blocks of parts with so many items and bytes, int64[parts] each."""
    wanted = np.minimum(np.maximum(-(-sizes // block_bytes), 1), items)
    parts = np.repeat(np.arange(len(items)), wanted)
    place = np.arange(len(parts)) - np.repeat(np.cumsum(wanted) - wanted, wanted)
    # Of n blocks the k-th begins at item k * items // n: their counts differ by one at most.
    firsts = place * items[parts] // wanted[parts]
    ends = (place + 1) * items[parts] // wanted[parts]
    before = np.cumsum(items) - items
    return Blocks(parts, firsts, ends - firsts, before[parts] + firsts)


def order_blocks(blocks: Blocks, key: tuple[int, int] | None) -> Numbers:
    """The blocks in the order of an epoch; `key`: its seed and number, None for their own order."""
    numbers = np.arange(len(blocks.parts))
    return numbers if key is None else np.argsort(_hashes(numbers, key, _OF_BLOCKS), kind="stable")


def windows_from(
    blocks: Blocks, mine: Numbers, window: int, position: int
) -> list[tuple[Numbers, int]]:
    """The windows of a rank that reads the blocks `mine`, from the one on that holds its item
    number `position`: numbers of blocks, and how many of their items come before that one."""
    found = []
    for first in range(0, len(mine), window):
        its = mine[first : first + window]
        count = int(blocks.counts[its].sum())
        if position < count:
            found.append((its, position))
        position = max(position - count, 0)
    return found


def order_items(blocks: Blocks, its: Numbers, key: tuple[int, int] | None) -> Numbers:
    """Places of the items of some blocks, counted over these, in the order in which they are
    given."""
    counts = blocks.counts[its]
    places = np.arange(int(counts.sum()))
    if key is None:
        return places
    within = places - np.repeat(np.cumsum(counts) - counts, counts)
    numbers = np.repeat(blocks.numbers[its], counts) + within
    return np.argsort(_hashes(numbers, key, _OF_ITEMS), kind="stable")


def _hashes(numbers: Numbers, key: tuple[int, int], purpose: int) -> npt.NDArray[np.uint64]:
    """A keyed hash of each number; no two of them have the same."""
    hashes = numbers.astype(np.uint64)
    for part in (*key, purpose):
        salt = (part * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _LAST
        hashes = hash_keys(hashes ^ np.uint64(salt))
    return hashes
