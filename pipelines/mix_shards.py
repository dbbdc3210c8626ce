"""The chosen documents become parts of a mix, in every format that the recipe asks for.

In: one shard with its tables `tokens` and `selection`, or one bucket of a shuffled mix. Out, in the
mix's folder: `tokens/<source>/part-<shard>-<index>.npy` with a `.csv.gz` beside each, and the same
parts below `jsonl/`, `parquet/`, `megatron/` and `mds/`; of a bucket `part-<bucket>-<index>` below
`<output>/shuffled`. A document that is taken n times stands in n passes over its shard, or at n
places of the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.mix_outputs import csv_of, is_token_file, of_source
from transforms import storage
from transforms.attributes import read_aligned
from transforms.datasets import Dataset, OutputFile, TaskRecord, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.mixing.document_order import document_order
from transforms.mixing.order_runs import read_bucket, write_run
from transforms.mixing.sequences import Sequencing, write_sequences
from transforms.stored_lists import StoredList
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.mds import MdsPart, mds_index
from transforms.tokens.megatron import MegatronPart
from transforms.tokens.parts import MixedDocuments, Part, PartsWriter, close_documents
from transforms.tokens.specification import TokenizerSpec
from transforms.tokens.text_files import TEXT_COLUMNS, JsonLinesPart, ParquetPart
from transforms.tokens.token_files import (
    TokenPart,
    read_document_bounds,
    read_token_file,
    source_of_document,
)
from transforms.tokens.tokenizer import Tokenizer

__all__ = [
    "BucketTask",
    "IndexTask",
    "MixTask",
    "PartsTask",
    "write_bucket",
    "write_index",
    "write_shard",
    "write_shard_run",
]

_TEXT_OUTPUTS = frozenset({"jsonl", "parquet"})


@dataclass(frozen=True, kw_only=True)
class PartsTask:
    """Some documents of a mix that become parts: `name` writes them, `rescan` reads them back.

    `folder`, `group`: the parts are `<output>/<folder>/part-<group>-<index>`. `shuffled`: they hold
    documents of all sources, and what is counted is told by source.
    """

    name: str
    dataset: Dataset
    tokenizer: TokenizerSpec
    fingerprint: str  # of the tokenizer
    file_tokens: int
    index: tuple[str, str] | None
    outputs: tuple[str, ...]
    sequence: Sequencing | None
    folder: str
    group: str
    shuffled: bool = False

    @property
    def rescan(self) -> str:
        return f"{self.name}.rescan"


@dataclass(frozen=True, kw_only=True)
class MixTask(PartsTask):
    """The documents of one shard of the pool. With `buckets`, and the `seed` of their order, they
    become a run (order_runs) instead of parts."""

    shard: PoolShard
    buckets: int = 0
    seed: int = 0

    @property
    def run(self) -> str:
        """Path of its run, without a suffix."""
        return storage.join(self.dataset.aside, f"order/{self.name}-{self.buckets}")


@dataclass(frozen=True, kw_only=True)
class BucketTask(PartsTask):
    """The documents of one bucket of the mix's order, out of all `runs`."""

    number: int
    runs: StoredList[str]


def write_shard(task: MixTask) -> MixTask:
    """Write the parts of a shard and their record, unless it exists."""
    if not storage.exists(task.dataset.record_path(task.name)):
        tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
        copies = range(_most_copies(task.shard))
        chosen = (its for copy in copies for its in _chosen(task, tokenizer, copy))
        _write_parts(task, tokenizer, chosen)
    return task


def write_shard_run(task: MixTask) -> str:
    """Write the run of a shard, unless it exists; gives its path."""
    tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
    chosen = (
        (document_order(its.rows.column("id"), task.seed, copy), its)
        for copy in range(_most_copies(task.shard))
        for its in _chosen(task, tokenizer, copy)
    )
    write_run(task.run, chosen, task.buckets)
    return task.run


def write_bucket(task: BucketTask) -> BucketTask:
    """Write the parts of a bucket and their record, unless it exists."""
    if not storage.exists(task.dataset.record_path(task.name)):
        tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
        chosen = read_bucket(task.runs, task.number)
        if _TEXT_OUTPUTS & {*task.outputs}:
            chosen = (_with_texts(its, tokenizer) for its in chosen)
        _write_parts(task, tokenizer, chosen)
    return task


def _write_parts(task: PartsTask, tokenizer: Tokenizer, chosen: Iterable[MixedDocuments]) -> None:
    """Write documents in every format, their sequences, and the task's record."""
    documents = tokens = 0
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                PartsWriter(opened, f"{output}/{task.folder}", task.group, task.file_tokens)
            )
            for output, opened in _openers(task, tokenizer)
        ]
        for its in chosen:
            for writer in writers:
                writer.write(its)
            documents += len(its.rows)
            tokens += len(its.tokens)
    files = [file for writer in writers for file in writer.files]
    token_files = [file.path for file in files if is_token_file(file.path)]
    counts = {"documents": documents, "tokens": tokens, "files": len(token_files)}
    if task.shuffled:
        counts = sum_counts(_files_by_source(task, path) for path in token_files)
    for path in token_files if task.sequence else ():
        packed, its_counts = _pack(task, path, tokenizer)
        files += packed
        counts = sum_counts([counts, its_counts])
    task.dataset.write_record(TaskRecord(task.name, files, counts))


def _files_by_source(task: PartsTask, path: str) -> dict[str, int]:
    """Which sources a token file holds documents of."""
    bounds = read_document_bounds(task.dataset.path(csv_of(path)))
    sources = {source_of_document(path, its) for its in set(bounds.paths)}
    return {of_source(source, "files"): 1 for source in sources}


def _pack(
    task: PartsTask, path: str, tokenizer: Tokenizer
) -> tuple[list[OutputFile], dict[str, int]]:
    """The sequences of a token file."""
    assert task.sequence is not None
    tokens = read_token_file(task.dataset.path(path))
    bounds = np.append(read_document_bounds(task.dataset.path(csv_of(path))).starts, len(tokens))
    pad = tokenizer.identity.pad
    return write_sequences(task.dataset.base, path, tokens, bounds, pad, task.sequence)


def _openers(task: PartsTask, tokenizer: Tokenizer) -> Iterator[tuple[str, Callable[[str], Part]]]:
    """Each output with what opens a part of it, tokens first."""
    base = task.dataset.base
    size = tokenizer.identity.vocabulary_size
    opened: dict[str, Callable[[str], Part]] = {
        "tokens": lambda path: TokenPart(base, path),
        "jsonl": lambda path: JsonLinesPart(base, path),
        "parquet": lambda path: ParquetPart(base, path),
        "megatron": lambda path: MegatronPart(base, path, size),
        "mds": lambda path: MdsPart(base, path),
    }
    for output, one in opened.items():
        if output in task.outputs:
            yield output, one


def _most_copies(shard: PoolShard) -> int:
    columns: dict[str, list[str] | None] = {"selection": ["copies"]}
    most = 0
    for batches in read_aligned(shard.paths("selection"), shard.file.rows_digest, columns):
        most = max(most, pc.max(batches["selection"].column("copies")).as_py() or 0)
    return most


def _chosen(task: MixTask, tokenizer: Tokenizer, epoch: int) -> Iterator[MixedDocuments]:
    """The documents that are taken more than `epoch` times, row group by row group."""
    shard, is_text = task.shard, bool(_TEXT_OUTPUTS & {*task.outputs})
    origin = "/".join(shard.documents.rsplit("/", 4)[1:])
    stored = ["id", *(TEXT_COLUMNS[1:] if is_text else ())]  # the text is what the tokens say
    columns: dict[str, list[str] | None] = {
        "documents": stored,
        "tokens": ["tokens"],
        "selection": ["copies"],
    }
    first = 1
    for batches in read_aligned(shard.paths(*columns), shard.file.rows_digest, columns):
        copies = batches["selection"].column("copies").to_numpy()
        rows = np.flatnonzero(copies > epoch)
        if len(rows):
            taken = batches["tokens"].column("tokens").take(pa.array(rows))
            bounds = np.concatenate(([0], np.cumsum(pc.list_value_length(taken).to_numpy())))
            bounds = bounds.astype(np.int64)
            tokens = taken.flatten().to_numpy()
            its = batches["documents"].take(pa.array(rows))
            arrays = {name: its.column(name) for name in stored}
            arrays["path"] = pa.array([origin] * len(rows))
            arrays["line"] = pa.array(rows + first, pa.int64())
            named = pa.RecordBatch.from_pydict(arrays)
            closed = close_documents(tokens, bounds, tokenizer.identity.eos, named)
            # Text never moves between shards: the tokens say it.
            yield _with_texts(closed, tokenizer) if is_text and not task.buckets else closed
        first += len(copies)


def _with_texts(documents: MixedDocuments, tokenizer: Tokenizer) -> MixedDocuments:
    """Documents with what their tokens, without EOS, say as the column `text`."""
    count = len(documents.rows)
    open_ends = np.delete(documents.tokens, documents.bounds[1:] - 1)
    data, offsets = tokenizer.decode_documents(open_ends, documents.bounds - np.arange(count + 1))
    texts = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))
    rows = documents.rows.append_column("text", texts)
    return documents._replace(rows=rows)


@dataclass(frozen=True)
class IndexTask:
    """The `index.json` of a folder's MDS shards, which `tasks` have written, in their order."""

    name: str
    folder: str
    dataset: Dataset
    tasks: StoredList[str]


def write_index(task: IndexTask) -> str:
    """Write the index of a folder's MDS shards and its record, unless it exists."""
    if not storage.exists(task.dataset.record_path(task.name)):
        shards = [
            file
            for name in task.tasks
            for file in task.dataset.read_record(name).files
            if file.path.endswith(".mds")
        ]
        path = f"mds/{task.folder}/index.json"
        with storage.write_aside(task.dataset.path(path)) as file:
            file.write(mds_index(shards))
        files = [OutputFile(path, file.size_bytes, file.sha256)]
        task.dataset.write_record(TaskRecord(task.name, files, {}))
    return task.name
