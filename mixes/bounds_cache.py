"""Where documents lie in token files, kept in memory for a reader that comes back to a file.

In: a file's path and a way to read its bounds. Out: the bounds; those used longest ago are dropped
where all together have more than `most_bytes`. Threads may share it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.tokens.token_files import DocumentBounds

__all__ = ["BoundsCache", "CompactBounds"]


class CompactBounds(NamedTuple):
    """`DocumentBounds` in some 30 bytes and an id each."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    ids: pa.StringArray
    paths: pa.DictionaryArray

    @classmethod
    def of(cls, bounds: DocumentBounds) -> CompactBounds:
        return cls(
            bounds.starts,
            bounds.ends,
            pa.array(bounds.ids, pa.string()),
            pa.array(bounds.paths, pa.string()).dictionary_encode(),
        )

    @property
    def size_bytes(self) -> int:
        return int(self.starts.nbytes + self.ends.nbytes + self.ids.nbytes + self.paths.nbytes)


class BoundsCache:
    """The bounds that `read` gives for a path."""

    def __init__(self, read: Callable[[str], DocumentBounds], most_bytes: int) -> None:
        self._read, self._most_bytes = read, most_bytes
        self._kept: OrderedDict[str, CompactBounds] = OrderedDict()
        self._held_bytes = 0
        self._lock = Lock()

    def __call__(self, path: str) -> CompactBounds:
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
        bounds = CompactBounds.of(self._read(path))
        with self._lock:
            if path not in self._kept:
                self._kept[path] = bounds
                self._held_bytes += bounds.size_bytes
            while self._held_bytes > self._most_bytes and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._held_bytes -= dropped.size_bytes
        return bounds
