"""Which of several duplicates survives: rank columns, uint64, lower is better, compared in order.

First come the recipe's criteria in their order (the place of the document's source, `newest`,
`quality desc`, ...), last a keyed hash of the id, which settles every tie in the same way whatever
file the document lies in. Position never counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["WORST", "rank_documents", "rank_ids", "rank_numbers", "rank_names"]

WORST = np.uint64(0xFFFFFFFFFFFFFFFF)  # rank of a value that is missing
_SIGN = np.uint64(1 << 63)


def rank_numbers(column: pa.Array, descending: bool) -> npt.NDArray[np.uint64]:
    """Rank numbers, bools or timestamps as float64: uint64[rows], `WORST` for null and NaN.

    Ascending: less is better. -0.0 equals 0.0. Integers beyond 2**53 that round to the same float
    tie.
    """
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    floats = column.cast(pa.float64(), safe=False)
    values = pc.fill_null(floats, float("nan")).to_numpy(zero_copy_only=False) + 0.0
    bits = values.view(np.uint64)
    # Of negative floats the larger has the smaller bits; flip them, and put positive ones above.
    order = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    if descending:
        order = ~order
    return np.where(np.isnan(values), WORST, order)


def rank_ids(ids: pa.Array, seed: int) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each id, keyed by `seed` (0 <= seed < 2**64): uint64[rows]."""
    key = seed.to_bytes(8, "little")
    hashes = b"".join(
        hashlib.blake2b(value.encode(), digest_size=8, key=key, person=b"vineleaf.rank").digest()
        for value in ids.to_pylist()
    )
    return np.frombuffer(hashes, "<u8")


def rank_names(criteria: int) -> list[str]:
    """Names of the rank columns for so many criteria, and the id."""
    return [f"rank_{k}" for k in range(criteria + 1)]


def rank_documents(
    criteria: Sequence[tuple[pa.Array, bool]],
    ids: pa.Array,
    seed: int,
) -> dict[str, pa.Array]:
    """The rank columns of a batch, name -> uint64[rows], in the order in which they are compared.

    `criteria`: (column, descending) each.
    """
    columns = [
        *(rank_numbers(column, descending) for column, descending in criteria),
        rank_ids(ids, seed),
    ]
    return {
        name: pa.array(column, pa.uint64())
        for name, column in zip(rank_names(len(criteria)), columns, strict=True)
    }
