"""Suites: what is expected of a metric table, read from YAML and checked before any work.

A suite (`documents.yaml`, `attributes.yaml`, `mixes.yaml`) lists expectations of Great Expectations
by their own names and arguments. A bound is a number or `{from: recipe.<path>, default: number}`.
A suite that breaks its schema (`suite.schema.json`), or names a column that its metric table lacks,
is refused with file and line. Great Expectations itself is not imported here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, cast

import jsonschema
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from expectations.metrics import TABLES, MetricTable

__all__ = ["Expectation", "Suite", "SuiteError", "check_suites", "load_suite", "read_suite"]

_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
_BOUND_ARGUMENTS = ("min_value", "max_value")


class SuiteError(ValueError):
    """A suite is wrong; the message has a line `file:line: key: what to do` for each defect."""


@dataclass(frozen=True)
class Expectation:
    """One expectation: its name and arguments in Great Expectations, and what it means.

    `note` names a column of words that a failure shows, "" for none.
    """

    type: str
    kwargs: Mapping[str, Any]
    meaning: str
    note: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of numbers that it compares: one, or A and B."""
        return tuple(self.kwargs[name] for name in _COLUMN_ARGUMENTS if name in self.kwargs)


@dataclass(frozen=True)
class Suite:
    """The expectations of one kind of output, in the order of the file."""

    kind: str
    file: str
    expectations: tuple[Expectation, ...]

    @property
    def table(self) -> MetricTable:
        return TABLES[self.kind]

    def resolve(self, recipe: Mapping[str, Any]) -> Suite:
        """The same suite with numbers in place of what it takes from the recipe.

        SuiteError when the recipe holds something else than a number there.
        """
        return replace(
            self,
            expectations=tuple(
                replace(
                    one,
                    kwargs={
                        name: self._number(value, recipe) if name in _BOUND_ARGUMENTS else value
                        for name, value in one.kwargs.items()
                    },
                )
                for one in self.expectations
            ),
        )

    def _number(self, bound: Any, recipe: Mapping[str, Any]) -> float:
        if not isinstance(bound, Mapping):
            return cast(float, bound)
        value: Any = recipe
        for key in bound["from"].split(".")[1:]:
            if not isinstance(value, Mapping) or key not in value:
                return cast(float, bound["default"])
            value = value[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SuiteError(f"{self.file}: {bound['from']} must be a number (got {value!r})")
        return value


def check_suites(recipe: Mapping[str, Any]) -> None:
    """Read every suite and its numbers from the recipe. SuiteError names all that is wrong."""
    for kind in TABLES:
        load_suite(kind).resolve(recipe)


@cache
def load_suite(kind: str) -> Suite:
    """The suite of this project for a kind of output, a key of `metrics.TABLES`."""
    name = f"{kind}.yaml"
    return read_suite(files("expectations").joinpath(name).read_text("utf-8"), name)


def read_suite(text: str, file: str) -> Suite:
    """Parse a suite and check it against its schema and its metric table.

    `file` is the name that messages show. SuiteError names every defect with its line.
    """
    try:
        content = YAML().load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SuiteError(f"{file}:{line}: {error.problem or 'is no YAML'}") from error
    defects = list(_schema_defects(content)) or list(_column_defects(content))
    if defects:
        raise SuiteError(
            "\n".join(
                f"{file}:{_line(content, path)}: {'.'.join(str(key) for key in path)}: {message}"
                for path, message in sorted(defects, key=lambda defect: _line(content, defect[0]))
            )
        )
    return Suite(
        kind=str(content["kind"]),
        file=file,
        expectations=tuple(
            Expectation(
                type=str(item["type"]),
                kwargs={str(name): _plain(value) for name, value in item["kwargs"].items()},
                meaning=str(item["meaning"]),
                note=str(item.get("note", "")),
            )
            for item in content["expectations"]
        ),
    )


_Path = tuple[str | int, ...]


@cache
def _schema() -> jsonschema.Draft202012Validator:
    text = files("expectations").joinpath("suite.schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def _schema_defects(content: Any) -> Iterator[tuple[_Path, str]]:
    for error in _schema().iter_errors(content):
        path: _Path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            known = list(error.schema.get("properties", {}))
            for key in error.instance:
                if key not in known:
                    yield (*path, key), f"unknown key{_nearest(str(key), known)}"
        elif error.validator == "enum":
            yield (
                path,
                f"{error.instance!r} is unknown{_nearest(str(error.instance), error.validator_value)}",
            )
        else:
            yield path, error.message


def _column_defects(content: Any) -> Iterator[tuple[_Path, str]]:
    kind = str(content["kind"])
    table = TABLES[kind]
    numbers = [*table.measured, *table.allowed]
    for index, item in enumerate(content["expectations"]):
        for argument in _COLUMN_ARGUMENTS:
            column = item["kwargs"].get(argument)
            if column is not None and column not in numbers:
                yield (
                    ("expectations", index, "kwargs", argument),
                    f"{column!r} is no number in the metric table of {kind}"
                    f"{_nearest(str(column), numbers)}",
                )
        note = item.get("note")
        if note is not None and note not in table.notes:
            yield (
                ("expectations", index, "note"),
                f"{note!r} is no note in the metric table of {kind}"
                f"{_nearest(str(note), list(table.notes))}",
            )


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1, 0.0)
    return f"; did you mean {close[0]!r}?" if close else ""


def _line(content: Any, path: _Path) -> int:
    """Line of what a path leads to, from 1."""
    line = 0
    for key in path:
        mapping = hasattr(content, "keys")
        line = (content.lc.key(key) if mapping else content.lc.item(key))[0]
        content = content[key]
    return line + 1


def _plain(value: Any) -> Any:
    """A value without the parser's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, float):
        return float(value)
    return value if isinstance(value, bool | int) else str(value)
