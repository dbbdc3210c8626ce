"""A bound on the text that input files can hold, asked before any work.

A recipe that wants more tokens than its input has bytes is refused at once. What compressed files
can hold is bounded by their size where that decides it, else by counting: they are decompressed
until there is enough or they end, some ten times as fast as ingest reads them.
"""

from __future__ import annotations

import bz2
import lzma
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import pyarrow as pa

from pipelines.inputs import InputFile
from transforms import storage
from transforms.ingest.archive import ZIP_SUFFIXES
from transforms.ingest.compression import BLOCK_BYTES, BrokenStream, read_blocks

__all__ = ["most_text_bytes"]

WIDEST_CHARACTER = 4  # bytes of UTF-8 that one byte of another encoding can become
DEFLATE_RATIO = 1032  # bytes that one byte of deflate can become, at most (zlib's documentation)
# Kinds whose files hold compressed parts that are not counted: bodies as they were served, and the
# streams of a PDF (the text of its images is far less than their bytes).
_NESTED = ("warc", "pdf")
_OTHER_STREAMS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".bz2": bz2.open,
    ".tbz2": bz2.open,
    ".xz": lzma.open,
    ".txz": lzma.open,
}


def most_text_bytes(kind: str, inputs: Sequence[InputFile], enough: int) -> int:
    """A bound on the bytes of text in these files; `kind` is the recipe's `ingest`.

    It is rough where that is `enough` bytes or more, and as narrow as it can be had where it is
    less. What cannot be read counts as nothing: ingest tells of it.
    """
    widest = WIDEST_CHARACTER if kind in ("html", "code", "warc") else 1  # else it is UTF-8
    sizes = sum(one.file.size_bytes for one in inputs)
    if kind in _NESTED:
        return sizes * DEFLATE_RATIO * widest
    total = 0
    for one in inputs:
        if total + sizes >= enough:
            break  # there are as many bytes, decompressed or not
        sizes -= one.file.size_bytes
        for size in _content_sizes(kind, one.file.path):
            total += size * widest
            if total >= enough:
                break
    return total + sizes * widest


def _content_sizes(kind: str, path: str) -> Iterator[int]:
    """Bytes of a file's content, part by part."""
    try:
        if kind == "parquet":
            with storage.open_parquet(path) as parquet:
                for batch in parquet.iter_batches(use_threads=False):
                    yield int(batch.nbytes)
            return
        with storage.open_read(path) as file:
            if path.lower().endswith(ZIP_SUFFIXES):
                with zipfile.ZipFile(file) as archive:
                    yield sum(member.file_size for member in archive.infolist())
            else:
                yield from map(len, _blocks(path, file))
    except (BrokenStream, zipfile.BadZipFile, lzma.LZMAError, EOFError, pa.ArrowException, OSError):
        return


def _blocks(path: str, file: IO[bytes]) -> Iterator[bytes]:
    for suffix, open_stream in _OTHER_STREAMS.items():
        if path.lower().endswith(suffix):
            with open_stream(file) as stream:
                while block := stream.read(BLOCK_BYTES):
                    yield block
            return
    yield from read_blocks(file, path)
