"""A shard of the pool becomes parts of a mix, in every format that the recipe asks for.

In: one shard with its tables `tokens` and `selection`. Out, in the mix's folder:
`tokens/<source>/part-<shard>-<index>.npy` with a `.csv.gz` beside each, and the same parts below
`jsonl/`, `parquet/`, `megatron/` and `mds/`. A document that is taken n times stands in n passes
over its shard. Every file is then read back: tokens are checked and decoded, the text is scanned
for benchmark n-grams, and the other formats are held against the token files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.mix_outputs import difference, other_outputs
from transforms import storage
from transforms.attributes import read_aligned
from transforms.checks.tokens import check_tokens
from transforms.datasets import Dataset, OutputFile, TaskRecord, sum_counts
from transforms.decontamination.index import NgramIndex, count_document_hits, load_index
from transforms.dedup.pool import PoolShard
from transforms.mixing.sequences import Sequencing, write_sequences
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.mds import MdsPart, mds_index
from transforms.tokens.megatron import MegatronPart
from transforms.tokens.parts import MixedDocuments, Part, PartsWriter, close_documents
from transforms.tokens.specification import TokenizerSpec
from transforms.tokens.text_files import TEXT_COLUMNS, JsonLinesPart, ParquetPart
from transforms.tokens.token_files import (
    DocumentBounds,
    TokenPart,
    read_document_bounds,
    read_token_file,
)
from transforms.tokens.tokenizer import Tokenizer

__all__ = [
    "IndexTask",
    "MixTask",
    "csv_of",
    "is_sound",
    "is_token_file",
    "rescan_shard",
    "scan_tokens",
    "source_of",
    "write_index",
    "write_shard",
]

SCAN_TOKENS = 1 << 22  # tokens decoded at once, unless a single document has more
_TEXT_OUTPUTS = frozenset({"jsonl", "parquet"})


@dataclass(frozen=True)
class MixTask:
    """One shard of the pool: `name` writes its token files, `name` + `.rescan` reads them back."""

    name: str
    shard: PoolShard
    dataset: Dataset
    tokenizer: TokenizerSpec
    fingerprint: str  # of the tokenizer
    file_tokens: int
    index: tuple[str, str] | None
    outputs: tuple[str, ...]
    sequence: Sequencing | None

    @property
    def rescan(self) -> str:
        return f"{self.name}.rescan"


def write_shard(task: MixTask) -> MixTask:
    """Write the parts of a shard and their record, unless it exists."""
    if storage.exists(task.dataset.record_path(task.name)):
        return task
    tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
    documents = tokens = 0
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                PartsWriter(
                    opened, f"{output}/{task.shard.source}", f"{task.shard.number:03d}",
                    task.file_tokens,
                )
            )
            for output, opened in _openers(task, tokenizer)
        ]  # fmt: skip
        for epoch in range(_most_copies(task.shard)):
            for chosen in _chosen(task, tokenizer, epoch):
                for writer in writers:
                    writer.write(chosen)
                documents += len(chosen.rows)
                tokens += len(chosen.tokens)
    files = [file for writer in writers for file in writer.files]
    token_files = [file.path for file in files if is_token_file(file.path)]
    counts = {"documents": documents, "tokens": tokens, "files": len(token_files)}
    for path in token_files if task.sequence else ():
        packed, its = _pack(task, path, tokenizer)
        files += packed
        counts = sum_counts([counts, its])
    task.dataset.write_record(TaskRecord(task.name, files, counts))
    return task


def _pack(
    task: MixTask, path: str, tokenizer: Tokenizer
) -> tuple[list[OutputFile], dict[str, int]]:
    """The sequences of a token file."""
    assert task.sequence is not None
    tokens = read_token_file(task.dataset.path(path))
    bounds = np.append(read_document_bounds(task.dataset.path(csv_of(path))).starts, len(tokens))
    pad = tokenizer.identity.pad
    return write_sequences(task.dataset.base, path, tokens, bounds, pad, task.sequence)


def _openers(task: MixTask, tokenizer: Tokenizer) -> Iterator[tuple[str, Callable[[str], Part]]]:
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
            if is_text:
                arrays["text"] = _texts(tokenizer, tokens, bounds)
            named = pa.RecordBatch.from_pydict(arrays)
            yield close_documents(tokens, bounds, tokenizer.identity.eos, named)
        first += len(copies)


def _texts(
    tokenizer: Tokenizer, tokens: npt.NDArray[np.uint32], bounds: npt.NDArray[np.int64]
) -> pa.Array:
    data, offsets = tokenizer.decode_documents(tokens, bounds)
    return pa.LargeStringArray.from_buffers(
        len(bounds) - 1, pa.py_buffer(offsets), pa.py_buffer(data)
    )


@dataclass(frozen=True)
class IndexTask:
    """The `index.json` of a source's MDS shards, which `tasks` have written, in their order."""

    name: str
    source: str
    dataset: Dataset
    tasks: Sequence[str]


def write_index(task: IndexTask) -> str:
    """Write the index of a source's MDS shards and its record, unless it exists."""
    if not storage.exists(task.dataset.record_path(task.name)):
        shards = [
            file
            for name in task.tasks
            for file in task.dataset.read_record(name).files
            if file.path.endswith(".mds")
        ]
        path = f"mds/{task.source}/index.json"
        with storage.write_aside(task.dataset.path(path)) as file:
            file.write(mds_index(shards))
        files = [OutputFile(path, file.size_bytes, file.sha256)]
        task.dataset.write_record(TaskRecord(task.name, files, {}))
    return task.name


def rescan_shard(task: MixTask) -> str:
    """Read the token files of a shard back and write what is found as a record of its own."""
    if not storage.exists(task.dataset.record_path(task.rescan)):
        tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
        index = load_index(*task.index) if task.index else None
        files = [
            file.path
            for file in task.dataset.read_record(task.name).files
            if is_token_file(file.path)
        ]
        counts = sum_counts(_reread(task, path, tokenizer, index) for path in files)
        task.dataset.write_record(TaskRecord(task.rescan, [], {**_nothing_scanned(), **counts}))
    return task.name


def _reread(
    task: MixTask, path: str, tokenizer: Tokenizer, index: NgramIndex | None
) -> dict[str, int]:
    """Counters of a token file and of what the other formats hold of its documents."""
    tokens = read_token_file(task.dataset.path(path))
    bounds = read_document_bounds(task.dataset.path(csv_of(path)))
    counts = scan_tokens(tokens, bounds, tokenizer, index)
    others = other_outputs(task.outputs, task.sequence)
    if is_sound(counts):
        others = [
            one
            for one in others
            if difference(task.dataset, path, one, tokens, bounds, tokenizer, task.sequence)
        ]
    return {**counts, "rescan.unlike_parts": len(others)}


def is_sound(counts: Mapping[str, int]) -> bool:
    """Whether the documents of a token file can be told and decoded, by its `rescan.*`."""
    wrong = ("misplaced_documents", "stray_tokens", "tokens_out_of_range", "missing_eos")
    return not any(counts[f"rescan.{name}"] for name in wrong)


def _nothing_scanned() -> dict[str, int]:
    """The rescan counters of a shard without a token file: all are there, all are 0."""
    nowhere = np.empty(0, np.int64)
    counts = check_tokens(np.empty(0, np.uint32), nowhere, nowhere, 1, 0)
    return {**dict.fromkeys(counts, 0), "rescan.hits": 0, "rescan.unlike_parts": 0}


def scan_tokens(
    tokens: npt.NDArray[np.uint32],
    bounds: DocumentBounds,
    tokenizer: Tokenizer,
    index: NgramIndex | None,
) -> dict[str, int]:
    """Check one token file as a trainer reads it: counters `rescan.*`.

    `rescan.hits` are benchmark n-grams in the decoded documents; 0 without an index. Documents
    whose bounds or tokens are wrong are counted and not decoded.
    """
    identity = tokenizer.identity
    counts = check_tokens(
        tokens, bounds.starts, bounds.ends, identity.vocabulary_size, identity.eos
    )
    counts["rescan.hits"] = 0
    if index is None or counts["rescan.misplaced_documents"] or counts["rescan.stray_tokens"]:
        return counts
    if counts["rescan.tokens_out_of_range"]:
        return counts
    edges = np.append(bounds.starts, len(tokens))
    first = 0
    while first < len(bounds.starts):
        last = int(np.searchsorted(edges, edges[first] + SCAN_TOKENS, "right")) - 1
        last = min(max(last, first + 1), len(bounds.starts))
        part = np.asarray(tokens[edges[first] : edges[last]])
        part_bounds = edges[first : last + 1] - edges[first]
        texts = tokenizer.decode_documents(part, part_bounds)
        counts["rescan.hits"] += int(count_document_hits(index, *texts).sum())
        first = last
    return counts


def is_token_file(path: str) -> bool:
    """Whether a file of a mix holds the tokens of documents as they follow one another."""
    return path.startswith("tokens/") and path.endswith(".npy")


def csv_of(npy_path: str) -> str:
    """The file of document bounds beside a token file."""
    return npy_path.removesuffix(".npy") + ".csv.gz"


def source_of(path: str) -> str:
    """The source whose tokens a token file holds."""
    return path.split("/")[1]
