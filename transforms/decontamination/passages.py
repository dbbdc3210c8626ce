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
from numba import njit

from transforms.decontamination.index import NgramIndex
from transforms.decontamination.readings import scan_texts
from transforms.kernels.cut import Spans, cut_spans, lift_spans
from transforms.kernels.lines import LINE_FEED
from transforms.kernels.ngram_lookup import Found, find_owners
from transforms.kernels.words import Words

__all__ = ["MAX_ROUNDS", "CleanTexts", "cut_until_clean", "find_passages"]

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


def find_passages(
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
    scan = scan_texts(index.lookup, cut_data, cut_offsets)
    for turn in range(MAX_ROUNDS + 1):
        if not scan.hits.any():
            break
        if turn < MAX_ROUNDS:
            found = find_owners(scan.words, index.lookup, index.owners, scan.hits, scan.runs, 1, 1)
            later = find_passages(scan.data, cut_offsets, scan.words, found)
        else:
            later = _whole_texts(cut_offsets, scan.hits)
        spans = lift_spans(spans, later)
        cut_data, cut_offsets = cut_spans(cut_data, cut_offsets, later)
        scan = scan_texts(index.lookup, cut_data, cut_offsets)
    return CleanTexts(cut_data, cut_offsets, spans, np.diff(scan.words.bounds))


def _whole_texts(offsets: npt.NDArray[np.int64], hits: npt.NDArray[np.int32]) -> Spans:
    """A span over the whole of each text that has a hit."""
    dirty = hits > 0
    bounds = np.zeros(len(offsets), np.int64)
    np.cumsum(dirty, out=bounds[1:])
    sizes = np.diff(offsets)[dirty]
    return Spans(bounds, np.zeros(len(sizes), np.int64), sizes)
