"""Reads a published mix for a training loop: documents or sequences, from disk or S3, as they come.

    for document in MixReader("s3://bucket/workspace/mixes/web", rank=3, world_size=8): ...

In: the folder of a mix. Out, in an order that rank, world size, seed and epoch settle alone:
documents (id, source, tokens with their EOS), sequences of `length` tokens cut out of each token
file, or the sequences that the recipe packed. Nothing is downloaded first: a block of some 4 MiB is
a ranged read, the next ones are asked for meanwhile, and memory holds two windows of blocks.
`state_dict` says where a reader stands; another one that loads it goes on with the next item.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from mixes.bounds_cache import BoundsCache
from transforms import storage
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.mixing.reading_order import (
    cut_blocks,
    order_blocks,
    order_items,
    windows_from,
)
from transforms.tokens.token_files import (
    SHUFFLED,
    TOKEN_BYTES,
    DocumentBounds,
    parse_document_bounds,
    source_of_document,
)

__all__ = ["Document", "MixReader"]

Read = Literal["documents", "sequences", "packed"]
Tokens = npt.NDArray[np.uint32]
SHUFFLED_BLOCKS = 16  # of a window in which items are shuffled: 64 MiB
BOUNDS_BYTES = 1 << 28  # of documents' bounds that stay in memory, some 4 million documents
READS_AHEAD = 4  # blocks that are asked for at once


class Document(NamedTuple):
    """A document of a mix; `tokens` uint32[], read-only, close with EOS."""

    id: str
    source: str
    tokens: Tokens


@dataclass(frozen=True)
class _Part:
    """A file of tokens and how many items it holds."""

    path: str
    size_bytes: int
    items: int


class MixReader:
    """Iterates over the items of one rank from `position` to the end of `epoch`; then the next
    epoch is next.

    `read`: "documents" (`Document`); "sequences" of `length` tokens, cut out of each token file as
    they follow one another, the last of a file filled up with PAD; "packed", those that the recipe
    packed, `length` of them where it made several. Sequences are uint32[length], read-only.
    `shuffle`: in the order of keyed hashes, another one each epoch; blocks of 4 MiB are shuffled
    over the whole mix and items over `window` blocks. `sources`: all, or only these. `even`: every
    rank gives as many items as the one that has fewest, the same number at each epoch's end.
    ValueError for what makes no sense; FileNotFoundError where no mix is published;
    `storage.DamagedFile` for a manifest or file that is missing or is not what was published.
    """

    def __init__(
        self,
        mix: str,
        read: Read = "documents",
        *,
        length: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        epoch: int = 0,
        window: int = SHUFFLED_BLOCKS,
        sources: Sequence[str] | None = None,
        even: bool = False,
    ) -> None:
        whole = {"rank": rank, "world_size": world_size, "seed": seed, "epoch": epoch}
        for name, value in {**whole, "window": window}.items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"'{name}' must be a whole number (got {value!r})")
        if world_size < 1:
            raise ValueError(f"'world_size' must be at least 1 (got {world_size})")
        if epoch < 0:
            raise ValueError(f"'epoch' must be at least 0 (got {epoch})")
        if sources is not None and not sources:
            raise ValueError("'sources' is empty: leave it out for all")
        if not 0 <= rank < world_size:
            raise ValueError(f"'rank' must be in 0..{world_size - 1} (got {rank})")
        if window < 1:
            raise ValueError(f"'window' must be at least 1 block (got {window})")
        self._dataset, manifest = Dataset.published(mix)
        self._told = manifest.details["tokenizer"]
        self._read = read
        self.length = _length(manifest, read, length)
        files = {file.path: file for file in manifest.files}
        self._parts = [self._part(one) for one in _chosen(files, read, self.length, sources)]
        self._parts = [one for one in self._parts if one.items]
        self._tables = {name: one for name, one in files.items() if name.endswith(".csv.gz")}
        self._blocks = cut_blocks(
            np.array([one.items for one in self._parts], np.int64),
            np.array([one.size_bytes for one in self._parts], np.int64),
        )
        self._rank, self._world_size = rank, world_size
        self._shuffle, self._seed, self._window = shuffle, seed, window if shuffle else 1
        self._even, self._sources = even, sorted(sources) if sources is not None else None
        self.epoch, self.position = epoch, 0
        self._check_even()
        self._bounds = BoundsCache(self._read_bounds, BOUNDS_BYTES)

    def _part(self, file: OutputFile) -> _Part:
        items = file.rows
        if self._read == "sequences":
            assert self.length
            items = -(-file.size_bytes // (self.length * TOKEN_BYTES))
        return _Part(file.path, file.size_bytes, items)

    def _check_even(self) -> None:
        blocks = len(self._blocks.counts)
        if self._even and 0 < blocks < self._world_size:
            raise ValueError(
                f"'even' would leave every reader nothing: {self._world_size} share {blocks} blocks"
                " of 4 MiB; take fewer ranks or workers, or even=False"
            )

    def __len__(self) -> int:
        """Items of this rank in this epoch."""
        counts = self._blocks.counts[order_blocks(self._blocks, self._key)]
        ranks = range(self._world_size) if self._even else (self._rank,)
        return min(int(counts[rank :: self._world_size].sum()) for rank in ranks)

    @property
    def _key(self) -> tuple[int, int] | None:
        return (self._seed, self.epoch) if self._shuffle else None

    def __iter__(self) -> Iterator[Any]:
        with closing(self._items()) as items:
            for item in islice(items, len(self) - self.position):
                self.position += 1
                yield item
        self.epoch, self.position = self.epoch + 1, 0

    def _items(self) -> Generator[Any, None, None]:
        """The rank's items from `position` to the end of the epoch; blocks of the next windows are
        read while those of one are given."""
        mine = order_blocks(self._blocks, self._key)[self._rank :: self._world_size]
        windows = windows_from(self._blocks, mine, self._window, self.position)
        further = iter(windows)
        with ThreadPoolExecutor(READS_AHEAD) as threads:
            asked: deque[list[Future[list[Any]]]] = deque()
            for its, passed in windows:
                for ahead, _ in islice(further, 1 if asked else 1 + self._windows_ahead):
                    asked.append([threads.submit(self._read_block, one) for one in ahead.tolist()])
                items = [item for block in asked.popleft() for item in block.result()]
                for place in order_items(self._blocks, its, self._key)[passed:].tolist():
                    yield items[place]

    @property
    def _windows_ahead(self) -> int:
        return max(READS_AHEAD // self._window, 1)

    def state_dict(self) -> dict[str, Any]:
        """Where this reader stands, in values that JSON holds: its epoch, the number of its rank's
        next item, and all that this number depends on."""
        return {**self._identity(), "epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a reader of the same mix, with the same arguments, stood. ValueError tells
        what is another: which items are a rank's depends on the number of ranks, so that a run goes
        on with another number at the beginning of an epoch only (`epoch=`)."""
        if not isinstance(state, Mapping):
            raise ValueError(f"the state is none of a reader (got {state!r})")
        for name, mine in self._identity().items():
            if state.get(name) != mine:
                raise ValueError(
                    f"the state is of a reader with {name} {state.get(name)!r}, this one has"
                    f" {mine!r}: its position says nothing here; make the reader as it was, or"
                    f" begin an epoch anew (the state's is {state.get('epoch')})"
                )
        epoch, position = int(state["epoch"]), int(state["position"])
        self.set_epoch(epoch)
        if not 0 <= position <= len(self):
            raise ValueError(
                f"the state is of item {position:,}, but this rank has {len(self):,} in an epoch"
            )
        self.position = position

    def _identity(self) -> dict[str, Any]:
        return {
            "mix": self._dataset.fingerprint,
            "read": self._read,
            "length": self.length,
            "sources": self._sources,
            "rank": self._rank,
            "world_size": self._world_size,
            "shuffle": self._shuffle,
            "seed": self._seed,
            "window": self._window,
            "even": self._even,
        }

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch. ValueError for one below 0."""
        if epoch < 0:
            raise ValueError(f"'epoch' must be at least 0 (got {epoch})")
        self.epoch, self.position = epoch, 0

    def split(self, number: int, count: int) -> MixReader:
        """The `number`-th of `count` readers (from 0) that share this rank's items, as the worker
        processes of a loader do. It begins this reader's epoch; ValueError where this one is in the
        middle of it, since its position says nothing of theirs."""
        if self.position:
            raise ValueError(
                f"a reader that stands at item {self.position:,} of its epoch cannot be shared out"
                " to workers: read on without workers, or load each worker's own state, as"
                " torchdata's StatefulDataLoader does"
            )
        reader = object.__new__(MixReader)
        reader.__dict__.update(self.__dict__)
        reader._rank = self._rank + self._world_size * number
        reader._world_size = self._world_size * count
        reader._check_even()
        reader._bounds = BoundsCache(reader._read_bounds, BOUNDS_BYTES)
        return reader

    def __getstate__(self) -> dict[str, Any]:
        return {name: one for name, one in self.__dict__.items() if name != "_bounds"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bounds = BoundsCache(self._read_bounds, BOUNDS_BYTES)

    # Blocks

    def _read_block(self, number: int) -> list[Any]:
        part = self._parts[self._blocks.parts[number]]
        first = int(self._blocks.firsts[number])
        end = first + int(self._blocks.counts[number])
        if self._read == "documents":
            return self._documents(part, first, end)
        assert self.length
        last = min(end * self.length, part.size_bytes // TOKEN_BYTES)
        tokens = self._tokens(part, first * self.length, last)
        lacking = (end - first) * self.length - len(tokens)
        if lacking:
            tokens = np.concatenate([tokens, np.full(lacking, self._told["pad"], np.uint32)])
        return list(tokens.reshape(-1, self.length))

    def _documents(self, part: _Part, first: int, end: int) -> list[Document]:
        bounds = self._bounds(part.path)
        if len(bounds.starts) != part.items:
            raise self._damaged(f"{part.path} has other documents than the manifest says")
        start = int(bounds.starts[first])
        edges = np.append(bounds.starts[first:end], bounds.ends[end - 1]) - start
        tokens = self._tokens(part, start, start + int(edges[-1]))
        if (np.diff(edges) < 1).any() or (tokens[edges[1:] - 1] != self._told["eos"]).any():
            raise self._damaged(f"{part.path} has documents that do not close with EOS")
        return [
            Document(
                bounds.ids[first + row].as_py(),
                source_of_document(part.path, bounds.paths[first + row].as_py()),
                tokens[edges[row] : edges[row + 1]],
            )
            for row in range(end - first)
        ]

    def _read_bounds(self, path: str) -> DocumentBounds:
        name = path.removesuffix(".npy") + ".csv.gz"
        listed = self._tables.get(name)
        if listed is None:
            raise self._damaged(f"{name} is not in the manifest")
        content = self._content(name, 0, listed.size_bytes, listed.size_bytes)
        try:
            return parse_document_bounds(content, self._dataset.path(name))
        except ValueError as error:
            raise self._damaged(str(error)) from None

    def _tokens(self, part: _Part, first: int, end: int) -> Tokens:
        start, stop = first * TOKEN_BYTES, end * TOKEN_BYTES
        return np.frombuffer(self._content(part.path, start, stop, part.size_bytes), "<u4")

    def _content(self, name: str, start: int, stop: int, size_bytes: int) -> bytes:
        """Bytes of a file that the manifest lists in this size."""
        try:
            with storage.open_read(self._dataset.path(name)) as file:
                size = file.seek(0, 2)
                if size != size_bytes or not 0 <= start <= stop <= size:
                    raise self._damaged(f"{name} has {size:,} bytes, not {size_bytes:,}")
                file.seek(start)
                content = file.read(stop - start)
        except FileNotFoundError:
            raise self._damaged(f"{name} is missing") from None
        if len(content) != stop - start:
            raise self._damaged(f"{name} was cut")
        return content

    def _damaged(self, what: str) -> storage.DamagedFile:
        folder = self._dataset.folder
        return storage.DamagedFile(
            f"{what}: `vineleaf verify {folder}` tells what else is wrong; running the mix's recipe"
            " again makes it anew"
        )


def _length(manifest: Manifest, read: Read, length: int | None) -> int | None:
    """Tokens of a sequence; None for documents."""
    if read == "documents":
        if length is not None:
            raise ValueError("'length' is for sequences: documents are as long as they are")
        return None
    if read == "sequences":
        if not length or length < 1:
            raise ValueError(f"'length' must be the tokens of a sequence (got {length})")
        return length
    if read != "packed":
        raise ValueError(f"'read' must be documents, sequences or packed (got {read!r})")
    packed = manifest.parameters["recipe"]["mix"].get("sequence")
    if not packed:
        raise ValueError("the mix holds no packed sequences: its recipe has no 'mix.sequence'")
    if packed.get("packing") == "buckets":
        known = {int(one.path.split("/")[2]) for one in manifest.files if _is_packed(one.path)}
    else:
        known = {int(packed["length"])}
    if length is None and len(known) == 1:
        return known.pop()
    if length not in known:
        told = ", ".join(map(str, sorted(known)))
        raise ValueError(
            f"the mix has sequences of {told} tokens: choose a 'length' (got {length})"
        )
    return length


def _is_packed(path: str) -> bool:
    return path.startswith("sequences/") and path.endswith(".npy")


def _chosen(
    files: dict[str, OutputFile], read: Read, length: int | None, sources: Sequence[str] | None
) -> list[OutputFile]:
    """The token files that are read, in the manifest's order."""
    kind = "sequences/" if read == "packed" else "tokens/"
    found = [one for name, one in files.items() if name.startswith(kind) and name.endswith(".npy")]
    if read == "packed":
        found = [
            one
            for one in found
            if one.path.count("/") == 2 or one.path.split("/")[2] == str(length)
        ]
    known = sorted({one.path.split("/")[1] for one in found})
    if sources is not None and known == [SHUFFLED]:
        raise ValueError(
            "'sources' cannot be chosen: the order of this mix puts all of them into the same"
            " files; each document tells its source"
        )
    unknown = sorted(set(sources or ()) - set(known))
    if unknown:
        raise ValueError(f"the mix has no source {', '.join(unknown)}, only {', '.join(known)}")
    return [one for one in found if sources is None or one.path.split("/")[1] in sources]
