"""Parquet files to documents.

In: files with a `text` column (string) and any others; `id` (string; an integer becomes its decimal
digits), `added`, `created` (time or ISO 8601 text) and `metadata` (JSON text, struct or map) mean
what they mean in Dolma, every other column goes into the metadata
(`transforms.ingest.dolma.to_document`). Values that JSON has no form for are spelled as text. Read
in batches of rows, row group by row group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage
from transforms.documents import Document
from transforms.ingest.compression import blames_data
from transforms.ingest.dolma import to_document
from transforms.ingest.origins import MadeIds, origin_of
from transforms.ingest.reader import Rejected, group_by_size
from transforms.storage import FileInfo

__all__ = ["ParquetReader"]

BATCH_ROWS = 256  # rows decoded at a time
# What Arrow raises for a value that Python has no object for: text that is no UTF-8, dates and
# times out of range (ValueError, OverflowError), unknown time zones (LookupError, ArrowException).
_NO_VALUE = (ValueError, OverflowError, LookupError, pa.ArrowException)


@dataclass(frozen=True)
class ParquetReader:
    """Reads Parquet files with a text column.

    A row without an id gets one of the file's name and its values; the same row again is then
    "record repeated" (removed). Also removed: "no text" (blank). Quarantined, with the row's
    number from 0: "text is not a string" (null), "id is not a string" (nor an integer), "control
    character in id", "NUL byte", "invalid UTF-8", "value has no JSON form" (a time that Python
    cannot hold, an unknown zone), "key repeated" (in metadata that is a JSON text); per row group
    "broken row group", the rows before it being kept (also when it or the file holds other than the
    number of rows that it says); per file "unreadable file", "column named twice", "no text
    column".
    """

    @property
    def version(self) -> int:
        return 6

    @property
    def packages(self) -> tuple[str, ...]:
        return ("orjson", "pyarrow")

    def parameters(self) -> dict[str, Any]:
        return {}

    def group(self, files: list[FileInfo]) -> list[list[FileInfo]]:
        return group_by_size(files)

    def read(self, files: list[FileInfo]) -> Iterator[Document | Rejected]:
        for file in files:
            yield from _read_file(file)


def _read_file(file: FileInfo) -> Iterator[Document | Rejected]:
    name = origin_of(file)
    try:
        parquet = storage.open_parquet(file.path)
        schema = parquet.schema_arrow
        names = schema.names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield _broken(name, "unreadable file", error)
        return
    with parquet:
        twice = sorted(one for one in set(names) if names.count(one) > 1)
        if twice:
            yield Rejected(name, "column named twice", ", ".join(twice), True)
            return
        if "text" not in names or not _is_string(schema.field("text").type):
            found = ", ".join(f"{field.name}: {field.type}" for field in schema)
            yield Rejected(name, "no text column", f"columns are {found}", True)
            return
        made = MadeIds()
        first = 0
        for group in range(parquet.num_row_groups):
            yield from _read_group(parquet, group, first, name, made)
            first += parquet.metadata.row_group(group).num_rows
        if first != parquet.metadata.num_rows:
            detail = f"the file says {parquet.metadata.num_rows} rows, its row groups {first}"
            yield Rejected(name, "broken row group", detail, True)


def _is_string(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _read_group(
    parquet: pq.ParquetFile, group: int, first: int, name: str, made: MadeIds
) -> Iterator[Document | Rejected]:
    """The rows of one row group, the first of which has number `first`."""
    said = parquet.metadata.row_group(group).num_rows
    end = first + said
    try:
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False):
            for place, row in _rows(batch, first, name):
                yield row if isinstance(row, Rejected) else _make(row, place, name, made)
            first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        yield _broken(f"{name}:{first}", "broken row group", error)
        return
    if first != end:
        detail = f"{said + first - end} rows, it says {said}"
        yield Rejected(f"{name}:{first}", "broken row group", detail, True)


def _rows(
    batch: pa.RecordBatch, first: int, name: str
) -> Iterator[tuple[str, dict[str, Any] | Rejected]]:
    """Each row as a dictionary, with its place. Rows one by one only where one has no such form."""
    places = (f"{name}:{first + row}" for row in range(batch.num_rows))
    batch = _microseconds(batch)
    try:
        yield from zip(places, batch.to_pylist(), strict=True)
    except _NO_VALUE:
        for row, place in enumerate(places):
            try:
                yield place, batch.slice(row, 1).to_pylist()[0]
            except UnicodeDecodeError as error:
                yield place, Rejected(place, "invalid UTF-8", str(error), True)
            except _NO_VALUE as error:
                yield place, Rejected(place, "value has no JSON form", str(error), True)


def _microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Cut times to microseconds, the unit of Python's and of documents."""
    columns, fields = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            field = field.with_type(pa.timestamp("us", tz=field.type.tz))
            column = column.cast(field.type, safe=False)
        fields.append(field)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _make(row: dict[str, Any], place: str, name: str, made: MadeIds) -> Document | Rejected:
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    text, times = row.pop("text"), {key: row.pop(key, None) for key in ("added", "created")}
    try:
        plain = orjson.loads(orjson.dumps(row, default=_spell, option=options))
        content = orjson.dumps([text, times, plain], default=_spell, option=options)
    except (orjson.JSONEncodeError, orjson.JSONDecodeError) as error:
        return Rejected(place, "value has no JSON form", str(error), True)
    return to_document({**plain, **times, "text": text}, place, name, content, made)


def _spell(value: Any) -> str:
    """Text of a value that JSON has no form for: bytes, decimals, durations."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _broken(place: str, reason: str, error: Exception) -> Rejected:
    if isinstance(error, OSError) and not blames_data(error):
        raise error
    return Rejected(place, reason, str(error), True)
