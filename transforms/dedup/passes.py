"""Passes over a component: near duplicates of any number of linked documents, in bounded memory.

Who survives is decided in the order of ranks, and depends on better survivors alone. So the
members of a component are read in that order, and only survivors are held, up to `MOST_HELD_BYTES`
of them; whoever is like none of these is set aside in a temporary file and read again in the next
pass, against the next survivors. A component that fits memory takes one pass, as does a template
that leaves few survivors, however many documents share it.

In: sorted pieces of `members.member_dtype`. Out: rows of `fuzzy.NEAR`. What is found is what one
comparison of the whole component would find, but for one bound: through a band a document meets 256
survivors of each pass. Passes depend on survivors alone, and whether a component takes them on its
own rows: not on pieces, nor on other components, nor on worse documents once it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.dedup.fuzzy import NEAR, find_near_duplicates
from transforms.dedup.members import Members, join_members, take_members, unpack_members
from transforms.dedup.pool import NONE_PUBLISHED
from transforms.kernels.survivors import choose_survivors
from transforms.rows import Rows
from transforms.spools import Spool

__all__ = ["MOST_HELD_BYTES", "compare_components"]

MOST_HELD_BYTES = 256 << 20  # of survivors' shingles and bands; 35,000 documents of 800 words
CHUNKS = 4  # in so many parts of that a component is read that takes passes


def compare_components(
    pieces: Iterable[Rows],
    bands: int,
    at_least: float,
    most_bytes: int = MOST_HELD_BYTES,
    published_from: np.uint64 = NONE_PUBLISHED,
) -> Iterator[Rows]:
    """Rows of `NEAR` for each member of a cluster of two or more that is not published
    (`fuzzy.find_near_duplicates`).

    `pieces`: sorted rows of `member_dtype`, of members with so many bands. `at_least`: Jaccard
    similarity, inclusive. Holds some five times `most_bytes`, a document and a piece; what is set
    aside takes twice the rows of a component in temporary files. OSError where these find no room.
    """
    source = _whole_members(pieces)
    ahead: list[Rows] = []  # rows of the next components, that were read with a large one's
    held: Rows | None = None  # of the component that is not known to be whole
    while (piece := ahead.pop() if ahead else next(source, None)) is not None:
        rows = piece if held is None else np.concatenate([held, piece])
        starts = np.flatnonzero(np.diff(rows["component"], prepend=~rows["component"][:1]))
        large = np.flatnonzero(np.diff(starts, append=len(rows)) * rows.itemsize >= most_bytes)
        # What takes passes is the same however pieces are cut: any component of `most_bytes`.
        last = int(starts[large[0] if len(large) else -1])
        if last:
            members = unpack_members(rows[:last], bands)
            yield find_near_duplicates(members, at_least, published_from)
        held = rows[last:]
        if len(large):
            ahead.append(held)
            component, held = _component(ahead, source), None
            yield from _in_passes(
                component, rows.dtype, bands, at_least, most_bytes, published_from
            )
    if held is not None:
        yield find_near_duplicates(unpack_members(held, bands), at_least, published_from)


def _whole_members(pieces: Iterable[Rows]) -> Iterator[Rows]:
    """The rows again, cut between members."""
    rest: Rows | None = None
    for piece in pieces:
        rows = piece if rest is None else np.concatenate([rest, piece])
        last = int(np.flatnonzero(rows["block"] == 0)[-1])
        if last:
            yield rows[:last]
        rest = rows[last:]
    if rest is not None:
        yield rest


def _component(ahead: list[Rows], source: Iterator[Rows]) -> Iterator[Rows]:
    """All rows of the component that begins `ahead`. What was read behind it is put there."""
    component = ahead[-1]["component"][0]
    while (rows := ahead.pop() if ahead else next(source, None)) is not None:
        end = int(np.searchsorted(rows["component"], component, side="right"))
        if end:
            yield rows[:end]
        if end < len(rows):
            ahead.append(rows[end:])
            return


def _in_passes(
    parts: Iterator[Rows],
    dtype: np.dtype[Any],
    bands: int,
    at_least: float,
    most_bytes: int,
    published_from: np.uint64,
) -> Iterator[Rows]:
    """As `compare_components`, of one component."""
    chunk_rows = max(1, most_bytes // CHUNKS // dtype.itemsize)
    with Spool(NEAR) as removed, Spool(dtype) as one, Spool(dtype) as other:
        source, aside = one, other
        while True:
            held = _Held(at_least, most_bytes, published_from)
            for rows in _chunks(parts, chunk_rows):
                members = unpack_members(rows, bands)
                met = held.meet(members)
                gone = np.flatnonzero(met.gave_way)
                removed.write(held.removed(take_members(members, gone), met, gone))
                aside.write(rows[met.is_open[np.cumsum(rows["block"] == 0) - 1]])
            yield held.found()
            for some in removed.blocks(chunk_rows):
                yield held.completed(some)
            if aside.rows == 0:
                return
            removed.clear()
            source.clear()
            source, aside = aside, source
            parts = _whole_members(source.blocks(chunk_rows))


def _chunks(parts: Iterable[Rows], chunk_rows: int) -> Iterator[Rows]:
    """Whole members in smaller arrays: each but the last ends with the member that fills it."""
    for rows in parts:
        starts = np.append(np.flatnonzero(rows["block"] == 0), len(rows))
        first = 0
        while first < len(rows):
            at = np.searchsorted(starts, first + chunk_rows)
            end = int(starts[min(int(at), len(starts) - 1)])
            yield rows[first:end]
            first = end


class _Met(NamedTuple):
    """What became of members that met survivors. `number` int64[members]: of the survivor that is
    held, itself where it is taken in, -1 where there is none; `similarity` float64[members]."""

    number: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]
    gave_way: npt.NDArray[np.bool_]

    @property
    def is_open(self) -> npt.NDArray[np.bool_]:
        return self.number < 0


class _Held:
    """Survivors of a pass, best first, and how many documents each stands for so far."""

    def __init__(self, at_least: float, most_bytes: int, published_from: np.uint64) -> None:
        self._at_least, self._most_bytes = at_least, most_bytes
        self._published_from = published_from
        self._members: Members | None = None
        self._bytes = 0
        self._sizes = np.empty(0, np.uint64)  # documents of each cluster, the survivor included
        self._stands_for = np.empty(0, np.uint64)

    def meet(self, members: Members) -> _Met:
        """Compare members, in order, with all who are held, and take survivors in up to the bound:
        the one that reaches it is the last."""
        known = len(self._sizes)
        both = members if self._members is None else join_members([self._members, members])
        is_full = self._bytes >= self._most_bytes
        # Published ones come first, and survive.
        settled_here = known + int((members.address >= self._published_from).sum())
        survivor, similarity = choose_survivors(
            both.bands, both.sets, self._at_least, settled=settled_here, closed=is_full
        )
        survivor, similarity = survivor[known:], similarity[known:]
        itself = survivor == np.arange(known, known + len(survivor))
        taken = np.flatnonzero(itself)[: 0 if is_full else None]
        sizes = np.diff(members.sets.bounds)[taken] + members.bands.shape[1]
        reached = self._bytes + np.cumsum(sizes) * members.bands.itemsize
        taken = taken[: int(np.searchsorted(reached, self._most_bytes)) + 1]
        numbers = np.full(len(both.address), -1, np.int64)
        numbers[:known] = np.arange(known)
        numbers[known + taken] = np.arange(known, known + len(taken))
        number = numbers[survivor]
        if len(taken):
            self._bytes = int(reached[len(taken) - 1])
            new = take_members(members, taken)
            self._members = new if self._members is None else join_members([self._members, new])
            self._sizes = np.append(self._sizes, np.zeros(len(taken), np.uint64))
            self._stands_for = np.append(self._stands_for, np.zeros(len(taken), np.uint64))
        settled = np.flatnonzero(number >= 0)
        np.add.at(self._sizes, number[settled], members.sizes[settled])
        np.add.at(self._stands_for, number[settled], members.stands_for[settled])
        return _Met(number, similarity, (number >= 0) & ~itself)

    def removed(self, gone: Members, met: _Met, places: npt.NDArray[np.int64]) -> Rows:
        """Rows of `NEAR` of members that gave way, whose places `met` is asked for; instead of the
        size of a cluster they hold its survivor's number."""
        rows = np.zeros(len(places), NEAR)
        if len(places):
            assert self._members is not None
            number = met.number[places]
            rows["address"] = gone.address
            rows["survivor"] = self._members.address[number]
            rows["similarity"] = met.similarity[places]
            rows["shared_bands"] = (gone.bands == self._members.bands[number]).sum(axis=1)
            rows["cluster_size"] = number
        return rows

    def completed(self, removed: Rows) -> Rows:
        """These rows with their clusters, once all members have come."""
        rows = removed.copy()
        rows["cluster_size"] = self._sizes[removed["cluster_size"]]
        rows["stands_for"] = self._stands_for[removed["cluster_size"]]
        return rows

    def found(self) -> Rows:
        """Rows of `NEAR` of survivors that somebody gave way to, once all members have come."""
        several = np.flatnonzero(self._sizes > 1)
        if self._members is not None:
            several = several[self._members.address[several] < self._published_from]
        rows = np.zeros(len(several), NEAR)
        if len(several):
            assert self._members is not None
            rows["address"] = rows["survivor"] = self._members.address[several]
            rows["similarity"] = 1.0
            rows["shared_bands"] = self._members.bands.shape[1]
            rows["cluster_size"] = self._sizes[several]
            rows["stands_for"] = self._stands_for[several]
        return rows
