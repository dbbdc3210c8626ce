"""Scan texts for benchmark n-grams as they stand, and as a person reads them.

A text is contaminated when it holds an n-gram as it stands, or in its plain reading, without the
marks of markup, escapes and disguise (`kernels.plain_reading`). Only windows around the marks are
read twice, and only in texts that hold nothing as they stand. Benchmarks are indexed in both
readings; annotator, cuts and the rescan of a mix all scan both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.kernels.ngram_lookup import Lookup, count_hits
from transforms.kernels.plain_reading import find_windows, read_plain
from transforms.kernels.words import Words, find_words

__all__ = ["Scan", "hidden_rows", "plain_rows", "plain_texts", "scan_texts"]

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


class Scan(NamedTuple):
    """Texts as they were scanned, nearly all as they stand: data uint8[] with the offsets of the
    texts (plain readings are of equal length), its words, hits int32[texts] (n-grams) and runs
    int64[texts] (runs of words that they cover); see `kernels.ngram_lookup.count_hits`."""

    data: Bytes
    words: Words
    hits: npt.NDArray[np.int32]
    runs: Numbers


def scan_texts(lookup: Lookup, data: Bytes, offsets: Numbers) -> Scan:
    """Scan texts data[offsets[d]:offsets[d + 1]] (UTF-8), those that hold an n-gram in their plain
    reading alone in that."""
    words = find_words(data, offsets)
    hits, runs = count_hits(words, lookup)
    rows = hidden_rows(lookup, data, offsets, hits)
    if len(rows) == 0:
        return Scan(data, words, hits, runs)
    read, bounds = plain_rows(data, offsets, rows)
    data = data.copy()
    for row, first, last in zip(rows, bounds[:-1], bounds[1:], strict=True):
        data[offsets[row] : offsets[row + 1]] = read[first:last]
    others = find_words(read, bounds)
    hits[rows], runs[rows] = count_hits(others, lookup)
    return Scan(data, _with_others(words, rows, others, offsets[rows] - bounds[:-1]), hits, runs)


def _with_others(words: Words, rows: Numbers, others: Words, shifts: Numbers) -> Words:
    """The words of a batch, those of some documents (ascending rows) replaced by others, whose
    places are `shifts` int64[rows] bytes further on in the batch."""
    shift = np.repeat(shifts, np.diff(others.bounds))
    columns = (others.hashes, others.starts + shift, others.ends + shift)
    counts = np.diff(words.bounds)
    counts[rows] = np.diff(others.bounds)
    hashes, starts, ends = (
        np.concatenate(_spliced(old, new, words.bounds, others.bounds, rows))
        for old, new in zip(words[:3], columns, strict=True)
    )
    return Words(hashes, starts, ends, np.append(0, np.cumsum(counts)))


def _spliced(
    old: npt.NDArray[Any],
    new: npt.NDArray[Any],
    bounds: Numbers,
    new_bounds: Numbers,
    rows: Numbers,
) -> list[npt.NDArray[Any]]:
    pieces, reached = [], 0
    for row, first, last in zip(rows, new_bounds[:-1], new_bounds[1:], strict=True):
        pieces += [old[reached : bounds[row]], new[first:last]]
        reached = bounds[row + 1]
    return [*pieces, old[reached:]]


def hidden_rows(
    lookup: Lookup, data: Bytes, offsets: Numbers, hits: npt.NDArray[np.int32]
) -> Numbers:
    """Texts without a hit as they stand that hold an n-gram in their plain reading, ascending."""
    windows = find_windows(data, offsets, np.flatnonzero(hits == 0), lookup.n)
    pieces = read_plain(data, windows[:, 1].copy(), windows[:, 2].copy())
    found, _ = count_hits(find_words(*pieces), lookup)
    return np.unique(windows[found > 0, 0])


def plain_rows(data: Bytes, offsets: Numbers, rows: Numbers) -> tuple[Bytes, Numbers]:
    """The plain reading of some texts: data and offsets (from 0)."""
    return read_plain(data, offsets[rows], offsets[rows + 1])


def plain_texts(texts: list[bytes]) -> dict[int, bytes]:
    """The plain readings of texts (UTF-8) that are not the text itself, by its number."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    data = np.frombuffer(b"".join(texts), np.uint8)
    read, _ = read_plain(data, offsets[:-1], offsets[1:])
    numbers = np.unique(np.searchsorted(offsets, np.flatnonzero(read != data), side="right") - 1)
    return {
        number: read[offsets[number] : offsets[number + 1]].tobytes() for number in numbers.tolist()
    }
