"""Compressed files as streams of blocks: gzip of any number of members, zstd of any number of
frames, or plain bytes, told apart by their first bytes.

In: a file open for reading. Out: its content in blocks of bounded size. What the libraries pass
over in silence, a file that ends inside a member or frame, is an error here; the content before it
has been yielded by then.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO

import zstandard
from apache_beam.io.filesystem import BeamIOError

__all__ = [
    "BrokenStream",
    "blames_data",
    "find_gzip_member",
    "gzip_blocks",
    "is_gzip",
    "lines",
    "read_blocks",
]

BLOCK_BYTES = 1 << 20  # bytes of content in a block, at most (zstd: see ZSTD_READ_BYTES)
GZIP_READ_BYTES = 16 << 10  # compressed bytes at a time: all that corruption costs before itself
ZSTD_READ_BYTES = 4 << 10  # compressed bytes at a time; 4 of them can make 128 KiB of content
ZSTD_WINDOW_BYTES = 128 << 20  # largest window that is accepted (zstd --long=27)
GZIP_MAGIC = b"\x1f\x8b\x08"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # bytes 1..3 of a skippable frame; byte 0 is 0x50..0x5f
SUFFIXES = (".gz", ".tgz", ".zst")


class BrokenStream(Exception):
    """Compressed data that ends too early or cannot be decompressed.

    `reason`: "truncated file" or "broken compression"; `member`: offset in bytes of the gzip member
    (0 for zstd) that is broken.
    """

    def __init__(self, reason: str, detail: str, member: int = 0) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.member = member


def blames_data(error: OSError) -> bool:
    """True when an OSError speaks of the data and not of the machine: libraries raise it without an
    errno for what they cannot decode; a full disk or a lost file has one."""
    return error.errno is None and not isinstance(error, BeamIOError)


def is_gzip(file: IO[bytes]) -> bool:
    """True when the file begins as gzip; the file is then at its start again."""
    file.seek(0)
    head = file.read(len(GZIP_MAGIC))
    file.seek(0)
    return head == GZIP_MAGIC


def read_blocks(file: IO[bytes], name: str) -> Iterator[bytes]:
    """The content of a file, decompressed where it is compressed.

    `name` is used for one case only: an empty file whose name promises compression is truncated.
    Raises BrokenStream.
    """
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    if head[:3] == GZIP_MAGIC:
        yield from gzip_blocks(file)
    elif head == ZSTD_MAGIC or (head[1:] == ZSTD_SKIPPABLE and 0x50 <= head[0] <= 0x5F):
        yield from _zstd_blocks(file)
    elif not head and name.endswith(SUFFIXES):
        raise BrokenStream("truncated file", "the file is empty")
    else:
        while block := file.read(BLOCK_BYTES):
            yield block


def gzip_blocks(file: IO[bytes], start: int = 0) -> Iterator[bytes]:
    """The content of all gzip members from byte `start` on; zero bytes between and after members
    are padding. Raises BrokenStream."""
    file.seek(start)
    position = member = start
    pending = b""
    decoder = None
    while True:
        if not pending:
            pending = file.read(GZIP_READ_BYTES)
            position += len(pending)
            if not pending:
                break
        if decoder is None:
            pending = pending.lstrip(b"\0")
            if not pending:
                continue
            member = position - len(pending)
            decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            block = decoder.decompress(pending, BLOCK_BYTES)
        except zlib.error as error:
            raise BrokenStream("broken compression", str(error), member) from error
        if decoder.eof:
            pending = decoder.unused_data
            decoder = None
        else:
            pending = decoder.unconsumed_tail
        if block:
            yield block
    if decoder is not None:
        raise BrokenStream("truncated file", "it ends inside a gzip member", member)


def find_gzip_member(file: IO[bytes], after: int, opening: bytes) -> int | None:
    """Offset of the first gzip member behind byte `after` whose content begins with `opening`."""
    probe_bytes = 4096  # compressed bytes that surely hold the opening
    file.seek(after + 1)
    window, base = file.read(BLOCK_BYTES), after + 1
    while window:
        following = file.read(BLOCK_BYTES)
        joined = window + following[:probe_bytes]
        at = joined.find(GZIP_MAGIC)
        while 0 <= at < len(window):
            try:
                found = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(
                    joined[at : at + probe_bytes], len(opening)
                )
            except zlib.error:
                found = b""
            if found == opening:
                return base + at
            at = joined.find(GZIP_MAGIC, at + 1)
        base += len(window)
        window = following
    return None


def _zstd_blocks(file: IO[bytes]) -> Iterator[bytes]:
    decoder = None
    while pending := file.read(ZSTD_READ_BYTES):
        while pending:
            if decoder is None:
                decoder = zstandard.ZstdDecompressor(
                    max_window_size=ZSTD_WINDOW_BYTES
                ).decompressobj()
            try:
                block = decoder.decompress(pending)
            except zstandard.ZstdError as error:
                raise BrokenStream("broken compression", str(error)) from error
            pending = b""
            if decoder.eof:
                pending = decoder.unused_data
                decoder = None
            if block:
                yield block
    if decoder is not None:
        raise BrokenStream("truncated file", "it ends inside a zstd frame")


def lines(blocks: Iterator[bytes], most_bytes: int) -> Iterator[bytes | None]:
    """Lines without their line feed; None stands for a line of more than `most_bytes` bytes, which
    is never held whole. A last line without line feed is a line too."""
    parts: list[bytes] = []
    size = 0
    for block in blocks:
        start = 0
        while (end := block.find(b"\n", start)) >= 0:
            size += end - start
            if size > most_bytes:
                yield None
            else:
                parts.append(block[start:end])
                yield b"".join(parts)
            parts, size = [], 0
            start = end + 1
        size += len(block) - start
        if size > most_bytes:
            parts = []
        elif start < len(block):
            parts.append(block[start:])
    if size > most_bytes:
        yield None
    elif size:
        yield b"".join(parts)
