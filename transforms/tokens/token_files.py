"""Token files in the layout that OLMo-core reads.

`part-{group}-{index:05d}.npy`: raw little-endian uint32 without a numpy header, documents back to
back, each closed by EOS. Beside it `part-{group}-{index:05d}.csv.gz` without a header row: start,
end (tokens in the file, half-open; the end counts the EOS, as dolma writes and OLMo-core expects),
document id, source path, 1-based line in it. Both are equal to the byte wherever they are
written by the same build of zlib, which Python carries.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from transforms import storage
from transforms.datasets import OutputFile

__all__ = [
    "FILE_TOKENS",
    "TOKEN_BYTES",
    "DocumentBounds",
    "TokenFileWriter",
    "read_document_bounds",
    "read_token_file",
]

TOKEN_BYTES = 4  # bytes of a token, whatever the vocabulary
FILE_TOKENS = 1 << 26  # tokens of a file (256 MiB), unless a single document is longer
GZIP_LEVEL = 6
_COLUMNS = ("start", "end", "id", "path", "line")


class _OpenFile:
    """One token file and its bounds while they are written."""

    def __init__(self, base: str, path: str) -> None:
        self.path = path
        self.tokens = 0
        self.documents = 0
        with ExitStack() as stack:
            self._npy = stack.enter_context(storage.write_aside(storage.join(base, path + ".npy")))
            self._csv = stack.enter_context(
                storage.write_aside(storage.join(base, path + ".csv.gz"))
            )
            # No name and no time in the header: equal rows are equal bytes.
            self._gzip = stack.enter_context(
                gzip.GzipFile("", "wb", GZIP_LEVEL, self._csv, mtime=0)  # type: ignore[arg-type]
            )
            self._stack = stack.pop_all()

    def write(self, tokens: npt.NDArray[np.uint32], rows: str, documents: int) -> None:
        self._npy.write(np.ascontiguousarray(tokens, "<u4"))
        self._gzip.write(rows.encode("utf-8", "surrogatepass"))
        self.tokens += len(tokens)
        self.documents += documents

    def close(self) -> list[OutputFile]:
        self._stack.close()
        return [
            OutputFile(
                self.path + ".npy", self._npy.size_bytes, self._npy.sha256, rows=self.documents
            ),
            OutputFile(
                self.path + ".csv.gz", self._csv.size_bytes, self._csv.sha256, rows=self.documents
            ),
        ]

    def discard(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]


class TokenFileWriter:
    """Writes the documents of one task, batch by batch, into files of at most `most_tokens` tokens.

    A document that alone is longer has a file of its own. Where files are cut depends on the
    documents and `most_tokens` only, not on the batches. A context manager: leaving it with an
    error leaves no file that is not whole.
    """

    def __init__(
        self, base: str, folder: str, group: str, eos: int, most_tokens: int = FILE_TOKENS
    ) -> None:
        """Files are `base`/`folder`/part-`group`-00000.npy and so on."""
        if most_tokens < 1:
            raise ValueError(f"'most_tokens' must be at least 1 (got {most_tokens})")
        self._base = base
        self._prefix = f"{folder}/part-{group}" if folder else f"part-{group}"
        self._eos = eos
        self._most_tokens = most_tokens
        self._open: _OpenFile | None = None
        self._index = 0
        self.files: list[OutputFile] = []  # of closed files, two for each

    def write(
        self,
        tokens: npt.NDArray[np.uint32],
        bounds: npt.NDArray[np.int64],
        ids: Sequence[str],
        paths: Sequence[str],
        lines: Sequence[int],
    ) -> None:
        """Append documents tokens[bounds[d]:bounds[d + 1]], which come without their EOS.

        `ids`, `paths` and `lines` (1-based) say which document each is and where it came from.
        ValueError for an id or path with a line break, since a row is one line to its readers.
        """
        documents = len(bounds) - 1
        if not len(ids) == len(paths) == len(lines) == documents:
            raise ValueError(
                f"ids, paths and lines must name {documents} documents "
                f"(got {len(ids)}, {len(paths)} and {len(lines)})"
            )
        if any("\n" in text or "\r" in text for text in ("".join(ids), "".join(paths))):
            raise ValueError("ids and paths must be without a line break")
        closed = np.insert(tokens[bounds[0] : bounds[-1]], bounds[1:] - bounds[0], self._eos)
        ends = bounds - bounds[0] + np.arange(documents + 1)
        first = 0
        while first < documents:
            held = 0 if self._open is None else self._open.tokens
            room = self._most_tokens - held
            last = int(np.searchsorted(ends, ends[first] + room, "right")) - 1
            if last <= first:
                if held:
                    self._close()
                    continue
                last = first + 1
            if self._open is None:
                self._open = _OpenFile(self._base, f"{self._prefix}-{self._index:05d}")
            rows = io.StringIO()
            csv.writer(rows, lineterminator="\n").writerows(
                zip(
                    (ends[first:last] - ends[first] + held).tolist(),
                    (ends[first + 1 : last + 1] - ends[first] + held).tolist(),
                    ids[first:last],
                    paths[first:last],
                    lines[first:last],
                    strict=True,
                )
            )
            self._open.write(closed[ends[first] : ends[last]], rows.getvalue(), last - first)
            first = last

    def _close(self) -> None:
        if self._open is not None:
            self.files.extend(self._open.close())
            self._open = None
            self._index += 1

    def __enter__(self) -> TokenFileWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._close()
        elif self._open is not None:
            self._open.discard(kind, error, trace)


def read_token_file(path: str) -> npt.NDArray[np.uint32]:
    """The tokens of a file, uint32[]; a local one is mapped, not read. ValueError when its size is
    not a whole number of tokens."""
    if "://" in path:
        data = storage.read_bytes(path)
        _check_size(path, len(data))
        return np.frombuffer(data, "<u4")
    size_bytes = os.path.getsize(path)
    _check_size(path, size_bytes)
    if size_bytes == 0:  # nothing cannot be mapped
        return np.empty(0, np.uint32)
    return np.memmap(path, "<u4", "r")


def _check_size(path: str, size_bytes: int) -> None:
    if size_bytes % TOKEN_BYTES:
        raise ValueError(
            f"{path} must hold whole tokens of {TOKEN_BYTES} bytes (got {size_bytes} bytes)"
        )


class DocumentBounds(NamedTuple):
    """The documents of a token file: starts and ends int64[documents] (half-open, the end counts
    the EOS), ids, paths, 1-based lines int64[documents]."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    ids: list[str]
    paths: list[str]
    lines: npt.NDArray[np.int64]


def read_document_bounds(path: str) -> DocumentBounds:
    """Read a `.csv.gz`. ValueError when a row is not as the layout says."""
    types = {
        "start": pa.int64(),
        "end": pa.int64(),
        "id": pa.string(),
        "path": pa.string(),
        "line": pa.int64(),
    }
    try:
        rows = gzip.decompress(storage.read_bytes(path))
        table = (
            pyarrow.csv.read_csv(
                io.BytesIO(rows),
                pyarrow.csv.ReadOptions(use_threads=False, column_names=list(_COLUMNS)),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=types, strings_can_be_null=False
                ),
            )
            if rows
            else pa.table({name: pa.array([], kind) for name, kind in types.items()})
        )
    except (pa.ArrowInvalid, OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} must hold rows of start, end, id, path, line ({str(error)[:200]})"
        ) from None
    for name in ("start", "end", "line"):
        if table[name].null_count:
            raise ValueError(f"{path} must have a number for '{name}' in each row")
    return DocumentBounds(
        table["start"].to_numpy(),
        table["end"].to_numpy(),
        table["id"].to_pylist(),
        table["path"].to_pylist(),
        table["line"].to_numpy(),
    )
