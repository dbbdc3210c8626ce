"""C4: how many lines and sentences of a page its line rules keep, and which lines they cut.

In: text. Out: the columns of `SCHEMA`, one row a document; `line_spans` and `citation_spans` are
what a recipe cuts from the text to get C4's. Raffel et al. 2020, with the numbers of the paper's
code (tensorflow/datasets): 5 words a line here, 3 sentences a page in the recipe. datatrove and the
paper's prose have 3 words and 5 sentences. Sentences are counted by end marks, not by the Punkt
model, which needs a download. Bad-word lists are no part of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import pyarrow as pa

from transforms.annotators import SPANS
from transforms.documents import DocumentBatch
from transforms.kernels.c4_lines import CUT_REASONS, judge_lines
from transforms.kernels.cut import Spans
from transforms.spans import spans_array

__all__ = ["SCHEMA", "C4"]

WORDS_PER_LINE = 5  # words a line needs (tensorflow/datasets, DCLM; datatrove: 3)
WORD_LENGTH = 1000  # characters, at most, of each word of a line
_COUNTS = (
    "kept_lines",  # lines that C4 keeps
    *(f"{reason}_lines" for reason in CUT_REASONS),  # lines cut, each by the first rule that does
    "lines",  # lines, blank ones too
    "sentence_count",  # sentences of the lines kept
)
SCHEMA = pa.schema(
    [pa.field(name, pa.int64(), nullable=False) for name in _COUNTS]
    + [
        pa.field("lorem_ipsum", pa.bool_(), nullable=False),
        pa.field("curly_bracket", pa.bool_(), nullable=False),
        pa.field("line_spans", SPANS, nullable=False),
        pa.field("citation_spans", SPANS, nullable=False),
    ]
)


@dataclass(frozen=True)
class C4:
    """Annotator `c4`. A line is kept if it has at least `words_per_line` words, none longer than
    `word_length` characters, an end mark, and is about neither JavaScript nor policies."""

    name: ClassVar[str] = "c4"
    version: ClassVar[int] = 2
    schema: ClassVar[pa.Schema] = SCHEMA

    words_per_line: int = WORDS_PER_LINE
    word_length: int = WORD_LENGTH

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1 (got {value})")

    def parameters(self) -> dict[str, Any]:
        return asdict(self)

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        judged = judge_lines(*batch.text, self.words_per_line, self.word_length)
        return pa.RecordBatch.from_arrays(
            [
                *(pa.array(judged.counts[:, k]) for k in range(len(_COUNTS))),
                pa.array(judged.flags[:, 0]),
                pa.array(judged.flags[:, 1]),
                spans_array(Spans(judged.line_bounds, judged.line_starts, judged.line_ends)),
                spans_array(
                    Spans(judged.citation_bounds, judged.citation_starts, judged.citation_ends)
                ),
            ],
            schema=SCHEMA,
        )
