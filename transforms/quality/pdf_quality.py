"""PDF quality: how much of a document is numbers and tables, and how well it compresses.

In: text and lines of a batch. Out: the columns of `SCHEMA`, one row a document. Numbers and tables
are the measures of Dolma 3's filter of olmOCR's documents (allenai/dolma, taggers
`avg_fraction_numbers_in_line_v1` and `pipe_delimited_lines_v1`). Longmino takes the middle 60 % of
long documents by their gzip ratio; `compressed_fraction` is that ratio, reckoned as
`kernels.deflate` says. A share of nothing is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from transforms.documents import DocumentBatch
from transforms.kernels.deflate import deflated_bytes
from transforms.kernels.table_lines import measure_tables
from transforms.quality.gopher import share

__all__ = ["SCHEMA", "PdfQuality"]

SCHEMA = pa.schema(
    [
        pa.field(name, pa.float64(), nullable=False)
        for name in (
            "numeric_fraction",  # digits among a line's characters, mean over lines not blank
            "pipe_line_fraction",  # lines that begin and end with "|", of lines not blank
            "compressed_fraction",  # bytes of a deflate stream, of bytes of UTF-8
        )
    ]
)


@dataclass(frozen=True)
class PdfQuality:
    """Annotator `pdf_quality`."""

    name: ClassVar[str] = "pdf_quality"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = SCHEMA

    def parameters(self) -> dict[str, Any]:
        return {}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        data, offsets = batch.text
        numeric, pipes = measure_tables(data, batch.lines)
        columns = [
            numeric,
            share(pipes, np.diff(batch.lines.bounds)),
            share(deflated_bytes(data, offsets), np.diff(offsets)),
        ]
        return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SCHEMA)
