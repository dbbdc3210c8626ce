"""Spans of a batch between their two forms: the Arrow column that tables store, `annotators.SPANS`,
and the flat arrays that kernels work on, `kernels.cut.Spans`.

In and out: byte offsets into each document's UTF-8, half-open.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from transforms.annotators import SPANS
from transforms.kernels.cut import Spans, join_spans

__all__ = ["spans_array", "unite_spans"]


def spans_array(spans: Spans) -> pa.Array:
    """The SPANS column of some spans, one row per document."""
    values = pa.StructArray.from_arrays(
        [pa.array(spans.starts), pa.array(spans.ends)], fields=list(SPANS.value_type)
    )
    return pa.ListArray.from_arrays(pa.array(spans.bounds.astype(np.int32)), values, type=SPANS)


def unite_spans(columns: Sequence[pa.Array], documents: int) -> Spans:
    """Unite the spans of one or more SPANS columns of the same rows, in any order, overlapping or
    not.

    ValueError when a column has another number of rows.
    """
    for column in columns:
        if len(column) != documents:
            raise ValueError(
                f"spans must have a row per document (got {len(column)} for {documents})"
            )
    return join_spans([_flat(column) for column in columns])


def _flat(column: pa.Array) -> Spans:
    """Buffers of a SPANS column (list or large_list, sliced or not); a null list holds no span."""
    filled = column.fill_null([]) if column.null_count else column
    bounds = np.asarray(filled.offsets, dtype=np.int64)
    values = filled.values.slice(bounds[0], bounds[-1] - bounds[0])
    return Spans(
        bounds - bounds[0],
        np.asarray(values.field("start"), dtype=np.int64),
        np.asarray(values.field("end"), dtype=np.int64),
    )
