"""Parts of components: what is compared at once, bounded whatever the pool holds.

A component is compared in one worker's memory, so one of more than `MOST_COMPONENT_BYTES` is cut
into parts, each of which is then taken for a component of its own: documents of two parts are not
compared. Members stand by their least band key, so that those that share most bands mostly stay
together, then by the hash of their id, so the parts depend on the component's documents alone.
In: sorted pieces of `members.MEMBER_BLOCK`. Out: arrays of the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from transforms.dedup.members import MEMBER_BLOCK
from transforms.rows import Rows

__all__ = ["MOST_COMPONENT_BYTES", "cut_components"]

MOST_COMPONENT_BYTES = 256 << 20  # of rows that are compared at once; 35,000 documents of 800 words


def cut_components(
    pieces: Iterable[Rows], most_bytes: int = MOST_COMPONENT_BYTES
) -> Iterator[Rows]:
    """Sorted pieces of `MEMBER_BLOCK` -> arrays of whole components, and of parts of larger ones.

    A part ends with the first document that brings it to `most_bytes`. What is given is no larger
    than that, a document and a piece together; how rows were cut into pieces changes no part.
    """
    most_rows = max(1, most_bytes // MEMBER_BLOCK.itemsize)
    held = np.empty(0, MEMBER_BLOCK)  # of the component that is not known to be whole
    for piece in pieces:
        rows = np.concatenate([held, piece])
        last = int(np.searchsorted(rows["component"], rows["component"][-1]))
        ends = _part_ends(rows, most_rows)
        done = max([last, *ends[-1:]])
        yield from (part for part in np.split(rows[:done], ends) if len(part))
        held = rows[done:]
    if len(held):
        yield held


def _part_ends(rows: Rows, most_rows: int) -> list[int]:
    """Where components of sorted rows must be cut: before the first document that begins
    `most_rows` or more behind its component's or part's first row."""
    begins = np.flatnonzero(rows["component"][1:] != rows["component"][:-1]) + 1
    bounds = np.concatenate([[0], begins, [len(rows)]])
    ends: list[int] = []
    for large in np.flatnonzero(np.diff(bounds) > most_rows):
        starts = bounds[large] + np.flatnonzero(
            rows["block"][bounds[large] : bounds[large + 1]] == 0
        )
        at = int(bounds[large])
        while (next_start := int(np.searchsorted(starts, at + most_rows))) < len(starts):
            at = int(starts[next_start])
            ends.append(at)
    return ends
