"""MinHash bands of each document: annotator `minhash`, and how to choose its numbers.

Stored are the keys of the bands, not the signature: near duplicates are found by equal bands and
then proved on their true shingle sets. Two documents of similarity s share one of b bands of r rows
with probability 1 - (1 - s^r)^b. `PRESETS` are those of other projects.
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
    "MOST_BANDS",
    "MOST_ROWS",
    "NGRAM",
    "PERMUTATIONS",
    "PRESETS",
    "RECALL",
    "ROWS",
    "SEED",
    "MinHash",
    "Preset",
    "band_matrix",
    "choose_bands",
    "probability",
]

NGRAM = 5  # words (Dolma 3, FineWeb)
PERMUTATIONS = 286  # values in a signature, at most (Dolma 3's 26 x 11)
RECALL = 0.995  # share of the pairs at the wanted similarity that must share a band, at least
BANDS = 35  # choose_bands(0.8)
ROWS = 8  # values in a band
SEED = 1  # of the permutations
MOST_BANDS, MOST_ROWS = 256, 64  # that a recipe can name


@dataclass(frozen=True)
class Preset:
    """Parameters of a published deduplication. `similarity`: true Jaccard, inclusive."""

    ngram: int
    bands: int
    rows: int
    similarity: float


PRESETS = {
    "dolma3-web": Preset(5, 26, 11, 0.8),
    # FineWeb removes whatever shares a band, and aims at 0.75; here it is verified, too.
    "fineweb": Preset(5, 14, 8, 0.75),
}


@dataclass(frozen=True)
class MinHash:
    """Annotator `minhash`: `bands`, the keys of all bands as little-endian uint64, one after the
    other; null for documents without a word. `ngram` in words."""

    name: ClassVar[str] = "minhash"
    version: ClassVar[int] = 3

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


def probability(similarity: float, bands: int, rows: int) -> float:
    """The probability that two sets of this Jaccard similarity (0..1) share a band."""
    return float(1.0 - (1.0 - similarity**rows) ** bands)


def choose_bands(
    similarity: float, recall: float = RECALL, permutations: int = PERMUTATIONS
) -> tuple[int, int]:
    """(bands, rows) for a wanted similarity, using at most so many permutations.

    Of two sets with just that similarity the probability to share a band is at least `recall`;
    among what is as sure, the pairs below it that must be compared for nothing are fewest, which
    are the more the fewer rows a band has. ValueError where so few permutations cannot be as sure.
    """
    if not 0.0 < similarity <= 1.0:
        raise ValueError(f"similarity must be above 0 and at most 1 (got {similarity})")
    for rows in range(min(MOST_ROWS, permutations), 0, -1):
        bands = min(MOST_BANDS, permutations // rows)
        if probability(similarity, bands, rows) >= recall:
            return bands, rows
    raise ValueError(
        f"no bands of {permutations} permutations find {recall:g} of the pairs at similarity"
        f" {similarity:g}: ask for less recall, or allow more permutations"
    )
