"""Megatron's indexed dataset: a `.bin` of tokens and a `.idx` that says where documents are.

In: documents of a mix. Out: `part.bin`, tokens back to back, each document closed by EOS, uint16
where the vocabulary has fewer than 65,500 ids, else int32; and `part.idx`, little-endian: 9 bytes
of magic, uint64 version, uint8 code of the type, uint64 sequences, uint64 entries of documents,
int32 tokens of each sequence, int64 byte at which each begins, int64 first sequence of each
document and their number. A document is one sequence. NVIDIA/Megatron-LM,
megatron/core/datasets/indexed_dataset.py.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.datasets import OutputFile
from transforms.tokens.parts import MixedDocuments

__all__ = ["MegatronPart", "read_megatron"]

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
SMALL_VOCABULARY = 65_500  # ids, exclusive, that uint16 is used for
_HEADER = struct.Struct("<9sQBQQ")
_TYPES: dict[int, np.dtype[Any]] = {8: np.dtype("<u2"), 4: np.dtype("<i4")}  # by code


class MegatronPart:
    """A `.bin` and its `.idx` while they are written."""

    def __init__(self, base: str, path: str, vocabulary_size: int) -> None:
        self._base, self._path = base, path
        self._code = 8 if vocabulary_size < SMALL_VOCABULARY else 4
        self._lengths: list[npt.NDArray[np.int64]] = []
        with ExitStack() as stack:
            its = storage.join(base, path + ".bin")
            self._bin = stack.enter_context(storage.write_aside(its))
            self._stack = stack.pop_all()

    def write(self, documents: MixedDocuments) -> None:
        self._bin.write(np.ascontiguousarray(documents.tokens, _TYPES[self._code]))
        self._lengths.append(np.diff(documents.bounds))

    def close(self) -> list[OutputFile]:
        self._stack.close()
        lengths = np.concatenate([np.empty(0, np.int64), *self._lengths])
        pointers = (np.cumsum(lengths) - lengths) * _TYPES[self._code].itemsize
        rows = len(lengths)
        with storage.write_aside(storage.join(self._base, self._path + ".idx")) as index:
            index.write(_HEADER.pack(MAGIC, VERSION, self._code, rows, rows + 1))
            index.write(lengths.astype("<i4"))
            index.write(pointers.astype("<i8"))
            index.write(np.arange(rows + 1, dtype="<i8"))
        return [
            OutputFile(self._path + ".bin", self._bin.size_bytes, self._bin.sha256, rows=rows),
            OutputFile(self._path + ".idx", index.size_bytes, index.sha256, rows=rows),
        ]

    def discard(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]


def read_megatron(path: str) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Tokens uint32[] and bounds int64[documents + 1] of `path`.bin and `path`.idx, both read
    whole. ValueError where they are not as the layout says."""
    index = storage.read_bytes(path + ".idx")
    if len(index) < _HEADER.size:
        raise ValueError(f"{path}.idx is too short for an index")
    magic, version, code, sequences, entries = _HEADER.unpack_from(index)
    size = _HEADER.size + sequences * 12 + entries * 8
    if magic != MAGIC or version != VERSION or code not in _TYPES or len(index) != size:
        raise ValueError(f"{path}.idx is no index of version {VERSION}")
    lengths = np.frombuffer(index, "<i4", sequences, _HEADER.size)
    pointers = np.frombuffer(index, "<i8", sequences, _HEADER.size + 4 * sequences)
    documents = np.frombuffer(index, "<i8", entries, _HEADER.size + 12 * sequences)
    tokens = np.frombuffer(storage.read_bytes(path + ".bin"), _TYPES[code])
    bounds = np.zeros(sequences + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    if not (
        np.array_equal(pointers, bounds[:-1] * _TYPES[code].itemsize)
        and np.array_equal(documents, np.arange(sequences + 1))
        and bounds[-1] == len(tokens)
    ):
        raise ValueError(f"{path}.idx does not tell the documents of {path}.bin one by one")
    return tokens.astype(np.uint32), bounds
