"""Select: how often each document of the pool is in a mix, from the recipe's query, shares and
budget.

In: tokens and attributes, and what the mix takes of each source (budgets.py). Out: per source the
table `selection` (selection_table.py), aligned with the documents. Its counters tell which licences
chosen documents state and, of a curriculum, what each stage holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.mixing.eligible import Choice, Scored, score
from pipelines.mixing.selection_table import selection_schema, stage_columns
from pipelines.recipes.mix_part import Mix
from pipelines.stage_names import SELECT
from pipelines.stages import Job, Stage
from pipelines.tables import TableTask, table_gate, table_job, table_stages
from pipelines.workspace import Workspace
from transforms.attributes import write_table
from transforms.checks.attributes import count_attributes
from transforms.datasets import Manifest, TaskRecord, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.environment import environment
from transforms.mixing.budget import SourceBudget, copies, divide_tokens
from transforms.mixing.cells import GradedBudget, copies_in_cells
from transforms.mixing.curriculum import CURRICULUM_VERSION
from transforms.mixing.identity import sum_digests
from transforms.mixing.licenses import LicenseCounts

__all__ = ["DIGEST", "SELECTION_VERSION", "in_stage", "select_job", "select_stages"]

SELECTION_VERSION = 5
DIGEST = "documents_digest"  # counter, whose sum counts modulo 2**64


def in_stage(stage: int, counter: str) -> str:
    """The name of what a counter counts in a stage of a curriculum, from 0."""
    return f"{stage_columns(stage + 1)[-1]}.{counter}"


def select_shard(task: TableTask, choice: Choice, budgets: Mapping[str, SourceBudget]) -> str:
    """Write the table `selection` of a shard and its record; gives the task's name.

    A source without a budget is not in the mix.
    """
    shard, budget = task.shard, budgets.get(task.shard.source)
    counts: list[Mapping[str, int]] = []
    licenses = LicenseCounts()
    ends = max((len(one.stage_ends) for one in budgets.values()), default=0)
    window = shard.source in choice.windows
    schema = selection_schema(ends + 1 if ends else 0, window)

    def batches() -> Iterator[pa.RecordBatch]:
        for scored in score(shard, choice):
            eligible = scored.eligible if budget else np.zeros(len(scored.eligible), np.bool_)
            chosen, cells = _choose(scored, budget)
            stages = _divide(scored, chosen, cells, budget, ends) if ends else []
            table = pa.RecordBatch.from_arrays(
                [
                    pa.array(eligible),
                    pa.array(chosen),
                    pa.array(cells, mask=~eligible),
                    *([pa.array(scored.outside)] if window else []),
                    *(pa.array(one) for one in stages),
                ],
                schema=schema,
            )
            counts.append(count_attributes(table))
            counts.append(_count(scored, eligible, chosen, cells, budget, window))
            for number, one in enumerate(stages):
                its = _count_taken(scored, one)
                counts.append({in_stage(number, name): count for name, count in its.items()})
            licenses.add(scored.metadata, chosen, scored.tokens)
            yield table

    file = write_table(task.dataset, shard.file, schema, batches())
    counts.append(licenses.counts())
    task.dataset.write_record(TaskRecord(shard.task, [file], sum_counts(counts)))
    return task.name


def _choose(
    scored: Scored, budget: SourceBudget | None
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Copies and cell of each document of a row group."""
    cells = np.zeros(len(scored.order), np.uint32)
    if budget is None:
        return cells, cells
    if not isinstance(budget, GradedBudget):
        return copies(scored.order, scored.eligible, budget), cells
    assert scored.graded is not None
    rows = np.flatnonzero(scored.eligible)  # others may have topics that the pool lacks
    places = {label: index for index, label in enumerate(budget.partition.topics)}
    labels = scored.graded.topic.take(pa.array(rows)).to_pylist()
    topics = np.array([places[label] for label in labels], np.int64)
    graded = scored.graded
    cells[rows] = budget.partition.cells_of(topics, graded.score[rows], graded.number[rows])
    return copies_in_cells(scored.order, cells, scored.eligible, budget), cells


def _divide(
    scored: Scored,
    chosen: npt.NDArray[np.uint32],
    cells: npt.NDArray[np.uint32],
    budget: SourceBudget | None,
    ends: int,
) -> list[npt.NDArray[np.uint32]]:
    """The copies of each document in each stage of a curriculum, of which `ends` end before the
    last."""
    if budget is None:
        return [chosen] * (ends + 1)
    until = [np.zeros_like(chosen)]
    for end in budget.stage_ends:
        if isinstance(end, GradedBudget):
            until.append(copies_in_cells(scored.order, cells, scored.eligible, end))
        else:
            until.append(copies(scored.order, scored.eligible, end))
    return [later - earlier for earlier, later in pairwise([*until, chosen])]


def _count_taken(scored: Scored, chosen: npt.NDArray[np.uint32]) -> dict[str, int]:
    """What documents hold that are taken so often."""
    return {
        "copies": int(chosen.sum()),
        DIGEST: sum_digests(scored.digest, chosen),
        "tokens": int((chosen.astype(np.int64) * scored.tokens).sum()),
    }


def _count(
    scored: Scored,
    eligible: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.uint32],
    cells: npt.NDArray[np.uint32],
    budget: SourceBudget | None,
    window: bool,
) -> dict[str, int]:
    outside = int(scored.outside.sum()) if budget else 0
    unmet = int((scored.pooled & ~eligible).sum()) - outside
    undrawn = eligible & (chosen == 0)
    discarded = 0
    if isinstance(budget, GradedBudget):
        nothing = np.array([cell.budget.wanted_tokens == 0 for cell in budget.cells], np.bool_)
        discarded = int(nothing[cells[undrawn]].sum())
    return {
        "candidates": int(scored.pooled.sum()),
        "removed": unmet + outside + int(undrawn.sum()),
        "removed.not in this mix" if budget is None else "removed.where": unmet,
        **({"removed.window": outside} if window else {}),
        "removed.quality": discarded,
        "removed.not drawn": int(undrawn.sum()) - discarded,
        "kept": int((chosen > 0).sum()),
        "kept_text_bytes": int((chosen.astype(np.int64) * scored.text_bytes).sum()),
        "repeated": int((chosen > 1).sum()),
        "largest_document_tokens": int(scored.tokens[chosen > 0].max(initial=0)),
        **_count_taken(scored, chosen),
    }


def select_stages(
    workspace: Workspace,
    recipe: str,
    mix: Mix,
    choice: Choice,
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    inputs: Mapping[str, Mapping[str, str]],
) -> dict[str, Stage]:
    """The selection stage of each source, by source.

    Where a source may have to give what others lack, or less than its share since others do, its
    stage depends on the tokens of all.
    """
    wanted = divide_tokens(mix.tokens, mix.proportions)
    parameters: dict[str, dict[str, Any]] = {
        source: {
            "where": mix.where,
            "seed": mix.seed,
            "wanted_tokens": wanted.get(source, 0),
            "max_epochs": mix.max_epochs.get(source, 0),
            **_graded(mix, choice, source),
            **_staged(mix, source),
            **({"window": asdict(choice.windows[source])} if source in choice.windows else {}),
            # scipy solves the curve of quality
            "environment": environment(
                ("duckdb", *(("scipy",) if source in choice.grades else ()))
            ),
        }
        for source in documents
    }
    if mix.shortage != "refuse":
        everyone = {name: one for its in inputs.values() for name, one in its.items()}
        inputs = {source: everyone if wanted.get(source) else its for source, its in inputs.items()}
        for its in parameters.values():
            its["shortage"] = {
                "rule": mix.shortage,
                "tokens": mix.tokens,
                "proportions": mix.proportions,
                "max_epochs": dict(mix.max_epochs),
                "graded": {one: _graded(mix, choice, one) for one in mix.proportions},
            }
    table = f"selection-{recipe}"
    return table_stages(
        "selection",
        lambda source: workspace.attributes(table, source),
        SELECTION_VERSION,
        shards,
        parameters,
        inputs,
    )


def _staged(mix: Mix, source: str) -> dict[str, Any]:
    """What of a curriculum the stage of a source depends on."""
    if mix.curriculum is None:
        return {}
    ends = mix.curriculum.fractions(source) if source in mix.proportions else ()
    # All tables of a mix have a column for each of its stages.
    return {
        "curriculum": {
            "version": CURRICULUM_VERSION,
            "stages": len(mix.curriculum.stages),
            "ends": [str(one) for one in ends],
            "quality": mix.curriculum.quality,
        }
    }


def _graded(mix: Mix, choice: Choice, source: str) -> dict[str, Any]:
    """What of quality and repetition the stage of a source depends on."""
    if source not in choice.grades:
        return {}
    graded: dict[str, Any] = {"grade": asdict(choice.grades[source])}
    if mix.quality and mix.quality.grades(source):
        quality = mix.quality
        graded["quality"] = {
            "bins": quality.bins,
            "discard": quality.discard,
            "max_epochs": quality.max_epochs,
            "topics": quality.topics.get(source),
        }
    return graded


def select_job(
    recipe: Mapping[str, Any],
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    stages: Mapping[str, Stage],
    choice: Choice,
    budgets: Mapping[str, SourceBudget],
) -> Job:
    """The job that writes the selection of each source; `stages` are of `select_stages`."""

    def details(stage: Stage, records: Sequence[TaskRecord]) -> dict[str, Any]:
        source = stage.name.split(" ")[1]
        window = choice.bounds.get(source)
        return {
            **({"budget": budgets[source].to_json()} if source in budgets else {}),
            **({"window": window.to_json()} if window else {}),
        }

    function = partial(select_shard, choice=choice, budgets=budgets)
    gate = table_gate(documents, recipe)
    return table_job(SELECT, stages, shards, function, gate, details)
