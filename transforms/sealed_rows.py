"""Sealed rows: a file of rows, or of bytes in pages, that tells when it was cut or changed.

Scratch that is no run of an exchange. A small file is read whole and has one digest; of a large one
pieces are read, by whole pages of `PAGE_BYTES`, each of which ends with a digest of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.kernels.hashing import hash_rows
from transforms.kernels.words import read_only
from transforms.rows import Rows

__all__ = [
    "DATA_BYTES",
    "PAGE_BYTES",
    "PageWriter",
    "read_pages",
    "read_rows",
    "write_pages",
    "write_rows",
]

PAGE_BYTES = 1 << 12
_DIGEST_BYTES = 8
DATA_BYTES = PAGE_BYTES - _DIGEST_BYTES  # of a page, without its digest
_SEAL = np.uint64(0x31574F524C4E4956)  # "VINLROW1"; the hash of no bytes is 0, as zeros would be
_PAGES_AT_ONCE = 1 << 8  # held before they are written


def write_rows(path: str, rows: Rows) -> None:
    """Write rows and their digest."""
    data = np.ascontiguousarray(rows).view(np.uint8).reshape(-1)
    storage.write_bytes(path, data.tobytes() + _digests(data, len(data)).tobytes())


def read_rows(path: str, dtype: np.dtype[Any]) -> Rows | None:
    """The rows that were written; None where they were cut or changed, or are not there."""
    if not storage.exists(path):
        return None
    content = np.frombuffer(storage.read_bytes(path), np.uint8)
    data, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    good = len(content) >= _DIGEST_BYTES and len(data) % dtype.itemsize == 0
    if not good or digest.tobytes() != _digests(data, len(data)).tobytes():
        return None
    return data.view(dtype)


class PageWriter:
    """What is written to it goes into pages. `size_bytes`: so far, without digests."""

    def __init__(self, file: storage.HashingFile) -> None:
        self._file = file
        self._held = bytearray()
        self.size_bytes = 0

    def write(self, data: npt.NDArray[np.uint8]) -> None:
        """Put bytes behind those that are there."""
        self._held += data.data
        self.size_bytes += len(data)
        if len(self._held) >= _PAGES_AT_ONCE * DATA_BYTES:
            self._flush(len(self._held) // DATA_BYTES)

    def end(self) -> None:
        """Fill the last page with zeros."""
        pages = -(-len(self._held) // DATA_BYTES)
        if pages:
            self._held += bytes(pages * DATA_BYTES - len(self._held))
            self._flush(pages)

    def _flush(self, count: int) -> None:
        data = np.frombuffer(bytes(self._held[: count * DATA_BYTES]), np.uint8)
        del self._held[: count * DATA_BYTES]
        pages = np.empty((count, PAGE_BYTES), np.uint8)
        pages[:, :DATA_BYTES] = data.reshape(count, DATA_BYTES)
        pages[:, DATA_BYTES:] = _digests(data, DATA_BYTES).view(np.uint8).reshape(count, -1)
        self._file.write(pages)


@contextmanager
def write_pages(path: str) -> Iterator[PageWriter]:
    """Write a file of pages; it has its name when the block ends well."""
    with storage.write_aside(path) as file:
        writer = PageWriter(file)
        yield writer
        writer.end()


def read_pages(
    path: str, first: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """The bytes of the pages first..end (exclusive) of each range, one range after the other.
    DamagedFile where one of them was cut or changed."""
    pages = np.empty((int((end - first).sum()), PAGE_BYTES), np.uint8)
    at = 0
    with storage.open_read(path) as file:
        for start, stop in zip(first.tolist(), end.tolist(), strict=True):
            file.seek(start * PAGE_BYTES)
            read = np.frombuffer(file.read((stop - start) * PAGE_BYTES), np.uint8)
            if len(read) != (stop - start) * PAGE_BYTES:
                raise _damaged(path)
            pages[at : at + stop - start] = read.reshape(-1, PAGE_BYTES)
            at += stop - start
    data = pages[:, :DATA_BYTES].reshape(-1)
    digests = np.ascontiguousarray(pages[:, DATA_BYTES:]).view("<u8").reshape(-1)
    if not np.array_equal(_digests(data, DATA_BYTES), digests):
        raise _damaged(path)
    return data


def _digests(data: npt.NDArray[np.uint8], row_bytes: int) -> npt.NDArray[np.uint64]:
    """A hash of each so many bytes; of all where these are none."""
    ends = np.arange(0, len(data) + 1, row_bytes) if row_bytes else np.zeros(2, np.int64)
    return hash_rows(read_only(data), ends)[0] ^ _SEAL


def _damaged(path: str) -> storage.DamagedFile:
    return storage.DamagedFile(
        f"{path} was cut or changed since it was written: run again, and it is made anew"
    )
