"""MinHash bands of each document: annotator `minhash`, and how to choose its numbers.

Stored are the keys of the bands, not the signature: near duplicates are found by equal bands and
then proved on their true shingle sets. Defaults are Dolma 3's: word 5-grams, 26 bands of 11 rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.documents import DocumentBatch
from transforms.kernels.minhash import band_keys, signatures

__all__ = [
    "BANDS",
    "NGRAM",
    "PERMUTATIONS",
    "ROWS",
    "SEED",
    "MinHash",
    "band_matrix",
    "choose_bands",
]

NGRAM = 5  # words (Dolma 3)
BANDS = 26  # (Dolma 3)
ROWS = 11  # values in a band (Dolma 3)
PERMUTATIONS = BANDS * ROWS  # 286
SEED = 1  # of the permutations
MISS_WEIGHT = 0.9  # a missed pair is lost, a false candidate costs one comparison


@dataclass(frozen=True)
class MinHash:
    """Annotator `minhash`: `bands`, the keys of all bands as little-endian uint64, one after the
    other; null for documents without a word. `ngram` in words."""

    name: ClassVar[str] = "minhash"
    version: ClassVar[int] = 2

    ngram: int = NGRAM
    bands: int = BANDS
    rows: int = ROWS

    def __post_init__(self) -> None:
        for field in ("ngram", "bands", "rows"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be 1 or more (got {getattr(self, field)})")

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field("bands", pa.binary(8 * self.bands))])

    def parameters(self) -> dict[str, Any]:
        return {"ngram": self.ngram, "bands": self.bands, "rows": self.rows}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        words = batch.words
        values = signatures(words, self.ngram, SEED, self.bands * self.rows)
        keys = band_keys(values, self.bands, self.rows).astype("<u8")
        validity = np.packbits(np.diff(words.bounds) > 0, bitorder="little")
        column = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(8 * self.bands), batch.rows, [pa.py_buffer(validity), pa.py_buffer(keys)]
        )
        return pa.record_batch([column], schema=self.schema)


def band_matrix(column: pa.Array) -> npt.NDArray[np.uint64]:
    """The keys of a column of `MinHash`, uint64[rows, bands]; anything where it is null."""
    bands = column.type.byte_width // 8
    values = np.frombuffer(column.buffers()[1], "<u8").reshape(-1, bands)
    return values[column.offset : column.offset + len(column)]


def choose_bands(
    similarity: float, permutations: int = PERMUTATIONS, miss_weight: float = MISS_WEIGHT
) -> tuple[int, int]:
    """(bands, rows) for a wanted similarity (0..1), using at most so many permutations.

    Weighs the chance of missing a pair above it by `miss_weight` and that of comparing one below it
    by the rest, with datasketch's optimiser. 0.8 and 286 give Dolma 3's 26 x 11.
    """
    if not 0.0 < similarity < 1.0:
        raise ValueError(f"similarity must be between 0 and 1 (got {similarity})")
    from datasketch.lsh import _optimal_param  # imports half of scipy: only where it is asked

    bands, rows = _optimal_param(similarity, permutations, 1.0 - miss_weight, miss_weight)
    return int(bands), int(rows)
