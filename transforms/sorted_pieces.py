"""Sorted pieces: rows in the order of their fields, piece by piece, in bounded memory.

In: blocks of rows (structured arrays) in any order. Out: the same rows, sorted by all fields that
hold one number, the first field first. Where they are more than `most_bytes`, so many at a time are
sorted and written to a temporary file, and these are merged: memory stays bounded though all rows
have one key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.rows import Rows
from transforms.spools import Spool

__all__ = ["sorted_order", "sorted_pieces", "with_heads"]

LEAST_ROWS = 256  # read at once of what is merged


def sorted_order(rows: Rows) -> npt.NDArray[np.intp]:
    """The order of rows by all fields that hold one number, the first field first."""
    names = _sorted_by(rows.dtype)
    keys = np.ascontiguousarray(rows[names[0]])
    order = np.argsort(keys)  # vectorised, several times faster than a sort by all fields
    keys = keys[order]
    equal = keys[1:] == keys[:-1]
    ties = np.zeros(len(keys), np.bool_)
    ties[1:] |= equal
    ties[:-1] |= equal
    tied = np.flatnonzero(ties)
    among = order[tied]
    order[tied] = among[np.lexsort([rows[name][among] for name in reversed(names)])]
    return order


def sorted_pieces(blocks: Iterable[Rows], dtype: np.dtype[Any], most_bytes: int) -> Iterator[Rows]:
    """The rows of all blocks, sorted as one, in pieces of some `most_bytes`; no piece is empty.

    Rows that differ in no sorted field come in any order. Holds some three times `most_bytes`
    beside a block. OSError that names the folder of temporary files where that is full.
    """
    held: list[Rows] = []
    size = 0
    with Spool(dtype) as spool:
        ends: list[int] = []  # in rows, of each sorted run in the spool
        most_rows = max(1, most_bytes // dtype.itemsize)
        for block in (
            whole[first : first + most_rows]
            for whole in blocks
            for first in range(0, len(whole), most_rows)
        ):
            if held and size + block.nbytes > most_bytes:
                _spill(held, spool, ends)
                held, size = [], 0
            held.append(block)
            size += block.nbytes
        if ends:
            _spill(held, spool, ends)
            yield from _merge(spool, ends, dtype, most_bytes)
        elif held:
            rows = np.concatenate(held)
            del held
            yield rows[sorted_order(rows)]


def with_heads(pieces: Iterable[Rows], names: Sequence[str]) -> Iterator[Rows]:
    """The pieces, each behind the first row of the group in which the one before ended, so that a
    group may go on over any number of pieces. A group: rows equal in `names`, which come first."""
    head: Rows | None = None
    for piece in pieces:
        rows = piece if head is None else np.concatenate([head, piece])
        yield rows
        low = 0
        for name in names:
            low += int(np.searchsorted(rows[name][low:], rows[name][-1]))
        head = rows[low : low + 1].copy()


def _sorted_by(dtype: np.dtype[Any]) -> list[str]:
    return [name for name in dtype.names or () if dtype[name].subdtype is None]


def _spill(held: list[Rows], spool: Spool, ends: list[int]) -> None:
    rows = np.concatenate(held)
    held.clear()
    spool.write(rows[sorted_order(rows)])
    ends.append(spool.rows)


class _Run:
    """A sorted run of the spool, of which some rows are held."""

    def __init__(self, start: int, end: int, dtype: np.dtype[Any], rows_at_once: int) -> None:
        self.next, self.end = start, end
        self._rows_at_once = rows_at_once
        self.held = np.empty(0, dtype)

    def fill(self, spool: Spool) -> None:
        if len(self.held) or self.next == self.end:
            return
        count = min(self._rows_at_once, self.end - self.next)
        self.held = spool.read(self.next, count)
        self.next += count

    def take(self, names: list[str], bound: tuple[Any, ...] | None) -> Rows:
        """The held rows up to the bound, inclusive (None: all of them)."""
        count = len(self.held)
        if bound is not None:
            low = 0
            for name, value in zip(names, bound, strict=True):
                column = self.held[name][low:count]
                count = low + int(np.searchsorted(column, value, side="right"))
                low += int(np.searchsorted(column, value, side="left"))
        taken, self.held = self.held[:count], self.held[count:]
        return taken


def _merge(spool: Spool, ends: list[int], dtype: np.dtype[Any], most_bytes: int) -> Iterator[Rows]:
    names = _sorted_by(dtype)
    rows_at_once = max(LEAST_ROWS, most_bytes // dtype.itemsize // len(ends))
    runs = [
        _Run(start, end, dtype, rows_at_once)
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    while runs:
        for run in runs:
            run.fill(spool)
        # All rows up to the least of the last ones held are here.
        lasts = [_values(run.held[-1], names) for run in runs if run.next < run.end]
        bound = min(lasts, default=None)
        rows = np.concatenate([run.take(names, bound) for run in runs])
        yield rows[sorted_order(rows)]
        runs = [run for run in runs if len(run.held) or run.next < run.end]


def _values(row: Any, names: list[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)
