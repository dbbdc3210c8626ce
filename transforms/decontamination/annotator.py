"""Decontaminate: which benchmark items a document holds, where, and what to cut of it.

In: a batch of documents and an n-gram index. Out, per document, as attribute table `contamination`:

    hits        int32   benchmark n-grams found (short texts found whole count as one each)
    items       int32   distinct benchmark items found
    matches     list of {benchmark, item, field, start, end, words}: the longest run of each of the
                strongest items (most n-grams, then longest run), the strongest first, at most
                MAX_MATCHES, or MAX_EQUAL_MATCHES where that many equal the strongest; start and
                end in bytes of the text, half-open; words in the run.
                `items` and `matches` speak of the first 65,536 hits of a document.
    passages    spans that a recipe may cut: what is left holds no benchmark n-gram
    words_left  int64   words outside the passages
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.annotators import SPANS
from transforms.decontamination.index import NgramIndex, load_index
from transforms.decontamination.passages import find_unclean
from transforms.decontamination.readings import Scan, hidden_rows, plain_rows
from transforms.documents import DocumentBatch, text_buffers
from transforms.kernels.ngram_lookup import Found, count_hits, find_owners
from transforms.kernels.words import Words, find_words
from transforms.spans import spans_array

__all__ = [
    "CONTAMINATION_SCHEMA",
    "MATCHES",
    "MAX_EQUAL_MATCHES",
    "MAX_MATCHES",
    "NAME",
    "Decontaminate",
]

NAME = "contamination"
MAX_MATCHES = 16  # matches kept as evidence for one document
MAX_EQUAL_MATCHES = 256  # the same, where all of them are as strong as the first

MATCHES = pa.list_(
    pa.struct(
        [
            pa.field("benchmark", pa.string()),
            pa.field("item", pa.string()),
            pa.field("field", pa.string()),
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
            pa.field("words", pa.int32()),
        ]
    )
)
CONTAMINATION_SCHEMA = pa.schema(
    [
        pa.field("hits", pa.int32(), nullable=False),
        pa.field("items", pa.int32(), nullable=False),
        pa.field("matches", MATCHES, nullable=False),
        pa.field("passages", SPANS, nullable=False),
        pa.field("words_left", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Decontaminate:
    """Annotate documents with the benchmark items they hold.

    `index_path`: where workers find the index, `index_fingerprint`: which one it must be.
    """

    name: ClassVar[str] = NAME
    version: ClassVar[int] = 2
    schema: ClassVar[pa.Schema] = CONTAMINATION_SCHEMA

    index_path: str
    index_fingerprint: str

    def parameters(self) -> dict[str, Any]:
        """The index by what it holds, not by where it lies."""
        return {"index": self.index_fingerprint}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        index = load_index(self.index_path, self.index_fingerprint)
        data, offsets = batch.text
        hits, runs = count_hits(batch.words, index.lookup)
        table = _annotate(index, data, offsets, Scan(data, batch.words, hits, runs))
        rows = hidden_rows(index.lookup, data, offsets, hits)
        if len(rows) == 0:
            return table
        # Bytes of a plain reading stand where those of the text do.
        plain = plain_rows(data, offsets, rows)
        words = find_words(*plain)
        scan = Scan(plain[0], words, *count_hits(words, index.lookup))
        texts, _ = text_buffers(batch.table.column("text").take(pa.array(rows)))
        read = _annotate(index, texts, plain[1], scan)
        order = np.arange(batch.rows)
        order[rows] = batch.rows + np.arange(len(rows))
        both = pa.Table.from_batches([table, read]).take(pa.array(order)).combine_chunks()
        return both.to_batches()[0]


def _annotate(
    index: NgramIndex, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], scan: Scan
) -> pa.RecordBatch:
    """A row of CONTAMINATION_SCHEMA for each text, or its plain reading, that was scanned; `data`
    and `offsets`: the texts as they stand."""
    found = find_owners(
        scan.words,
        index.lookup,
        index.owners,
        scan.hits,
        scan.runs,
        MAX_MATCHES,
        MAX_EQUAL_MATCHES,
    )
    passages, words_left = find_unclean(index, data, offsets, scan, found)
    return pa.record_batch(
        [
            pa.array(scan.hits),
            pa.array(found.owners),
            _matches(index, scan.words, offsets, found),
            spans_array(passages),
            pa.array(words_left),
        ],
        schema=CONTAMINATION_SCHEMA,
    )


def _matches(
    index: NgramIndex, words: Words, offsets: npt.NDArray[np.int64], found: Found
) -> pa.Array:
    """The MATCHES array of what was found."""
    of_item = index.item_benchmarks[found.owner]
    pairs, number = np.unique(
        np.stack([of_item.astype(np.int64), found.fields.astype(np.int64)]),
        axis=1,
        return_inverse=True,
    )
    names = [index.field_names(int(benchmark), int(mask)) for benchmark, mask in pairs.T]
    begins = np.repeat(offsets[:-1], np.diff(found.match_bounds))
    values = pa.StructArray.from_arrays(
        [
            pa.array(index.benchmarks, pa.string()).take(pa.array(of_item)),
            index.item_ids.take(pa.array(found.owner)),
            pa.array(names, pa.string()).take(pa.array(number.reshape(-1))),
            pa.array(words.starts[found.first] - begins),
            pa.array(words.ends[found.last - 1] - begins),
            pa.array((found.last - found.first).astype(np.int32)),
        ],
        fields=list(MATCHES.value_type),
    )
    return pa.ListArray.from_arrays(
        pa.array(found.match_bounds.astype(np.int32)), values, type=MATCHES
    )
