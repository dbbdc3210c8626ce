"""The Arrow column of spans: flat starts and ends cut into one list per document."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.annotators import SPANS

__all__ = ["spans_array"]


def spans_array(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64]
) -> pa.Array:
    """Column of type `SPANS`: document d has starts[k], ends[k] for k in bounds[d]..bounds[d + 1]-1
    (byte offsets from the document's start, half-open)."""
    values = pa.StructArray.from_arrays([pa.array(starts), pa.array(ends)], fields=SPANS.value_type)
    return pa.ListArray.from_arrays(pa.array(bounds.astype(np.int32)), values, type=SPANS)
