"""The pool that duplicates are sought in: shards of all sources under one numbering.

A pool shard is one file of documents with its attribute tables. Candidates are the documents that
the pool's rules kept (table `candidates`: `candidate` bool, `rank_0`, `rank_1` ... uint64, see
survivors.py). The shard's number in the pool is the upper half of its documents' addresses. Shards
of earlier runs may follow those of the pool's own sources: in place of documents they have the keys
that were published (published.py), and their documents rank before all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.attributes import AlignmentError
from transforms.datasets import OutputFile
from transforms.documents import StoredTable

__all__ = [
    "DUPLICATES",
    "NONE_PUBLISHED",
    "PoolShard",
    "in_pool",
    "published_from",
    "rank_matrix",
    "read_selected",
    "stood_for",
]

DOCUMENTS = "documents"  # name of the documents' own table in `PoolShard.paths`
# Tables whose `duplicate_of` removes documents, in the order in which they are made.
DUPLICATES = ("url_duplicates", "exact_duplicates", "fuzzy_duplicates")
NONE_PUBLISHED = np.uint64(0xFFFFFFFFFFFFFFFF)  # above every address


@dataclass(frozen=True)
class PoolShard:
    """One shard of the pool. `tables`: name of an attribute table -> its file for this shard;
    `file`: the documents' own entry in their manifest. `place`: of its run among the runs whose
    documents rank before each other; 0 where there is one run. `numbering`, of a published shard
    alone: (first number in its run, first number in this pool) of each row of shards, rising."""

    number: int
    source: str
    documents: str
    file: OutputFile
    tables: Mapping[str, str]
    place: int = 0
    numbering: tuple[tuple[int, int], ...] = ()

    @property
    def is_published(self) -> bool:
        """Whether it is of an earlier run, of which only keys are there."""
        return bool(self.numbering)

    @property
    def task(self) -> str:
        """Name of this shard's task: its file's name without the ending."""
        return self.file.path.rpartition("/")[2].removesuffix(".parquet")

    @property
    def judged_by(self) -> tuple[str, ...]:
        """The tables so far that tell which of its documents are in the pool (`in_pool`)."""
        return ("candidates", *(name for name in DUPLICATES if name in self.tables))

    def paths(self, *names: str) -> dict[str, str]:
        """Name -> path of some of its tables; `documents` is the documents themselves."""
        return {name: self.documents if name == DOCUMENTS else self.tables[name] for name in names}


def in_pool(tables: Mapping[str, pa.RecordBatch]) -> npt.NDArray[np.bool_]:
    """Which rows passed the pool's rules (null: not) and are nobody's duplicates, bool[rows].
    `tables` holds `candidates`, and those of `DUPLICATES` that there are."""
    kept = pc.fill_null(tables["candidates"].column("candidate"), False)
    for table in DUPLICATES:
        if table in tables:
            kept = pc.and_(kept, tables[table].column("duplicate_of").is_null())
    return kept.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def stood_for(tables: Mapping[str, pa.RecordBatch]) -> npt.NDArray[np.uint32]:
    """For how many documents each row stands since earlier stages, itself included, uint32[rows];
    1 where it was no candidate. `tables` holds those of `DUPLICATES` that there are."""
    known = [tables[name] for name in DUPLICATES if name in tables]
    if not known:
        return np.ones(next(iter(tables.values())).num_rows, np.uint32)
    counted = pc.fill_null(known[-1].column("stands_for"), 1)
    return counted.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def published_from(shards: Sequence[PoolShard]) -> np.uint64:
    """The least address of a published document; they follow all others."""
    numbers = [shard.number for shard in shards if shard.is_published]
    return np.uint64(min(numbers) << 32) if numbers else NONE_PUBLISHED


def rank_matrix(candidates: pa.RecordBatch, ranks: int, place: int = 0) -> npt.NDArray[np.uint64]:
    """The ranks of documents, uint64[rows, ranks]. Where a table has fewer columns, they are the
    last ones: before them stand the place of the run and zeros. Ranks of two runs are compared by
    that place alone. ValueError for a table with more columns."""
    names = [name for name in candidates.schema.names if name.startswith("rank_")]
    if len(names) > ranks:
        raise ValueError(f"{len(names)} rank columns, of {ranks}")
    matrix = np.zeros((candidates.num_rows, ranks), np.uint64)
    if len(names) < ranks:
        matrix[:, 0] = place
    for k in range(len(names)):
        column = candidates.column(f"rank_{k}").fill_null(0)
        matrix[:, ranks - len(names) + k] = column.to_numpy(zero_copy_only=False)
    return matrix


def read_selected(
    shard: PoolShard, columns: Mapping[str, list[str] | None], rows: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, pa.RecordBatch]]]:
    """Read some rows of some tables of a shard; row groups without any of them are not read.

    `columns`: table -> its columns, None for all; `rows`: rising row numbers. Yields per row group
    (the row numbers in it, table -> those rows). AlignmentError and DamagedFile as in
    `attributes.read_aligned`.
    """
    with ExitStack() as stack:
        tables = {}
        for name, path in shard.paths(*columns).items():
            table = tables[name] = stack.enter_context(StoredTable(path))
            if table.rows_digest != shard.file.rows_digest:
                raise AlignmentError(f"{path} holds other documents than {shard.documents}")
        sizes = {tuple(table.group_rows) for table in tables.values()}
        if len(sizes) != 1:
            raise AlignmentError(f"{shard.documents}: row groups differ from its tables'")
        first = 0
        for group, size in enumerate(sizes.pop()):
            end = first + size
            inside = rows[np.searchsorted(rows, first) : np.searchsorted(rows, end)]
            if len(inside):
                taken = pa.array(inside - first)
                yield (
                    inside,
                    {
                        name: table.read(group, columns[name]).take(taken)
                        for name, table in tables.items()
                    },
                )
            first = end
