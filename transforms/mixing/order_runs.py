"""Runs: documents on their way into the shuffled order of a mix (document_order.py).

In: the documents that one shard gives to a mix. Out, per shard: `<run>.arrow`, an Arrow file of
record batches with the columns `order` uint64, `tokens` list<uint32> (EOS included) and those of
the documents, each batch of one bucket and sorted; and `<run>.buckets`, the bucket of each batch,
little-endian int32. A bucket is read from all runs, so tokens move once, through files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.mixing.document_order import staged_buckets
from transforms.tokens.parts import MixedDocuments

__all__ = ["read_bucket", "write_run"]

SEGMENT_TOKENS = 1 << 24  # that a writer sorts at once
BATCH_TOKENS = 1 << 22  # that a reader gives at once, unless one document has more
# An id is one document in each source, and a path begins with its source.
_ORDER = [("order", "ascending"), ("id", "ascending"), ("path", "ascending")]


def write_run(
    path: str,
    documents: Iterable[tuple[npt.NDArray[np.uint64], MixedDocuments]],
    buckets: Sequence[int],
) -> None:
    """Write a run of documents with their orders, unless it exists; none without documents.
    `buckets`: see `staged_buckets`."""
    if storage.exists(path + ".buckets"):
        return
    numbers: list[int] = []
    with storage.write_aside(path + ".arrow") as file:
        writer = None
        for segment in _segments(documents):
            if writer is None:
                writer = pa.ipc.new_file(file, segment.schema)
            segment = segment.sort_by(_ORDER).combine_chunks()
            its = staged_buckets(segment["order"].to_numpy(), buckets)
            edges = np.flatnonzero(np.diff(its, prepend=-1, append=sum(buckets)))
            for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                writer.write_table(segment.slice(first, end - first), max_chunksize=end - first)
                numbers.append(int(its[first]))
        if writer is not None:
            writer.close()
    # Last: where it is, the run is whole.
    storage.write_bytes(path + ".buckets", np.array(numbers, "<i4").tobytes())


def _segments(
    documents: Iterable[tuple[npt.NDArray[np.uint64], MixedDocuments]],
) -> Iterator[pa.Table]:
    """Tables of some `SEGMENT_TOKENS`."""
    held: list[pa.RecordBatch] = []
    tokens = 0
    for orders, its in documents:
        lists = pa.ListArray.from_arrays(pa.array(its.bounds, pa.int32()), pa.array(its.tokens))
        columns = {name: its.rows.column(name) for name in its.rows.schema.names}
        held.append(pa.RecordBatch.from_pydict({"order": orders, "tokens": lists, **columns}))
        tokens += len(its.tokens)
        if tokens >= SEGMENT_TOKENS:
            yield pa.Table.from_batches(held)
            held, tokens = [], 0
    if held:
        yield pa.Table.from_batches(held)


def read_bucket(paths: Iterable[str], bucket: int) -> Iterator[MixedDocuments]:
    """The documents of a bucket from all runs, in their order, some `BATCH_TOKENS` at a time. Holds
    the bucket."""
    found = [batch for path in paths for batch in _batches(path, bucket)]
    if not found:
        return
    table = pa.Table.from_batches(found)
    order = pc.sort_indices(table.drop_columns(["tokens"]), sort_keys=_ORDER)
    lengths = pc.list_value_length(table["tokens"]).take(order).to_numpy()
    ends = np.cumsum(lengths, dtype=np.int64)
    first = 0
    while first < len(ends):
        begun = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, begun + BATCH_TOKENS, "right")), first + 1)
        part = table.take(order.slice(first, last - first)).combine_chunks().to_batches()[0]
        bounds = np.concatenate(([0], ends[first:last] - begun)).astype(np.int64)
        tokens = part.column("tokens").flatten().to_numpy()
        yield MixedDocuments(tokens, bounds, part.drop_columns(["order", "tokens"]))
        first = last


def _batches(path: str, bucket: int) -> Iterator[pa.RecordBatch]:
    numbers = np.frombuffer(storage.read_bytes(path + ".buckets"), "<i4")
    its = np.flatnonzero(numbers == bucket).tolist()
    if its:
        with storage.open_read(path + ".arrow") as file:
            reader = pa.ipc.open_file(file)
            yield from (reader.get_batch(number) for number in its)
