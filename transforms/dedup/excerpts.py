"""Excerpts: the text around some places of a shard, set aside as plain bytes so that whoever
compares places reads just that, by address.

In: rising offsets among the texts of a shard, and these texts. Out: three files of scratch, the
bytes (each once, also where neighbourhoods overlap); rows of `excerpt_dtype`, by offset, that tell
where a place lies in them, how far its document reaches, and the document's row and ranks; and the
first offset of every `BLOCK_ROWS` of these, so that whoever looks for places reads some blocks. It
is the one copy of text that deduplication makes; only addresses change hands. What was cut or
changed since is told, and deleted so that the next attempt makes it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.dedup.passages import place_of
from transforms.dedup.substring import place_dtype
from transforms.kernels.common_passages import Agreement, Places, compare_places
from transforms.rows import Rows
from transforms.sealed_rows import DATA_BYTES, read_pages, read_rows, write_pages, write_rows

__all__ = [
    "ExcerptFiles",
    "Neighbourhoods",
    "compare_excerpts",
    "excerpt_dtype",
    "find_places",
    "write_excerpts",
]

BLOCK_ROWS = 128  # of the index, read at once
_HEAD = np.dtype([("offset", "<u4"), ("rows", "<u4")])  # first offset of a block, rows in it
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class ExcerptFiles:
    """Paths of a shard's excerpts. `heads` is written last: where it is, all is there."""

    text: str
    index: str
    heads: str

    @staticmethod
    def of(folder: str, shard: int) -> ExcerptFiles:
        path = storage.join(folder, f"{shard:08d}")
        return ExcerptFiles(f"{path}.text", f"{path}.index", f"{path}.heads")

    def find(self, offsets: npt.NDArray[np.int64], ranks: int) -> Rows:
        """The row of `excerpt_dtype` of each offset, in any order. DamagedFile where one has none,
        or a file was cut or changed."""
        dtype = excerpt_dtype(ranks)
        with self._deleted_if_damaged():
            heads = read_rows(self.heads, _HEAD)
            if heads is None:
                raise self._damaged()
            its = np.searchsorted(heads["offset"], offsets.astype(np.uint32), side="right") - 1
            blocks = np.unique(its)
            if len(blocks) and blocks[0] < 0:
                raise self._damaged()
            starts = blocks * (BLOCK_ROWS * dtype.itemsize)
            ends = starts + heads["rows"][blocks].astype(np.int64) * dtype.itemsize
            data, ranges = _read(self.index, starts, ends)
            # Blocks lie one behind the other, as rows do.
            at = np.repeat(ranges.places(starts), ends - starts) + _within(ends - starts)
            rows: Rows = data[at].view(dtype)
            found = np.searchsorted(rows["offset"], offsets.astype(np.uint32))
            found = np.minimum(found, max(len(rows) - 1, 0))
            if not np.array_equal(rows["offset"][found], offsets):
                raise self._damaged()
            its_rows: Rows = rows[found]
        return its_rows

    def read_text(
        self,
        at: npt.NDArray[np.int64],
        left: npt.NDArray[np.int64],
        right: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """The bytes around some places: (bytes uint8[], where each place lies in them
        int64[places]). DamagedFile where they were cut or changed."""
        with self._deleted_if_damaged():
            data, ranges = _read(self.text, at - left, at + right)
        return data, ranges.places(at)

    @contextmanager
    def _deleted_if_damaged(self) -> Iterator[None]:
        try:
            yield
        except storage.DamagedFile:
            storage.delete([path for path in [self.heads] if storage.exists(path)])
            raise

    def _damaged(self) -> storage.DamagedFile:
        return storage.DamagedFile(
            f"{self.index} was cut or changed since it was written: run again, and it is made anew"
        )


@dataclass(frozen=True)
class Neighbourhoods:
    """Text around places of some documents: `data` uint8[]; `index`: rows of `excerpt_dtype` by
    offset, whose `at` is an offset into `data`."""

    data: npt.NDArray[np.uint8]
    index: Rows


def excerpt_dtype(ranks: int) -> np.dtype[Any]:
    """A place: its offset among the shard's texts, where it lies in the file, bytes there of its
    document before it and from it on, its document's row and ranks."""
    return np.dtype(
        [
            ("offset", "<u4"),
            ("row", "<u4"),
            ("at", "<u8"),
            ("left", "<u2"),
            ("right", "<u2"),
            *((f"rank_{k}", "<u8") for k in range(ranks)),
        ]
    )


def write_excerpts(files: ExcerptFiles, parts: Iterable[Neighbourhoods], ranks: int) -> None:
    """Write the excerpts of a shard. Of each part only the bytes around its places are kept."""
    indexes = [np.empty(0, excerpt_dtype(ranks))]
    with write_pages(files.text) as file:
        for part in parts:
            data, index = part.data, part.index
            starts = index["at"].astype(np.int64) - index["left"]
            ends = index["at"].astype(np.int64) + index["right"]
            ranges = _ranges(starts, ends, 0)
            shift = file.size_bytes
            for start, end in zip(ranges.starts.tolist(), ranges.ends.tolist(), strict=True):
                file.write(data[start:end])
            placed = index.copy()
            placed["at"] = shift + ranges.places(index["at"].astype(np.int64))
            indexes.append(placed)
    rows = np.concatenate(indexes)
    with write_pages(files.index) as file:
        file.write(rows.view(np.uint8))
    heads = np.empty(-(-len(rows) // BLOCK_ROWS), _HEAD)
    heads["offset"] = rows["offset"][::BLOCK_ROWS]
    heads["rows"] = np.minimum(len(rows) - np.arange(len(heads)) * BLOCK_ROWS, BLOCK_ROWS)
    write_rows(files.heads, heads)


class _Ranges(NamedTuple):
    """Disjoint ranges, rising, laid one behind the other from `bases` on."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    bases: npt.NDArray[np.int64]

    def places(self, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where offsets that lie in the ranges (or just behind one) come to lie."""
        its = np.searchsorted(self.starts, offsets, side="right") - 1
        return self.bases[its] + offsets - self.starts[its]


def _ranges(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], gap_bytes: int) -> _Ranges:
    """Unite ranges, in any order, that overlap, touch or are no more than a gap apart."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    fresh = np.ones(len(starts), np.bool_)
    fresh[1:] = starts[1:] > ends[:-1] + gap_bytes
    first = np.flatnonzero(fresh)
    starts, ends = starts[first], ends[np.append(first[1:], len(ends)) - 1] if len(ends) else ends
    sizes = ends - starts
    return _Ranges(starts, ends, np.cumsum(sizes) - sizes)


def _within(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, ... n-1 for each length n, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)


def _read(
    path: str, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], _Ranges]:
    """The bytes of whole pages that hold these ranges, and where they come to lie. Ranges that are
    close together are read at once."""
    pages = _ranges(starts // DATA_BYTES, -(-ends // DATA_BYTES), 1)
    data = read_pages(path, pages.starts, pages.ends)
    return data, _Ranges(*(one * DATA_BYTES for one in pages))


def find_places(anchors: Rows, ranks: int, folder: str) -> Rows:
    """Rows of `place_dtype` for rows of `ANCHOR`, in their order; all must be in the excerpts of
    `folder`. DamagedFile where these were cut or changed."""
    found = np.empty(len(anchors), place_dtype(ranks))
    found["key"], found["place"] = anchors["key"], anchors["place"]
    shards = (anchors["place"] >> np.uint64(32)).astype(np.int64)
    for shard in np.unique(shards).tolist():
        its = np.flatnonzero(shards == shard)
        offsets = (anchors["place"][its] & _LOW).astype(np.int64)
        rows = ExcerptFiles.of(folder, shard).find(offsets, ranks)
        for name in ("at", "left", "right", *(f"rank_{k}" for k in range(ranks))):
            found[name][its] = rows[name]
        found["address"][its] = place_of(shard, rows["row"].astype(np.int64))
    return found


def compare_excerpts(
    one: Rows, other: Rows, apart: npt.NDArray[np.int64], size: int, folder: str
) -> Agreement:
    """Read the text around the places of these pairs, rows of `window_dtype`, and compare it; which
    leads are looked at is told by `other`."""
    places, number, inverse = np.unique(
        np.concatenate([one["place"], other["place"]]), return_index=True, return_inverse=True
    )
    source = [
        np.concatenate([one[name], other[name]])[number].astype(np.int64)
        for name in ("at", "left", "right")
    ]
    shards = (places >> np.uint64(32)).astype(np.int64)
    at = np.empty(len(places), np.int64)
    parts = [np.empty(0, np.uint8)]
    read = 0
    for shard in np.unique(shards).tolist():
        its = slice(*np.searchsorted(shards, [shard, shard + 1]))
        files = ExcerptFiles.of(folder, shard)
        data, inside = files.read_text(*(column[its] for column in source))
        at[its] = read + inside
        parts.append(data)
        read += len(data)
    where = Places(at, *source[1:])
    first = Places(*(column[inverse[: len(one)]] for column in where))
    second = Places(*(column[inverse[len(one) :]] for column in where))
    least, most = (other[name].astype(np.int64) for name in ("least", "most"))
    return compare_places(np.concatenate(parts), first, second, least, most, apart, size)
