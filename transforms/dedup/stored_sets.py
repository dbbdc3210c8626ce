"""Sets of numbers as a Parquet column: small, and as they were when they are read.

A set (kernels.shingles.Sets: rising uint64) is stored as its least value and the gaps between
neighbours, which are small where sets are large: n values of b random bits hold b - log2(n) + 1.4
bits each. Bytes of equal weight stand together (`ENCODINGS`), so that compression takes the upper
ones, which are mostly zero, and finds nothing else to do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.kernels.shingles import Sets

__all__ = ["ENCODINGS", "SET_SCHEMA", "pack_sets", "unpack_sets"]

SET_SCHEMA = pa.schema([pa.field("gaps", pa.list_(pa.uint64()))])  # null: no set is stored
ENCODINGS = {"gaps.list.element": "BYTE_STREAM_SPLIT"}  # of its Parquet file


def pack_sets(sets: Sets, rows: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    """A batch of `SET_SCHEMA`: the sets in their order at the rows that are marked, bool[rows];
    null at the others."""
    values = sets.values[sets.bounds[0] : sets.bounds[-1]]
    gaps = values.copy()
    gaps[1:] -= values[:-1]
    starts = (sets.bounds[:-1] - sets.bounds[0])[np.diff(sets.bounds) > 0]
    gaps[starts] = values[starts]
    sizes = np.zeros(len(rows), np.int64)
    sizes[rows] = np.diff(sets.bounds)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    column = pa.ListArray.from_arrays(pa.array(offsets), pa.array(gaps), mask=pa.array(~rows))
    return pa.record_batch([column], schema=SET_SCHEMA)


def unpack_sets(column: pa.ListArray) -> Sets:
    """The sets of a column of `SET_SCHEMA`, one a row; empty where it is null."""
    offsets = column.offsets.to_numpy().astype(np.int64)
    gaps = column.values.to_numpy()[offsets[0] : offsets[-1]].astype(np.uint64)
    bounds = offsets - offsets[0]
    sums = np.cumsum(gaps)  # modulo 2**64, as the differences that are taken of it
    before = np.concatenate([np.zeros(1, np.uint64), sums])[bounds[:-1]]
    return Sets(sums - np.repeat(before, np.diff(bounds)), bounds)
