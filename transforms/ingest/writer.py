"""Writes what a reader yields: documents into shards, rejects into a quarantine table.

In: the `Document` and `Rejected` events of one task, in order. Out: shards
`<task>-<part>.parquet` of `transforms.documents.SCHEMA`, at most one quarantine table
`<task>.parquet` of `QUARANTINE_SCHEMA` (none where nothing was rejected), and a `TaskRecord` whose
counts balance: records = documents + removed.* + quarantined.*. Memory: one row group (ids, text
and metadata) and the ids of one shard.

What no reader should let through is stopped here: text or ids that are no Unicode, NUL, blank or
oversized text, metadata without a JSON form. Ids are not compared here: a reader drops a record
that is twice in one file under an id that the reader made (same place, same content: nothing is
lost); any other repetition is for the gate, which sees all tasks and fails.
"""

from __future__ import annotations

import base64
import datetime
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage
from transforms.datasets import Dataset, OutputFile, TaskRecord
from transforms.documents import (
    MAX_ROW_GROUP_DOCUMENTS,
    ROW_GROUP_TEXT_BYTES,
    ROWS_DIGEST_KEY,
    SCHEMA,
    SHARD_TEXT_BYTES,
    Document,
    rows_digest,
)
from transforms.ingest.reader import MAX_DOCUMENT_BYTES, Rejected

__all__ = ["QUARANTINE_SCHEMA", "WRITER_VERSION", "write_documents"]

WRITER_VERSION = 2  # raised when the same events or input files are written otherwise
ZSTD_LEVEL = 3
MAX_SHARD_DOCUMENTS = 1 << 20  # documents in a shard, at most: bounds the ids held in memory
MAX_ORIGIN_CHARACTERS = 4_096  # of a reject's origin; the rest is cut off
MAX_DETAIL_CHARACTERS = 500  # of a reject's detail; likewise
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("quarantined", pa.bool_(), nullable=False),
    ]
)


class _Row(NamedTuple):
    """A document that has passed: all that its row needs. Text of ASCII alone, which is its own
    encoding, stays a string: Arrow takes it without a copy between, and need not validate it."""

    id: str
    text: bytes | str
    added: datetime.datetime | None
    created: datetime.datetime | None
    metadata: bytes
    size_bytes: int  # of id, text and metadata


def write_documents(
    dataset: Dataset,
    quarantine: Dataset,
    task: str,
    source: str,
    events: Iterable[Document | Rejected],
) -> TaskRecord:
    """Write all events of a task and count them; the caller stores the record.

    A second attempt writes the same names with the same bytes. RuntimeError when the counts do not
    balance, which would be a defect of ours.
    """
    counts: Counter[str] = Counter(records=0, documents=0, text_bytes=0)
    files: list[OutputFile] = []
    shard: _Shard | None = None
    with ExitStack() as stack:
        rejects = stack.enter_context(_Quarantine(quarantine.path(f"{task}.parquet")))
        try:
            for group in _row_groups(_sift(events, rejects, counts)):
                if shard is not None and not shard.has_room(group):
                    files.append(shard.finish())
                    shard = None
                if shard is None:
                    shard = _Shard(dataset, f"{task}-{len(files):03d}.parquet", source)
                shard.write(group)
            if shard is not None:
                files.append(shard.finish())
        except BaseException as error:
            if shard is not None:
                shard.abandon(error)
            raise
    counts["documents"] = sum(file.rows for file in files)
    counts["text_bytes"] = sum(file.text_bytes for file in files)
    rejected = sum(n for key, n in counts.items() if key.startswith(("removed.", "quarantined.")))
    if counts["records"] != counts["documents"] + rejected:
        raise RuntimeError(f"task {task}: counts do not balance: {dict(sorted(counts.items()))}")
    return TaskRecord(task, files, dict(sorted(counts.items())))


def _sift(
    events: Iterable[Document | Rejected], rejects: _Quarantine, counts: Counter[str]
) -> Iterator[_Row]:
    """Yield the documents that may enter a shard; count and store all others."""
    for event in events:
        counts["records"] += 1
        row = event if isinstance(event, Rejected) else _admit(event)
        if isinstance(row, Rejected):
            kind = "quarantined" if row.quarantined else "removed"
            counts[f"{kind}.{row.reason}"] += 1
            rejects.write(row)
        else:
            yield row


def _admit(document: Document) -> _Row | Rejected:
    """Encode a document, or say why it is none."""
    if not document.text or document.text.isspace():
        return Rejected(document.id, "no text", "", False)
    if not document.id:
        return Rejected("", "no id", "", True)
    if "\0" in document.id or "\0" in document.text:
        return Rejected(document.id, "NUL byte", "", True)
    try:
        id_bytes = len(document.id.encode())
        text = document.text if document.text.isascii() else document.text.encode()
        metadata = orjson.dumps(document.metadata, option=orjson.OPT_SORT_KEYS)
    except UnicodeEncodeError as error:
        return Rejected(document.id, "invalid Unicode", str(error), True)
    except orjson.JSONEncodeError as error:
        # orjson has one error for all; only of surrogates it says "not valid UTF-8".
        surrogate = "not valid UTF-8" in str(error)
        reason = "invalid Unicode" if surrogate else "metadata has no JSON form"
        return Rejected(document.id, reason, str(error), True)
    for part, length in (("id", id_bytes), ("text", len(text)), ("metadata", len(metadata))):
        if length > MAX_DOCUMENT_BYTES:
            return Rejected(document.id, "too large", f"{length} bytes of {part}", True)
    size = id_bytes + len(text) + len(metadata)
    return _Row(document.id, text, document.added, document.created, metadata, size)


def _row_groups(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Cut rows into groups of at most ROW_GROUP_TEXT_BYTES and MAX_ROW_GROUP_DOCUMENTS rows.

    Ids and metadata count as text does, since they take memory as text does; a single larger row is
    a group of its own.
    """
    group: list[_Row] = []
    size = 0
    for row in rows:
        if group and (
            size + row.size_bytes > ROW_GROUP_TEXT_BYTES or len(group) == MAX_ROW_GROUP_DOCUMENTS
        ):
            yield group
            group, size = [], 0
        group.append(row)
        size += row.size_bytes
    if group:
        yield group


class _Parquet:
    """A Parquet file on its way to its final name."""

    def __init__(self, path: str, schema: pa.Schema, **options: Any) -> None:
        self._stack = ExitStack()
        self.file = self._stack.enter_context(storage.write_aside(path))
        self.writer = self._stack.enter_context(
            pq.ParquetWriter(
                self.file,
                schema,
                compression="zstd",
                compression_level=ZSTD_LEVEL,
                write_page_checksum=True,
                **options,
            )
        )

    def finish(self) -> None:
        self._stack.close()

    def abandon(self, error: BaseException) -> None:
        """Leave nothing under the final name."""
        self._stack.__exit__(type(error), error, error.__traceback__)


class _Shard:
    """One shard of documents while it is written."""

    def __init__(self, dataset: Dataset, relative: str, source: str) -> None:
        self._relative = relative
        self._source = source
        self._ids: list[str] = []
        self._text_bytes = 0
        self._parquet = _Parquet(
            dataset.path(relative),
            SCHEMA,
            store_schema=False,  # `finish` stores it, with the digest
            use_dictionary=["source"],
            write_statistics=["id", "source", "added", "created"],
        )

    def has_room(self, group: list[_Row]) -> bool:
        """False when the group would make an already begun shard larger than a shard may be."""
        size = self._text_bytes + sum(len(row.text) for row in group)
        return size <= SHARD_TEXT_BYTES and len(self._ids) + len(group) <= MAX_SHARD_DOCUMENTS

    def write(self, group: list[_Row]) -> None:
        """Write one row group."""
        columns = [
            pa.array([row.id for row in group], pa.string()),
            pa.array([row.text for row in group], pa.large_string()),
            pa.array([self._source] * len(group), pa.string()),
            pa.array([row.added for row in group], SCHEMA.field("added").type),
            pa.array([row.created for row in group], SCHEMA.field("created").type),
            pa.array([row.metadata for row in group], pa.string()),
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
        self._parquet.writer.write_batch(batch, len(group))
        self._ids += [row.id for row in group]
        self._text_bytes += sum(len(row.text) for row in group)

    def finish(self) -> OutputFile:
        """Close the shard and move it to its name.

        The digest of the ids is known only now, while Arrow would write its own schema first. So
        the schema is added here with the digest in it, encoded as Arrow encodes it (IPC, base64),
        and `ParquetFile.schema_arrow.metadata` shows the digest as with attribute tables.
        """
        digest = rows_digest(self._ids)
        metadata = {ROWS_DIGEST_KEY: digest.encode()}
        schema = SCHEMA.with_metadata(metadata).serialize().to_pybytes()
        self._parquet.writer.add_key_value_metadata(
            {**metadata, b"ARROW:schema": base64.b64encode(schema)}
        )
        self._parquet.finish()
        file = self._parquet.file
        return OutputFile(
            self._relative,
            file.size_bytes,
            file.sha256,
            len(self._ids),
            digest,
            self._text_bytes,
        )

    def abandon(self, error: BaseException) -> None:
        self._parquet.abandon(error)


class _Quarantine:
    """The table of a task's rejects; its file is begun at the first one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._parquet: _Parquet | None = None
        self._rows: list[tuple[str, str, str, bool]] = []

    def __enter__(self) -> _Quarantine:
        return self

    def write(self, reject: Rejected) -> None:
        origin, reason = _valid(reject.origin[:MAX_ORIGIN_CHARACTERS]), _valid(reject.reason)
        detail = _valid(reject.detail[:MAX_DETAIL_CHARACTERS])
        self._rows.append((origin, reason, detail, reject.quarantined))
        if len(self._rows) == MAX_ROW_GROUP_DOCUMENTS:
            self._flush()

    def _flush(self) -> None:
        if self._parquet is None:
            self._parquet = _Parquet(self._path, QUARANTINE_SCHEMA)
        columns = [
            pa.array(values, field.type)
            for values, field in zip(zip(*self._rows, strict=True), QUARANTINE_SCHEMA, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=QUARANTINE_SCHEMA)
        self._parquet.writer.write_batch(batch, len(self._rows))
        self._rows = []

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            if self._rows:
                self._flush()
            if self._parquet is not None:
                self._parquet.finish()
        elif self._parquet is not None:
            self._parquet.abandon(error)


def _valid(text: str) -> str:
    """Text with what is no Unicode spelled out as `\\udc80`."""
    return text.encode("utf-8", "backslashreplace").decode()
