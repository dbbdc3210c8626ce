"""Documents of a mix on their way into files, and where files are cut.

In: documents with their tokens, batch by batch. Out: parts `part-{group}-{index:05d}`, each of one
file or two in some format (tokens, Megatron, MDS, JSON lines, Parquet). Where parts are cut depends
on the documents' tokens and the most tokens of a part only, not on the batches and not on the
format: the n-th part of each format holds the same documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.datasets import OutputFile

__all__ = ["FILE_TOKENS", "MixedDocuments", "Part", "PartsWriter", "close_documents"]

FILE_TOKENS = 1 << 26  # tokens of a part (256 MiB), unless a single document is longer


class MixedDocuments(NamedTuple):
    """Documents in their order: tokens uint32[], document d being tokens[bounds[d]:bounds[d + 1]]
    with its EOS; bounds int64[documents + 1], from 0; `rows` has a row for each, with the columns
    `id`, `path`, `line` and those of the formats that are written."""

    tokens: npt.NDArray[np.uint32]
    bounds: npt.NDArray[np.int64]
    rows: pa.RecordBatch

    def part(self, first: int, last: int) -> MixedDocuments:
        """The documents `first` to `last`, exclusive."""
        start, end = self.bounds[first], self.bounds[last]
        return MixedDocuments(
            self.tokens[start:end],
            self.bounds[first : last + 1] - start,
            self.rows.slice(first, last - first),
        )


def close_documents(
    tokens: npt.NDArray[np.uint32], bounds: npt.NDArray[np.int64], eos: int, rows: pa.RecordBatch
) -> MixedDocuments:
    """Documents tokens[bounds[d]:bounds[d + 1]], which come without their EOS, with it.

    `rows`: `id` and `path` (strings), `line` (int64, 1-based) and more. ValueError where their
    number differs, and for an id or path with a line break, since a row is one line to its readers.
    """
    documents = len(bounds) - 1
    if len(rows) != documents:
        raise ValueError(f"rows must name {documents} documents (got {len(rows)})")
    if any(_breaks_lines(rows.column(name)) for name in ("id", "path")):
        raise ValueError("ids and paths must be without a line break")
    closed = np.insert(tokens[bounds[0] : bounds[-1]], bounds[1:] - bounds[0], eos)
    return MixedDocuments(closed, bounds - bounds[0] + np.arange(documents + 1), rows)


def _breaks_lines(texts: pa.Array) -> bool:
    joined = "".join(texts.to_pylist())
    return "\n" in joined or "\r" in joined


class Part(Protocol):
    """One part while it is written."""

    def write(self, documents: MixedDocuments) -> None:
        """Append documents."""

    def close(self) -> Sequence[OutputFile]:
        """Finish its files and tell them."""

    def discard(self, *error: object) -> None:
        """Leave no file of it, since the error happened."""


class PartsWriter:
    """Writes documents into parts of at most `most_tokens` tokens.

    A document that alone is longer has a part of its own. A context manager: leaving it with an
    error leaves no file that is not whole.
    """

    def __init__(
        self, open_part: Callable[[str], Part], folder: str, group: str, most_tokens: int
    ) -> None:
        """`open_part` gets `folder`/part-`group`-00000 and so on."""
        if most_tokens < 1:
            raise ValueError(f"'most_tokens' must be at least 1 (got {most_tokens})")
        self._open_part = open_part
        self._prefix = f"{folder}/part-{group}" if folder else f"part-{group}"
        self._most_tokens = most_tokens
        self._open: Part | None = None
        self._held = 0  # tokens of the open part
        self._index = 0
        self.files: list[OutputFile] = []  # of closed parts

    def write(self, documents: MixedDocuments) -> None:
        """Append documents."""
        ends = documents.bounds
        first, count = 0, len(ends) - 1
        while first < count:
            room = self._most_tokens - self._held
            last = int(np.searchsorted(ends, ends[first] + room, "right")) - 1
            if last <= first:
                if self._held:
                    self._close()
                    continue
                last = first + 1
            if self._open is None:
                self._open = self._open_part(f"{self._prefix}-{self._index:05d}")
            self._open.write(documents.part(first, last))
            self._held += int(ends[last] - ends[first])
            first = last

    def _close(self) -> None:
        if self._open is not None:
            self.files.extend(self._open.close())
            self._open, self._held = None, 0
            self._index += 1

    def __enter__(self) -> PartsWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._close()
        elif self._open is not None:
            self._open.discard(kind, error, trace)
