"""MosaicML's streaming shards (MDS), which Composer and llm-foundry read.

In: documents of a mix. Out: `part.mds`, a sample a document with the columns `id` (str) and
`tokens` (ndarray:uint32, EOS included), little-endian: uint32 samples, uint32 byte at which each
begins and the last ends, a JSON that repeats what the shard is, samples. A sample: uint32 bytes of
each column, then the columns in the order of their names; an array: a byte of its number of axes
and the type of its lengths, the length, the values. `index.json` of a folder lists its shards.
mosaicml/streaming, streaming/base/format/mds.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.datasets import OutputFile
from transforms.tokens.parts import MixedDocuments

__all__ = ["MOST_TOKENS", "MdsPart", "mds_index", "read_mds"]

MOST_TOKENS = 1 << 29  # of a shard, whose places are uint32 bytes
SPOOL_BYTES = 16 << 20  # of a shard that are held in memory
COLUMNS = {"id": "str", "tokens": "ndarray:uint32"}
_ONE_AXIS = 1 << 2  # of an array; in the lower bits the type of its length
_LENGTHS = ("<u1", "<u2", "<u4")  # types of a length, by their number
_SHARD: dict[str, Any] = {
    "column_encodings": list(COLUMNS.values()),
    "column_names": list(COLUMNS),
    "column_sizes": [None] * len(COLUMNS),
    "compression": None,
    "format": "mds",
    "hashes": [],
    "size_limit": None,
    "version": 2,
}
_ABOUT = json.dumps(_SHARD, sort_keys=True).encode()


class MdsPart:
    """A shard while it is written. Its samples wait in a file of their own, since their places
    stand before them."""

    def __init__(self, base: str, path: str) -> None:
        self._path = path
        self._sizes: list[int] = []
        with ExitStack() as stack:
            its = storage.join(base, path + ".mds")
            self._shard = stack.enter_context(storage.write_aside(its))
            self._samples = stack.enter_context(tempfile.SpooledTemporaryFile(SPOOL_BYTES))
            self._stack = stack.pop_all()

    def write(self, documents: MixedDocuments) -> None:
        bounds = documents.bounds.tolist()
        for row, name in enumerate(documents.rows.column("id").to_pylist()):
            sample = _sample(name, documents.tokens[bounds[row] : bounds[row + 1]])
            self._samples.write(sample)
            self._sizes.append(len(sample))

    def close(self) -> list[OutputFile]:
        rows = len(self._sizes)
        places = np.cumsum([4 * (rows + 2) + len(_ABOUT), *self._sizes], dtype=np.int64)
        if places[-1] > np.iinfo(np.uint32).max:
            raise ValueError(f"{self._path}.mds must hold less than 4 GiB: lower mix.file_tokens")
        self._shard.write(np.array([rows], "<u4"))
        self._shard.write(places.astype("<u4"))
        self._shard.write(_ABOUT)
        self._samples.seek(0)
        shutil.copyfileobj(self._samples, self._shard, SPOOL_BYTES)  # type: ignore[arg-type]
        self._stack.close()
        return [
            OutputFile(self._path + ".mds", self._shard.size_bytes, self._shard.sha256, rows=rows)
        ]

    def discard(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]


def _sample(name: str, tokens: npt.NDArray[np.uint32]) -> bytes:
    kind = next(one for one, its in enumerate(_LENGTHS) if len(tokens) <= np.iinfo(its).max)
    array = b"".join(
        (
            bytes([_ONE_AXIS | kind]),
            np.array([len(tokens)], _LENGTHS[kind]).tobytes(),
            tokens.astype("<u4").tobytes(),
        )
    )
    text = name.encode()
    return np.array([len(text), len(array)], "<u4").tobytes() + text + array


def mds_index(shards: Iterable[OutputFile]) -> bytes:
    """The `index.json` of a folder with these shards, in this order."""
    entries = [
        {
            **_SHARD,
            "raw_data": {
                "basename": shard.path.rpartition("/")[2],
                "bytes": shard.size_bytes,
                "hashes": {},
            },
            "samples": shard.rows,
            "zip_data": None,
        }
        for shard in shards
    ]
    return json.dumps({"shards": entries, "version": 2}, sort_keys=True).encode()


def read_mds(path: str) -> tuple[list[str], npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Ids, tokens uint32[] and bounds int64[documents + 1] of a shard, which is read whole.
    ValueError where it is not as the layout says."""
    data = storage.read_bytes(path)
    try:
        (rows,) = np.frombuffer(data, "<u4", 1).tolist()
        places = np.frombuffer(data, "<u4", rows + 1, 4).tolist()
        about = data[4 * (rows + 2) : places[0]]
        if about != _ABOUT or places[-1] != len(data):
            raise ValueError("its head is another")
        samples = [_read_sample(data[places[row] : places[row + 1]]) for row in range(rows)]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} is no shard of ids and tokens: {error}") from None
    arrays = [tokens for _, tokens in samples]
    bounds = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
    return [name for name, _ in samples], np.concatenate([np.empty(0, np.uint32), *arrays]), bounds


def _read_sample(data: bytes) -> tuple[str, npt.NDArray[np.uint32]]:
    text_bytes, array_bytes = np.frombuffer(data, "<u4", 2).tolist()
    array = data[8 + text_bytes :]
    length = np.dtype(_LENGTHS[array[0] ^ _ONE_AXIS])
    (count,) = np.frombuffer(array, length, 1, 1).tolist()
    if not len(array) == array_bytes == 1 + length.itemsize + 4 * count:
        raise ValueError("a sample has another size than it says")
    return data[8 : 8 + text_bytes].decode(), np.frombuffer(
        array, "<u4", count, 1 + length.itemsize
    )
