"""Cut texts: spans that rules and decontamination marked leave the text before it becomes tokens.

In: texts of a batch and columns of spans (byte offsets into each text, half-open). Out: the cut
texts, row for row, free of benchmark n-grams where an index is given, since a seam can form a new
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.decontamination.index import load_index
from transforms.decontamination.passages import cut_until_clean
from transforms.documents import text_buffers
from transforms.kernels.cut import cut_spans
from transforms.kernels.words import find_words
from transforms.spans import unite_spans

__all__ = ["NOTHING_LEFT", "CutTexts", "cut_texts"]

NOTHING_LEFT = "nothing left after cuts"  # reason of documents whose words were all cut


class CutTexts(NamedTuple):
    """Texts after cutting: texts large_string[rows], cut_bytes int64[rows], kept bool[rows] (False
    where no word is left of a text that was cut)."""

    texts: pa.Array
    cut_bytes: npt.NDArray[np.int64]
    kept: npt.NDArray[np.bool_]


def cut_texts(
    texts: pa.Array, spans: Sequence[pa.Array], index: tuple[str, str] | None
) -> CutTexts:
    """Cut the union of `spans` (arrays of `annotators.SPANS`, one row per text) out of each text.

    `index`: (path, fingerprint) of the n-gram index that the result must be free of, or None.
    """
    if not spans:
        rows = len(texts)
        return CutTexts(texts, np.zeros(rows, np.int64), np.ones(rows, np.bool_))
    data, offsets = text_buffers(texts)
    united = unite_spans(spans, len(texts))
    if index is None:
        cut_data, cut_offsets = cut_spans(data, offsets, united)
        words = np.diff(find_words(cut_data, cut_offsets).bounds)
    else:
        clean = cut_until_clean(load_index(*index), data, offsets, united)
        cut_data, cut_offsets, words = clean.data, clean.offsets, clean.words
    cut_bytes = np.diff(offsets) - np.diff(cut_offsets)
    cut = pa.LargeStringArray.from_buffers(
        len(texts), pa.py_buffer(cut_offsets), pa.py_buffer(cut_data)
    )
    return CutTexts(cut, cut_bytes, (words > 0) | (cut_bytes == 0))
