"""Attribute tables: one Parquet file per document shard, same number and order of rows.

A table carries the digest of the ids of the documents it aligns with in its Parquet metadata
(`rows_digest`). Tables meet only through `read_aligned`, which compares digests and row counts
first, so a table of other documents is an error and never a silent shift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage
from transforms.datasets import Dataset, OutputFile
from transforms.documents import ROWS_DIGEST_KEY, read_batches

__all__ = ["AlignmentError", "read_aligned", "write_table"]

ZSTD_LEVEL = 3  # 205 MB/s a core on text


class AlignmentError(ValueError):
    """Two tables that should speak of the same rows do not."""


def write_table(
    dataset: Dataset, documents: OutputFile, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> OutputFile:
    """Write the attributes of one shard of documents, batch by batch, under the shard's own name.

    Each batch becomes a row group. AlignmentError when the rows are not as many as the documents.
    """
    path = dataset.path(documents.path)
    schema = schema.with_metadata({ROWS_DIGEST_KEY: documents.rows_digest.encode()})
    rows = 0
    with storage.write_aside(path) as file:
        with pq.ParquetWriter(
            file, schema, compression="zstd", compression_level=ZSTD_LEVEL
        ) as writer:
            for batch in batches:
                writer.write_batch(
                    batch.replace_schema_metadata(schema.metadata), max(batch.num_rows, 1)
                )
                rows += batch.num_rows
        if rows != documents.rows:
            raise AlignmentError(
                f"{path}: {rows} rows of attributes for {documents.rows} documents"
            )
    return OutputFile(documents.path, file.size_bytes, file.sha256, rows, documents.rows_digest)


def read_aligned(
    tables: Mapping[str, str],
    rows_digest: str,
    columns: Mapping[str, list[str] | None] | None = None,
) -> Iterator[dict[str, pa.RecordBatch]]:
    """Read tables of one shard side by side, row group by row group.

    `tables`: name -> path (documents and attribute tables alike); `rows_digest`: of the shard's
    documents; `columns`: name -> columns to read (all where absent). Yields name -> record batch,
    all with the same number of rows. AlignmentError when a digest or a row count differs.
    """
    for path in tables.values():
        with storage.open_parquet(path) as file:
            found = (file.schema_arrow.metadata or {}).get(ROWS_DIGEST_KEY, b"").decode()
        if found != rows_digest:
            raise AlignmentError(
                f"{path}: holds other documents (rows {found!r}, wanted {rows_digest!r})"
            )
    readers = {name: read_batches(path, (columns or {}).get(name)) for name, path in tables.items()}
    for batches in zip(*readers.values(), strict=True):
        if len({batch.num_rows for batch in batches}) > 1:
            sizes = {name: batch.num_rows for name, batch in zip(readers, batches, strict=True)}
            raise AlignmentError(f"row groups differ in size: {sizes}")
        yield dict(zip(readers, batches, strict=True))
