"""WARC files to documents: the HTML answers of a crawl.

In: `.warc` and `.warc.gz` (one gzip member per record, or one for all). Out: one document per HTTP
response with status 200 whose media type is HTML or XHTML. Metadata: url, status, encoding,
language, title, record_id, file; truncated where the crawler says that it cut the record.
`created` is WARC-Date.

FastWARC reads the records (their headers and HTTP's) and `transforms.ingest.http_body` the bodies;
the frames around records are found here. FastWARC 2.0 takes a record that the end of the file cuts
off for a whole one and ends at the first broken record; a crawl must lose neither.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from fastwarc.warc import WarcRecord, response

from transforms.documents import Document, document_id
from transforms.ingest.compression import (
    BrokenStream,
    blames_data,
    find_gzip_member,
    gzip_blocks,
    is_gzip,
    read_blocks,
)
from transforms.ingest.html import EXTRACTION, MAX_HTML_BYTES, NestingError, NulError, extract_page
from transforms.ingest.http_body import Body, decode_body
from transforms.ingest.origins import MadeIds, origin_of
from transforms.ingest.reader import MAX_DOCUMENT_BYTES, Rejected, group_by_size
from transforms.storage import FileInfo, open_read

__all__ = ["WarcReader"]

MEDIA_TYPES = ("text/html", "application/xhtml+xml")
MAX_LINE_BYTES = 64 << 10  # of one header line
MAX_HEADER_BYTES = 256 << 10  # of all header lines of a record
_OPENING = b"WARC/"
_NEXT = re.compile(rb"(?<=\n)WARC/\d")  # a record's first line, seen from inside another
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,18})[ \t]*\r?$")


@dataclass(frozen=True)
class WarcReader:
    """Reads WARC files; every record of a file is a document or a reject.

    An id is made of the WARC record's id and its payload (of file name and place where a record has
    no id), so a copy of the file elsewhere gives the same ids.

    Removed: "not a response", "not HTTP", "HTTP status", "not HTML", "no text", "record repeated".
    Quarantined: "broken record", "broken HTTP", "truncated file", "broken compression",
    "too large", "nested too deep", "NUL byte". After a broken record reading goes on at the next
    one that can be found; what lies between counts as one record. A body that breaks off is kept up
    to there where the record says that it is truncated; else it is "broken HTTP".

    A length above MAX_DOCUMENT_BYTES is believed unless it leads beyond the end of a file that is
    not compressed: in a compressed one it takes the records behind it along.
    """

    @property
    def version(self) -> int:
        return 6

    @property
    def packages(self) -> tuple[str, ...]:
        return ("fastwarc", "resiliparse")

    def parameters(self) -> dict[str, Any]:
        return {"extraction": EXTRACTION}

    def group(self, files: list[FileInfo]) -> list[list[FileInfo]]:
        return group_by_size(files)

    def read(self, files: list[FileInfo]) -> Iterator[Document | Rejected]:
        for file in files:
            made = MadeIds()
            with open_read(file.path) as stream:
                for frame in _frames(stream, file.path):
                    event = _read_record(frame, origin_of(file))
                    if isinstance(event, Document) and made.again(event.id):
                        event = Rejected(
                            _place(origin_of(file), frame), "record repeated", event.id, False
                        )
                    yield event


class _Frame(NamedTuple):
    """One record as it lies in a file: header and block, or why it could not be taken whole."""

    offset: int  # bytes of decompressed content before it
    record: bytes
    reason: str = ""
    detail: str = ""


def _place(origin: str, frame: _Frame) -> str:
    return f"{origin}@{frame.offset}"


def _frames(stream: IO[bytes], name: str) -> Iterator[_Frame]:
    """All records of a file, going on behind what is broken."""
    gzip = is_gzip(stream)
    end = _plain_end(stream)
    tape = _Tape(gzip_blocks(stream) if gzip else read_blocks(stream, name), 0)
    while True:
        try:
            yield from _take_frames(tape, end)
            return
        except BrokenStream as error:
            yield _Frame(tape.begun, b"", error.reason, error.detail)
            member = find_gzip_member(stream, error.member, _OPENING) if gzip else None
            if member is None:
                return
            tape = _Tape(gzip_blocks(stream, member), tape.offset)


def _plain_end(stream: IO[bytes]) -> int | None:
    """The size in bytes of a file that is not compressed; None of any other."""
    plain = stream.read(len(_OPENING)) == _OPENING
    end = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return end if plain else None


class _Tape:
    """Decompressed content, read forward, with a way to give back what was read too far."""

    def __init__(self, blocks: Iterator[bytes], offset: int) -> None:
        self._blocks = blocks
        self._held = b""
        self._at = 0  # next byte of _held
        self.offset = offset  # of the next byte
        self.begun = offset  # where the record that is being read begins

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        parts: list[bytes] = []
        missing = size
        while missing:
            if self._at == len(self._held):
                self._held, self._at = next(self._blocks, b""), 0
                if not self._held:
                    break
            part = self._held[self._at : self._at + missing]
            self._at += len(part)
            missing -= len(part)
            parts.append(part)
        taken = b"".join(parts)
        self.offset += len(taken)
        return taken

    def line(self) -> bytes:
        """The next line with its line feed, cut at MAX_LINE_BYTES; b"" at the end."""
        parts: list[bytes] = []
        size = 0
        while size < MAX_LINE_BYTES:
            end = self._held.find(b"\n", self._at, self._at + MAX_LINE_BYTES - size)
            held = len(self._held) - self._at
            wanted = end + 1 - self._at if end >= 0 else min(held, MAX_LINE_BYTES - size)
            part = self.read(max(wanted, 1))
            parts.append(part)
            size += len(part)
            if not part or part.endswith(b"\n"):
                break
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Pass over `size` bytes; how many there were."""
        skipped = 0
        while skipped < size and (part := self.read(min(size - skipped, 1 << 20))):
            skipped += len(part)
        return skipped

    def give_back(self, data: bytes) -> None:
        """Make `data`, the bytes that were read last, the next ones again."""
        self._held = data + self._held[self._at :]
        self._at = 0
        self.offset -= len(data)


def _take_frames(tape: _Tape, end_of_file: int | None) -> Iterator[_Frame]:
    """Records up to the end of the content, which is at byte `end_of_file` where that is known.
    Raises BrokenStream, with `tape.begun` where it struck."""
    while True:
        tape.begun = tape.offset
        line = tape.line()
        if not line:
            return
        if not line.strip(b"\r\n"):
            continue
        if not line.startswith(_OPENING):
            yield _pass_over(tape, line, "no WARC header where a record should begin")
            continue
        header = bytearray(line)
        while line.strip(b"\r\n") and len(header) <= MAX_HEADER_BYTES:
            line = tape.line()
            header += line
            if not line:
                break
        length = _LENGTH.search(header)
        if line.strip(b"\r\n") or not line or length is None:
            yield _pass_over(tape, bytes(header), "its header is cut, too long or has no length")
            continue
        size = int(length[1])
        if size > MAX_DOCUMENT_BYTES and end_of_file and tape.offset + size > end_of_file:
            detail = f"{end_of_file - tape.offset} of {size} bytes are there"
            frame = _pass_over(tape, line, detail)
            yield frame if tape.offset < end_of_file else frame._replace(reason="truncated file")
            continue
        if size > MAX_DOCUMENT_BYTES:
            begun, found = tape.begun, tape.skip(size)
            if found < size:
                yield _Frame(begun, b"", "truncated file", f"{found} of {size} bytes are there")
            else:
                tape.skip(4)
                yield _Frame(begun, b"", "too large", f"{size} bytes")
            continue
        block = tape.read(size)
        if len(block) < size:
            nested = _NEXT.search(block)
            if nested is None:
                detail = f"{len(block)} of {size} bytes are there"
                yield _Frame(tape.begun, b"", "truncated file", detail)
                return
            yield _pass_over(tape, block, f"its length says {size} bytes, the next one comes first")
            continue
        end = tape.read(4)
        if end != b"\r\n\r\n"[: len(end)]:
            yield _pass_over(tape, block + end, f"after the {size} bytes of its length it goes on")
            continue
        yield _Frame(tape.begun, bytes(header) + block)


def _pass_over(tape: _Tape, taken: bytes, detail: str) -> _Frame:
    """Move the tape to the next line that begins a record, in what was taken already or after it;
    the frame of what is passed over."""
    frame = _Frame(tape.begun, b"", "broken record", detail)
    nested = _NEXT.search(taken)
    if nested is not None:
        tape.give_back(taken[nested.start() :])
        return frame
    last = taken
    while line := tape.line():
        if line.startswith(_OPENING) and last.endswith(b"\n"):
            tape.give_back(line)
            break
        last = line
    return frame


def _read_record(frame: _Frame, file: str) -> Document | Rejected:
    """The document of one record."""
    place = _place(file, frame)
    if frame.reason:
        return Rejected(place, frame.reason, frame.detail, True)
    try:
        record = WarcRecord.from_bytes(frame.record)
    except OSError as error:
        return Rejected(place, "broken record", str(error), True)
    if record.record_type != response:
        return Rejected(place, "not a response", str(record.record_type), False)
    if not record.is_http:
        return Rejected(place, "not HTTP", record.headers.get("Content-Type") or "", False)
    try:
        record.parse_http(auto_decode="none")
    except OSError as error:
        return _reject_http(place, error)
    status = record.http_headers.status_code if record.is_http_parsed else None
    if status is None:
        return Rejected(place, "broken HTTP", "no HTTP status line", True)
    if status != 200:
        return Rejected(place, "HTTP status", str(status), False)
    kind = (record.http_content_type or "").strip().lower()
    kind = kind or (record.headers.get("WARC-Identified-Payload-Type") or "").strip().lower()
    if kind not in MEDIA_TYPES:
        return Rejected(place, "not HTML", kind, False)
    truncated = record.headers.get("WARC-Truncated")
    try:
        payload, fault = _payload(record)
    except OSError as error:
        return _reject_http(place, error)
    if fault and not (truncated and payload):
        return Rejected(place, "broken HTTP", fault, True)
    if len(payload) > MAX_HTML_BYTES:
        return Rejected(place, "too large", f"more than {MAX_HTML_BYTES} bytes of HTML", True)
    try:
        page = extract_page(payload, record.http_charset)
    except NestingError as error:
        return Rejected(place, "nested too deep", str(error), True)
    except NulError as error:
        return Rejected(place, "NUL byte", str(error), True)
    if not page.text or page.text.isspace():
        return Rejected(place, "no text", record.headers.get("WARC-Target-URI") or "", False)
    metadata: dict[str, Any] = {
        "url": record.headers.get("WARC-Target-URI"),
        "status": status,
        "encoding": page.encoding,
        "language": page.language,
        "title": page.title,
        "record_id": record.record_id,
        "file": file,
    }
    if truncated:
        metadata["truncated"] = truncated
    identifier = document_id(record.record_id or place, payload)
    return Document(identifier, page.text, None, record.record_date, metadata)


def _reject_http(place: str, error: OSError) -> Rejected:
    if not blames_data(error):
        raise error
    return Rejected(place, "broken HTTP", str(error), True)


def _payload(record: WarcRecord) -> Body:
    """The decoded body of a response, at most MAX_HTML_BYTES + 1 bytes of it."""
    values: dict[str, list[str]] = {"content-encoding": [], "transfer-encoding": []}
    for name, value in record.http_headers.items():
        values.get(name.lower(), []).extend(value.split(","))
    codings = values["content-encoding"] + values["transfer-encoding"]
    return decode_body(record.reader.read(), codings, MAX_HTML_BYTES + 1)
