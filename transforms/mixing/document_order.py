"""The shuffled order of a mix: documents by a keyed hash of their ids, over all sources.

In: ids, the recipe's seed, and which copy of a document is meant. Out: its *order*, a uint64; a mix
in this order is one row from order 0 to 2**64 - 1, cut into *buckets* of equal ranges, and each
bucket into token files: so that a file is an unbiased sample of the mix, whatever the split of the
input. The order is independent of the one by which documents are chosen (budget.py): that one
hashes the other half of the id's hash. In a curriculum the upper `STAGE_BITS` of an order are the
document's stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.checks.documents import id_hashes
from transforms.kernels.hashing import hash_keys
from transforms.mixing.budget import order_key

__all__ = [
    "STAGE_BITS",
    "bucket_count",
    "buckets_of",
    "document_order",
    "out_of_order",
    "staged_buckets",
]

STAGE_BITS = 8
FULL = 0.9  # of a file, that a bucket fills on average: few buckets are more than one file
Orders = npt.NDArray[np.uint64]


def document_order(ids: pa.Array, seed: int, copy: int, stage: int | None = None) -> Orders:
    """The order of documents' copies number `copy`, from 0; uint64[documents]. `stage`: of a
    curriculum, from 0."""
    _, lower = id_hashes(ids)
    its_copy = hash_keys(np.array([copy + 1], np.uint64))[0]
    orders = hash_keys(order_key(lower, seed) ^ its_copy)
    if stage is None:
        return orders
    return orders >> np.uint64(STAGE_BITS) | np.uint64(stage << (64 - STAGE_BITS))


def bucket_count(tokens: int, file_tokens: int) -> int:
    """Buckets of a mix of so many tokens."""
    return max(1, -int(-tokens // (FULL * file_tokens)))


def buckets_of(orders: Orders, buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each order, 0..buckets - 1, rising with it. `buckets` is below 2**32."""
    upper, lower = orders >> np.uint64(32), orders & np.uint64(0xFFFFFFFF)
    count = np.uint64(buckets)
    return ((upper * count + (lower * count >> np.uint64(32))) >> np.uint64(32)).astype(np.int64)


def staged_buckets(orders: Orders, buckets: Sequence[int]) -> npt.NDArray[np.int64]:
    """The bucket of each order, rising with it. `buckets`: how many each stage of a curriculum has;
    of a single number there are no stages."""
    if len(buckets) == 1:
        return buckets_of(orders, buckets[0])
    firsts = np.cumsum([0, *buckets[:-1]])
    found = np.empty(len(orders), np.int64)
    stages = orders >> np.uint64(64 - STAGE_BITS)
    for stage in np.unique(stages).tolist():
        mine = stages == stage
        within = orders[mine] << np.uint64(STAGE_BITS)
        found[mine] = firsts[stage] + buckets_of(within, buckets[stage])
    return found


def out_of_order(
    ids: Sequence[str],
    sources: Sequence[str],
    seed: int,
    most_copies: npt.NDArray[np.int64],
    before: int,
    stage: int | None = None,
) -> tuple[int, int]:
    """Documents that stand where no copy of theirs can: (how many, the last order seen).

    `ids`, and the source of each, as they follow one another after a document of order `before`;
    `most_copies`, for each: more copies than that are not in the mix. Each must have an order that
    is no less than that of the document before it; copies of one are told apart by their orders,
    documents of two sources that have the same id have the same ones. `stage`: of a curriculum, in
    which all of them stand.
    """
    array = pa.array(ids, pa.string())
    most = int(most_copies.max(initial=1))
    orders = [document_order(array, seed, copy, stage) for copy in range(most)]
    wrong, last, last_one = 0, before, ("", "")
    named = zip(sources, ids, strict=True)
    for row, (one_of, count) in enumerate(zip(named, most_copies.tolist(), strict=True)):
        least = last + (one_of == last_one)
        possible = [
            one for one in (int(orders[copy][row]) for copy in range(count)) if one >= least
        ]
        if possible:
            last, last_one = min(possible), one_of
        else:
            wrong += 1
    return wrong, last
