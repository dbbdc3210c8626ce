"""Candidates: which documents pass the pool's rules, why others do not, and who survives among
duplicates.

In: attribute tables of one row group, or of several. Out, row for row: `candidate` bool; `reason`
string, the first condition that failed (null for candidates); `value` double, what the condition
saw (null where it is no number); `rank_0`, `rank_1` ... uint64, see dedup/survivors.py. Scores are
never computed here, so changed thresholds cost one pass over small tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.dedup.survivors import rank_documents, rank_names
from transforms.quality.conditions import Condition
from transforms.query import columns_used, evaluate

__all__ = ["CANDIDATES_VERSION", "Judged", "candidate_columns", "candidate_schema", "judge"]

CANDIDATES_VERSION = 3
RANK_SEED = 0x56494E454C454146  # "VINELEAF": keys the hash of ids that settles ties


class Judged(NamedTuple):
    """The verdicts on rows, and by reason how many of them do not meet that condition, whatever
    the conditions before it said."""

    table: pa.RecordBatch
    found: dict[str, int]


def candidate_schema(criteria: int) -> pa.Schema:
    """Schema of the table for so many survivor criteria (beside the id)."""
    return pa.schema(
        [
            pa.field("candidate", pa.bool_()),
            pa.field("reason", pa.string()),
            pa.field("value", pa.float64()),
            *(pa.field(name, pa.uint64()) for name in rank_names(criteria)),
        ]
    )


def candidate_columns(
    conditions: Sequence[Condition],
    criteria: Sequence[tuple[str, bool]],
    schemas: Mapping[str, pa.Schema],
) -> dict[str, list[str]]:
    """Table -> columns that `judge` reads."""
    expressions = [condition.to_sql() for condition in conditions]
    return columns_used([*expressions, *(column for column, _ in criteria)], schemas)


def judge(
    tables: Mapping[str, pa.RecordBatch],
    ids: pa.Array,
    conditions: Sequence[Condition],
    criteria: Sequence[tuple[str, bool]],
) -> Judged:
    """Judge rows by their attributes; `criteria` are (column, descending) of the recipe's `keep`.

    A condition over a null is not met: what was not measured is not believed.
    """
    rows = len(ids)
    # All in one query: what one costs, whatever it asks, is most of what this takes.
    met, seen, ranked = _evaluate(
        [
            [condition.to_sql() for condition in conditions],
            [f"try_cast({condition.value_sql()} AS DOUBLE)" for condition in conditions],
            [column for column, _ in criteria],
        ],
        tables,
        rows,
    )
    passed = np.ones(rows, np.bool_)
    first = np.full(rows, -1, np.int64)
    found: dict[str, int] = {}
    for index, values in enumerate(met):
        good = values.fill_null(False).to_numpy(zero_copy_only=False)
        first[passed & ~good] = index
        passed &= good
        reason = conditions[index].reason
        found[reason] = found.get(reason, 0) + int((~good).sum())
    reasons = [None, *(condition.reason for condition in conditions)]
    ranks = rank_documents(
        [(column, descending) for column, (_, descending) in zip(ranked, criteria, strict=True)],
        ids,
        RANK_SEED,
    )
    table = pa.RecordBatch.from_arrays(
        [
            pa.array(passed),
            pa.array(reasons, pa.string()).take(pa.array(first + 1)),
            _values(seen, first),
            *ranks.values(),
        ],
        schema=candidate_schema(len(criteria)),
    )
    return Judged(table, found)


def _evaluate(
    groups: Sequence[Sequence[str]], tables: Mapping[str, pa.RecordBatch], rows: int
) -> list[list[pa.Array]]:
    """The values of groups of expressions, group by group."""
    values = iter(evaluate([one for group in groups for one in group], tables, rows))
    return [list(islice(values, len(group))) for group in groups]


def _values(seen: Sequence[pa.Array], first: npt.NDArray[np.int64]) -> pa.Array:
    """What the first failed condition of each row saw, double[rows]; null where it is no number.
    `seen`: what each condition saw."""
    values = np.zeros(len(first), np.float64)
    known = np.zeros(len(first), np.bool_)
    for index in np.unique(first[first >= 0]).tolist():
        rows = (first == index) & seen[index].is_valid().to_numpy(zero_copy_only=False)
        values[rows] = seen[index].fill_null(0.0).to_numpy(zero_copy_only=False)[rows]
        known |= rows
    return pa.array(values, pa.float64(), mask=~known)
