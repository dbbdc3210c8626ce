"""Spools: rows that do not fit memory, in a temporary file of the machine that works on them.

In: arrays of rows of one dtype, one after the other. Out: the same rows from any place on. The file
has no name, so nothing is left of it, whoever is killed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

import numpy as np

from transforms import storage
from transforms.rows import Rows

__all__ = ["Spool"]

_REMEDY = "make room there or let TMPDIR name a folder on a larger disk, and run again: it goes on"


class Spool:
    """A temporary file of rows, to be used as a context. OSError that names the folder of temporary
    files where that is full."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self.rows = 0  # that were written

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # what could not be written is not wanted any more
            self._file.close()

    def write(self, rows: Rows) -> None:
        """Put rows behind those that are there."""
        with storage.full_disk(
            f"while writing temporary files in {tempfile.gettempdir()}", _REMEDY
        ):
            self._file.seek(self.rows * self._dtype.itemsize)
            self._file.write(np.ascontiguousarray(rows).view(np.uint8).data)
            self._file.flush()
        self.rows += len(rows)

    def clear(self) -> None:
        """Give its room back."""
        self._file.truncate(0)
        self.rows = 0

    def read(self, first: int, count: int) -> Rows:
        """So many rows from number `first` on."""
        self._file.seek(first * self._dtype.itemsize)
        return np.frombuffer(self._file.read(count * self._dtype.itemsize), self._dtype)

    def blocks(self, rows_at_once: int) -> Iterator[Rows]:
        """All rows in their order."""
        for first in range(0, self.rows, rows_at_once):
            yield self.read(first, min(rows_at_once, self.rows - first))
