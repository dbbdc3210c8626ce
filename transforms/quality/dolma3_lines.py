"""Dolma 3's line and text modifiers for web pages: what they cut, and how much of a page that is.

In: words and lines of a batch. Out: the columns of `SCHEMA`, one row a document; `cut_spans` is
what a recipe cuts from the text to get Dolma 3's. dolma3 (datasets/dolma3_mix/pools/9T) with the
numbers of datamap-rs (configs/all_dressed). It asks that at most 5 % of the words go this way,
which is the recipe's to decide. A share of nothing is 0.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from transforms.annotators import SPANS
from transforms.documents import DocumentBatch
from transforms.kernels.web_lines import CUT_REASONS, LineRules, cut_web_lines
from transforms.quality.gopher import share
from transforms.spans import spans_array

__all__ = [
    "NEWLINES_KEPT",
    "PHRASE_WORDS",
    "SCHEMA",
    "UPPER_CASE",
    "LINE_WORDS",
    "Dolma3Lines",
]

UPPER_CASE = 0.5  # share of a line's characters in upper case, above which it is cut
LINE_WORDS = 2  # words that a line needs
PHRASE_WORDS = 10  # words, at most, of a line from which phrases are cut
NEWLINES_KEPT = 2  # line feeds in a row that stay
_COUNTS = (
    "kept_lines",  # lines that stay; here no line is blank
    *(f"{reason}_lines" for reason in CUT_REASONS),  # lines cut, each by the first rule that does
    "phrase_lines",  # lines cut because they hold nothing but phrases
    "phrase_count",  # phrases cut, those of phrase_lines too
    "cut_word_count",  # words of what is cut
)
SCHEMA = pa.schema(
    [pa.field(name, pa.int64(), nullable=False) for name in _COUNTS]
    + [
        pa.field("cut_word_fraction", pa.float64(), nullable=False),  # of words
        pa.field("cut_spans", SPANS, nullable=False),
    ]
)


@dataclass(frozen=True)
class Dolma3Lines:
    """Annotator `dolma3_lines`. A line is cut if more than `upper_case` of its characters are upper
    case, all are digits, it is a counter, or it has fewer than `words_per_line` words; phrases are
    cut from lines of at most `phrase_words` words; then at most `newlines_kept` line feeds in a row
    stay."""

    name: ClassVar[str] = "dolma3_lines"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = SCHEMA

    upper_case: float = UPPER_CASE
    words_per_line: int = LINE_WORDS
    phrase_words: int = PHRASE_WORDS
    newlines_kept: int = NEWLINES_KEPT

    def __post_init__(self) -> None:
        if not (math.isfinite(self.upper_case) and 0 <= self.upper_case <= 1):
            raise ValueError(f"upper_case must be from 0 to 1 (got {self.upper_case})")
        for name, least in (("words_per_line", 0), ("phrase_words", 0), ("newlines_kept", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least} (got {getattr(self, name)})")

    def parameters(self) -> dict[str, Any]:
        return asdict(self)

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        cut = cut_web_lines(
            *batch.text,
            batch.lines,
            batch.words,
            int(batch.characters.newlines.sum()),
            LineRules(
                float(self.upper_case), self.words_per_line, self.phrase_words, self.newlines_kept
            ),
        )
        words = np.diff(batch.words.bounds)
        return pa.RecordBatch.from_arrays(
            [
                *(pa.array(cut.counts[:, k]) for k in range(len(_COUNTS))),
                pa.array(share(cut.counts[:, _COUNTS.index("cut_word_count")], words)),
                spans_array(cut.spans),
            ],
            schema=SCHEMA,
        )
