"""Check attribute tables over all rows: scores that are null or no number.

In: record batches of attributes. Out: additive counters `rows`, `checked.values` and, for each
column that is a score or a label, `null.<column>`; for floating-point columns `nan.<column>`. Spans and evidence (lists,
structs) are null or empty by design and are not counted.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["count_attributes"]


def count_attributes(batch: pa.RecordBatch) -> dict[str, int]:
    """Count rows, nulls and floats that are NaN or infinite; keys depend on the schema alone.

    `checked.values`: rows times columns that were looked at.
    """
    counts = {"rows": int(batch.num_rows), "checked.values": 0}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_nested(field.type):
            continue
        counts["checked.values"] += len(column)
        counts[f"null.{field.name}"] = int(column.null_count)
        if pa.types.is_floating(field.type):
            # NaN and the infinities are the values that `is_finite` denies; it skips nulls.
            finite = pc.sum(pc.is_finite(column)).as_py() or 0
            counts[f"nan.{field.name}"] = len(column) - column.null_count - int(finite)
    return counts
