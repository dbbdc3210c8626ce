"""Bodies of stored HTTP answers: chunks joined (RFC 9112, 7.1), compression undone.

In: the bytes of a body and the codings that its header names, in the order in which they were
applied. Out: the content, cut at a limit, and what is broken in it. Crawlers that store bodies
decoded often leave the server's header as it was, so a coding is passed over where the bytes do not
look like it; where they do and break off, that is a fault and never the content of a page.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from fastwarc.warc import WarcRecord

__all__ = ["Body", "decode_body"]

INFLATE_BYTES = 16 << 10  # compressed bytes at a time: what a broken one costs before itself
READ_BYTES = 64 << 10  # of content at a time, from FastWARC
TEXT_HEAD_BYTES = 1_024  # of a body, in which no control character may be if it is text
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# A chunk's size, blanks that some servers pad it with, its extensions.
_CHUNK = re.compile(rb"0*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
# What stands where a chunk's size should and is none that can be: too long a number, or a word that
# a page of HTML does not begin with.
_NO_CHUNK = re.compile(
    rb"[+-]?(?:[0-9a-fA-F]+[ \t]*\r?\n|[0-9A-Za-z]{1,64}[ \t]*(?:;[^\r\n]*)?\r\n)"
)
_CHUNK_END = re.compile(rb"\r?\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")  # ESC is a part of ISO-2022-JP


class Body(NamedTuple):
    """The content of a body. `fault` is empty, or says why there is no more of it."""

    content: bytes
    fault: str = ""


def decode_body(body: bytes, codings: Iterable[str], most_bytes: int) -> Body:
    """Undo `codings`, the last one first, up to `most_bytes` bytes of content.

    A coding that is not known, or that the body does not look like (nothing like a chunk size, no
    gzip or zstd magic at its start), is passed over; what is no text then is a fault too. So is a
    chunk size that is no number or that no body can have.
    """
    content, faults, passed = body, [], ""
    for coding in reversed([one.strip().lower() for one in codings]):
        if coding in ("", "identity") or not content:
            continue
        decoded = _decode(content, coding, most_bytes)
        if decoded is None:
            passed = coding
            continue
        content = decoded.content
        if decoded.fault:
            faults.append(f"{coding}: {decoded.fault}")
    if passed and not _is_text(content):
        return Body(b"", "; ".join([*faults, f"{passed}: the body is not encoded so"]))
    return Body(content[:most_bytes], "; ".join(faults))


def _is_text(content: bytes) -> bool:
    return _CONTROL.search(content, 0, TEXT_HEAD_BYTES) is None


def _decode(content: bytes, coding: str, most_bytes: int) -> Body | None:
    """Undo one coding; None where the content does not look like it."""
    if coding == "chunked" and (_CHUNK.match(content) or _NO_CHUNK.match(content)):
        return _join_chunks(content, most_bytes)
    if coding in ("gzip", "x-gzip") and content.startswith(GZIP_MAGIC):
        return _inflate(content, 16 + zlib.MAX_WBITS, most_bytes)
    if coding == "deflate" and not _is_text(content):
        wrapped = content[0] & 0x0F == 8 and int.from_bytes(content[:2], "big") % 31 == 0
        # Some servers leave the zlib header out.
        return _inflate(content, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, most_bytes)
    if coding == "zstd" and content.startswith(ZSTD_MAGIC):
        return _read_by_fastwarc(content, coding, most_bytes)
    if coding == "br" and not _is_text(content):
        return _read_by_fastwarc(content, coding, most_bytes)
    return None


def _join_chunks(body: bytes, most_bytes: int) -> Body:
    """The chunks' data up to the last chunk; its trailer is left out."""
    content = bytearray()
    at = 0
    while len(content) < most_bytes:
        line = _CHUNK.match(body, at)
        if line is None:
            return Body(bytes(content), f"no chunk size at byte {at} of {len(body)}")
        size = int(line[1], 16)
        if size == 0:
            break
        end = _CHUNK_END.match(body, line.end() + size)
        content += body[line.end() : line.end() + size]
        if end is None:
            return Body(bytes(content), f"the chunk at byte {at} of {len(body)} is broken")
        at = end.end()
    return Body(bytes(content))


def _inflate(data: bytes, window_bits: int, most_bytes: int) -> Body:
    """Content of a deflate stream, or of all gzip members; what follows them is left out."""
    parts: list[bytes] = []
    size = at = 0
    decoder = zlib.decompressobj(window_bits)
    pending = b""
    while size < most_bytes:
        if not pending:
            pending = data[at : at + INFLATE_BYTES]
            at += len(pending)
        try:
            part = decoder.decompress(pending, most_bytes - size)
        except zlib.error as error:
            return Body(b"".join(parts), str(error))
        parts.append(part)
        size += len(part)
        if decoder.eof:
            at -= len(decoder.unused_data)
            if window_bits < 16 or not data.startswith(GZIP_MAGIC, at):
                break
            decoder, pending = zlib.decompressobj(window_bits), b""
            continue
        if not pending and not part:
            return Body(b"".join(parts), "it ends inside the compressed data")
        pending = decoder.unconsumed_tail
    return Body(b"".join(parts))


def _read_by_fastwarc(data: bytes, coding: str, most_bytes: int) -> Body:
    """Content of Brotli and Zstandard, which FastWARC decodes; it tells cut data by itself."""
    http = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n\r\n" % coding.encode()
    header = (
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"
        b"Content-Length: %d\r\n\r\n" % (len(http) + len(data))
    )
    parts: list[bytes] = []
    size = 0
    try:
        record = WarcRecord.from_bytes(header + http + data)
        record.parse_http(auto_decode="content")
        while size < most_bytes and (
            part := record.reader.read(min(READ_BYTES, most_bytes - size))
        ):
            parts.append(part)
            size += len(part)
    except OSError as error:
        return Body(b"".join(parts), str(error))
    return Body(b"".join(parts))
