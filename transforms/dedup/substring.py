"""Substring duplicates: passages of `size` bytes or more that stand somewhere before.

Documents are read in the order in which they survive (survivors.py), each from its first byte on.
A window of `size` bytes is a repeat when the same bytes stood before in that order; what is found
is every repeat, and the bytes that are cut are those of all repeats together. Where a repeat
overlaps its first place (a line of dashes), the first place stays whole. So no passage of `size`
bytes is left twice, and each byte that is cut has an equal one that stays: that of its first place,
or, where that is part of a still earlier passage, that one's.

Places with equal anchors (kernels.winnow) are compared with the first of them, byte by byte.
Windows that are not settled by that hold the byte at which they part from it; places that part
after as many bytes and with the same byte are compared among themselves in the next round.
Equal windows never part, so all are found, with work that is linear in the places in practice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.dedup.passages import FOUND_PASSAGE
from transforms.kernels.common_passages import Agreement
from transforms.rows import Rows

__all__ = [
    "ANCHOR",
    "EDGE_BYTES",
    "LEAST_SIZE",
    "MOST_SIZE",
    "SIZE",
    "SUBSTRING_VERSION",
    "Members",
    "find_repeats",
    "gram_of",
    "shared_anchors",
]

SIZE = 500  # bytes of the shortest passage (Dolma 3)
LEAST_SIZE, MOST_SIZE = 8, 16_384  # bytes
SUBSTRING_VERSION = 1  # raised when `repeated_passages` changes for the same input
EDGE_BYTES = 3  # read beyond a window, to see where a character begins

ANCHOR = np.dtype([("key", "<u8"), ("place", "<u8")])  # an anchor's key and its first byte
PAIRS_AT_ONCE = 1 << 14  # compared at once: bounds the text that is held


def gram_of(size: int) -> int:
    """Bytes of the k-grams that are anchors for windows of `size` bytes: a quarter of it. Longer
    ones make more anchors, shorter ones more that meet for nothing."""
    return max(1, size // 4)


def shared_anchors(rows: Rows) -> Rows:
    """Of sorted rows of `ANCHOR` those whose key stands in two places or more."""
    if len(rows) < 2:
        return rows[:0]
    equal = rows["key"][1:] == rows["key"][:-1]
    shared = np.zeros(len(rows), np.bool_)
    shared[1:] = equal
    shared[:-1] |= equal
    return rows[shared]


class Members(NamedTuple):
    """Places with shared anchors: `key` uint64, `place` uint64, `address` uint64 of the document,
    `order` int64: the place's rank in the order of reading, all different."""

    key: npt.NDArray[np.uint64]
    place: npt.NDArray[np.uint64]
    address: npt.NDArray[np.uint64]
    order: npt.NDArray[np.int64]


# (one, other, least lead, most lead, apart) -> how the pairs agree; members by number.
Compare = Callable[
    [
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
    ],
    Agreement,
]


def find_repeats(members: Members, size: int, gram: int, compare: Compare) -> Iterator[Rows]:
    """Rows of `FOUND_PASSAGE` for all repeats that hold an anchor of two members of equal key.

    `compare` is called with at most `PAIRS_AT_ONCE` pairs. Memory: some 100 bytes a member.
    """
    who = np.lexsort([members.order, members.key])
    group = np.zeros(len(who), np.int64)
    np.cumsum(members.key[who][1:] != members.key[who][:-1], out=group[1:])
    least = np.zeros(len(who), np.int64)
    most = np.full(len(who), size - gram, np.int64)
    while len(who):
        begins = np.ones(len(who), np.bool_)
        begins[1:] = group[1:] != group[:-1]
        first = who[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
        rest = np.flatnonzero(~begins)
        parted: list[tuple[npt.NDArray[np.int64], ...]] = []
        for start in range(0, len(rest), PAIRS_AT_ONCE):
            some = rest[start : start + PAIRS_AT_ONCE]
            one, other = first[some], who[some]
            seen = compare(one, other, least[some], most[some], _apart(members, one, other))
            yield _found(members, one, other, seen)
            parted += _parted(group[some], other, least[some], most[some], seen, size)
        if not parted:
            return
        group, who, least, most = _regroup(parted)


def _apart(
    members: Members, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    same = members.address[one] == members.address[other]
    return np.where(same, members.place[other] - members.place[one], np.uint64(0)).astype(np.int64)


def _found(
    members: Members,
    one: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    seen: Agreement,
) -> Rows:
    some = np.flatnonzero(seen.end > seen.start)
    found = np.empty(len(some), FOUND_PASSAGE)
    found["start"] = members.place[other[some]].astype(np.int64) + seen.start[some]
    found["first_in"] = members.address[one[some]]
    found["length"] = (seen.end - seen.start)[some]
    found["head"], found["tail"] = seen.head[some], seen.tail[some]
    return found


def _parted(
    group: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    least: npt.NDArray[np.int64],
    most: npt.NDArray[np.int64],
    seen: Agreement,
    size: int,
) -> Iterator[tuple[npt.NDArray[np.int64], ...]]:
    """What is left to compare: (group, side, bytes agreed, byte parted by, member, least lead, most
    lead). Windows that reach to the left beyond where the pair agrees, then those of the rest that
    reach beyond it to the right."""
    left = np.flatnonzero(seen.before >= 0)
    yield (
        group[left], np.zeros(len(left), np.int64), seen.left[left],
        seen.before[left].astype(np.int64), other[left], seen.left[left] + 1, most[left],
    )  # fmt: skip
    most_right = np.minimum(np.minimum(most, seen.left), size - seen.right - 1)
    right = np.flatnonzero((seen.behind >= 0) & (least <= most_right))
    yield (
        group[right], np.ones(len(right), np.int64), seen.right[right],
        seen.behind[right].astype(np.int64), other[right], least[right], most_right[right],
    )  # fmt: skip


def _regroup(
    parted: list[tuple[npt.NDArray[np.int64], ...]],
) -> tuple[npt.NDArray[np.int64], ...]:
    """(group, member, least lead, most lead) of those that parted alike, in the order in which they
    came; who is alone is left out."""
    group, side, agreed, byte, who, least, most = (
        np.concatenate([one[k] for one in parted]) for k in range(7)
    )
    label = ((group * 2 + side) * (MOST_SIZE + 1) + agreed) * 256 + byte
    order = np.argsort(label, kind="stable")
    label = label[order]
    fresh = np.ones(len(label), np.bool_)
    fresh[1:] = label[1:] != label[:-1]
    number = np.cumsum(fresh) - 1
    several = np.bincount(number, minlength=1)[number] > 1
    order, number = order[several], number[several]
    return number, who[order], least[order], most[order]
