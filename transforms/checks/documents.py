"""Check documents over all rows: ids, UTF-8, text.

In: record batches with the columns of `transforms.documents.SCHEMA` (any of which may be broken).
Out: additive counters `checked.rows`, `checked.empty_ids`, `checked.invalid_utf8`,
`checked.empty_text`, and `checked.duplicate_ids`. The last needs all ids at one place: `id_hashes`
gives the two columns of an Exchange, `count_duplicates` counts in each of its partitions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.documents import text_buffers
from transforms.kernels.blanks import count_blank
from transforms.kernels.hashing import hash_rows
from transforms.rows import Rows

__all__ = [
    "LARGEST_DUPLICATE",
    "check_documents",
    "count_duplicates",
    "count_invalid_utf8",
    "id_hashes",
]

LARGEST_DUPLICATE = "largest_duplicate_id_hash"
_TEXT_COLUMNS = ("id", "text", "source", "metadata")


def check_documents(batch: pa.RecordBatch) -> dict[str, int]:
    """Count what is wrong in a batch of documents; all keys are there, whatever is found.

    `checked.rows`: rows. `checked.empty_ids`: ids that are null or "". `checked.invalid_utf8`:
    values of the string columns that are no valid UTF-8. `checked.empty_text`: texts that are null
    or hold no character but white space (`str.isspace`).
    """
    ids = batch.column("id")
    empty_ids = ids.null_count + _true(pc.equal(pc.binary_length(ids), 0))
    return {
        "checked.rows": int(batch.num_rows),
        "checked.empty_ids": empty_ids,
        "checked.invalid_utf8": sum(
            count_invalid_utf8(batch.column(name)) for name in _TEXT_COLUMNS
        ),
        "checked.empty_text": count_blank(*_buffers(batch.column("text"))),
    }


def count_invalid_utf8(column: pa.Array) -> int:
    """How many values of a string array are no valid UTF-8; nulls are valid.

    Arrow validates the whole array at memory speed; only where it objects is the array halved until
    the values that it objects to are alone.
    """
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return 1
        half = len(column) // 2
        return count_invalid_utf8(column.slice(0, half)) + count_invalid_utf8(column.slice(half))
    return 0


def id_hashes(ids: pa.Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """128-bit hashes of ids (string or large_string), as (upper uint64[rows], lower uint64[rows]).

    A null counts as "". Among 10**10 ids, two different ones share a hash with probability 2e-19.
    """
    return hash_rows(*_buffers(ids))


def count_duplicates(rows: Rows) -> dict[str, int]:
    """`checked.duplicate_ids`: rows minus distinct rows, 2 for an id that occurs three times; and
    where there are any `largest_duplicate_id_hash`, the upper half of one id's hash, to find it by.

    `rows`: a structured array of two uint64 fields, upper and lower half of the ids' hashes, sorted
    by the first, then the second, as `Partition.read` gives them. ValueError when they are not.
    """
    first, second = rows.dtype.names or ()
    upper, lower = rows[first], rows[second]
    same = upper[1:] == upper[:-1]
    if np.any(upper[1:] < upper[:-1]) or np.any(same & (lower[1:] < lower[:-1])):
        raise ValueError(f"rows must be sorted by {first}, then {second}")
    repeated = upper[1:][same & (lower[1:] == lower[:-1])]
    counts = {"checked.duplicate_ids": len(repeated)}
    return {**counts, LARGEST_DUPLICATE: int(repeated[-1])} if len(repeated) else counts


def _buffers(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Bytes and int64 offsets of a string array, nulls as ""; no check of the UTF-8."""
    if column.null_count:
        column = pc.fill_null(column, "")
    if pa.types.is_large_string(column.type):
        return text_buffers(column)
    return text_buffers(column.cast(pa.large_string()))


def _true(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)
