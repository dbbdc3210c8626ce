"""Budgets: how many tokens a mix takes of each source, and where the cuts lie, found in a few small
pipelines over what is stored, so a recipe that asks for more than there is fails before anything is
written.

The first pipeline reads the pool and leaves per shard a file of facts (order, tokens and, where
quality or repetition decide, score, topic and number of each eligible document); the others read
these alone. What comes back are sums: by the order's upper bits, and, for bins of quality, by the
score's. So memory does not grow with the number of documents, and neither the split into files nor
the order of shards changes a sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.mixing.budget_passes import (
    IN_BIN,
    IN_CELLS,
    Inside,
    cell_sums,
    first_look,
    in_bin,
    join_cells,
    join_first,
    join_rows,
    join_sums,
    lower_sums,
)
from pipelines.mixing.eligible import Choice
from pipelines.mixing.shard_passes import ShardPasses
from pipelines.recipes.mix_part import Mix
from pipelines.scratch import scratch
from pipelines.stage_names import SELECT
from pipelines.workspace import Workspace
from transforms.dedup.pool import PoolShard
from transforms.mixing.budget import (
    BIN_BITS,
    BINS,
    BudgetError,
    Histogram,
    SourceBudget,
    count_tokens,
    cut_in_bin,
    find_bin,
    most_tokens,
    start_cut,
)
from transforms.mixing.cells import Cell, CellAsk, Cells, GradedBudget, sum_cells
from transforms.mixing.partition import Partition
from transforms.mixing.quality_bins import Sums, find_bounds, find_cut_keys, unkey
from transforms.mixing.shortage import settle

__all__ = ["MOST_TOPICS", "find_budgets"]

MOST_TOPICS = 4096  # of a source: more are no topics
MOST_SUMS = 1 << 22  # of all cells of a source together, 24 bytes each
LEAST_BITS = 8  # of the order, by which the documents of a cell are summed
Cuts = Mapping[int, tuple[SourceBudget, int]]  # by cell, with the bin of the order they lie in


def find_budgets(
    workspace: Workspace,
    mix: Mix,
    shards: Sequence[PoolShard],
    choice: Choice,
    options: PipelineOptions,
) -> dict[str, SourceBudget]:
    """What the mix takes of each source. BudgetError tells all sources that hold too little, where
    the recipe refuses that, and those of which not even the first document would fit."""
    its = [shard for shard in shards if shard.source in mix.proportions and shard.file.rows]
    with scratch(workspace, "budget") as folder:
        passes = ShardPasses(SELECT, workspace, its, folder, options)
        budgets = _Search(mix, choice, passes).budgets()
    empty = [
        f"{source}: the recipe asks for {count_tokens(budget.wanted_tokens)}, less than its first"
        f" document ({budget.next_document_tokens:,}), so the mix would hold nothing of it;"
        f" raise mix.tokens or its share, or name it in mix.exclude"
        for source, budget in budgets.items()
        if budget.wanted_tokens and not budget.taken_documents
    ]
    if empty:
        raise BudgetError("\n".join(empty))
    return budgets


@dataclass(frozen=True)
class _Search:
    """The search for the cuts of all sources; those with a grade fall into cells."""

    mix: Mix
    choice: Choice
    passes: ShardPasses

    def budgets(self) -> dict[str, SourceBudget]:
        mix, folder = self.mix, self.passes.folder
        sources = sorted(mix.proportions)
        first = self.passes.collect(
            "facts", partial(first_look, choice=self.choice, folder=folder), join_first
        )
        plain = {one: _histogram(first.get(one)) for one in sources if not self._graded(one)}
        graded = [one for one in sources if self._graded(one)]
        cells = self._cells({one: first[one] for one in graded if one in first})
        for source in graded:
            cells.setdefault(source, _nothing(source))
        most = {
            source: cells[source].cells.most_tokens(mix.max_epochs[source], mix.shortage)
            if source in cells
            else most_tokens(int(plain[source].tokens.sum()), mix.max_epochs[source])
            for source in sources
        }
        wanted = settle(mix.tokens, mix.proportions, most, mix.shortage)
        cuts: dict[str, list[Cuts]] = {}  # up to the end of each stage; the last is of all
        asks = {}
        problems = []
        for source in sources:
            ends = mix.stage_ends(source, wanted[source])
            try:
                if source in cells:
                    rising = mix.curriculum is not None and mix.curriculum.quality == "rising"
                    asks[source] = cells[source].ask(wanted[source], most[source], ends, rising)
                    cuts[source] = [cells[source].start_cuts(one) for one in asks[source][0]]
                else:
                    its, epochs = plain[source], mix.max_epochs[source]
                    whole: Cuts = {0: find_bin(source, its, wanted[source], epochs)}
                    parts: list[Cuts] = [{0: start_cut(its, end, most[source])} for end in ends]
                    cuts[source] = [*parts, whole]
            except BudgetError as error:
                problems.append(str(error))
        if problems:
            raise BudgetError("\n".join(problems))
        looked = {
            source: Inside(
                tuple({cell: index for cell, (_, index) in one.items()} for one in its),
                cells[source].bits if source in cells else BIN_BITS,
                cells[source].cells.partition if source in cells else None,
            )
            for source, its in cuts.items()
        }
        rows = self.passes.collect("cut", partial(in_bin, inside=looked, folder=folder), join_rows)
        budgets: dict[str, SourceBudget] = {}
        for source, its_cuts in cuts.items():
            inside = rows.get(source, np.empty(0, IN_BIN))
            inside = inside[np.argsort(inside["cell"], kind="stable")]
            done = [_cut_cells(one, inside, looked[source].bits) for one in its_cuts]
            if source in cells:
                totals = (*mix.stage_ends(source, wanted[source]), wanted[source])
                budgets[source] = cells[source].finish(totals, most[source], *asks[source], done)
            else:
                *earlier, last = (one[0] for one in done)
                budgets[source] = replace(last, stage_ends=tuple(earlier))
        return budgets

    def _graded(self, source: str) -> bool:
        return source in self.choice.grades

    def _cells(self, first: Mapping[str, tuple[dict[int, str], Sums]]) -> dict[str, _Counted]:
        """The cells of each graded source, with the tokens in them by the order's upper bits."""
        quality, folder = self.mix.quality, self.passes.folder
        bins = {
            source: quality.bins if quality and quality.grades(source) else 1 for source in first
        }
        for source, (labels, _) in first.items():
            if len(labels) > MOST_TOPICS:
                raise BudgetError(
                    f"{source}: mix.quality.topic gives {len(labels):,} topics, more than"
                    f" {MOST_TOPICS:,}: name a label"
                )
        steps = {source: self.choice.grades[source].steps for source in first}
        cut = {source: find_cut_keys(sums, bins[source]) for source, (_, sums) in first.items()}
        again = [source for source, its in cut.items() if len(its)]
        lower = self.passes.collect(
            "bounds", partial(lower_sums, cut=cut, steps=steps, folder=folder), join_sums, again
        )
        partitions = {}
        for source, (labels, sums) in first.items():
            bounds = find_bounds(sums, lower.get(source, sums[:0]), bins[source])
            by_label = {label: bounds[topic] for topic, label in labels.items() if topic in bounds}
            partitions[source] = Partition(
                topics=tuple(sorted(by_label)),
                bounds=tuple(tuple(unkey(by_label[one]).tolist()) for one in sorted(by_label)),
                steps=steps[source],
            )
        bits = {source: _bits_for(len(one.places())) for source, one in partitions.items()}
        counted = self.passes.collect(
            "cells",
            partial(cell_sums, partitions=partitions, bits=bits, folder=folder),
            join_cells,
            partitions,
        )
        return {
            source: self._counted(source, partition, counted[source], bits[source])
            for source, partition in partitions.items()
        }

    def _counted(
        self, source: str, partition: Partition, sums: npt.NDArray[np.void], bits: int
    ) -> _Counted:
        places = (sums["place"] >> np.uint64(bits)).astype(np.int64)
        count = len(partition.places())
        tokens = np.zeros(count, np.int64)
        np.add.at(tokens, places, sums["tokens"])
        quality = self.mix.quality if self.mix.quality and self.mix.quality.grades(source) else None
        cells = Cells(
            source,
            partition,
            tokens,
            cap=quality.max_epochs if quality else self.mix.max_epochs[source],
            discard=quality.discard if quality else 0.0,
            shares=quality.topics.get(source) if quality else None,
        )
        starts = np.searchsorted(places, np.arange(count + 1))
        by_cell = {n: sums[starts[n] : starts[n + 1]] for n in range(count)}
        return _Counted(cells, by_cell, bits)


@dataclass(frozen=True)
class _Counted:
    """Cells, and for each its sums by bin of the order."""

    cells: Cells
    sums: Mapping[int, npt.NDArray[np.void]]
    bits: int

    def ask(
        self, wanted: int, most: int, ends: Sequence[int], rising: bool
    ) -> tuple[list[list[CellAsk]], dict[str, Any]]:
        """What is asked of the cells up to the end of each stage, of which all but the last end
        after so many tokens; and the curves. BudgetError when the source cannot give what is
        wanted."""
        if wanted > most:
            cells = self.cells
            limits = "as mix.max_epochs, mix.quality and mix.repeat allow"
            raise BudgetError(
                f"{cells.source}: the recipe asks for {count_tokens(wanted)} but there are"
                f" {sum(cells.there):,}, of which it can give {most:,} {limits}:"
                f" {wanted - most:,} too many; lower mix.tokens, its share or mix.quality.discard,"
                " raise max_epochs, or let mix.shortage be share_out or less"
                if cells.there
                else f"{cells.source}: the recipe asks for {count_tokens(wanted)} but no document"
                " is left"
            )
        asks, curves = self.cells.ask(wanted)
        return [*(self.cells.ask_until(asks, end, rising) for end in ends), asks], curves

    def start_cuts(self, asks: Sequence[CellAsk]) -> Cuts:
        """Where the cut of each cell lies, to within a bin of the order."""
        return {
            number: start_cut(self._histogram(number), ask.wanted, ask.most, self.bits)
            for number, ask in enumerate(asks)
        }

    def finish(
        self,
        totals: Sequence[int],
        most: int,
        asks: Sequence[Sequence[CellAsk]],
        curves: Mapping[str, Any],
        cuts: Sequence[Mapping[int, SourceBudget]],
    ) -> SourceBudget:
        """The source's budget from the cuts of its cells up to the end of each stage. `totals`: the
        tokens wanted up to each."""
        found: list[GradedBudget] = []
        # The last first: a stage takes the next documents of cells only where a later one does.
        for wanted, its_asks, its_cuts in reversed(list(zip(totals, asks, cuts, strict=True))):
            cells = []
            for number, (place, ask) in enumerate(zip(self.cells.places, its_asks, strict=True)):
                budget = its_cuts[number]
                if found:
                    within = found[-1].cells[number].budget.taken_tokens
                    budget = replace(budget, most_tokens=within)
                cells.append(Cell(place, ask.rate, budget))
            can = found[-1].taken_tokens if found else most
            found.append(sum_cells(wanted, can, self.cells.partition, cells, curves))
        whole, *stages = found
        return replace(whole, stage_ends=tuple(reversed(stages)))

    def _histogram(self, number: int) -> Histogram:
        its = self.sums.get(number, np.empty(0, IN_CELLS))
        bins = (its["place"] & np.uint64((1 << self.bits) - 1)).astype(np.int64)
        tokens, documents = np.zeros((2, 1 << self.bits), np.int64)
        tokens[bins], documents[bins] = its["tokens"], its["documents"]
        return Histogram(tokens, documents)


def _nothing(source: str) -> _Counted:
    """Of a source without a document."""
    return _Counted(Cells(source, Partition((), ()), np.empty(0, np.int64), 1, 0, None), {}, 0)


def _cut_cells(cuts: Cuts, inside: npt.NDArray[np.void], bits: int) -> dict[int, SourceBudget]:
    """The budget of each cell, cut in its bin of the order. `inside`: rows of `IN_BIN`, by cell."""
    starts = np.searchsorted(inside["cell"], np.arange(len(cuts) + 1))
    done = {}
    for cell, (budget, index) in cuts.items():
        here = inside[starts[cell] : starts[cell + 1]]
        here = here[here["order"] >> np.uint64(64 - bits) == index]
        done[cell] = cut_in_bin(budget, here["order"], here["tokens"], bits)
    return done


def _bits_for(cells: int) -> int:
    """Bits of the order by which each of so many cells is summed."""
    return max(LEAST_BITS, min(BIN_BITS, int(math.log2(MOST_SUMS / max(cells, 1)))))


def _histogram(filled: npt.NDArray[np.void] | None) -> Histogram:
    """Of rows of `IN_CELLS`; None: of no shard."""
    tokens, documents = np.zeros((2, BINS), np.int64)
    if filled is not None:
        tokens[filled["place"]] = filled["tokens"]
        documents[filled["place"]] = filled["documents"]
    return Histogram(tokens, documents)
