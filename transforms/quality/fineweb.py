"""FineWeb: lines that end a sentence, short lines, duplicated lines, newlines. Penedo et al. 2024.

In: words and lines of a batch. Out: the columns of `SCHEMA`, one row a document, defined as in
datatrove's FineWebQualityFilter except that words are those of `kernels.words` (there, punctuation
is a word). A share of nothing is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.documents import DocumentBatch
from transforms.kernels.lines import mark_endings
from transforms.kernels.repetition import AGAIN, mark_repeated, sum_by_document
from transforms.kernels.unicode import CODE_POINTS
from transforms.quality.gopher import share

__all__ = ["SCHEMA", "SHORT_LINE_CHARACTERS", "TERMINAL_PUNCTUATION", "FineWeb"]

SHORT_LINE_CHARACTERS = 30  # a line of at most so many is short
# Code points that end a sentence in some script (datatrove's set), as hex "first[-last]".
TERMINAL_PUNCTUATION = (
    "21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e"
    " 1735-1736 17d4-17d6 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e"
    " 1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7"
    " a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f"
    " ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6"
    " 111cd 111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7"
    " 11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8"
    " 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88"
)
SCHEMA = pa.schema(
    [
        pa.field(name, pa.float64(), nullable=False)
        for name in (
            "terminal_line_fraction",  # lines that end in TERMINAL_PUNCTUATION, of lines
            "short_line_fraction",  # lines of at most SHORT_LINE_CHARACTERS characters, of lines
            "duplicate_line_character_fraction",  # characters of lines seen before in the document,
            # of all characters but line feeds
            "newlines_per_word",  # line feeds a word
        )
    ]
)


@cache
def _terminal_table() -> npt.NDArray[np.bool_]:
    table = np.zeros(CODE_POINTS, np.bool_)
    for item in TERMINAL_PUNCTUATION.split():
        first, _, last = item.partition("-")
        table[int(first, 16) : int(last or first, 16) + 1] = True
    return table


@dataclass(frozen=True)
class FineWeb:
    """Annotator `fineweb`. A line is not blank and stands as it is: white space at its end counts
    as its end."""

    name: ClassVar[str] = "fineweb"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = SCHEMA

    def parameters(self) -> dict[str, Any]:
        return {}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        data, _ = batch.text
        lines = batch.lines
        line_count, word_count = np.diff(lines.bounds), np.diff(batch.words.bounds)
        counted = batch.characters
        terminal = mark_endings(data, lines, _terminal_table())
        again = mark_repeated(lines.hashes, lines.bounds) == AGAIN
        short = lines.characters <= SHORT_LINE_CHARACTERS
        columns = [
            share(sum_by_document(terminal, lines.bounds), line_count),
            share(sum_by_document(short, lines.bounds), line_count),
            share(
                sum_by_document(lines.characters * again, lines.bounds),
                counted.characters - counted.newlines,
            ),
            share(counted.newlines, np.maximum(word_count, 1)),
        ]
        return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SCHEMA)
