"""Check attribute tables over all rows: values that are lacking, scores that are no number.

In: record batches of attributes. Out: additive counters `rows`, `checked.values`, `null.<column>`
for each column whose schema promises a value (`nullable=False`) and `nan.<column>` for each
floating-point column. In a nullable column null has a meaning of its own; NaN never has.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["count_attributes"]


def count_attributes(batch: pa.RecordBatch) -> dict[str, int]:
    """Count rows, nulls and floats that are NaN or infinite; keys depend on the schema alone.

    `checked.values`: rows times columns that were looked at for either.
    """
    counts = {"rows": int(batch.num_rows), "checked.values": 0}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if not field.nullable:
            counts[f"null.{field.name}"] = int(column.null_count)
        if pa.types.is_floating(field.type):
            # NaN and the infinities are the values that `is_finite` denies; it skips nulls.
            finite = pc.sum(pc.is_finite(column)).as_py() or 0
            counts[f"nan.{field.name}"] = len(column) - column.null_count - int(finite)
        if not field.nullable or pa.types.is_floating(field.type):
            counts["checked.values"] += len(column)
    return counts
