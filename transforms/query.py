"""SQL over attributes: conditions and scores of a recipe, evaluated by DuckDB on one row group at a
time, or on several small ones.

A column is named `<attribute table>.<column>`, as in `language.en >= 0.65 and gopher.word_count >
50`. Only the columns that the expressions name are read. An expression sees one document:
subqueries, aggregates, window functions and functions that change from call to call are refused, so
a result cannot depend on what stands beside a document.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "EVALUATED_ROWS",
    "QueryError",
    "check_expressions",
    "columns_used",
    "evaluate",
    "tables_named",
]

EVALUATED_ROWS = 1 << 16  # that SQL is asked of at once, at least: each question has its cost

_REFUSED = {"SUBQUERY": "a subquery", "WINDOW": "a window function", "STAR": "*"}
_PURE_MACROS = frozenset({"nullif"})  # which DuckDB's list of functions has as something else
# DuckDB calls them consistent, yet they look at the clock.
_OF_TODAY = frozenset({"age", "current_localtime", "current_localtimestamp"})
# What columns hold, number and text, when an expression is tried; one that fails for all is wrong.
_EXAMPLES = ((0, ""), (1, "1"), (100, "en"))
_local = threading.local()


class QueryError(ValueError):
    """An expression that cannot be evaluated over the attributes; the message is one sentence."""


def columns_used(
    expressions: Sequence[str], schemas: Mapping[str, pa.Schema], others: Collection[str] = ()
) -> dict[str, list[str]]:
    """Table -> columns that the expressions name, in the order of the schema. `others`: tables that
    could be named besides those of `schemas`; an error tells them.

    QueryError for what is no expression over one document's attributes.
    """
    named: dict[str, set[str]] = {}
    for expression in expressions:
        for node in _nodes(_parse(expression)):
            kind = node.get("class")
            if kind in _REFUSED:
                raise QueryError(f"{_REFUSED[kind]} cannot stand in a condition: {expression}")
            if kind == "FUNCTION" and node["function_name"] not in _pure_functions():
                raise QueryError(
                    f"the function {node['function_name']} cannot stand in a condition,"
                    f" since it does not depend on one document alone: {expression}"
                )
            if kind == "COLUMN_REF":
                table, column = _column(node["column_names"], schemas, others, expression)
                named.setdefault(table, set()).add(column)
    return {
        table: [column for column in schemas[table].names if column in columns]
        for table, columns in sorted(named.items())
    }


def tables_named(expressions: Sequence[str]) -> list[str]:
    """The attribute tables that expressions name, sorted. QueryError for what is no SQL."""
    return sorted(
        {
            node["column_names"][0]
            for expression in expressions
            for node in _nodes(_parse(expression))
            if node.get("class") == "COLUMN_REF"
        }
    )


def check_expressions(
    expressions: Sequence[str],
    schemas: Mapping[str, pa.Schema],
    kind: str = "boolean",
    others: Collection[str] = (),
) -> None:
    """Evaluate over made-up rows: QueryError when an expression is wrong, not of the wanted kind,
    or fails whatever a document has, as `size.words > 'abc'` does.

    `kind` is boolean, number, whole number or text; `others` as of `columns_used`.
    """
    columns = columns_used(expressions, schemas, others)
    rows = [
        {
            table: pa.RecordBatch.from_arrays(
                [_example(schemas[table].field(name).type, *values) for name in names], names
            )
            for table, names in columns.items()
        }
        for values in _EXAMPLES
    ]
    for expression in expressions:
        result = _evaluate_one(expression, rows)
        if not _is_of(kind, result.type):
            remedy = ", which CAST(... AS BIGINT) rounds" if kind == "whole number" else ""
            told = f"a {kind} is wanted but this gives {result.type}"
            raise QueryError(f"{told}{remedy}: {expression}")


def evaluate(
    expressions: Sequence[str], tables: Mapping[str, pa.RecordBatch], rows: int
) -> list[pa.Array]:
    """Each expression's value for each of `rows` rows, in row order.

    `tables` are aligned record batches of `rows` rows, by the names that the expressions use.
    """
    import duckdb  # see _connection

    if not expressions:
        return []
    structs = {
        name: pa.StructArray.from_arrays(batch.columns, fields=list(batch.schema))
        for name, batch in tables.items()
    }
    # Rows are counted by this column where nothing else is named; DuckDB keeps their order.
    table = pa.table({"row number": np.arange(rows), **structs})
    # A line break ends a comment that an expression may close with.
    selected = ", ".join(f"({one}\n) AS e{index}" for index, one in enumerate(expressions))
    connection = _connection()
    connection.register("attributes", table)
    try:
        relation = connection.sql(f"SELECT {selected} FROM attributes")
        result: pa.Table = relation.to_arrow_table()
    except duckdb.Error as error:
        if len(expressions) > 1:  # which one is it?
            for one in expressions:
                evaluate([one], tables, rows)
        raise QueryError(f"{_first_line(error)}: {' and '.join(expressions)}") from error
    finally:
        connection.unregister("attributes")
    return [result.column(index).combine_chunks() for index in range(len(expressions))]


def _is_of(kind: str, result: pa.DataType) -> bool:
    if kind == "text":
        return bool(pa.types.is_string(result) or pa.types.is_large_string(result))
    whole = pa.types.is_integer(result) or (pa.types.is_decimal(result) and not result.scale)
    number = whole or pa.types.is_floating(result) or pa.types.is_decimal(result)
    good = {"number": number, "whole number": whole}.get(kind, False)
    return bool(pa.types.is_boolean(result) or good)


def _evaluate_one(expression: str, rows: Sequence[Mapping[str, pa.RecordBatch]]) -> pa.Array:
    """Its value for the first of the rows for which it has one."""
    for row in rows[:-1]:
        try:
            return evaluate([expression], row, rows=1)[0]
        except QueryError:
            continue  # `ln(size.words)` fails for 0 alone
    return evaluate([expression], rows[-1], rows=1)[0]


def _example(kind: pa.DataType, number: int, text: str) -> pa.Array:
    """One value of the type; null of a type that has others inside."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.array([text], kind)
    if pa.types.is_boolean(kind):
        return pa.array([number > 0], kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return pa.array([number], pa.int64()).cast(kind)
    return pa.nulls(1, kind)


def _column(
    names: Sequence[str],
    schemas: Mapping[str, pa.Schema],
    others: Collection[str],
    expression: str,
) -> tuple[str, str]:
    if len(names) < 2 or names[0] not in schemas:
        tables = sorted({*schemas, *others})
        near = get_close_matches(names[0], tables, n=1) if names[0] not in tables else []
        meant = f"; did you mean '{'.'.join([*near, *names[1:]])}'?" if near else ""
        raise QueryError(
            f"no attribute '{'.'.join(names)}'{meant} (columns are named table.column;"
            f" tables: {', '.join(tables)}): {expression}"
        )
    if names[1] not in schemas[names[0]].names:
        columns = ", ".join(schemas[names[0]].names)
        raise QueryError(f"no column '{names[1]}' in {names[0]} (it has {columns}): {expression}")
    return names[0], names[1]


@lru_cache(maxsize=1024)
def _parse(expression: str) -> dict[str, Any]:
    """DuckDB's own syntax tree of the expression, which every shard asks for again."""
    tree = _syntax_tree(f"SELECT ({expression}\n)")
    if tree["error"]:
        raise QueryError(f"not SQL, {tree['error_message'].strip()}: {expression}")
    statement, *more = tree["statements"]
    selected = statement["node"].pop("select_list", [])
    # Whatever closes the bracket and goes on (FROM, UNION ...) leaves something else beside it.
    if more or len(selected) != 1 or statement != _nothing_else():
        raise QueryError(f"one expression is wanted: {expression}")
    return dict(selected[0])


def _syntax_tree(statement: str) -> dict[str, Any]:
    rows = _connection().execute("SELECT json_serialize_sql(?)", [statement]).fetchall()
    return dict(json.loads(rows[0][0]))


@cache
def _nothing_else() -> dict[str, Any]:
    """What is left of the tree of a SELECT without anything but its expression."""
    (statement,) = _syntax_tree("SELECT (1)")["statements"]
    del statement["node"]["select_list"]
    return dict(statement)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for child in tree.values():
            yield from _nodes(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from _nodes(child)


@cache
def _pure_functions() -> frozenset[str]:
    """Names of the functions whose value depends on their arguments alone."""
    rows = (
        _connection()
        .execute(
            "SELECT function_name FROM duckdb_functions() GROUP BY function_name HAVING"
            " bool_and(function_type = 'scalar' AND stability = 'CONSISTENT')"
        )
        .fetchall()
    )
    return (frozenset(name for (name,) in rows) | _PURE_MACROS) - _OF_TODAY


def _connection() -> duckdb.DuckDBPyConnection:
    """One in-memory database a thread, which can read no files and uses one core."""
    # Not above: the command freezes what it imports, and DuckDB tells of what is never freed.
    import duckdb

    if not hasattr(_local, "connection"):
        _local.connection = duckdb.connect(
            ":memory:",
            config={
                "enable_external_access": "false",
                "threads": "1",
                "preserve_insertion_order": "true",
            },
        )
    connection: duckdb.DuckDBPyConnection = _local.connection
    return connection


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
