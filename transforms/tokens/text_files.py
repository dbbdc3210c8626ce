"""A mix as text: Dolma JSON lines and Parquet, which `datasets` and other tools read.

In: documents of a mix whose rows hold `text` (what the tokens say), `source`, `added`, `created`
and `metadata` besides. Out: `part.jsonl.zst`, a Dolma document a line (id, text, source, added and
created where they are known, metadata); or `part.parquet`, with the same columns and `tokens`
(list<uint32>, EOS included). Both are equal to the byte wherever the same builds of zstd and Arrow
write them.
"""

from __future__ import annotations

import io
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from transforms import storage
from transforms.datasets import OutputFile
from transforms.documents import SCHEMA
from transforms.tokens.parts import MixedDocuments

__all__ = ["TEXT_COLUMNS", "JsonLinesPart", "ParquetPart", "read_json_lines", "read_parquet"]

ZSTD_LEVEL = 3
TEXT_COLUMNS = ("text", "source", "added", "created", "metadata")
_PARQUET = pa.schema([*SCHEMA, pa.field("tokens", pa.list_(pa.uint32()), nullable=False)])


class _OneFilePart:
    """A part of one file while it is written; `_open` says how, `write` what."""

    suffix = ""

    def __init__(self, base: str, path: str) -> None:
        self._path = path + self.suffix
        self._rows = 0
        with ExitStack() as stack:
            its = storage.join(base, self._path)
            self._file = stack.enter_context(storage.write_aside(its))
            self._open(stack)
            self._stack = stack.pop_all()

    def _open(self, stack: ExitStack) -> None:
        """Enter what writes into `_file`."""
        raise NotImplementedError

    def close(self) -> list[OutputFile]:
        self._stack.close()
        return [OutputFile(self._path, self._file.size_bytes, self._file.sha256, rows=self._rows)]

    def discard(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]


class JsonLinesPart(_OneFilePart):
    """A `.jsonl.zst` while it is written."""

    suffix = ".jsonl.zst"

    def _open(self, stack: ExitStack) -> None:
        compressor = zstandard.ZstdCompressor(ZSTD_LEVEL, write_checksum=True)
        its_lines = compressor.stream_writer(self._file, closefd=False)  # type: ignore[arg-type]
        self._lines = stack.enter_context(its_lines)

    def write(self, documents: MixedDocuments) -> None:
        for row in documents.rows.select(["id", *TEXT_COLUMNS]).to_pylist():
            metadata = orjson.Fragment(row.pop("metadata"))
            known = {key: value for key, value in row.items() if value is not None}
            line = orjson.dumps(
                {**known, "metadata": metadata},
                option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
            )
            self._lines.write(line)
        self._rows += len(documents.rows)


class ParquetPart(_OneFilePart):
    """A `.parquet` while it is written; a batch of documents is a row group."""

    suffix = ".parquet"

    def _open(self, stack: ExitStack) -> None:
        self._table = stack.enter_context(
            pq.ParquetWriter(
                self._file, _PARQUET, compression="zstd", compression_level=ZSTD_LEVEL,
                write_page_checksum=True,
            )
        )  # fmt: skip

    def write(self, documents: MixedDocuments) -> None:
        tokens = pa.ListArray.from_arrays(
            pa.array(documents.bounds, pa.int32()), pa.array(documents.tokens)
        )
        columns = [documents.rows.column(name) for name in SCHEMA.names]
        self._table.write_batch(pa.RecordBatch.from_arrays([*columns, tokens], schema=_PARQUET))
        self._rows += len(documents.rows)


def read_json_lines(path: str) -> tuple[list[str], list[str]]:
    """Ids and texts of a `.jsonl.zst`. ValueError where it is none."""
    try:
        whole = zstandard.ZstdDecompressor().decompressobj()
        lines = whole.decompress(storage.read_bytes(path))
        if not whole.eof:
            raise ValueError("it was cut")
        rows = [orjson.loads(line) for line in lines.split(b"\n")[:-1]]
        return [row["id"] for row in rows], [row["text"] for row in rows]
    except (zstandard.ZstdError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no JSON lines of documents: {error}") from None


def read_parquet(
    path: str,
) -> tuple[list[str], list[str], npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Ids, texts, tokens uint32[] and bounds int64[documents + 1] of a `.parquet`. ValueError where
    it is none."""
    try:
        table = pq.read_table(io.BytesIO(storage.read_bytes(path)), schema=_PARQUET)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} holds no table of documents: {error}") from None
    tokens = table["tokens"].combine_chunks()
    lengths = tokens.value_lengths().to_numpy(zero_copy_only=False)
    bounds = np.cumsum([0, *lengths], dtype=np.int64)
    ids, texts = table["id"].to_pylist(), table["text"].to_pylist()
    return ids, texts, tokens.flatten().to_numpy(), bounds
