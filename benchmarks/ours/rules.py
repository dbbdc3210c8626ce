"""The web rules: Gopher's quality and repetition, C4's, FineWeb's, MADLAD's and Dolma 3's lines."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from benchmarks.ours.batches import Tables, annotate_all
from benchmarks.plain_c4 import MARKS
from benchmarks.work import Task, Work
from transforms.quality.conditions import Condition
from transforms.quality.rules import rule
from transforms.query import evaluate

__all__ = ["one_rule", "table_marks", "web_rules"]

WEB_RULES = ("gopher", "c4", "fineweb", "madlad", "dolma3_lines")
_REPETITION = ("gopher.duplicate_", "gopher.top_")  # starts of reasons
# The numbers that datatrove has where Dolma 3's differ; of words per line Dolma's tagger too.
_AS_DATATROVE: dict[str, dict[str, Any]] = {
    "gopher": {"characters": False, "stop_words": False},  # it wants 2 different ones
    "c4": {"sentences": {"at_least": 5}, "words_per_line": 3},
}


def web_rules(task: Task) -> Work:
    """All web rules together; the answer is {rule: {id: kept}}, and of C4's lines {id: marks}, as
    `benchmarks.plain_c4` has them."""
    rules = {name: rule(name, _AS_DATATROVE.get(name)) for name in WEB_RULES}
    annotators = {one.name: one for each in rules.values() for one in each.annotators}
    conditions: dict[str, list[Condition]] = {
        "gopher repetition": [
            one for one in rules["gopher"].conditions if one.reason.startswith(_REPETITION)
        ],
        "gopher quality": [
            *(one for one in rules["gopher"].conditions if not one.reason.startswith(_REPETITION)),
            Condition("distinct", "gopher.distinct_stop_word_count", at_least=2),
        ],
        "c4": list(rules["c4"].conditions),
        "fineweb": list(rules["fineweb"].conditions),
    }

    def answer(tables: Tables, ids: pa.Array) -> dict[str, dict[str, Any]]:
        verdicts: dict[str, dict[str, Any]] = {}
        for name, its in conditions.items():
            kept: list[bool] = []
            for table in tables:
                rows = next(iter(table.values())).num_rows
                met = evaluate([one.to_sql() for one in its], table, rows)
                columns = [column.fill_null(False).to_pylist() for column in met]
                kept.extend(all(values) for values in zip(*columns, strict=True))
            verdicts[name] = dict(zip(ids.to_pylist(), kept, strict=True))
        marks = [one for table in tables for one in table_marks(table["c4"])]
        verdicts["c4 marks"] = dict(zip(ids.to_pylist(), marks, strict=True))
        return verdicts

    return annotate_all(task, list(annotators.values()), answer)


def table_marks(table: pa.RecordBatch) -> list[dict[str, int]]:
    """Marks of each document, of a table of C4's annotator."""
    columns = ["javascript_lines" if mark == "javascript" else mark for mark in MARKS]
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    marks = [dict(zip(MARKS, map(int, row), strict=True)) for row in rows]
    return [{**one, "javascript": min(one["javascript"], 1)} for one in marks]


def one_rule(task: Task) -> Work:
    """The annotators of the rule that `options["rule"]` names, alone."""
    its = rule(task.options["rule"])
    return annotate_all(task, its.annotators, lambda tables, ids: None)
