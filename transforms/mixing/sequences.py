"""Sequences of one length, or of several, as long-context training reads them.

In: the documents of a token file. Out: `sequences/<source>/part-*.npy`, raw little-endian uint32, a
whole number of sequences of `length` tokens, filled up with PAD; beside it `.csv.gz` without a
header: start and end in the file (tokens, half-open), number of the document in its token file, its
first token that stands here. So OLMo-core reads it as a fixed-length dataset, and masks can keep
documents apart. Documents keep their EOS.

`best_fit` packs whole documents (transforms/kernels/packing.py); `concatenate` lays them one behind
another and cuts at every `length` tokens. What is longer than a sequence is split into pieces or
cut after the first, as the recipe says. `buckets` decomposes each document into pieces whose
lengths are powers of two, `length` the longest: a sequence is one piece of one document, and those
of one length lie below `sequences/<source>/<length>/`; the last piece is filled up to `shortest`.
Pouransari et al. 2024, "Dataset decomposition" (which leaves out what is shorter). Each token file
is packed by itself, so memory is bounded by its size.
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
    "decompose_documents",
    "pack_documents",
    "read_pieces",
    "sequence_fault",
    "sequence_path",
    "token_part",
    "write_sequences",
]

BLOCK_TOKENS = 1 << 22  # of sequences that are made at once


@dataclass(frozen=True)
class Sequencing:
    """What a recipe asks for: tokens of a sequence (of the longest, in `buckets`), and how
    documents are packed into it. `shortest`: tokens of the shortest bucket."""

    length: int
    packing: str
    long: str
    shortest: int = 0

    @property
    def lengths(self) -> list[int]:
        """Tokens of the sequences of each file that a token file may have, longest first."""
        if self.packing != "buckets":
            return [self.length]
        return [self.length >> n for n in range((self.length // self.shortest).bit_length())]


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


def decompose_documents(
    lengths: npt.NDArray[np.int64], asked: Sequencing
) -> list[tuple[Pieces, int]]:
    """The same for each of `asked.lengths`, where sequences are buckets."""
    rest = lengths.copy()
    found = []
    for length in asked.lengths:
        counts = rest // length
        if length == asked.shortest:
            counts = -(-rest // length)  # its last is filled up
        documents = np.repeat(np.arange(len(lengths)), counts)
        number = np.arange(len(documents)) - np.repeat(np.cumsum(counts) - counts, counts)
        offsets = (lengths - rest)[documents] + number * length
        starts = np.arange(len(documents)) * length
        sizes = np.minimum(lengths[documents] - offsets, length)
        found.append((Pieces(starts, starts + sizes, documents, offsets), len(documents)))
        rest -= np.minimum(counts * length, rest)
    return found


def _concatenated(lengths: npt.NDArray[np.int64], length: int) -> tuple[Pieces, int]:
    """Documents one behind another, cut where sequences end."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    edges = np.union1d(np.concatenate(([0], ends)), np.arange(0, total + 1, length))
    starts, stops = edges[:-1], edges[1:]
    documents = np.searchsorted(ends, starts, "right")
    offsets = starts - (ends - lengths)[documents]
    return Pieces(starts, stops, documents, offsets), -(-total // length)


def sequence_path(token_path: str, length: int | None = None) -> str:
    """The sequences of a token file; `length`: of its buckets those of so many tokens."""
    folder, _, name = token_path.removeprefix("tokens").rpartition("/")
    return f"sequences{folder}/{name}" if length is None else f"sequences{folder}/{length}/{name}"


def token_part(path: str, asked: Sequencing) -> str:
    """The path of a file of sequences as it is without buckets."""
    parts = path.split("/")
    return "/".join(parts[:-2] + parts[-1:]) if asked.packing == "buckets" else path


def write_sequences(
    base: str,
    token_path: str,
    tokens: npt.NDArray[np.uint32],
    bounds: npt.NDArray[np.int64],
    pad: int,
    asked: Sequencing,
) -> tuple[list[OutputFile], dict[str, int]]:
    """Pack documents tokens[bounds[d]:bounds[d + 1]] of a token file; gives the files and counters
    `packed.*`: sequences, tokens, room_tokens (of full sequences), cut_tokens, long_documents, and
    sequences_of_<length> of each bucket."""
    lengths = np.diff(bounds)
    if asked.packing == "buckets":
        packed = decompose_documents(lengths, asked)
    else:
        packed = [pack_documents(lengths, asked)]
    files: list[OutputFile] = []
    counts = {
        "packed.sequences": 0,
        "packed.tokens": 0,
        "packed.room_tokens": 0,
        "packed.cut_tokens": int(lengths.sum()),
        "packed.long_documents": int((lengths > asked.length).sum()),
    }
    for (pieces, count), length in zip(packed, asked.lengths, strict=True):
        path = sequence_path(token_path)
        if asked.packing == "buckets":
            path = sequence_path(token_path, length)
            counts[f"packed.sequences_of_{length}"] = count
            if not count:
                continue
        held = int((pieces.ends - pieces.starts).sum())
        counts["packed.sequences"] += count
        counts["packed.tokens"] += held
        counts["packed.room_tokens"] += count * length
        counts["packed.cut_tokens"] -= held
        blocks = _blocks(pieces, count, tokens, bounds, pad, length)
        files += _write_sequences(base, path, blocks, pieces, count)
    return files, counts


def _write_sequences(
    base: str,
    path: str,
    blocks: Iterator[npt.NDArray[np.uint32]],
    pieces: Pieces,
    count: int,
) -> list[OutputFile]:
    with storage.write_aside(storage.join(base, path)) as npy:
        for block in blocks:
            npy.write(block)
    table = path.removesuffix(".npy") + ".csv.gz"
    rows = "".join(
        f"{start},{end},{document},{offset}\n"
        for start, end, document, offset in zip(*(one.tolist() for one in pieces), strict=True)
    )
    with storage.write_aside(storage.join(base, table)) as csv:
        csv.write(gzip.compress(rows.encode(), GZIP_LEVEL, mtime=0))
    return [
        OutputFile(path, npy.size_bytes, npy.sha256, rows=count),
        OutputFile(table, csv.size_bytes, csv.sha256, rows=len(pieces.starts)),
    ]


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
    every document stands in one piece, but for those that the recipe cuts; all else is PAD. Of
    buckets, `path` is without the length: a sequence is one piece.
    """
    lengths = np.diff(bounds)
    read: list[tuple[str, int, npt.NDArray[np.uint32], Pieces]] = []
    for length in asked.lengths:
        its = path
        if asked.packing == "buckets":
            folder, _, name = path.rpartition("/")
            its = f"{folder}/{length}/{name}"
            if not storage.exists(its):
                continue
        try:
            stored = read_token_file(its)
            pieces = read_pieces(its.removesuffix(".npy") + ".csv.gz")
        except (ValueError, OSError) as error:
            return str(error)
        fault = _misplaced(stored, pieces, lengths, length, asked)
        if fault:
            return f"{its} {fault}"
        read.append((its, length, stored, pieces))
    if _lacking([pieces for *_, pieces in read], lengths, asked):
        return f"{path} lacks tokens of its documents, or repeats some"
    for its, length, stored, pieces in read:
        count = len(stored) // length
        if _others(stored, _blocks(pieces, count, tokens, bounds, pad, length)):
            return f"{its} holds other tokens"
    return None


def _misplaced(
    stored: npt.NDArray[np.uint32],
    pieces: Pieces,
    lengths: npt.NDArray[np.int64],
    length: int,
    asked: Sequencing,
) -> str | None:
    """What is wrong with the places of pieces in a file."""
    if len(stored) % length:
        return "does not hold whole sequences"
    sizes = pieces.ends - pieces.starts
    if len(sizes) == 0:
        return None if len(stored) == len(lengths) == 0 else "holds no document"
    inside = (pieces.starts // length == (pieces.ends - 1) // length).all()
    apart = (pieces.starts[1:] >= pieces.ends[:-1]).all() and sizes.min() > 0
    if not (inside and apart and pieces.starts[0] >= 0 and pieces.ends[-1] <= len(stored)):
        return "has pieces that overlap or leave their sequence"
    if asked.packing == "buckets" and not np.array_equal(
        pieces.starts, np.arange(0, len(stored), length)
    ):
        return "has sequences that are not one piece of one document"
    known = (pieces.documents >= 0).all() and (pieces.documents < len(lengths)).all()
    if not known or (pieces.offsets < 0).any():
        return "has pieces of documents that are not there"
    return None


def _others(stored: npt.NDArray[np.uint32], blocks: Iterator[npt.NDArray[np.uint32]]) -> bool:
    """Whether a file holds others than these blocks, one of which is held at once."""
    first = 0
    for block in blocks:
        if not np.array_equal(block, stored[first : first + len(block)]):
            return True
        first += len(block)
    return False


def _lacking(read: list[Pieces], lengths: npt.NDArray[np.int64], asked: Sequencing) -> bool:
    """Whether pieces do not cover their documents exactly, or as the recipe cuts them."""
    if not read:
        return len(lengths) > 0
    pieces = Pieces(*(np.concatenate(columns) for columns in zip(*read, strict=True)))
    if not len(pieces.starts):
        return len(lengths) > 0
    sizes = pieces.ends - pieces.starts
    order = np.lexsort((pieces.offsets, pieces.documents))
    sums = np.bincount(pieces.documents, sizes, len(lengths)).astype(np.int64)
    first = np.r_[True, np.diff(pieces.documents[order]) > 0]
    expected = np.where(first, 0, np.r_[0, (pieces.offsets + sizes)[order][:-1]])
    cut = asked.packing == "best_fit" and asked.long != "split"
    wanted = np.minimum(lengths, asked.length) if cut else lengths
    return not (np.array_equal(pieces.offsets[order], expected) and np.array_equal(sums, wanted))
