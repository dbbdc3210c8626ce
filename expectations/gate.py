"""A gate: one suite run by Great Expectations over small metric tables, and its verdicts.

In: rows of a metric table (`expectations.metrics`) and the recipe. Out: a `Verdict` with one
`Result` per expectation and subject. A value that is missing or not finite fails each expectation
about it, and so do a table without rows and an expectation that could not be computed. The verdict
depends on the numbers alone: no clock, no run id. Great Expectations is imported by the first gate
of a process (2.5 CPU s, 120 MB) and its context is kept; a validation takes 0.1 CPU s however many
rows it has, so the tables of a job's stages are validated as one.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from expectations.metrics import Metrics, MetricTable
from expectations.suites import Expectation, Suite, load_suite

__all__ = ["Result", "Verdict", "run_gates"]


@dataclass(frozen=True)
class Result:
    """What one expectation said of one subject (`source`, or `source/table`).

    `seen` is the number, None where it is missing. `wanted` says in words what passes. `note` is
    what a failure shows beside the number, "" for nothing.
    """

    expectation: str
    meaning: str
    subject: str
    column: str
    seen: object
    wanted: str
    ok: bool
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """All results of one gate; `ok` when there are results and all of them are."""

    gate: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        return bool(self.results) and all(result.ok for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """JSON-able; the same metrics and suite give the same bytes."""
        return {
            "gate": self.gate,
            "ok": self.ok,
            "results": [asdict(result) for result in self.results],
        }

    def failures(self) -> list[str]:
        """One sentence per failed expectation and subject: value seen, value wanted, meaning."""
        return [
            f"gate {self.gate}: {result.column} of {result.subject} is {_shown(result.seen)}, "
            f"wanted {result.wanted} ({_with_note(result)})"
            for result in self.results
            if not result.ok
        ]


def run_gates(
    kind: str, tables: Sequence[Sequence[Metrics]], recipe: Mapping[str, Any]
) -> list[Verdict]:
    """Judge metric tables by the suite of their kind, each by itself.

    `kind`: "documents", "attributes" or "mixes". `tables`: the rows of each, one per subject.
    `recipe`: the whole recipe, from which suites take bounds (`recipe.gates...`). ValueError when a
    row has a column that tables do not know, or two rows of a table have the same subject.
    """
    suite = load_suite(kind).resolve(recipe)
    subjects = [_subjects(suite.table, table) for table in tables]
    columns = {
        name: [_finite(row.get(name)) for table in tables for row in table]
        for name in (*suite.table.measured, *suite.table.allowed)
    }
    unexpected = _validate(suite.expectations, columns) if any(tables) else []
    verdicts, first = [], 0
    for table, its in zip(tables, subjects, strict=True):
        results = _results(suite, columns, unexpected, its, table, first)
        verdicts.append(Verdict(kind, tuple(results) or (_NOTHING,)))
        first += len(table)
    return verdicts


def _results(
    suite: Suite,
    columns: Mapping[str, list[object]],
    unexpected: Sequence[frozenset[int]],
    subjects: Sequence[str],
    table: Sequence[Metrics],
    first: int,
) -> list[Result]:
    """What all expectations say of one table, whose rows begin at `first` in the columns."""
    if not table:
        return []
    results = []
    for expectation, failed in zip(suite.expectations, unexpected, strict=True):
        column, other = _measured_first(expectation, suite.table)
        for row, (subject, metrics) in enumerate(zip(subjects, table, strict=True), first):
            values = [columns[name][row] for name in expectation.columns]
            ok = row not in failed and None not in values
            results.append(
                Result(
                    expectation=expectation.type,
                    meaning=expectation.meaning,
                    subject=subject,
                    column=column,
                    seen=columns[column][row],
                    wanted=_wanted(expectation, column, columns[other][row] if other else None),
                    ok=ok,
                    note="" if ok else str(metrics.get(expectation.note) or ""),
                )
            )
    return results


_NOTHING = Result(
    expectation="expect_table_row_count_to_be_between",
    meaning="a gate has something to judge",
    subject="the metric table",
    column="rows",
    seen=0,
    wanted="at least 1",
    ok=False,
)


def _subjects(table: MetricTable, metrics: Sequence[Metrics]) -> list[str]:
    subjects: list[str] = []
    for row in metrics:
        unknown = sorted(set(row) - set(table.columns))
        if unknown:
            raise ValueError(f"metric table has no column {unknown[0]!r}")
        subject = "/".join(str(row[name]) for name in table.subject)
        if subject in subjects:
            raise ValueError(f"metric table has two rows of {subject!r}")
        subjects.append(subject)
    return subjects


def _finite(value: object) -> object:
    """None for what is no number to compare: NaN and the infinities."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _validate(
    expectations: Sequence[Expectation], columns: Mapping[str, list[object]]
) -> list[frozenset[int]]:
    """Run the expectations over the columns; per expectation, the rows that do not meet it."""
    library, pandas, definition = _great_expectations()
    configuration = library.expectations.expectation_configuration.ExpectationConfiguration
    suite = library.ExpectationSuite(
        name="gate",
        expectations=[
            configuration(type=one.type, kwargs=dict(one.kwargs), meta={"index": index})
            for index, one in enumerate(expectations)
        ],
    )
    frame = pandas.DataFrame(columns)
    everything = frozenset(range(len(frame)))
    # What cannot be computed has no list of rows and fails for all; so does what has no result.
    unexpected = [everything] * len(expectations)
    batch = definition.get_batch(batch_parameters={"dataframe": frame})
    for one in batch.validate(suite, result_format="COMPLETE").results:
        rows = frozenset(one.result.get("unexpected_index_list") or ())
        # Results come in an order of the library's own.
        unexpected[one.expectation_config.meta["index"]] = (
            rows if one.success or rows else everything
        )
    return unexpected


@cache
def _great_expectations() -> Any:
    """The library, pandas and a batch definition; the context lives as long as the process."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations
    import pandas

    # Some of its modules set levels of their own when they are imported.
    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context: Any = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("metrics").add_dataframe_asset("table")
    return great_expectations, pandas, asset.add_batch_definition_whole_dataframe("rows")


def _measured_first(expectation: Expectation, table: MetricTable) -> tuple[str, str]:
    """(column that was measured, column it is held against or "")."""
    first, *rest = expectation.columns
    if not rest:
        return first, ""
    return (first, rest[0]) if first in table.measured else (rest[0], first)


def _wanted(expectation: Expectation, column: str, other: object) -> str:
    """What passes, in words; `other` is the value of the column it is held against."""
    kwargs = expectation.kwargs
    if "column" in kwargs:
        least, most = kwargs.get("min_value"), kwargs.get("max_value")
        if least is None:
            return f"at most {most}"
        if most is None:
            return f"at least {least}"
        return f"{most}" if least == most else f"{least} to {most}"
    first, second = expectation.columns
    name = second if column == first else first
    against = f"its {name}, which is missing" if other is None else f"{other}, its {name}"
    if "or_equal" not in kwargs:
        return against
    if column == first:
        return f"{'at least' if kwargs['or_equal'] else 'more than'} {against}"
    return f"{'at most' if kwargs['or_equal'] else 'less than'} {against}"


def _shown(value: object) -> str:
    return "missing" if value is None else str(value)


def _with_note(result: Result) -> str:
    return f"{result.meaning}: {result.note}" if result.note else result.meaning
