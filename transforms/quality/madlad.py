"""MADLAD-400: how many sentences of a page are questionable by its rules 2 and 5.

In: text and words of a batch. Out: the columns of `SCHEMA`, one row a document. Kudugunta et al.
2023, section on filtering, with the numbers that Dolma 3 (datamap-rs, configs/all_dressed) gives
the two rules. Rules 1 (language of each sentence), 3 (length) and 4 (technical characters) are no
part of Dolma 3's pipeline and not of this. A share of nothing is 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import pyarrow as pa

from transforms.documents import DocumentBatch
from transforms.kernels.sentences import judge_sentences
from transforms.quality.gopher import share

__all__ = ["SCHEMA", "Madlad"]

MIN_WORDS = 12  # words of a sentence, from which rule 2 looks at it (the paper: tokens)
CAPITALS = 0.5  # share of its words that begin in upper case, above which it is questionable
SCHEMA = pa.schema(
    [
        pa.field("sentence_count", pa.int64(), nullable=False),
        pa.field("list_case_sentence_count", pa.int64(), nullable=False),  # by rule 2
        pa.field("cursed_sentence_count", pa.int64(), nullable=False),  # by rule 5
        pa.field("questionable_sentence_fraction", pa.float64(), nullable=False),  # by either
    ]
)


@dataclass(frozen=True)
class Madlad:
    """Annotator `madlad`. A sentence of at least `list_case_words` words, more than half of them
    capitalised, is questionable, and so is one that holds a cursed string."""

    name: ClassVar[str] = "madlad"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = SCHEMA

    list_case_words: int = MIN_WORDS

    def __post_init__(self) -> None:
        if self.list_case_words < 1:
            raise ValueError(f"list_case_words must be at least 1 (got {self.list_case_words})")

    def parameters(self) -> dict[str, Any]:
        return asdict(self)

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        judged = judge_sentences(*batch.text, batch.words, self.list_case_words, CAPITALS)
        columns = (
            judged.sentences,
            judged.list_case,
            judged.cursed,
            share(judged.questionable, judged.sentences),
        )
        return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SCHEMA)
