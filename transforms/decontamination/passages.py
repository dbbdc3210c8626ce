"""Cut contaminated passages until none is left.

A cut joins what stood before it to what stood after, and the seam can be a benchmark n-gram
again. So texts are cut and scanned in turns until a scan finds nothing; each turn takes words
away, and what is not clean after MAX_ROUNDS turns is cut whole. In and out: texts of a batch as
buffers, spans in bytes of the original texts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from transforms.decontamination.index import NgramIndex
from transforms.decontamination.readings import Scan, scan_texts
from transforms.documents import text_buffers
from transforms.kernels.cut import Spans, cut_spans, lift_spans
from transforms.kernels.lines import LINE_FEED
from transforms.kernels.ngram_lookup import Found, find_owners
from transforms.kernels.words import Words

__all__ = ["MAX_ROUNDS", "CleanTexts", "cut_until_clean", "find_unclean"]

MAX_ROUNDS = 16  # turns of cutting and scanning after which a text is given up


class CleanTexts(NamedTuple):
    """Texts without a benchmark n-gram: data uint8[], offsets int64[documents + 1] from 0, spans
    (united, bytes of the original texts) that make them of the originals, words int64[documents]
    that are left in each."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    spans: Spans
    words: npt.NDArray[np.int64]


@njit(nogil=True, cache=True)
def _extend(  # type: ignore[no-untyped-def]
    data,
    offsets,
    word_starts,
    word_ends,
    run_bounds,
    run_first,
    run_last,
    out_bounds,
    out_starts,
    out_ends,
):
    """Byte spans of runs of words, united; returns how many. Each byte is looked at once."""
    n = 0
    out_bounds[0] = 0
    for d in range(len(offsets) - 1):
        begin = offsets[d]
        reached = begin  # end of what is in a span already
        before = n
        for k in range(run_bounds[d], run_bounds[d + 1]):
            start = word_starts[run_first[k]]
            end = word_ends[run_last[k] - 1]
            if n > before and end <= reached:
                continue
            while start > reached and data[start - 1] != LINE_FEED:
                start -= 1
            while end < offsets[d + 1] and data[end - 1] != LINE_FEED:
                end += 1
            if n > before and start <= reached:
                out_ends[n - 1] = end - begin
            else:
                out_starts[n] = start - begin
                out_ends[n] = end - begin
                n += 1
            reached = end
        out_bounds[d + 1] = n
    return n


def _find_passages(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    words: Words,
    found: Found,
) -> Spans:
    """What to cut for the runs of words that hits cover: united spans, bytes of each text.

    Whole lines with their line feed are cut, so a text of one line goes whole.
    """
    runs = len(found.run_first)
    spans = Spans(
        np.empty_like(found.run_bounds), np.empty(runs, np.int64), np.empty(runs, np.int64)
    )
    count = _extend(
        data,
        offsets,
        words.starts,
        words.ends,
        found.run_bounds,
        found.run_first,
        found.run_last,
        *spans,
    )
    return Spans(spans.bounds, spans.starts[:count], spans.ends[:count])


def cut_until_clean(
    index: NgramIndex,
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    spans: Spans,
) -> CleanTexts:
    """Cut `spans` (united; they may be empty), then every passage that holds a benchmark n-gram,
    until no text holds one.

    A text of which nothing clean is left is cut whole: it has no words, and the document must go.
    ValueError for spans that do not fit the texts.
    """
    cut_data, cut_offsets = cut_spans(data, offsets, spans)
    later, words = find_unclean(
        index, cut_data, cut_offsets, scan_texts(index.lookup, cut_data, cut_offsets)
    )
    if len(later.starts):
        cut_data, cut_offsets = cut_spans(cut_data, cut_offsets, later)
        spans = lift_spans(spans, later)
    return CleanTexts(cut_data, cut_offsets, spans, words)


def find_unclean(
    index: NgramIndex,
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    scan: Scan,
    found: Found | None = None,
    turns: int = MAX_ROUNDS,
) -> tuple[Spans, npt.NDArray[np.int64]]:
    """What to cut of texts that were scanned, so that none holds a benchmark n-gram: spans (united,
    bytes of each text) and words int64[texts] that are left.

    `data` and `offsets`: the texts as they stand, of the lengths that were scanned. Only texts with
    a hit are cut and scanned again. `found`: owners of the hits, where they are
    known; `turns` of cutting and scanning are left.
    """
    words = np.diff(scan.words.bounds)
    dirty = np.flatnonzero(scan.hits)
    if len(dirty) == 0:
        return _scatter(dirty, _no_spans(0), len(words)), words
    if turns == 0:
        words[dirty] = 0
        sizes = np.diff(offsets)[dirty]
        whole = Spans(np.arange(len(dirty) + 1), np.zeros(len(dirty), np.int64), sizes)
        return _scatter(dirty, whole, len(words)), words
    if found is None:
        found = find_owners(scan.words, index.lookup, index.owners, scan.hits, scan.runs, 1, 1)
    passages = _find_passages(scan.data, offsets, scan.words, found)
    passages = passages._replace(bounds=passages.bounds[np.append(dirty, len(words))])
    cut = cut_spans(*_take(data, offsets, dirty), passages)
    later, left = find_unclean(index, *cut, scan_texts(index.lookup, *cut), turns=turns - 1)
    words[dirty] = left
    return _scatter(dirty, lift_spans(passages, later), len(words)), words


def _no_spans(texts: int) -> Spans:
    nothing = np.empty(0, np.int64)
    return Spans(np.zeros(texts + 1, np.int64), nothing, nothing)


def _scatter(rows: npt.NDArray[np.int64], spans: Spans, texts: int) -> Spans:
    """Spans of some texts (ascending rows) as spans of all."""
    counts = np.zeros(texts + 1, np.int64)
    counts[rows + 1] = np.diff(spans.bounds)
    return Spans(np.cumsum(counts), spans.starts, spans.ends)


def _take(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Some texts: data and offsets (from 0)."""
    texts = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return text_buffers(texts.take(pa.array(rows)))
