"""Cut spans out of the texts of a batch, and take spans of the cut texts back to the originals.

Spans are byte offsets into each document's UTF-8, half-open. In: buffers of the texts, and `Spans`.
Out: new buffers; the inputs are never written.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.words import read_only

__all__ = ["Spans", "cut_spans", "join_spans", "lift_spans"]


class Spans(NamedTuple):
    """Spans of a batch: document d has starts and ends [bounds[d]:bounds[d + 1]], int64, bytes
    relative to the document, half-open. United spans are ascending, disjoint, not touching, not
    empty."""

    bounds: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


@njit(nogil=True, cache=True)
def _unite(bounds, starts, ends, out_bounds, out_starts, out_ends):  # type: ignore[no-untyped-def]
    """Merge spans that are sorted by start within each document; returns how many are left."""
    n = 0
    out_bounds[0] = 0
    for d in range(len(bounds) - 1):
        begin = n
        for k in range(bounds[d], bounds[d + 1]):
            if starts[k] >= ends[k]:
                continue
            if n > begin and starts[k] <= out_ends[n - 1]:
                out_ends[n - 1] = max(out_ends[n - 1], ends[k])
            else:
                out_starts[n] = starts[k]
                out_ends[n] = ends[k]
                n += 1
        out_bounds[d + 1] = n
    return n


def _united(spans: Spans) -> Spans:
    documents = np.repeat(np.arange(len(spans.bounds) - 1), np.diff(spans.bounds))
    order = np.lexsort((spans.starts, documents))
    united = Spans(
        np.empty_like(spans.bounds), np.empty_like(spans.starts), np.empty_like(spans.ends)
    )
    count = _unite(spans.bounds, spans.starts[order], spans.ends[order], *united)
    return Spans(united.bounds, united.starts[:count], united.ends[:count])


def join_spans(parts: list[Spans]) -> Spans:
    """Unite spans of the same documents, one part or more, in any order, overlapping or not."""
    rows = np.concatenate(
        [np.repeat(np.arange(len(part.bounds) - 1), np.diff(part.bounds)) for part in parts]
    )
    order = np.argsort(rows, kind="stable")
    bounds = np.zeros(len(parts[0].bounds), np.int64)
    for part in parts:
        bounds += part.bounds
    return _united(
        Spans(
            bounds,
            np.concatenate([part.starts for part in parts])[order],
            np.concatenate([part.ends for part in parts])[order],
        )
    )


@njit(nogil=True, cache=True)
def _check(data, offsets, bounds, starts, ends):  # type: ignore[no-untyped-def]
    """The first document with a span outside its text or inside a character, -1 where none."""
    for d in range(len(offsets) - 1):
        size = offsets[d + 1] - offsets[d]
        for k in range(bounds[d], bounds[d + 1]):
            if starts[k] < 0 or ends[k] > size:
                return d
            for at in (starts[k], ends[k]):
                if at < size and (data[offsets[d] + at] & 0xC0) == 0x80:
                    return d
    return -1


@njit(nogil=True, cache=True)
def _cut(data, offsets, bounds, starts, ends, out, out_offsets):  # type: ignore[no-untyped-def]
    n = 0
    out_offsets[0] = 0
    for d in range(len(offsets) - 1):
        at = offsets[d]
        for k in range(bounds[d], bounds[d + 1] + 1):
            until = offsets[d] + starts[k] if k < bounds[d + 1] else offsets[d + 1]
            out[n : n + until - at] = data[at:until]
            n += until - at
            if k < bounds[d + 1]:
                at = offsets[d] + ends[k]
        out_offsets[d + 1] = n


def cut_spans(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], spans: Spans
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The texts without their spans: new (data uint8[], offsets int64[documents + 1] from 0).

    `spans` must be united (`join_spans`). ValueError when a span leaves its text or splits a
    UTF-8 character, so that what is valid UTF-8 stays so.
    """
    bad = _check(data, offsets, *spans)
    if bad >= 0:
        pairs = list(
            zip(
                spans.starts[spans.bounds[bad] : spans.bounds[bad + 1]].tolist(),
                spans.ends[spans.bounds[bad] : spans.bounds[bad + 1]].tolist(),
                strict=True,
            )
        )
        raise ValueError(
            f"spans must lie inside the text and between characters (row {bad}: {pairs[:4]} in "
            f"{offsets[bad + 1] - offsets[bad]} bytes)"
        )
    size = int(offsets[-1] - offsets[0] - (spans.ends - spans.starts).sum())
    out = np.empty(size, np.uint8)
    out_offsets = np.empty(len(offsets), np.int64)
    _cut(data, offsets, *spans, out, out_offsets)
    # As Arrow's buffers are: kernels are compiled once for texts before and after a cut.
    return read_only(out), read_only(out_offsets)


@njit(nogil=True, cache=True)
def _lift(  # type: ignore[no-untyped-def]
    bounds, starts, ends, later_bounds, later_starts, later_ends, out_starts, out_ends
):
    for d in range(len(bounds) - 1):
        k = bounds[d]
        before = 0  # bytes cut before the place
        for j in range(later_bounds[d], later_bounds[d + 1]):
            while k < bounds[d + 1] and starts[k] - before <= later_starts[j]:
                before += ends[k] - starts[k]
                k += 1
            out_starts[j] = later_starts[j] + before
            while k < bounds[d + 1] and starts[k] - before < later_ends[j]:
                before += ends[k] - starts[k]
                k += 1
            out_ends[j] = later_ends[j] + before


def lift_spans(earlier: Spans, later: Spans) -> Spans:
    """Spans of the original texts that cut at once what `earlier` and then `later` cut.

    `later` speaks of the texts that `earlier` left. Both must be united, and so is the result.
    """
    lifted = Spans(later.bounds, np.empty_like(later.starts), np.empty_like(later.ends))
    _lift(*earlier, *later, lifted.starts, lifted.ends)
    return join_spans([earlier, lifted])
