"""Exchange: the one way data changes hands, as packed rows.

In: (writer, source) pairs and a function `rows(source)` that yields structured arrays; their first
field is a uint64 key. Out: `Partition` handles, which together hold every row once; rows that
belong together are in one partition. `by="key"`: equal keys meet; `by="shard"`: all addresses of
one shard of documents meet, partition number = shard number.

It has two carriers; what is read from the partitions is the same. *files* is a sort shuffle: a
writer makes one run, a file of segments, each sorted by *bucket* (a range of the hashed key, or a
shard), with an index of where each bucket begins. When all runs are there, buckets are merged into
partitions by their true sizes. Nothing but names and counts crosses a Beam stage. A run that exists
is not written again: in one folder the same name must stand for the same rows. *groupbykey* hands
blocks of rows to the runner's own shuffle, by groups of buckets: for runners whose shuffle holds
what is planned (scale.md: Flink hangs on more than some 1.2 GB of a stage's output per subtask).

A run says of itself how long it is and what each bucket's rows hash to. One that was cut or changed
is made anew where runs are taken up, or else noticed as its rows are read: DamagedFile then, and
the run is deleted, so that the next attempt makes it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.pvalue import PCollection

from transforms import storage
from transforms.documents import split_address
from transforms.kernels.hashing import hash_keys, hash_rows
from transforms.kernels.words import read_only
from transforms.rows import Rows
from transforms.sorted_pieces import sorted_order, sorted_pieces

__all__ = [
    "MOST_PARTITION_BYTES",
    "Carrier",
    "Exchange",
    "Partition",
    "Stored",
    "count_buckets",
    "find_stored",
    "plan_partitions",
    "remove_runs",
]

MOST_PARTITION_BYTES = 64 << 20  # bytes of rows in one partition, unless a single bucket is larger
SEGMENT_BYTES = 32 << 20  # bytes of rows that a writer sorts at once
MIN_BUCKETS = 64
BUCKETS_PER_GROUP = 8  # that go to one key of the runner's shuffle
MAX_BUCKETS = 1 << 16  # 4 TiB in partitions of 64 MiB; a bucket's number fits a radix sort
BUCKETS_PER_PARTITION = 8  # buckets planned for each partition, so that partitions come out even
Carrier = Literal["files", "groupbykey"]
_MAGIC = 0x324E55524C4E4956  # "VINLRUN2"
_FOOTER = np.dtype([("index_at", "<u8"), ("segments", "<u8"), ("index", "<u8"), ("magic", "<u8")])
# Of a segment's rows in one bucket: the first byte, how many, and a hash of their bytes.
_ENTRY = np.dtype([("offset", "<u8"), ("rows", "<u4"), ("digest", "<u4")])


def count_buckets(rows: int, row_bytes: int, most_bytes: int = MOST_PARTITION_BYTES) -> int:
    """Buckets (a power of two) for so many rows at most, to be cut into partitions of `most_bytes`.

    A bound on the rows is enough: buckets that stay small are merged.
    """
    wanted = max(1, rows * row_bytes * BUCKETS_PER_PARTITION // most_bytes)
    return min(MAX_BUCKETS, max(MIN_BUCKETS, 1 << (wanted - 1).bit_length()))


def plan_partitions(
    counts: npt.NDArray[np.int64], row_bytes: int, most_bytes: int = MOST_PARTITION_BYTES
) -> list[tuple[int, int]]:
    """Merge neighbouring buckets into partitions: (first bucket, end bucket exclusive), no gaps.

    `counts`: rows of each bucket, int64[buckets]. A partition holds at most `most_bytes` unless a
    single bucket does not; that one is a partition of its own.
    """
    bounds: list[tuple[int, int]] = []
    first, size = 0, 0
    for bucket, count in enumerate(counts.tolist()):
        row_size = count * row_bytes
        if bucket > first and size + row_size > most_bytes:
            bounds.append((first, bucket))
            first, size = bucket, 0
        size += row_size
    bounds.append((first, len(counts)))
    return bounds


class _Run(NamedTuple):
    """One finished run: where its index lies (bytes) and how many segments it has."""

    path: str
    index_at: int
    segments: int


@dataclass(frozen=True)
class Partition:
    """A handle on the rows of some buckets: small while its rows stay in files; one whose rows were
    grouped by the runner must be read in the stage that it came to.

    `name` tells which buckets: among exchanges of the same rows over as many buckets it stands for
    the same rows, however these were cut into partitions. With `by="shard"`, `first_bucket` is the
    shard number.
    """

    folder: str
    dtype: np.dtype[Any]
    first_bucket: int
    end_bucket: int  # exclusive
    most_bytes: int = MOST_PARTITION_BYTES  # that it was planned for
    grouped: Iterable[bytes] | None = None  # its blocks, where they came by the runner's shuffle

    @property
    def name(self) -> str:
        return f"{self.first_bucket:08d}-{self.end_bucket:08d}"

    def blocks(self) -> Iterator[Rows]:
        """The rows as they were written, piece by piece: by run name, segment and bucket; those
        that were grouped by the runner in any order. DamagedFile when a run was cut or changed."""
        if self.grouped is not None:
            yield from (np.frombuffer(block, self.dtype) for block in self.grouped if block)
            return
        for path, index_at, segments in storage.read_json(_list_path(self.folder)):
            width, buckets = segments * _ENTRY.itemsize, self.end_bucket - self.first_bucket
            with _open_run(path) as file:
                try:
                    file.seek(index_at + self.first_bucket * width)
                    entries = file.read(buckets * width)
                except FileNotFoundError:  # a store tells it as late as this
                    entries = b""
                if len(entries) != buckets * width:
                    raise _refused(path)
                index = np.frombuffer(entries, _ENTRY).reshape(buckets, segments)
                counts = index["rows"].sum(axis=0, dtype=np.int64)
                for segment in np.flatnonzero(counts):
                    file.seek(int(index["offset"][0, segment]))
                    data = file.read(int(counts[segment]) * self.dtype.itemsize)
                    seen = _digests(data, index["rows"][:, segment], self.dtype)
                    if seen is None or not np.array_equal(seen, index["digest"][:, segment]):
                        raise _refused(path)
                    yield np.frombuffer(data, self.dtype)

    def read(self) -> Rows:
        """All rows, sorted by their scalar fields, the first field first; rows that differ in none
        of these come in any order. Holds about three times the rows' bytes for a moment."""
        blocks = list(self.blocks())
        if not blocks:
            return np.empty(0, self.dtype)
        rows = np.concatenate(blocks)
        del blocks
        return rows[sorted_order(rows)]

    def pieces(self) -> Iterator[Rows]:
        """As `read`, in pieces of some `most_bytes` (sorted_pieces): for keys that may be hot. It
        is one piece unless the partition is a single bucket that is larger, or was grouped by the
        runner; none without rows."""
        return sorted_pieces(self.blocks(), self.dtype, self.most_bytes)


def _list_path(folder: str) -> str:
    return storage.join(folder, "runs.json")


def _bounds_path(folder: str) -> str:
    return storage.join(folder, "partitions.json")


class Stored(NamedTuple):
    """What an exchange left for a later pipeline: its partitions, and rows in all of them."""

    partitions: list[Partition]
    rows: int


def find_stored(
    folder: str, dtype: np.dtype[Any], most_bytes: int = MOST_PARTITION_BYTES
) -> Stored | None:
    """The partitions of an exchange all of whose runs are there; None before, and when one of them
    was lost or cut since."""
    if not storage.exists(_bounds_path(folder)):
        return None
    sizes = {file.path: file.size_bytes for file in storage.list_files([storage.escape(folder)])}
    stored = storage.read_json(_bounds_path(folder))
    runs = [_Run(*run) for run in storage.read_json(_list_path(folder))]
    if any(sizes.get(run.path) != _run_bytes(run, stored["bounds"][-1][1]) for run in runs):
        return None
    partitions = [
        Partition(folder, dtype, first, end, most_bytes) for first, end in stored["bounds"]
    ]
    return Stored(partitions, stored["rows"])


class _WriteRun(beam.DoFn):  # type: ignore[misc]
    """(writer, source) -> (_Run, rows in each bucket)."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def process(self, element: tuple[str, Any]) -> Iterator[tuple[_Run, npt.NDArray[np.int64]]]:
        writer, source = element
        buckets = self.exchange.buckets
        path = storage.join(self.exchange.folder, f"{writer}-{buckets}.run")
        row_bytes = self.exchange.dtype.itemsize
        found = _read_run(path, buckets, row_bytes) if storage.exists(path) else None
        if found is None:
            self._write(path, self.exchange.rows(source))
            found = _read_run(path, buckets, row_bytes)
        if found is None:
            raise _refused(path)
        yield found

    def _write(self, path: str, blocks: Iterable[Rows]) -> None:
        indexes: list[Rows] = []
        with storage.write_aside(path) as file:
            for segment in _segments(blocks, self.exchange.dtype):
                buckets = self.exchange.bucket_of(segment)
                counts = np.bincount(buckets, minlength=self.exchange.buckets)
                index = np.empty(self.exchange.buckets, _ENTRY)
                starts = np.cumsum(counts) - counts
                index["offset"] = file.size_bytes + starts * self.exchange.dtype.itemsize
                index["rows"] = counts
                small = buckets.astype(np.min_scalar_type(self.exchange.buckets - 1))
                # 16 bits are sorted by radix.
                data = segment[np.argsort(small, kind="stable")].view(np.uint8)
                index["digest"] = _digests(data, counts, self.exchange.dtype)
                indexes.append(index)
                file.write(data)
            index_at = file.size_bytes
            entries = np.stack(indexes, axis=1).reshape(-1) if indexes else np.empty(0, _ENTRY)
            file.write(entries.view(np.uint8))
            footer = (index_at, len(indexes), _index_digest(entries), _MAGIC)
            file.write(np.array([footer], _FOOTER).view(np.uint8))


def _digests(
    data: bytes | npt.NDArray[np.uint8], counts: npt.NDArray[Any], dtype: np.dtype[Any]
) -> npt.NDArray[np.uint32] | None:
    """A hash of each bucket's rows, of which there are so many: uint32[buckets]. None where there
    are less bytes."""
    ends = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=ends[1:])
    ends *= dtype.itemsize
    if len(data) < ends[-1]:
        return None
    return hash_rows(read_only(np.frombuffer(data, np.uint8)), ends)[0].astype(np.uint32)


def _index_digest(entries: Rows) -> int:
    data = np.frombuffer(entries.tobytes(), np.uint8)
    return int(hash_rows(data, np.array([0, len(data)], np.int64))[0][0])


def _run_bytes(run: _Run, buckets: int) -> int:
    """How long a run's file is."""
    return run.index_at + buckets * run.segments * _ENTRY.itemsize + _FOOTER.itemsize


def _read_run(path: str, buckets: int, row_bytes: int) -> tuple[_Run, npt.NDArray[np.int64]] | None:
    """A run and its rows in each bucket; None when it was cut or is no run, its index was changed,
    or its rows have another size (an earlier version's). They are not read."""
    with storage.open_read(path) as file:
        size = file.seek(0, 2)
        if size < _FOOTER.itemsize:
            return None
        file.seek(size - _FOOTER.itemsize)
        footer = np.frombuffer(file.read(_FOOTER.itemsize), _FOOTER)[0]
        run = _Run(path, int(footer["index_at"]), int(footer["segments"]))
        if int(footer["magic"]) != _MAGIC or _run_bytes(run, buckets) != size:
            return None
        file.seek(run.index_at)
        data = file.read(size - run.index_at - _FOOTER.itemsize)
        entries = np.frombuffer(data, _ENTRY)
        if _index_digest(entries) != int(footer["index"]):
            return None
    rows = entries["rows"].reshape(buckets, run.segments).sum(axis=1, dtype=np.int64)
    return (run, rows) if int(rows.sum()) * row_bytes == run.index_at else None


def _open_run(path: str) -> IO[bytes]:
    try:
        return storage.open_read(path)
    except FileNotFoundError as error:
        raise _refused(path) from error


def _refused(path: str) -> storage.DamagedFile:
    """Delete a run that is not what was written; what to tell of it."""
    storage.delete([path])
    return storage.DamagedFile(
        f"{path} was cut or changed since it was written, so it was deleted: run again, and it is"
        " made anew"
    )


def _segments(blocks: Iterable[Rows], dtype: np.dtype[Any]) -> Iterator[Rows]:
    """Gather blocks into arrays of some `SEGMENT_BYTES`."""
    held: list[Rows] = []
    size = 0
    for block in blocks:
        if block.dtype != dtype:
            raise TypeError(f"rows of an exchange must be {dtype} (got {block.dtype})")
        if len(block):
            held.append(block)
            size += block.nbytes
        if size >= SEGMENT_BYTES:
            yield np.concatenate(held)
            held, size = [], 0
    if held:
        yield np.concatenate(held)


class _Gather(beam.CombineFn):  # type: ignore[misc]
    """All runs, and the rows of each bucket over all of them."""

    def __init__(self, buckets: int) -> None:
        self.buckets = buckets

    def create_accumulator(self) -> tuple[list[_Run], npt.NDArray[np.int64]]:
        return [], np.zeros(self.buckets, np.int64)

    def add_input(
        self,
        accumulator: tuple[list[_Run], npt.NDArray[np.int64]],
        element: tuple[_Run, npt.NDArray[np.int64]],
    ) -> tuple[list[_Run], npt.NDArray[np.int64]]:
        runs, counts = accumulator
        runs.append(element[0])
        counts += element[1]
        return runs, counts

    def merge_accumulators(
        self, accumulators: Iterable[tuple[list[_Run], npt.NDArray[np.int64]]]
    ) -> tuple[list[_Run], npt.NDArray[np.int64]]:
        runs, counts = self.create_accumulator()
        for more_runs, more_counts in accumulators:
            runs += more_runs
            counts += more_counts
        return runs, counts

    def extract_output(
        self, accumulator: tuple[list[_Run], npt.NDArray[np.int64]]
    ) -> tuple[list[_Run], npt.NDArray[np.int64]]:
        return sorted(accumulator[0]), accumulator[1]


class _Cut(beam.DoFn):  # type: ignore[misc]
    """Runs and counts of all buckets -> partitions, once the list of runs is on storage."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def process(self, element: tuple[list[_Run], npt.NDArray[np.int64]]) -> Iterator[Partition]:
        runs, counts = element
        names = [run.path for run in runs]
        if len(set(names)) != len(names):
            raise ValueError(f"two writers of {self.exchange.folder} have the same name")
        storage.write_json(_list_path(self.exchange.folder), runs)
        bounds = self.exchange.plan(counts)
        stored = {"bounds": bounds, "rows": int(counts.sum())}
        storage.write_json(_bounds_path(self.exchange.folder), stored)
        for first, end in bounds:
            yield self.exchange.partition(first, end)


class _MakeBlocks(beam.DoFn):  # type: ignore[misc]
    """(writer, source) -> (group, rows as bytes): a segment's rows of each group, in any order."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def process(self, element: tuple[str, Any]) -> Iterator[tuple[int, bytes]]:
        _, source = element
        width = self.exchange.group_buckets
        for segment in _segments(self.exchange.rows(source), self.exchange.dtype):
            group = self.exchange.bucket_of(segment) // width
            order = np.argsort(group, kind="stable")
            group = group[order]
            begins = np.flatnonzero(np.diff(group, prepend=-1))
            for rows, number in zip(
                np.split(segment[order], begins[1:]), group[begins].tolist(), strict=True
            ):
                yield number, rows.tobytes()


class Exchange(beam.PTransform[Any, Any]):
    """PCollection of (writer, source) -> PCollection of `Partition`.

    `folder`: scratch of this exchange alone. `dtype`: of the rows; its first field must be uint64.
    `rows`: source -> arrays of that dtype, of any size; it is called only for writers without a
    run. `buckets`: see `count_buckets`; with `by="shard"` the number of shards, each of which is
    then one partition (also without any row). With `by="key"` there is at least one partition.
    Neither `buckets` nor `most_bytes`, nor the carrier, nor the split into writers changes which
    rows meet. `carrier`: see the module; an exchange into a single bucket goes through files.
    A writer needs some four times `SEGMENT_BYTES`, beside what `rows` holds.
    """

    def __init__(
        self,
        folder: str,
        dtype: np.dtype[Any],
        rows: Callable[[Any], Iterable[Rows]],
        buckets: int,
        by: Literal["key", "shard"] = "key",
        most_bytes: int = MOST_PARTITION_BYTES,
        carrier: Carrier = "files",
    ) -> None:
        super().__init__()
        if not dtype.names or dtype[0] != np.dtype("<u8"):
            raise ValueError(f"the first field of an exchange must be uint64 (got {dtype})")
        if buckets < 1 or (by == "key" and buckets & (buckets - 1)):
            raise ValueError(f"buckets must be a power of two (got {buckets})")
        if most_bytes < 1:
            raise ValueError(f"most_bytes must be 1 or more (got {most_bytes})")
        self.folder = folder
        self.dtype = dtype
        self.rows = rows
        self.buckets = buckets
        self.by = by
        self.most_bytes = most_bytes
        self.carrier = "files" if buckets == 1 and by == "key" else carrier

    @property
    def group_buckets(self) -> int:
        """Buckets that are one key of the runner's shuffle."""
        return 1 if self.by == "shard" else min(self.buckets, BUCKETS_PER_GROUP)

    def bucket_of(self, rows: Rows) -> npt.NDArray[np.intp]:
        """The bucket of each row. ValueError when an address lies in no shard of the exchange."""
        keys = rows[rows.dtype.names[0]]  # type: ignore[index]
        if self.by == "shard":
            shards = (keys >> np.uint64(32)).astype(np.intp)
            if len(shards) and int(shards.max()) >= self.buckets:
                shard, _ = split_address(int(keys.max()))
                raise ValueError(f"address in shard {shard} of {self.buckets} shards")
            return shards
        bits = self.buckets.bit_length() - 1
        if bits == 0:
            return np.zeros(len(rows), np.intp)
        return (hash_keys(keys) >> np.uint64(64 - bits)).astype(np.intp)

    def plan(self, counts: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """The partitions for these true counts of the buckets."""
        if self.by == "shard":
            return [(shard, shard + 1) for shard in range(self.buckets)]
        return plan_partitions(counts, self.dtype.itemsize, self.most_bytes)

    def partition(self, first: int, end: int, grouped: Iterable[bytes] | None = None) -> Partition:
        """The partition of some buckets, `end` exclusive."""
        return Partition(self.folder, self.dtype, first, end, self.most_bytes, grouped)

    def _group(self, element: tuple[int, Iterable[bytes]]) -> Partition:
        number, blocks = element
        width = self.group_buckets
        return self.partition(number * width, (number + 1) * width, blocks)

    def _groups_without_rows(self) -> Iterator[tuple[int, bytes]]:
        """So that all shards have a partition, or at least one has."""
        return ((group, b"") for group in range(self.buckets if self.by == "shard" else 1))

    def expand(self, sources: PCollection[Any]) -> PCollection[Partition]:
        if self.carrier == "groupbykey":
            return self._by_runner(sources)
        partitions: PCollection[Partition] = (
            sources
            | "WriteRuns" >> beam.ParDo(_WriteRun(self))
            | "WaitForAll" >> beam.CombineGlobally(_Gather(self.buckets))
            | "Cut" >> beam.ParDo(_Cut(self))
            | "Spread" >> beam.Reshuffle()
        )
        return partitions

    def _by_runner(self, sources: PCollection[Any]) -> PCollection[Partition]:
        blocks = sources | "MakeBlocks" >> beam.ParDo(_MakeBlocks(self)).with_output_types(
            tuple[int, bytes]
        )
        empty = (
            sources.pipeline
            | "NoRows" >> beam.Create([None])
            | "EachGroup"
            >> beam.FlatMap(lambda _: self._groups_without_rows()).with_output_types(
                tuple[int, bytes]
            )
        )
        partitions: PCollection[Partition] = (
            (blocks, empty)
            | "Together" >> beam.Flatten()
            | "Group" >> beam.GroupByKey()
            | "Partitions" >> beam.Map(self._group)
        )
        return partitions


def remove_runs(folder: str) -> None:
    """Delete everything below a scratch folder of exchanges; call it when the stage's manifest is
    written."""
    storage.delete(
        [file.path for file in storage.list_files([storage.join(storage.escape(folder), "**")])]
    )
    if "://" not in folder:
        storage.delete([folder])  # the empty folders, which only local disks have
