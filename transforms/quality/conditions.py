"""Conditions: what is asked of a document's attributes, as SQL; nothing is decided in annotators.

A condition bounds one column of an attribute table, or the greatest of several. It is evaluated
over a row group, or several (transforms/query.py), and a document that does not meet it is removed
for its reason.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

__all__ = ["BOUNDS", "Condition", "quoted"]

BOUNDS = ("at_least", "at_most", "below")
# Tables that need no quotes; a classifier's can have any name, a keyword of SQL too.
_PLAIN_TABLES = frozenset(
    {"c4", "code", "contamination", "dolma3_lines", "fineweb", "gopher", "language", "madlad"}
    | {"pdf_quality", "pii", "size", "url_lists"}
)
_SQL_QUOTE = '"'
_PLAIN = re.compile(r"[a-z][a-z0-9_]{2,}")  # needs no quotes; two letters may be a keyword of SQL


@dataclass(frozen=True)
class Condition:
    """A document is kept when `column` (`<annotator>.<column>`) is within its bounds (`at_least`
    and `at_most` are inclusive) or equals `equals`. With `or_columns` the greatest of all counts.
    `keep_unknown` keeps null. `reason` is counted for what does not meet it."""

    reason: str
    column: str
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None
    equals: bool | None = None
    or_columns: tuple[str, ...] = ()
    keep_unknown: bool = False

    def __post_init__(self) -> None:
        bounds = [getattr(self, name) for name in BOUNDS if getattr(self, name) is not None]
        if bool(bounds) == (self.equals is not None):
            raise ValueError(f"condition '{self.reason}' must have bounds or a value, not both")
        for bound in bounds:
            if not math.isfinite(bound):
                raise ValueError(f"bounds of '{self.reason}' must be finite (got {bound!r})")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(
                f"'{self.reason}' has at_least {self.at_least} above at_most {self.at_most},"
                " so nothing can pass"
            )
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            raise ValueError(
                f"'{self.reason}' has at_least {self.at_least} and below {self.below},"
                " so nothing can pass"
            )

    def value_sql(self) -> str:
        """The DuckDB expression whose value is compared."""
        columns = [quoted(column) for column in (self.column, *self.or_columns)]
        return columns[0] if len(columns) == 1 else f"greatest({', '.join(columns)})"

    def to_sql(self) -> str:
        """A DuckDB expression over attribute structs: true where the document is kept, else false
        (null where the column is null and `keep_unknown` is not set)."""
        value = self.value_sql()
        parts = []  # repr of a float equals it when DuckDB compares it with a DOUBLE
        if self.at_least is not None:
            parts.append(f"{value} >= {self.at_least!r}")
        if self.at_most is not None:
            parts.append(f"{value} <= {self.at_most!r}")
        if self.below is not None:
            parts.append(f"{value} < {self.below!r}")
        if self.equals is not None:
            parts.append(f"{value} = {'true' if self.equals else 'false'}")
        joined = " AND ".join(parts)
        return f"coalesce({joined}, true)" if self.keep_unknown else joined


def quoted(column: str) -> str:
    """`<table>.<column>` as SQL names it: between quotes where it may be a keyword."""
    table, _, name = column.partition(".")
    if table not in _PLAIN_TABLES:
        table = f"{_SQL_QUOTE}{table}{_SQL_QUOTE}"
    if _PLAIN.fullmatch(name):
        return f"{table}.{name}"
    return f"{table}.{_SQL_QUOTE}{name.replace(_SQL_QUOTE, 2 * _SQL_QUOTE)}{_SQL_QUOTE}"
