"""Markdown that reads well as plain text too: tables whose columns line up.

In: a header and rows of text. Out: a GitHub table, numbers to the right. `plain` keeps what others
wrote (names, licences) from being read as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["plain", "table"]

_MARKUP = re.compile(r"([\\`*\[\]<>|~])")  # also `_`, but that is no markup inside a word


def plain(text: str) -> str:
    """A text in one line, of which nothing is markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[str]) -> str:
    """A table; columns named in `words` are to the left, the others are numbers."""
    return "\n".join(_lines(header, rows, words))


def _lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[str]
) -> Iterator[str]:
    widths = [
        max(3, *(len(row[column]) for row in [header, *rows])) for column in range(len(header))
    ]
    left = [name in words for name in header]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, left, strict=True)
        ]
        return f"| {' | '.join(cells)} |"

    yield line(header)
    yield line(
        ["-" * width if is_left else "-" * (width - 1) + ":" for width, is_left in
         zip(widths, left, strict=True)]
    )  # fmt: skip
    yield from map(line, rows)
