"""Documents, shards, addresses and batches: everybody's vocabulary.

A document is a row of `SCHEMA`; a shard is one Parquet file of documents (some 128 MB of text, row
groups of some 8 MB); an address is shard number (upper 32 bits) and row (lower 32 bits) in one
uint64. Fields map one to one to the Dolma document format.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from transforms import storage
from transforms.kernels.fasttext_tokens import Tokens, find_tokens
from transforms.kernels.lines import Lines, find_lines
from transforms.kernels.word_statistics import Characters, count_characters
from transforms.kernels.words import Words, find_words

__all__ = [
    "MAX_ROW_GROUP_DOCUMENTS",
    "ROWS_DIGEST_KEY",
    "ROW_GROUP_TEXT_BYTES",
    "SCHEMA",
    "SHARD_TEXT_BYTES",
    "DocumentBatch",
    "Document",
    "StoredTable",
    "addresses",
    "document_id",
    "read_batches",
    "rows_digest",
    "split_address",
    "text_buffers",
]

SHARD_TEXT_BYTES = 128 << 20  # bytes of text after which a shard is closed
ROW_GROUP_TEXT_BYTES = 8 << 20  # bytes of text after which a row group is closed
MAX_ROW_GROUP_DOCUMENTS = 8192  # documents in a row group, at most
# Parquet metadata: digest of the shard's ids, carried by all that aligns with it.
ROWS_DIGEST_KEY = b"vineleaf.rows"

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("added", pa.timestamp("us", tz="UTC")),
        pa.field("created", pa.timestamp("us", tz="UTC")),
        pa.field("metadata", pa.string(), nullable=False),
    ]
)


class Document(NamedTuple):
    """One document on its way into a shard. `metadata` is JSON-able; its keys are stored sorted."""

    id: str
    text: str
    added: datetime.datetime | None
    created: datetime.datetime | None
    metadata: dict[str, Any]


def document_id(origin: str, content: bytes) -> str:
    """32 hex digits of where a document comes from (archive, path, page range) and what it holds.

    The same input gives the same id in every run and split: no counter, clock or random number goes
    in.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"vineleaf.id")
    encoded = origin.encode("utf-8", "surrogatepass")
    digest.update(len(encoded).to_bytes(8, "little"))
    digest.update(encoded)
    digest.update(content)
    return digest.hexdigest()


def addresses(shard: int, rows: int) -> npt.NDArray[np.uint64]:
    """Addresses of rows 0..rows-1 of a shard, uint64[rows]."""
    return (np.uint64(shard) << np.uint64(32)) | np.arange(rows, dtype=np.uint64)


def split_address(address: int) -> tuple[int, int]:
    """(shard number, row) of an address."""
    return int(address) >> 32, int(address) & 0xFFFFFFFF


def text_buffers(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes and offsets of a large_string array without copying the text.

    Returns data uint8[] and offsets int64[rows + 1]; document d is data[offsets[d]:offsets[d + 1]].
    Offsets need not start at 0 (slices). The column must hold no null.
    """
    if column.null_count:
        raise ValueError(f"text must hold no null (got {column.null_count})")
    _, offset_buffer, data_buffer = column.buffers()
    if offset_buffer is None or len(column) == 0:
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    offsets = np.frombuffer(offset_buffer, np.int64)[
        column.offset : column.offset + len(column) + 1
    ]
    data = np.empty(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return data, offsets


@dataclass(frozen=True)
class DocumentBatch:
    """Some rows of one shard as kernels want them: buffers, and words found once and shared by all
    annotators."""

    table: pa.RecordBatch

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def text(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """(data uint8[], offsets int64[rows + 1]) of the text column; see `text_buffers`."""
        return text_buffers(self.table.column("text"))

    @cached_property
    def words(self) -> Words:
        """All words of the batch; see `transforms.kernels.words`."""
        return find_words(*self.text)

    @cached_property
    def tokens(self) -> Tokens:
        """All tokens of the batch as fastText's models read them; see
        `transforms.kernels.fasttext_tokens`."""
        return find_tokens(*self.text)

    @cached_property
    def lines(self) -> Lines:
        """All lines of the batch that are not blank; see `transforms.kernels.lines`."""
        return find_lines(*self.text)

    @cached_property
    def characters(self) -> Characters:
        """Counts of characters; see `transforms.kernels.word_statistics`."""
        return count_characters(*self.text)

    @cached_property
    def metadata(self) -> list[dict[str, Any]]:
        """The metadata of each row, decoded."""
        return [orjson.loads(value) for value in self.table.column("metadata").to_pylist()]


class StoredTable:
    """A Parquet file of ours (documents or attributes) that is open for reading.

    `group_rows`: rows of each row group; `rows_digest`: see `rows_digest`. Pages carry checksums,
    which are compared as pages are read; whatever is not as we wrote it is `storage.DamagedFile`,
    with the file's path.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with self._telling():
            self._file = storage.open_parquet(path)
            metadata = self._file.metadata
            groups = range(metadata.num_row_groups)
            self.group_rows = [metadata.row_group(group).num_rows for group in groups]
            stored = (self._file.schema_arrow.metadata or {}).get(ROWS_DIGEST_KEY, b"")
        self.rows_digest = stored.decode(errors="replace")

    def read(self, group: int, columns: list[str] | None = None, groups: int = 1) -> pa.RecordBatch:
        """A row group, or so many from it on, as one record batch: some of its columns, by default
        all."""
        wanted = range(group, group + groups)
        with self._telling():
            table = self._file.read_row_groups(wanted, columns=columns, use_threads=False)
            batches = table.combine_chunks().to_batches()
        if len(batches) != 1:
            raise ValueError(
                f"{self.path}: row groups {wanted} must be one batch (got {len(batches)})"
            )
        return batches[0]

    def batches(
        self, columns: list[str] | None = None, least_rows: int = 1
    ) -> Iterator[pa.RecordBatch]:
        """The row groups in order, each as one record batch; where they have fewer than
        `least_rows`, several of them together."""
        first, rows = 0, 0
        for group, its_rows in enumerate(self.group_rows):
            rows += its_rows
            if rows >= least_rows or group + 1 == len(self.group_rows):
                yield self.read(first, columns, group + 1 - first)
                first, rows = group + 1, 0

    def read_row(self, number: int, columns: list[str] | None = None) -> pa.RecordBatch:
        """One row (from 0) as a batch of its own. ValueError where the file has fewer."""
        left = number
        for group, rows in enumerate(self.group_rows):
            if left < rows:
                return self.read(group, columns).slice(left, 1)
            left -= rows
        raise ValueError(f"{self.path} has no row {number}, only {sum(self.group_rows)} rows")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise  # of the system: no such file, no permission
            raise storage.DamagedFile(
                f"{self.path} was cut or changed ({error}): delete it and run again"
            ) from error

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> StoredTable:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_batches(path: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The row groups of a Parquet file (documents or attributes), each as one record batch, in
    order. DamagedFile as `StoredTable`."""
    with StoredTable(path) as table:
        yield from table.batches(columns)


def rows_digest(ids: list[str]) -> str:
    """Digest of the ids of a shard in order: equal exactly when two tables speak of the same
    rows."""
    digest = hashlib.blake2b(digest_size=16, person=b"vineleaf.rows")
    for identifier in ids:
        encoded = identifier.encode()
        digest.update(len(encoded).to_bytes(4, "little"))
        digest.update(encoded)
    return digest.hexdigest()
