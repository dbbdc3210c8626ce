"""Dolma JSONL to documents, and how a record of named fields becomes a document.

In: `.jsonl`, `.jsonl.gz`, `.json.gz`, `.jsonl.zst`, one JSON object a line: id, text, source,
added, created, version, metadata. Out: documents with the same id (an integer as its decimal
digits), text, added and created.
`source`, `version` and every other field go into the metadata (the `source` column of a document is
the recipe's name for it); so does an `added` or `created` that cannot be read as a time. Where the
metadata has such a key already, the field's key gets the prefix `dolma_`.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from transforms.documents import Document, document_id
from transforms.ingest.compression import BrokenStream, lines, read_blocks
from transforms.ingest.origins import MadeIds, origin_of
from transforms.ingest.reader import MAX_DOCUMENT_BYTES, Rejected, group_by_size
from transforms.kernels.json_keys import count_keys
from transforms.storage import FileInfo, open_read

__all__ = ["DolmaReader", "parse_time", "to_document"]

# Of an id: a row of a token file's `.csv.gz` is one line to its readers, and stays what it is.
_CONTROL = re.compile("[\x01-\x1f\x7f-\x9f\u2028\u2029]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class DolmaReader:
    """Reads JSONL in Dolma's format, line by line. Blank lines are no records.

    A record without an id gets one of the file's name and the line; the same line again is then
    "record repeated" (removed). Also removed: "no text" (blank). Quarantined, with the line's
    number from 1: "invalid JSON", "invalid UTF-8", "not an object", "key repeated", "text is not a
    string", "id is not a string" (nor an integer of 64 bits), "control character in id", "NUL
    byte", "too large"; and once per file "truncated file" or "broken compression", the lines before
    it being kept.
    """

    @property
    def version(self) -> int:
        return 5

    @property
    def packages(self) -> tuple[str, ...]:
        return ("orjson",)

    def parameters(self) -> dict[str, Any]:
        return {}

    def group(self, files: list[FileInfo]) -> list[list[FileInfo]]:
        return group_by_size(files)

    def read(self, files: list[FileInfo]) -> Iterator[Document | Rejected]:
        for file in files:
            yield from _read_file(file)


def _read_file(file: FileInfo) -> Iterator[Document | Rejected]:
    name = origin_of(file)
    made = MadeIds()
    number = 0
    with open_read(file.path) as stream:
        try:
            for line in lines(read_blocks(stream, name), MAX_DOCUMENT_BYTES):
                number += 1
                if number == 1 and line is not None:
                    line = line.removeprefix(_BYTE_ORDER_MARK)
                if line is None or line.strip():
                    yield _read_line(line, name, f"{name}:{number}", made)
        except BrokenStream as error:
            yield Rejected(f"{name}:{number + 1}", error.reason, error.detail, True)


def _read_line(line: bytes | None, name: str, place: str, made: MadeIds) -> Document | Rejected:
    if line is None:
        return Rejected(place, "too large", f"a line of more than {MAX_DOCUMENT_BYTES} bytes", True)
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Rejected(place, _json_reason(line), str(error), True)
    if not isinstance(record, dict):
        return Rejected(place, "not an object", type(record).__name__, True)
    if count_keys(line) != _count_keys(record):
        return Rejected(place, "key repeated", _repeated_key(line), True)
    return to_document(record, place, name, line, made)


def _count_keys(record: dict[str, Any]) -> int:
    """The keys of an object and of all objects in it, as a parser leaves them: of a key that is
    written twice the last."""
    keys, todo = 0, [record]
    while todo:
        value: Any = todo.pop()
        if isinstance(value, dict):
            keys += len(value)
            value = value.values()
        todo += [one for one in value if type(one) in (dict, list)]
    return keys


def _repeated_key(line: bytes) -> str:
    """The first key that an object of this JSON has twice: what a slower parser finds."""
    try:
        json.loads(line, object_pairs_hook=_unlike)
    except _KeyRepeated as error:
        return str(error)
    except RecursionError:  # a depth that the other parser takes
        pass
    return "nested too deep to be told"


class _KeyRepeated(Exception):
    """An object has a key twice."""


def _unlike(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise _KeyRepeated(key)
        seen.add(key)


def _json_reason(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError:
        return "invalid UTF-8"
    return "invalid JSON"


def to_document(
    record: Mapping[str, Any], place: str, name: str, content: bytes, made: MadeIds
) -> Document | Rejected:
    """The document of a record of named fields, or why it is none. An id that is an integer becomes
    its decimal digits; one that is a float does not, which has more than one spelling.

    `place` says where it stands, for rejects. Where the record has no id, `name` (of its file) and
    `content` (the record as bytes) make one.
    """
    fields = dict(record)
    text, identifier = fields.pop("text", None), fields.pop("id", None)
    if not isinstance(text, str):
        return Rejected(place, "text is not a string", type(text).__name__, True)
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    if identifier is not None and not isinstance(identifier, str):
        return Rejected(place, "id is not a string", type(identifier).__name__, True)
    if identifier and _CONTROL.search(identifier):
        return Rejected(place, "control character in id", repr(identifier)[:200], True)
    if "\0" in text or (identifier and "\0" in identifier):
        return Rejected(place, "NUL byte", "", True)
    if not text or text.isspace():
        return Rejected(place, "no text", "", False)
    if not identifier:
        identifier = document_id(name, content)
        if made.again(identifier):
            return Rejected(place, "record repeated", identifier, False)
    times: dict[str, datetime.datetime | None] = {}
    for key in ("added", "created"):
        times[key] = parse_time(fields.get(key))
        if times[key] is not None:
            del fields[key]
    try:
        metadata = _metadata_of(fields.pop("metadata", None))
    except _KeyRepeated as error:
        return Rejected(place, "key repeated", str(error), True)
    for key, value in fields.items():
        if value is not None:
            while key in metadata:
                key = f"dolma_{key}"
            metadata[key] = value
    return Document(identifier, text, times["added"], times["created"], metadata)


def _metadata_of(value: Any) -> dict[str, Any]:
    """A record's metadata: an object or JSON of one; anything else is kept under its own key.
    _KeyRepeated where such a JSON has a key twice."""
    if isinstance(value, str):
        try:
            read = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {"metadata": value}
        if isinstance(read, dict) and count_keys(value.encode()) != _count_keys(read):
            raise _KeyRepeated(_repeated_key(value.encode()))
        value = read
    if isinstance(value, dict):
        return dict(value)
    return {} if value is None else {"metadata": value}


def parse_time(value: Any) -> datetime.datetime | None:
    """A time in UTC from ISO 8601 text (a date alone is its midnight, a time without zone is UTC),
    a datetime or a date. None for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime.datetime):
        return None
    if value.tzinfo is None:
        return value.replace(tzinfo=datetime.UTC)
    try:
        return value.astimezone(datetime.UTC)
    except OverflowError:
        return None
