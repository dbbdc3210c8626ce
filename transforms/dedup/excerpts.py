"""Excerpts: the text around some places of a shard, set aside as plain bytes so that whoever
compares places reads just that, by address.

In: rising offsets among the texts of a shard, and these texts. Out: two files of scratch, the bytes
(each once, also where neighbourhoods overlap), and rows of `excerpt_dtype`, by offset, that tell
where a place lies in them, how far its document reaches, and the document's row and ranks. It is
the one copy of text that deduplication makes; only addresses change hands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.dedup.passages import place_of
from transforms.kernels.common_passages import Agreement, Places, compare_places
from transforms.rows import Rows

__all__ = [
    "ExcerptFiles",
    "Excerpts",
    "Neighbourhoods",
    "excerpt_dtype",
    "read_ranges",
    "write_excerpts",
]

GAP_BYTES = 1 << 12  # between two ranges that are read at once


@dataclass(frozen=True)
class ExcerptFiles:
    """Paths of a shard's excerpts."""

    text: str
    index: str

    @staticmethod
    def of(folder: str, shard: int) -> ExcerptFiles:
        path = storage.join(folder, f"{shard:08d}")
        return ExcerptFiles(f"{path}.text", f"{path}.index")

    def read_index(self, ranks: int) -> Rows:
        """Rows of `excerpt_dtype`, by offset."""
        return np.frombuffer(storage.read_bytes(self.index), excerpt_dtype(ranks))


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
    with storage.write_aside(files.text) as file:
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
    storage.write_bytes(files.index, np.concatenate(indexes).tobytes())


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


def read_ranges(
    path: str,
    at: npt.NDArray[np.int64],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Read the bytes around places of a file: (bytes uint8[], where each place lies in them
    int64[places]). Ranges that are close together are read at once."""
    ranges = _ranges(at - left, at + right, GAP_BYTES)
    data = np.empty(int((ranges.ends - ranges.starts).sum()), np.uint8)
    view = memoryview(data)  # type: ignore[arg-type]
    with storage.open_read(path) as file:
        for start, end, base in zip(*(one.tolist() for one in ranges), strict=True):
            file.seek(start)
            read = file.read(end - start)
            if len(read) != end - start:
                raise storage.DamagedFile(f"{path} was cut: delete its folder and run again")
            view[base : base + end - start] = read
    return data, ranges.places(at)


class Excerpts:
    """Where the text around some places of the pool lies: number of the shard, offset in its file,
    bytes that may be read to both sides, addresses and ranks of their documents. `places`: uint64,
    as in `passages`; all must be in the excerpts of `folder`."""

    def __init__(self, places: npt.NDArray[np.uint64], ranks: int, folder: str) -> None:
        self.folder = folder
        self.places = places
        self.shard = (places >> np.uint64(32)).astype(np.int64)
        self.at = np.empty(len(places), np.int64)
        self.left = np.empty(len(places), np.int64)
        self.right = np.empty(len(places), np.int64)
        self.address = np.empty(len(places), np.uint64)
        self.ranks = np.empty((len(places), ranks), np.uint64)
        for shard in np.unique(self.shard).tolist():
            its = np.flatnonzero(self.shard == shard)
            index = ExcerptFiles.of(folder, shard).read_index(ranks)
            rows = index[
                np.searchsorted(
                    index["offset"], (places[its] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
                )
            ]
            self.at[its], self.left[its], self.right[its] = rows["at"], rows["left"], rows["right"]
            self.address[its] = place_of(shard, rows["row"].astype(np.int64))
            for k in range(ranks):
                self.ranks[its, k] = rows[f"rank_{k}"]

    def order(self) -> npt.NDArray[np.int64]:
        """The rank of each place among all: by its document's ranks, then by itself."""
        by_order = np.lexsort([self.places, *reversed(self.ranks.T)])
        order = np.empty(len(by_order), np.int64)
        order[by_order] = np.arange(len(by_order))
        return order

    def compare(
        self,
        one: npt.NDArray[np.int64],
        other: npt.NDArray[np.int64],
        least: npt.NDArray[np.int64],
        most: npt.NDArray[np.int64],
        apart: npt.NDArray[np.int64],
        size: int,
    ) -> Agreement:
        """Read the text around the places of these pairs and compare it."""
        used, inverse = np.unique(np.concatenate([one, other]), return_inverse=True)
        at = np.empty(len(used), np.int64)
        parts: list[npt.NDArray[np.uint8]] = []
        read = 0
        for shard in np.unique(self.shard[used]).tolist():
            here = np.flatnonzero(self.shard[used] == shard)
            its = used[here]
            path = ExcerptFiles.of(self.folder, shard).text
            data, places = read_ranges(path, self.at[its], self.left[its], self.right[its])
            at[here] = read + places
            parts.append(data)
            read += len(data)
        places_of = Places(at, self.left[used], self.right[used])
        first = Places(*(column[inverse[: len(one)]] for column in places_of))
        second = Places(*(column[inverse[len(one) :]] for column in places_of))
        text = np.concatenate([np.empty(0, np.uint8), *parts])
        return compare_places(text, first, second, least, most, apart, size)
