"""Personal data: e-mail addresses, IP addresses and telephone numbers, as spans and counts.

In: texts of a batch. Out: the columns of `SCHEMA`, one row a document. What counts as one is said
in `kernels.pii`. The kinds, and the number of spans above which a document goes, are those of Dolma
(Soldaini et al. 2024: documents with more than 5 are removed, spans of the others masked); here
spans are cut, not masked. Nothing that a model would have to read (names, addresses) is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from transforms.annotators import SPANS
from transforms.documents import DocumentBatch
from transforms.kernels.cut import join_spans
from transforms.kernels.pii import find_pii
from transforms.quality.gopher import share
from transforms.spans import spans_array

__all__ = ["SCHEMA", "Pii"]

SCHEMA = pa.schema(
    [
        pa.field("emails", SPANS, nullable=False),
        pa.field("ip_addresses", SPANS, nullable=False),
        pa.field("phone_numbers", SPANS, nullable=False),
        pa.field("email_count", pa.int64(), nullable=False),
        pa.field("ip_address_count", pa.int64(), nullable=False),
        pa.field("phone_number_count", pa.int64(), nullable=False),
        pa.field("span_count", pa.int64(), nullable=False),  # of all kinds
        pa.field("byte_fraction", pa.float64(), nullable=False),  # UTF-8 in spans, of all
    ]
)


@dataclass(frozen=True)
class Pii:
    """Annotator `pii`."""

    name: ClassVar[str] = "pii"
    version: ClassVar[int] = 2
    schema: ClassVar[pa.Schema] = SCHEMA

    def parameters(self) -> dict[str, Any]:
        return {}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        found = find_pii(*batch.text)
        counts = [np.diff(spans.bounds) for spans in found]
        united = join_spans(list(found))
        before = np.concatenate(([0], np.cumsum(united.ends - united.starts)))
        return pa.RecordBatch.from_arrays(
            [
                *(spans_array(spans) for spans in found),
                *(pa.array(count) for count in counts),
                pa.array(counts[0] + counts[1] + counts[2]),
                pa.array(share(np.diff(before[united.bounds]), np.diff(batch.text[1]))),
            ],
            schema=SCHEMA,
        )
