"""Sequences of one length, as long-context training reads them.

In: the documents of a token file. Out: `sequences/<source>/part-*.npy`, raw little-endian uint32, a
whole number of sequences of `length` tokens, filled up with PAD; beside it `.csv.gz` without a
header: start and end in the file (tokens, half-open), number of the document in its token file, its
first token that stands here. So OLMo-core reads it as a fixed-length dataset, and masks can keep
documents apart. Documents keep their EOS.

`best_fit` packs whole documents (transforms/kernels/packing.py); `concatenate` lays them one behind
another and cuts at every `length` tokens. What is longer than a sequence is split into pieces or
cut after the first, as the recipe says. Each token file is packed by itself, so memory is bounded
by its size.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.datasets import OutputFile
from transforms.kernels.packing import pack_best_fit
from transforms.tokens.token_files import GZIP_LEVEL, read_token_file

__all__ = [
    "Pieces",
    "Sequencing",
    "pack_documents",
    "read_pieces",
    "sequence_fault",
    "sequence_path",
    "write_sequences",
]

BLOCK_TOKENS = 1 << 22  # of sequences that are made at once


@dataclass(frozen=True)
class Sequencing:
    """What a recipe asks for: tokens of a sequence, and how documents are packed into it."""

    length: int
    packing: str
    long: str


class Pieces(NamedTuple):
    """Pieces of documents in the order of their places, int64[pieces] each: `starts` and `ends` in
    the sequence file, `documents` (numbers in the token file), `offsets` (first token of the
    document that stands here)."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


def pack_documents(lengths: npt.NDArray[np.int64], asked: Sequencing) -> tuple[Pieces, int]:
    """Where documents of these lengths (tokens, EOS too) stand, and the number of sequences."""
    if asked.packing == "concatenate":
        return _concatenated(lengths, asked.length)
    counts = -(-lengths // asked.length) if asked.long == "split" else np.ones_like(lengths)
    documents = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(documents)) - np.repeat(np.cumsum(counts) - counts, counts)
    offsets = number * asked.length
    sizes = np.minimum(lengths[documents] - offsets, asked.length)
    sequences, places, count = pack_best_fit(sizes, asked.length)
    starts = sequences * asked.length + places
    order = np.argsort(starts, kind="stable")
    pieces = Pieces(starts, starts + sizes, documents, offsets)
    return Pieces(*(one[order] for one in pieces)), count


def _concatenated(lengths: npt.NDArray[np.int64], length: int) -> tuple[Pieces, int]:
    """Documents one behind another, cut where sequences end."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    edges = np.union1d(np.concatenate(([0], ends)), np.arange(0, total + 1, length))
    starts, stops = edges[:-1], edges[1:]
    documents = np.searchsorted(ends, starts, "right")
    offsets = starts - (ends - lengths)[documents]
    return Pieces(starts, stops, documents, offsets), -(-total // length)


def sequence_path(token_path: str) -> str:
    """The sequences of a token file."""
    return "sequences" + token_path.removeprefix("tokens")


def write_sequences(
    base: str,
    token_path: str,
    tokens: npt.NDArray[np.uint32],
    bounds: npt.NDArray[np.int64],
    pad: int,
    asked: Sequencing,
) -> tuple[list[OutputFile], dict[str, int]]:
    """Pack documents tokens[bounds[d]:bounds[d + 1]] of a token file; gives the files and counters
    `packed.*`: sequences, tokens, cut_tokens, long_documents."""
    lengths = np.diff(bounds)
    pieces, count = pack_documents(lengths, asked)
    path = sequence_path(token_path)
    with storage.write_aside(storage.join(base, path)) as npy:
        for block in _blocks(pieces, count, tokens, bounds, pad, asked.length):
            npy.write(block)
    table = path.removesuffix(".npy") + ".csv.gz"
    rows = "".join(
        f"{start},{end},{document},{offset}\n"
        for start, end, document, offset in zip(*(one.tolist() for one in pieces), strict=True)
    )
    with storage.write_aside(storage.join(base, table)) as csv:
        csv.write(gzip.compress(rows.encode(), GZIP_LEVEL, mtime=0))
    packed = int((pieces.ends - pieces.starts).sum())
    counts = {
        "packed.sequences": count,
        "packed.tokens": packed,
        "packed.cut_tokens": int(lengths.sum()) - packed,
        "packed.long_documents": int((lengths > asked.length).sum()),
    }
    files = [
        OutputFile(path, npy.size_bytes, npy.sha256, rows=count),
        OutputFile(table, csv.size_bytes, csv.sha256, rows=len(pieces.starts)),
    ]
    return files, counts


def _blocks(
    pieces: Pieces,
    count: int,
    tokens: npt.NDArray[np.uint32],
    bounds: npt.NDArray[np.int64],
    pad: int,
    length: int,
) -> Iterator[npt.NDArray[np.uint32]]:
    """The sequences, some at a time."""
    some = max(BLOCK_TOKENS // length, 1)
    for first in range(0, count, some):
        start, end = first * length, min(first + some, count) * length
        block = np.full(end - start, pad, "<u4")
        inside = range(*np.searchsorted(pieces.starts, (start, end)).tolist())
        for piece in inside:
            place, stop = pieces.starts[piece] - start, pieces.ends[piece] - start
            source = bounds[pieces.documents[piece]] + pieces.offsets[piece]
            block[place:stop] = tokens[source : source + stop - place]
        yield block


def read_pieces(path: str) -> Pieces:
    """The pieces of a `.csv.gz` of sequences. ValueError where it is none."""
    try:
        rows = gzip.decompress(storage.read_bytes(path)).decode().split()
        table = np.array([row.split(",") for row in rows], np.int64).reshape(len(rows), 4)
    except (ValueError, OverflowError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} holds no pieces of documents: {error}") from None
    return Pieces(*(np.ascontiguousarray(column) for column in table.T))


def sequence_fault(
    path: str,
    tokens: npt.NDArray[np.uint32],
    bounds: npt.NDArray[np.int64],
    pad: int,
    asked: Sequencing,
) -> str | None:
    """What is wrong with the sequences at `path` of these documents, None where nothing is.

    Whole sequences; every piece lies in one and holds what the document holds there; every token of
    every document stands in one piece, but for those that the recipe cuts; all else is PAD.
    """
    try:
        stored = read_token_file(path)
        pieces = read_pieces(path.removesuffix(".npy") + ".csv.gz")
    except (ValueError, OSError) as error:
        return str(error)
    sizes = pieces.ends - pieces.starts
    lengths = np.diff(bounds)
    if len(stored) % asked.length:
        return f"{path} does not hold whole sequences"
    if len(sizes) == 0:
        return None if len(stored) == len(lengths) == 0 else f"{path} holds no document"
    inside = (pieces.starts // asked.length == (pieces.ends - 1) // asked.length).all()
    apart = (pieces.starts[1:] >= pieces.ends[:-1]).all() and sizes.min() > 0
    if not (inside and apart and pieces.starts[0] >= 0 and pieces.ends[-1] <= len(stored)):
        return f"{path}: pieces overlap or leave their sequence"
    known = (pieces.documents >= 0).all() and (pieces.documents < len(lengths)).all()
    if not known or (pieces.offsets < 0).any():
        return f"{path}: pieces of documents that are not there"
    order = np.lexsort((pieces.offsets, pieces.documents))
    sums = np.bincount(pieces.documents, sizes, len(lengths)).astype(np.int64)
    first = np.r_[True, np.diff(pieces.documents[order]) > 0]
    expected = np.where(first, 0, np.r_[0, (pieces.offsets + sizes)[order][:-1]])
    cut = asked.packing == "best_fit" and asked.long != "split"
    wanted = np.minimum(lengths, asked.length) if cut else lengths
    if not (np.array_equal(pieces.offsets[order], expected) and np.array_equal(sums, wanted)):
        return f"{path} lacks tokens of its documents, or repeats some"
    at = np.repeat(bounds[pieces.documents] + pieces.offsets, sizes)
    within = np.arange(len(at)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = np.repeat(pieces.starts, sizes) + within
    filled = np.full(len(stored), pad, np.uint32)
    filled[places] = np.asarray(tokens)[at + within]
    return None if np.array_equal(filled, stored) else f"{path} holds other tokens"
