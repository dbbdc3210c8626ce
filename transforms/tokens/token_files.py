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
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from transforms import storage
from transforms.datasets import OutputFile
from transforms.tokens.parts import MixedDocuments

__all__ = [
    "SHUFFLED",
    "TOKEN_BYTES",
    "DocumentBounds",
    "TokenPart",
    "parse_document_bounds",
    "read_document_bounds",
    "read_token_file",
    "source_of_document",
]

TOKEN_BYTES = 4  # bytes of a token, whatever the vocabulary
SHUFFLED = "shuffled"  # folder of token files in which documents of all sources are mixed
GZIP_LEVEL = 6
_COLUMNS = ("start", "end", "id", "path", "line")


class TokenPart:
    """A token file and its bounds while they are written."""

    def __init__(self, base: str, path: str) -> None:
        self._path = path
        self._tokens = 0
        self._documents = 0
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

    def write(self, documents: MixedDocuments) -> None:
        self._npy.write(np.ascontiguousarray(documents.tokens, "<u4"))
        rows = io.StringIO()
        csv.writer(rows, lineterminator="\n").writerows(
            zip(
                (documents.bounds[:-1] + self._tokens).tolist(),
                (documents.bounds[1:] + self._tokens).tolist(),
                *(documents.rows.column(name).to_pylist() for name in ("id", "path", "line")),
                strict=True,
            )
        )
        self._gzip.write(rows.getvalue().encode("utf-8", "surrogatepass"))
        self._tokens += len(documents.tokens)
        self._documents += len(documents.rows)

    def close(self) -> list[OutputFile]:
        self._stack.close()
        return [
            OutputFile(
                self._path + ".npy", self._npy.size_bytes, self._npy.sha256, rows=self._documents
            ),
            OutputFile(
                self._path + ".csv.gz", self._csv.size_bytes, self._csv.sha256, rows=self._documents
            ),
        ]

    def discard(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]


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
    try:
        content = storage.read_bytes(path)
    except OSError as error:
        raise ValueError(f"{path} could not be read ({error})") from None
    return parse_document_bounds(content, path)


def parse_document_bounds(content: bytes, path: str) -> DocumentBounds:
    """What the content of a `.csv.gz` says; `path` is for the ValueError as of
    `read_document_bounds`."""
    types = {
        "start": pa.int64(),
        "end": pa.int64(),
        "id": pa.string(),
        "path": pa.string(),
        "line": pa.int64(),
    }
    try:
        rows = gzip.decompress(content)
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


def source_of_document(token_path: str, path: str) -> str:
    """The source of a document that has this `path` in a token file: the file's folder, or, where
    the file holds documents of all sources, what `path` says (`documents/<source>/...`)."""
    folder = token_path.split("/")[1]
    return path.split("/")[1] if folder == SHUFFLED else folder
