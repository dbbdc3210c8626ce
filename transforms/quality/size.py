"""Size: bytes and words of each document, the measure of what later stages keep and remove.

Out: `bytes` int64 (UTF-8), `words` int64 (as transforms.kernels.words counts them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from transforms.documents import DocumentBatch

__all__ = ["Size"]

_SCHEMA = pa.schema([pa.field("bytes", pa.int64()), pa.field("words", pa.int64())])


@dataclass(frozen=True)
class Size:
    """Annotator `size`."""

    name: ClassVar[str] = "size"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = _SCHEMA

    def parameters(self) -> dict[str, Any]:
        return {}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(
            [pa.array(np.diff(batch.text[1])), pa.array(np.diff(batch.words.bounds))],
            schema=_SCHEMA,
        )
