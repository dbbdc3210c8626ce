"""Rows: what changes hands between two passes over a pool, packed.

A structured array of fixed-size rows whose first field is a uint64 key. Rules take and give such
arrays; `exchange` moves them between workers, through files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Rows", "sum_equal"]

Rows = npt.NDArray[Any]  # one row of an exchange per element


def sum_equal(rows: Rows, keys: Sequence[str], values: Sequence[str]) -> Rows:
    """Rows sorted by the fields `keys`, those with the same keys as one that holds their sums of
    the fields `values`. The same in whatever order rows come."""
    rows = rows[np.lexsort([rows[key] for key in reversed(keys)])]
    if not len(rows):
        return rows
    changes = np.logical_or.reduce([rows[key][1:] != rows[key][:-1] for key in keys])
    starts = np.flatnonzero(np.concatenate(([True], changes)))
    merged = rows[starts]
    for value in values:
        merged[value] = np.add.reduceat(rows[value], starts)
    return merged
