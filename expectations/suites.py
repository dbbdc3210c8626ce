"""Suites: what is expected of a metric table, read from YAML and checked before any work.

A suite (`documents.yaml`, `attributes.yaml`, `mixes.yaml`) lists expectations of Great Expectations
by their own names and arguments. A bound is a number or `{from: recipe.<path>, default: number}`.
A suite that breaks its schema (`suite.schema.json`), or names a column that its metric table lacks,
is refused with file and line. Great Expectations itself is not imported here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, cast

from expectations.metrics import TABLES, MetricTable
from mixes.located_yaml import YamlError, load_yaml
from mixes.schema_errors import Violation, nearest, violations

__all__ = ["Expectation", "Suite", "SuiteError", "check_suites", "load_suite", "read_suite"]

_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
_BOUND_ARGUMENTS = ("min_value", "max_value")


class SuiteError(ValueError):
    """A suite is wrong; the message has a line `file:line: what is wrong` for each defect."""


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
        document = load_yaml(text)
    except YamlError as error:
        raise SuiteError(f"{file}:{error.line}: {error.message}") from error
    defects = list(violations(document.value, _schema())) or list(_columns(document.value))
    if defects:
        raise SuiteError(
            "\n".join(f"{file}:{document.line(one.path)}: {one.message}" for one in defects)
        )
    return Suite(
        kind=document.value["kind"],
        file=file,
        expectations=tuple(Expectation(**item) for item in document.value["expectations"]),
    )


@cache
def _schema() -> dict[str, Any]:
    text = files("expectations").joinpath("suite.schema.json").read_text("utf-8")
    return cast("dict[str, Any]", json.loads(text))


def _columns(content: Mapping[str, Any]) -> Iterator[Violation]:
    """Columns that the metric table of the suite's kind lacks."""
    table = TABLES[content["kind"]]
    numbers = [*table.measured, *table.allowed]
    for index, item in enumerate(content["expectations"]):
        places: dict[tuple[str, ...], list[str]] = {
            ("kwargs", name): numbers for name in _COLUMN_ARGUMENTS if name in item["kwargs"]
        }
        if "note" in item:
            places[("note",)] = list(table.notes)
        for place, known in places.items():
            column = item["note"] if place == ("note",) else item["kwargs"][place[1]]
            if column not in known:
                yield Violation(
                    ("expectations", index, *place),
                    f"the metric table of {content['kind']} has no {'.'.join(place)} "
                    f"'{column}'{nearest(column, known)}",
                )
