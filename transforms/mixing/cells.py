"""Budgets of cells: a source's tokens divided among topics, bins of quality and repetition.

Of each topic the tokens that are wanted are divided among its cells by Dolma 3's curve
(upsampling.py) times how often a cell's documents stand in the pool. Each cell then has a cut of
its own in the order of its documents (budget.py). What the cells lack to whole documents goes to
the next documents of those that lack most, so that the source is met to within one document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.mixing.budget import (
    BudgetError,
    SourceBudget,
    copies,
    most_tokens,
)
from transforms.mixing.partition import CellPlace, Partition
from transforms.mixing.shortage import settle
from transforms.mixing.upsampling import Curve, first_kept, solve_curve

__all__ = [
    "Cell",
    "CellAsk",
    "Cells",
    "GradedBudget",
    "budget_from_json",
    "copies_in_cells",
    "sum_cells",
]


@dataclass(frozen=True)
class Cell:
    """A cell, how often the curve takes what stands once in the pool, and what is taken of it."""

    place: CellPlace
    rate: float
    budget: SourceBudget

    def to_json(self) -> dict[str, Any]:
        return {**self.place._asdict(), "rate": self.rate, **self.budget.to_json()}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Cell:
        rest = {k: v for k, v in value.items() if k not in (*CellPlace._fields, "rate")}
        place = CellPlace(*(value[name] for name in CellPlace._fields))
        return Cell(place, value["rate"], SourceBudget.from_json(rest))


@dataclass(frozen=True)
class GradedBudget(SourceBudget):
    """What a mix takes of a source whose documents fall into cells. `whole_epochs` and `threshold`
    say nothing here: each cell has its own. `curves` are by topic."""

    partition: Partition = field(default_factory=lambda: Partition((), ()))
    cells: tuple[Cell, ...] = ()
    curves: Mapping[str, Curve] | None = None

    @property
    def most_copies(self) -> int:
        """No document is taken more often."""
        return max((cell.budget.most_copies for cell in self.cells), default=1)

    def to_json(self) -> dict[str, Any]:
        return {
            **{k: getattr(self, k) for k in _NUMBERS},
            "epochs": round(self.epochs, 6),
            "partition": asdict(self.partition),
            "cells": [cell.to_json() for cell in self.cells],
            "curves": {topic: asdict(curve) for topic, curve in (self.curves or {}).items()},
            **self.ends_to_json(),
        }


# Of a source's budget, whether it falls into cells or not.
_NUMBERS = [one.name for one in fields(SourceBudget) if one.name != "stage_ends"]


def budget_from_json(value: Mapping[str, Any]) -> SourceBudget:
    """What `to_json` of either kind of budget gave."""
    if "cells" not in value:
        return SourceBudget.from_json(value)
    value = json.loads(json.dumps(value))
    return GradedBudget(
        **{name: value[name] for name in _NUMBERS if name in value},
        partition=Partition.from_json(value["partition"]),
        cells=tuple(Cell.from_json(cell) for cell in value["cells"]),
        curves={topic: Curve(**curve) for topic, curve in value["curves"].items()},
        stage_ends=tuple(budget_from_json(one) for one in value.get("stage_ends", ())),
    )


@dataclass(frozen=True)
class CellAsk:
    """What is wanted of a cell: tokens, at most so many, by a rate of the curve."""

    wanted: int
    most: int
    rate: float


class Cells:
    """The cells of one source with the tokens in them, and what the recipe asks of all.

    `tokens`: int64[cells]; `cap`: epochs of the best bin at most; `discard`: share of a topic that
    is left out; `shares`: of topics, None where each gets what it holds. BudgetError where a topic
    is named that no document has.
    """

    def __init__(
        self,
        source: str,
        partition: Partition,
        tokens: npt.NDArray[np.int64],
        cap: float,
        discard: float,
        shares: Mapping[str, float] | None,
    ) -> None:
        self.source, self.partition, self.cap, self.shares = source, partition, cap, shares
        self.places = partition.places()
        # What stands in the pool several times is there as often.
        self.there = [int(n) * p.times for n, p in zip(tokens, self.places, strict=True)]
        self.of_topic = {
            topic: [number for number, _ in its]
            for topic, its in groupby(enumerate(self.places), key=lambda one: one[1].topic)
        }
        lacking = sorted(set(shares or ()) - set(self.of_topic))
        if lacking:
            known = ", ".join(sorted(self.of_topic)) or "none"
            raise BudgetError(
                f"{source}: no document has the topic '{lacking[0]}', which has a share"
                f" (there are {known})"
            )
        self.edges = {topic: self._edges(its) for topic, its in self.of_topic.items()}
        self.first = {topic: first_kept(one, discard) for topic, one in self.edges.items()}
        self.most = [
            most_tokens(there, cap) if place.number >= self.first[place.topic] else 0
            for there, place in zip(self.there, self.places, strict=True)
        ]

    def most_tokens(self, max_epochs: float, rule: str) -> int:
        """What the source can give: no cell more often than `cap`, all together not more often than
        `max_epochs`. `rule`: the recipe's, of shortage."""
        of_topic = self._most_of_topics()
        can = sum(of_topic.values())
        if self.shares is not None:
            can = sum(of_topic[topic] for topic in self.shares)
            if rule != "share_out":  # as much as the topic that has least for its share allows
                total = settle(max(can, 1), self.shares, of_topic, "less") if can else {}
                can = sum(total.values())
        return min(can, most_tokens(sum(self.there), max_epochs))

    def ask(self, wanted: int) -> tuple[list[CellAsk], dict[str, Curve]]:
        """What is wanted of each cell, which sums to `wanted`, and the curve of each topic."""
        parts: Mapping[str, float | int] = self.shares or {
            topic: sum(self.there[number] for number in its) for topic, its in self.of_topic.items()
        }
        parts = {topic: part for topic, part in parts.items() if part}
        of_topic = settle(wanted, parts, self._most_of_topics(), "share_out") if wanted else {}
        asks = [CellAsk(0, most, 0.0) for most in self.most]
        curves = {}
        for topic, its in self.of_topic.items():
            if of_topic.get(topic):
                curves[topic] = self._ask_topic(of_topic[topic], topic, its, asks)
        return asks, curves

    def ask_until(self, asks: Sequence[CellAsk], tokens: int, rising: bool) -> list[CellAsk]:
        """What of `asks` is wanted in the first `tokens` of the source; no cell's part sinks with
        them. They lack less than a token a cell to `tokens`.

        All cells have the same part of theirs, or, `rising`, those of a topic's worse bins come
        before the better ones.
        """
        whole = max(sum(ask.wanted for ask in asks), 1)
        parts = [ask.wanted * tokens // whole for ask in asks]
        if rising:
            for its in self.of_topic.values():  # their numbers rise with the bin
                left = sum(asks[number].wanted for number in its) * tokens // whole
                for number in its:
                    parts[number] = min(left, asks[number].wanted)
                    left -= parts[number]
        return [replace(ask, wanted=part) for ask, part in zip(asks, parts, strict=True)]

    def _ask_topic(self, wanted: int, topic: str, its: Sequence[int], asks: list[CellAsk]) -> Curve:
        target = wanted / sum(self.there[number] for number in its)
        curve = solve_curve(target, self.edges[topic], self.first[topic], self.cap)
        rates = curve.means(self.edges[topic]).tolist()
        rate_of = {number: rates[self.places[number].number] for number in its}
        weights = {
            str(number): Fraction(rate_of[number]) * self.there[number]
            for number in its
            if self.most[number] and rate_of[number] > 0
        }
        most = {name: self.most[int(name)] for name in weights}
        for name, tokens in settle(wanted, weights, most, "share_out").items():
            number = int(name)
            asks[number] = CellAsk(tokens, self.most[number], rate_of[number])
        return curve

    def _most_of_topics(self) -> dict[str, int]:
        return {topic: sum(self.most[n] for n in its) for topic, its in self.of_topic.items()}

    def _edges(self, its: Sequence[int]) -> npt.NDArray[np.float64]:
        """Quantiles of a topic's bins by tokens, 0 first and 1 last."""
        sizes = [0] * (self.places[its[-1]].number + 1)
        for number in its:
            sizes[self.places[number].number] += self.there[number]
        whole = max(sum(sizes), 1)
        sums = np.cumsum([0, *sizes], dtype=np.int64)
        edges: npt.NDArray[np.float64] = sums / whole
        edges[-1] = 1.0
        return edges


def sum_cells(
    wanted: int,
    most: int,
    partition: Partition,
    cells: Sequence[Cell],
    curves: Mapping[str, Curve],
) -> GradedBudget:
    """The budget of a source from those of its cells, each cut below what is wanted of it.

    What is missing to `wanted` goes to the next document of one cell after the other, those first
    that lack most, as long as it fits and the cell may give it.
    """
    left = wanted - sum(cell.budget.taken_tokens for cell in cells)
    its = list(cells)
    order = sorted(
        range(len(its)),
        key=lambda n: (its[n].budget.taken_tokens - its[n].budget.wanted_tokens, n),
    )
    waiting = []  # next documents that may be taken but do not fit
    full = 0  # tokens of next documents that would be once too often
    for number in order:
        budget = its[number].budget
        following = budget.next_document_tokens
        if budget.taken_tokens >= budget.wanted_tokens:
            break  # and those behind it lack nothing either
        if budget.taken_tokens + following > budget.most_tokens:
            full += following
        elif following > left:
            waiting.append(following)
        else:
            its[number] = replace(its[number], budget=_with_next(budget))
            left -= following
    return GradedBudget(
        available_documents=sum(cell.budget.available_documents for cell in its),
        available_tokens=sum(cell.budget.available_tokens for cell in its),
        wanted_tokens=wanted,
        whole_epochs=0,
        threshold=0,
        taken_tokens=wanted - left,
        taken_documents=sum(cell.budget.taken_documents for cell in its),
        next_document_tokens=min(waiting) if waiting else full,
        most_tokens=most,
        partition=partition,
        cells=tuple(its),
        curves=dict(curves),
    )


def _with_next(budget: SourceBudget) -> SourceBudget:
    """The budget with its next document, whose order is the threshold so far."""
    return replace(
        budget,
        threshold=budget.threshold + 1,
        taken_tokens=budget.taken_tokens + budget.next_document_tokens,
        taken_documents=budget.taken_documents + budget.next_documents,
        next_document_tokens=0,
        next_documents=0,
    )


def copies_in_cells(
    order: npt.NDArray[np.uint64],
    cells: npt.NDArray[np.integer[Any]],
    eligible: npt.NDArray[np.bool_],
    budget: GradedBudget,
) -> npt.NDArray[np.uint32]:
    """How often each document is in the mix, uint32[rows]. `cells`: see `Partition.cells_of`."""
    taken = np.zeros(len(order), np.uint32)
    for number in np.unique(cells[eligible]).tolist():
        rows = np.flatnonzero(eligible & (cells == number))
        its = budget.cells[number].budget
        taken[rows] = copies(order[rows], np.ones(len(rows), np.bool_), its)
    return taken
