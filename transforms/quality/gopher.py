"""Gopher: document quality and repetition as numbers. Rae et al. 2021, appendix A.1.1, table A1.

In: words and lines of a batch. Out: the columns of `SCHEMA`, one row a document. Definitions follow
Dolma 3 (datamap-rs), in characters where it counts bytes; words are those of `kernels.words`
(punctuation is no word), so a share of words or of their characters has blanks and punctuation in
neither its numerator nor its denominator. A share of nothing is 0.

Repeated means: at least two occurrences in the document, and all of them count, the first too
(datatrove counts from the second on, and divides by all characters of the text).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.annotators import SPANS
from transforms.documents import DocumentBatch
from transforms.kernels.cut import Spans
from transforms.kernels.lines import fold_paragraphs, mark_bullets_and_ellipses
from transforms.kernels.repetition import (
    DUPLICATE_SIZES,
    ONCE,
    TOP_SIZES,
    cover_ngrams,
    mark_repeated,
    sum_by_document,
)
from transforms.kernels.word_statistics import (
    WordStatistics,
    find_excess_newlines,
    measure_words,
)
from transforms.spans import spans_array

__all__ = ["SCHEMA", "Gopher", "share"]

_COUNTS = (
    "word_count",  # words
    "character_count",  # characters of the text, blanks and punctuation too
    "stop_word_count",  # occurrences of Gopher's 8 stop words in any case (Dolma 3, DCLM)
    "distinct_stop_word_count",  # how many of the 8 occur (datatrove)
    "longest_newline_run",  # line feeds
)
_SHARES = (
    "mean_word_length",  # characters a word
    "symbol_word_ratio",  # "#" and ellipses ("...", ". . .", U+2026) a word
    "bullet_line_fraction",  # of lines that are not blank
    "ellipsis_line_fraction",  # of lines that are not blank
    "words_without_letter_fraction",  # of words
    "duplicate_line_fraction",  # of lines that are not blank
    "duplicate_paragraph_fraction",  # of paragraphs
    "duplicate_line_character_fraction",  # of characters of lines that are not blank
    "duplicate_paragraph_character_fraction",  # of characters of paragraphs
    *(f"top_{n}gram_character_fraction" for n in TOP_SIZES),  # of characters of words
    *(f"duplicate_{n}gram_character_fraction" for n in DUPLICATE_SIZES),  # of characters of words
)
SCHEMA = pa.schema(
    [pa.field(name, pa.int64(), nullable=False) for name in _COUNTS]
    + [pa.field(name, pa.float64(), nullable=False) for name in _SHARES]
    + [pa.field("excess_newlines", SPANS, nullable=False)]
)


def share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """part / whole, 0 where whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole != 0)


@dataclass(frozen=True)
class Gopher:
    """Annotator `gopher`. `excess_newlines` spans the line feeds after the first `newlines_kept` of
    each run (Dolma 3: 2), which a recipe may cut."""

    name: ClassVar[str] = "gopher"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = SCHEMA

    newlines_kept: int = 2

    def __post_init__(self) -> None:
        if self.newlines_kept < 1:
            raise ValueError(f"newlines_kept must be at least 1 (got {self.newlines_kept})")

    def parameters(self) -> dict[str, Any]:
        return asdict(self)

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        measured = measure_words(batch.text[0], batch.words)
        columns: dict[str, Any] = {
            **_describe_text(batch, measured),
            **_describe_repetition(batch, measured.lengths),
        }
        starts, ends, bounds = find_excess_newlines(
            *batch.text, batch.characters, self.newlines_kept
        )
        columns["excess_newlines"] = spans_array(Spans(bounds, starts, ends))
        return pa.RecordBatch.from_arrays(
            [pa.array(columns[name]) for name in SCHEMA.names], schema=SCHEMA
        )


def _describe_text(batch: DocumentBatch, measured: WordStatistics) -> dict[str, npt.NDArray[Any]]:
    data, _ = batch.text
    words, lines = batch.words, batch.lines
    word_count, line_count = np.diff(words.bounds), np.diff(lines.bounds)
    characters = batch.characters
    bullets, ellipses = mark_bullets_and_ellipses(data, lines)
    word_characters = sum_by_document(measured.lengths, words.bounds)
    return {
        "word_count": word_count,
        "character_count": characters.characters,
        "stop_word_count": measured.stop_words,
        "distinct_stop_word_count": measured.distinct_stop_words,
        "longest_newline_run": characters.longest_newline_run,
        "mean_word_length": share(word_characters, word_count),
        "symbol_word_ratio": share(characters.symbols, np.maximum(word_count, 1)),
        "bullet_line_fraction": share(sum_by_document(bullets, lines.bounds), line_count),
        "ellipsis_line_fraction": share(sum_by_document(ellipses, lines.bounds), line_count),
        "words_without_letter_fraction": share(measured.without_letter, word_count),
    }


def _describe_repetition(
    batch: DocumentBatch, lengths: npt.NDArray[np.int32]
) -> dict[str, npt.NDArray[np.float64]]:
    words, lines = batch.words, batch.lines
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for unit, elements in (("line", lines), ("paragraph", fold_paragraphs(lines))):
        repeated = mark_repeated(elements.hashes, elements.bounds) != ONCE
        columns[f"duplicate_{unit}_fraction"] = share(
            sum_by_document(repeated, elements.bounds), np.diff(elements.bounds)
        )
        columns[f"duplicate_{unit}_character_fraction"] = share(
            sum_by_document(elements.characters * repeated, elements.bounds),
            sum_by_document(elements.characters, elements.bounds),
        )
    top, duplicate = cover_ngrams(words.hashes, lengths, words.bounds)
    characters = sum_by_document(lengths, words.bounds)
    for k, n in enumerate(TOP_SIZES):
        columns[f"top_{n}gram_character_fraction"] = share(top[:, k], characters)
    for k, n in enumerate(DUPLICATE_SIZES):
        columns[f"duplicate_{n}gram_character_fraction"] = share(duplicate[:, k], characters)
    return columns
