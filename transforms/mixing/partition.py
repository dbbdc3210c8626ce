"""Partition: the cells into which a source's documents fall, each with a budget of its own.

A cell is a topic, a bin of quality in it, and how often its documents stand in the pool (a document
that stands for many duplicates may count as several). In: per document a topic, a score and a
number. Out: the number of its cell. The values of a recipe's `mix.quality` and `mix.repeat` stand
here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.mixing.quality_bins import score_keys

__all__ = ["NO_TOPIC", "CellPlace", "Partition", "Quality", "Repeat", "times_of"]

NO_TOPIC = ""  # of documents whose topic is null, and of all where none is asked for


@dataclass(frozen=True)
class Quality:
    """How quality decides how often documents are taken. `score` and `topic`: SQL over attributes;
    `discard`: share of a topic's tokens, the worst, that is left out; `max_epochs`: of the best
    bin; `sources`: to which it applies, none for all; `topics`: shares by source and topic."""

    score: str
    topic: str | None
    bins: int
    discard: float
    max_epochs: float
    sources: tuple[str, ...]
    topics: Mapping[str, Mapping[str, float]]

    def grades(self, source: str) -> bool:
        """Whether it applies to a source."""
        return not self.sources or source in self.sources


@dataclass(frozen=True)
class Repeat:
    """How often documents stand in the pool. `by`: SQL over attributes, a whole number (None: for
    how many documents it stands after deduplication); `times`: (from this number on, so often),
    rising; 1 below the first."""

    by: str | None
    times: tuple[tuple[int, int], ...]


def times_of(
    steps: Sequence[tuple[int, int]], numbers: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """What `steps` (from this number on, this value; rising) say of each number, int64[numbers];
    one below the first has the first's."""
    since, values = np.array(steps, np.int64).reshape(-1, 2).T
    found: npt.NDArray[np.int64] = values[
        np.searchsorted(since, np.maximum(numbers, since[0]), side="right") - 1
    ]
    return found


class CellPlace(NamedTuple):
    """Which documents a cell holds: of `topic`, of bin `number` (0: worst) with scores above `low`
    and up to `high` (None: no bound), that stand in the pool `times` times."""

    topic: str
    number: int
    low: float | None
    high: float | None
    times: int


@dataclass(frozen=True)
class Partition:
    """The cells of a source, numbered topic by topic, bin by bin, then by rising times.

    `topics`: labels, rising; `bounds`: for each the greatest scores of its bins but the last,
    rising; `steps`: (from this number on, times), rising, of which the first is from 0 on.
    """

    topics: tuple[str, ...]
    bounds: tuple[tuple[float, ...], ...]
    steps: tuple[tuple[int, int], ...] = ((0, 1),)

    @property
    def times(self) -> tuple[int, ...]:
        """All times that documents can stand in the pool, rising."""
        return tuple(sorted({times for _, times in self.steps}))

    def places(self) -> list[CellPlace]:
        """All cells, in the order of their numbers."""
        return [
            CellPlace(topic, number, low, high, times)
            for topic, bounds in zip(self.topics, self.bounds, strict=True)
            for number, (low, high) in enumerate(zip([None, *bounds], [*bounds, None], strict=True))
            for times in self.times
        ]

    def cells_of(
        self,
        topics: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
        numbers: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """The cell of each document, int64[rows]. `topics`: indices of `topics`; a score that is no
        number counts as the least."""
        keys = score_keys(scores)
        starts = np.cumsum([0, *(len(bounds) + 1 for bounds in self.bounds)])
        bins = np.zeros(len(keys), np.int64)
        for index, bounds in enumerate(self.bounds):
            if bounds:
                rows = np.flatnonzero(topics == index)
                limits = score_keys(np.array(bounds, np.float32))
                bins[rows] = np.searchsorted(limits, keys[rows], side="left")
        place = {times: index for index, times in enumerate(self.times)}
        of_times = times_of(tuple((number, place[times]) for number, times in self.steps), numbers)
        cells: npt.NDArray[np.int64] = (starts[topics] + bins) * len(self.times) + of_times
        return cells

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Partition:
        return Partition(
            tuple(value["topics"]),
            tuple(tuple(bounds) for bounds in value["bounds"]),
            tuple((number, times) for number, times in value["steps"]),
        )
