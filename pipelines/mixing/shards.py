"""The chosen documents become parts of a mix, in every format that the recipe asks for.

In: one shard with its tables `tokens` and `selection`, or one bucket of a shuffled mix. Out, in the
mix's folder: `tokens/<source>/part-<shard>-<index>.npy` with a `.csv.gz` beside each, and the same
parts below `jsonl/`, `parquet/`, `megatron/` and `mds/`; of a bucket `part-<bucket>-<index>` below
`<output>/shuffled`. A document that is taken n times stands in n passes over its shard, or at n
places of the order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.mixing.outputs import csv_of, is_token_file, of_source
from pipelines.mixing.reuse import Written, remember_parts, reuse_parts
from pipelines.mixing.selection_table import stage_columns
from transforms import storage
from transforms.attributes import read_aligned
from transforms.checks.documents import id_hashes
from transforms.datasets import Dataset, OutputFile, TaskRecord, fingerprint_of, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.mixing.budget import order_key
from transforms.mixing.document_order import buckets_of, document_order
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
    "MIX_VERSION",
    "MixTask",
    "PartsTask",
    "write_bucket",
    "write_index",
    "write_shard",
    "write_shard_run",
]

MIX_VERSION = 7
SLICES_AT_ONCE = 8  # whose files are open, some tens of MB each on an object store
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
    """The documents of one shard of the pool. With `buckets` (see `staged_buckets`) they become a
    run (order_runs) in the order of `seed` instead of parts.

    `slices`: into how many groups of parts they are divided, a power of two, by the order of `seed`
    by which documents are chosen. `memory`: folder that knows parts by what they hold; with `reuse`
    those that it knows are shared (reuse).
    """

    shard: PoolShard
    buckets: tuple[int, ...] = ()
    seed: int = 0
    slices: int = 1
    memory: str
    reuse: bool = False

    @property
    def run(self) -> str:
        """Path of its run, without a suffix."""
        buckets = "-".join(map(str, self.buckets))
        return storage.join(self.dataset.aside, f"order/{self.name}-{buckets}")

    @property
    def stages(self) -> int:
        """Of a curriculum; 0 where there is none."""
        return len(self.buckets) if len(self.buckets) > 1 else 0


@dataclass(frozen=True, kw_only=True)
class BucketTask(PartsTask):
    """The documents of one bucket of the mix's order, out of all `runs`."""

    number: int
    runs: StoredList[str]


def write_shard(task: MixTask) -> MixTask:
    """Write the parts of a shard, or share those of an earlier mix, and their record, unless it
    exists."""
    if storage.exists(task.dataset.record_path(task.name)):
        return task
    tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
    contents = _contents(task)
    written: dict[int, Written] = {}
    for number, content in enumerate(contents):
        known = task.reuse and content["rows"]
        key, group = fingerprint_of(content), _group(task, number)
        found = reuse_parts(task.memory, key, task.dataset, group) if known else None
        if found is not None:
            written[number] = found
    new = [number for number, its in enumerate(contents) if its["rows"] and number not in written]
    for first in range(0, len(new), SLICES_AT_ONCE):
        its = new[first : first + SLICES_AT_ONCE]
        copies = range(max(contents[number]["most_copies"] for number in its))
        chosen = (one for copy in copies for one in _chosen(task, tokenizer, copy, its))
        made = _write_files(
            task, tokenizer, {_group(task, number): number for number in its}, chosen
        )
        for number, parts in made.items():
            written[number] = parts
            key = fingerprint_of(contents[number])
            remember_parts(task.memory, key, task.dataset, _group(task, number), parts)
    files = [file for number in sorted(written) for file in written[number].files]
    nothing = {"documents": 0, "tokens": 0, "files": 0}
    counts = sum_counts([nothing, *(its.counts for its in written.values())])
    task.dataset.write_record(TaskRecord(task.name, files, counts))
    return task


def _group(task: MixTask, number: int) -> str:
    """What is in the names of a slice's parts."""
    return task.group if task.slices == 1 else f"{task.group}s{number:03d}"


def _contents(task: MixTask) -> list[dict[str, Any]]:
    """All that the parts of each slice depend on; `rows`: documents in it."""
    columns: dict[str, list[str] | None] = {"documents": ["id"], "selection": ["copies"]}
    shard, first = task.shard, 0
    slices = range(task.slices)
    digests = [hashlib.blake2b(digest_size=16) for _ in slices]
    rows, most = [0 for _ in slices], [0 for _ in slices]
    for batches in read_aligned(shard.paths(*columns), shard.file.rows_digest, columns):
        copies, of_slice = _copies_in(task, batches)
        for number in slices:
            its = np.flatnonzero((copies > 0) & (of_slice == number))
            digests[number].update((its + first).astype("<i8").tobytes())
            digests[number].update(copies[its].astype("<i8").tobytes())
            rows[number] += len(its)
            most[number] = max(most[number], int(copies[its].max(initial=0)))
        first += len(copies)
    common = {
        "version": MIX_VERSION,
        "shards": [_origin(path) for path in shard.paths("documents", "tokens").values()],
        "tokenizer": task.fingerprint,
        "file_tokens": task.file_tokens,
        "outputs": sorted(task.outputs),
        "sequence": asdict(task.sequence) if task.sequence else None,
    }
    return [
        {
            **common,
            "taken": digests[number].hexdigest(),
            "rows": rows[number],
            "most_copies": most[number],
        }
        for number in slices
    ]


def _copies_in(
    task: MixTask, batches: Mapping[str, pa.RecordBatch]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How often each document is taken, and its slice."""
    copies = batches["selection"].column("copies").to_numpy().astype(np.int64)
    order = order_key(id_hashes(batches["documents"].column("id"))[0], task.seed)
    return copies, buckets_of(order, task.slices)


def _stages_of(batch: pa.RecordBatch, stages: int, copy: int) -> npt.NDArray[np.int64]:
    """The stage, from 0, in which each document of a selection stands for time number `copy`;
    `stages` for those that are not taken so often."""
    stage = np.zeros(batch.num_rows, np.int64)
    until = np.zeros(batch.num_rows, np.int64)
    for name in stage_columns(stages):
        until += batch.column(name).to_numpy()
        stage += until <= copy
    return stage


def _origin(path: str) -> str:
    """Where a shard's file lies in its workspace."""
    return "/".join(path.rsplit("/", 4)[1:])


def write_shard_run(task: MixTask) -> str:
    """Write the run of a shard, unless it exists; gives its path."""
    tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
    chosen = (
        (
            document_order(its.rows.column("id"), task.seed, copy, stage if task.stages else None),
            its,
        )
        for copy in range(_contents(task)[0]["most_copies"])
        for stage, its in _chosen(task, tokenizer, copy, range(task.stages or 1))
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
        numbered = ((task.number, its) for its in chosen)
        written = _write_files(task, tokenizer, {task.group: task.number}, numbered)[task.number]
        task.dataset.write_record(TaskRecord(task.name, *written))
    return task


def _write_files(
    task: PartsTask,
    tokenizer: Tokenizer,
    groups: Mapping[str, int],
    chosen: Iterable[tuple[int, MixedDocuments]],
) -> dict[int, Written]:
    """Write documents in every format, and their sequences. `groups`: the numbers with which
    documents come, by what is in the names of their parts."""
    counts = {number: {"documents": 0, "tokens": 0} for number in groups.values()}
    with ExitStack() as stack:
        writers = {
            number: [
                stack.enter_context(
                    PartsWriter(opened, f"{output}/{task.folder}", group, task.file_tokens)
                )
                for output, opened in _openers(task, tokenizer)
            ]
            for group, number in groups.items()
        }
        for number, its in chosen:
            for writer in writers[number]:
                writer.write(its)
            counts[number]["documents"] += len(its.rows)
            counts[number]["tokens"] += len(its.tokens)
    written = {}
    for number, its_writers in writers.items():
        files = [file for writer in its_writers for file in writer.files]
        written[number] = _finish(task, tokenizer, files, counts[number])
    return written


def _finish(
    task: PartsTask, tokenizer: Tokenizer, files: list[OutputFile], counts: dict[str, int]
) -> Written:
    """Files with the sequences of the token files among them, and all that is counted."""
    token_files = [file.path for file in files if is_token_file(file.path)]
    counts = {**counts, "files": len(token_files)}
    if task.shuffled:
        counts = sum_counts(_files_by_source(task, path) for path in token_files)
    for path in token_files if task.sequence else ():
        packed, its_counts = _pack(task, path, tokenizer)
        files = files + packed
        counts = sum_counts([counts, its_counts])
    return Written(files, counts)


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


def _chosen(
    task: MixTask, tokenizer: Tokenizer, epoch: int, numbers: Sequence[int]
) -> Iterator[tuple[int, MixedDocuments]]:
    """The documents of some slices that are taken more than `epoch` times, row group by row group,
    with the slice's number; of a curriculum stages stand for slices."""
    shard, is_text = task.shard, bool(_TEXT_OUTPUTS & {*task.outputs})
    origin = _origin(shard.documents)
    stored = ["id", *(TEXT_COLUMNS[1:] if is_text else ())]  # the text is what the tokens say
    columns: dict[str, list[str] | None] = {
        "documents": stored,
        "tokens": ["tokens"],
        "selection": ["copies", *stage_columns(task.stages)],
    }
    first = 1
    for batches in read_aligned(shard.paths(*columns), shard.file.rows_digest, columns):
        copies, of_slice = _copies_in(task, batches)
        if task.stages:
            of_slice = _stages_of(batches["selection"], task.stages, epoch)
        for number in numbers:
            rows = np.flatnonzero((copies > epoch) & (of_slice == number))
            if not len(rows):
                continue
            taken = batches["tokens"].column("tokens").take(pa.array(rows))
            bounds = np.concatenate(([0], np.cumsum(pc.list_value_length(taken).to_numpy())))
            its = batches["documents"].take(pa.array(rows))
            arrays = {name: its.column(name) for name in stored}
            arrays["path"] = pa.array([origin] * len(rows))
            arrays["line"] = pa.array(rows + first, pa.int64())
            named = pa.RecordBatch.from_pydict(arrays)
            tokens = taken.flatten().to_numpy()
            eos = tokenizer.identity.eos
            closed = close_documents(tokens, bounds.astype(np.int64), eos, named)
            # Text never moves between shards: the tokens say it.
            yield number, _with_texts(closed, tokenizer) if is_text and not task.buckets else closed
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
