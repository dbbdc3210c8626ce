"""Windows: the documents of a source whose score lies between two quantiles of all.

In: a score for each document that may be mixed. Out: the least and the greatest score that are
kept. Dolma 3's long context keeps the middle 60 % of its documents by how far gzip compresses them.
Quantiles count documents. They are exact over all of them though memory does not grow with their
number: documents are first counted by the upper 16 bits of a score and then, where a bound lies, by
all 32 (quality_bins.py). Documents of one score stay or go together, and at either end no more go
than the recipe says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.mixing.quality_bins import LOWER_BITS, Sums, score_keys, unkey

__all__ = ["Window", "WindowBounds", "find_window", "keys_at_bounds"]

Keys = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Window:
    """`score`: SQL over attributes, a number; documents below the quantile `low` of it and above
    the quantile `high` are left out, and those without a score."""

    score: str
    low: float
    high: float

    def ranks(self, documents: int) -> tuple[int, int]:
        """Which of so many documents, sorted by their scores from 0 on, have the least and the
        greatest score that is kept. At least one is kept."""
        least = int(documents * Fraction(str(self.low)))
        above = int(documents * (1 - Fraction(str(self.high))))
        return least, documents - 1 - above


@dataclass(frozen=True)
class WindowBounds:
    """Scores that are kept, `least` to `greatest`, both included (None where no document has a
    score); `documents` with a score, of which so many are `kept`."""

    least: float | None
    greatest: float | None
    documents: int
    kept: int

    def inside(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Which scores, NaN where there is none, are kept."""
        if self.least is None or self.greatest is None:
            return np.zeros(len(scores), np.bool_)
        low, high = score_keys(np.array([self.least, self.greatest], np.float32))
        keys = score_keys(scores)
        found: npt.NDArray[np.bool_] = (keys >= low) & (keys <= high) & ~np.isnan(scores)
        return found

    @property
    def told(self) -> str:
        """As a sentence says it: "from 0.21 to 0.48"."""
        if self.least is None or self.greatest is None:
            return "known of any document"
        return f"from {self.least:.6g} to {self.greatest:.6g}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> WindowBounds:
        return WindowBounds(**value)


def keys_at_bounds(upper: Sums, window: Window) -> Keys:
    """The upper bits of keys among which the bounds lie. `upper`: documents (as `tokens`) by the
    upper bits of the keys of their scores, rising."""
    ends = np.cumsum(upper["tokens"])
    if not len(ends):
        return np.empty(0, np.uint32)
    ranks = window.ranks(int(ends[-1]))
    return np.unique(upper["key"][np.searchsorted(ends, ranks, side="right")])


def find_window(upper: Sums, lower: Sums, window: Window) -> WindowBounds:
    """The bounds. `lower`: documents by whole keys, of those whose upper bits are in
    `keys_at_bounds`."""
    ends = np.cumsum(upper["tokens"])
    if not len(ends):
        return WindowBounds(None, None, 0, 0)
    documents = int(ends[-1])
    places, edges = [], []
    for rank, last in zip(window.ranks(documents), (False, True), strict=True):
        row = int(np.searchsorted(ends, rank, side="right"))
        inside = lower[lower["key"] >> np.uint32(LOWER_BITS) == upper["key"][row]]
        before = int(ends[row]) - int(upper["tokens"][row])
        its_ends = before + np.cumsum(inside["tokens"])
        place = int(np.searchsorted(its_ends, rank, side="right"))
        places.append(inside["key"][place])
        edges.append(int(its_ends[place]) - (0 if last else int(inside["tokens"][place])))
    least, greatest = unkey(np.array(places, np.uint32)).tolist()
    return WindowBounds(least, greatest, documents, edges[1] - edges[0])
