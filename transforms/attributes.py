"""Attribute tables: one Parquet file per document shard, same number and order of rows.

A table carries the digest of the ids of the documents it aligns with in its Parquet metadata
(`rows_digest`). Tables meet only through `read_aligned`, which compares digests and row counts
first, so a table of other documents is an error and never a silent shift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage
from transforms.datasets import Dataset, OutputFile
from transforms.documents import ROWS_DIGEST_KEY, StoredTable

__all__ = ["AlignmentError", "TableWriter", "open_table", "read_aligned", "write_table"]

ZSTD_LEVEL = 3  # 205 MB/s a core on text


class AlignmentError(ValueError):
    """Two tables that should speak of the same rows do not."""


class TableWriter:
    """An attribute table being written; `file` tells about it once its `open_table` block has
    ended.
    """

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self.rows = 0
        self.file: OutputFile | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch as one row group."""
        aligned = batch.replace_schema_metadata(self._schema.metadata)
        self._writer.write_batch(aligned, max(batch.num_rows, 1))
        self.rows += batch.num_rows


@contextmanager
def open_table(
    dataset: Dataset,
    documents: OutputFile,
    schema: pa.Schema,
    encodings: Mapping[str, str] | None = None,
) -> Iterator[TableWriter]:
    """Write the attributes of one shard of documents under the shard's own name. `encodings`: of
    Parquet, by column; without them dictionaries where they pay.

    AlignmentError at the end of the block when the rows are not as many as the documents; the table
    then does not exist.
    """
    path = dataset.path(documents.path)
    schema = schema.with_metadata({ROWS_DIGEST_KEY: documents.rows_digest.encode()})
    with storage.write_aside(path) as file:
        with pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            write_page_checksum=True,
            use_dictionary=encodings is None,
            column_encoding=encodings,
        ) as writer:
            table = TableWriter(writer, schema)
            yield table
        if table.rows != documents.rows:
            raise AlignmentError(
                f"{path}: {table.rows} rows of attributes for {documents.rows} documents"
            )
    with StoredTable(path) as stored:  # what is recorded is what can be read
        rows = sum(stored.group_rows)
        table.file = OutputFile(
            documents.path, file.size_bytes, file.sha256, rows, stored.rows_digest
        )


def write_table(
    dataset: Dataset, documents: OutputFile, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> OutputFile:
    """Write a whole table from its batches; see `open_table`."""
    with open_table(dataset, documents, schema) as table:
        for batch in batches:
            table.write(batch)
    assert table.file is not None
    return table.file


def read_aligned(
    tables: Mapping[str, str],
    rows_digest: str,
    columns: Mapping[str, list[str] | None] | None = None,
    least_rows: int = 1,
) -> Iterator[dict[str, pa.RecordBatch]]:
    """Read tables of one shard side by side, row group by row group.

    `tables`: name -> path (documents and attribute tables alike); `rows_digest`: of the shard's
    documents; `columns`: name -> columns to read (all where absent); `least_rows`: row groups with
    fewer rows come together, where small columns are read. Yields name -> record batch,
    all with the same number of rows. AlignmentError when a digest or a row count differs,
    DamagedFile when a file is not as it was written.
    """
    with ExitStack() as opened:
        stored = {name: opened.enter_context(StoredTable(path)) for name, path in tables.items()}
        for table in stored.values():
            if table.rows_digest != rows_digest:
                raise AlignmentError(
                    f"{table.path} holds other documents (rows {table.rows_digest!r}, wanted"
                    f" {rows_digest!r})"
                )
        if len({tuple(one.group_rows) for one in stored.values()}) > 1:
            shown = {
                name: f"{sum(one.group_rows)} rows in {len(one.group_rows)}"
                for name, one in stored.items()
            }
            raise AlignmentError(f"row groups differ in number or size: {shown}")
        readers = [
            one.batches((columns or {}).get(name), least_rows) for name, one in stored.items()
        ]
        for batches in zip(*readers, strict=True):
            yield dict(zip(stored, batches, strict=True))
