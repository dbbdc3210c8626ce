"""Mix: the chosen documents' tokens become token files in the layout that OLMo-core reads.

In: tables `tokens` and `selection`. Out, in the mix's folder:
`tokens/<source>/part-<shard>-<index>.npy` with a `.csv.gz` beside each, and in `about/` what a
reader needs to prove it: the recipe, the tokenizer and the index of benchmark n-grams (hashes, no
text). Each shard of the pool makes files of its own; a document that is taken n times stands in n
passes over its shard. Every file is then read back: tokens are checked and decoded, and the text is
scanned for benchmark n-grams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from expectations.gate import Verdict, run_gates
from expectations.metrics import mix_metrics
from pipelines.recipe import Recipe
from pipelines.recipe_paths import spelled_alike
from pipelines.select import DIGEST
from pipelines.stage_names import MIX
from pipelines.stages import Finished, Job, ProcessTasks, Stage
from pipelines.workspace import Workspace
from transforms import storage
from transforms.attributes import read_aligned
from transforms.checks.tokens import check_tokens
from transforms.datasets import Dataset, OutputFile, TaskRecord, sum_counts
from transforms.decontamination.index import NgramIndex, count_document_hits, load_index
from transforms.dedup.pool import PoolShard
from transforms.mixing.budget import SourceBudget
from transforms.stored_lists import Listed
from transforms.tokens.loading import (
    Description,
    as_file,
    describe_tokenizer,
    load_tokenizer,
)
from transforms.tokens.specification import TokenizerError, TokenizerSpec
from transforms.tokens.token_files import (
    DocumentBounds,
    TokenFileWriter,
    read_document_bounds,
    read_token_file,
)
from transforms.tokens.tokenizer import Tokenizer

__all__ = [
    "INDEX_FILE",
    "MIX_VERSION",
    "RECIPE_FILE",
    "TOKENIZER_FILE",
    "csv_of",
    "mix_job",
    "scan_tokens",
    "selected_counts",
    "source_of",
]

MIX_VERSION = 2
ABOUT = "about"  # task that stores recipe, tokenizer and index beside the tokens
RECIPE_FILE = "about/recipe.json"
TOKENIZER_FILE = "about/tokenizer"
INDEX_FILE = "about/benchmarks.arrow"
SCAN_TOKENS = 1 << 22  # tokens decoded at once, unless a single document has more


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

    @property
    def rescan(self) -> str:
        return f"{self.name}.rescan"


class _Chosen(NamedTuple):
    """Documents of one row group in one epoch: tokens uint32[], bounds int64[documents + 1]."""

    ids: list[str]
    lines: list[int]  # 1-based row in the shard
    tokens: npt.NDArray[np.uint32]
    bounds: npt.NDArray[np.int64]


def write_shard(task: MixTask) -> MixTask:
    """Write the token files of a shard and their record, unless it exists."""
    if storage.exists(task.dataset.record_path(task.name)):
        return task
    shard = task.shard
    origin = "/".join(shard.documents.rsplit("/", 4)[1:])
    documents = tokens = 0
    writer = TokenFileWriter(
        task.dataset.base,
        f"tokens/{shard.source}",
        f"{shard.number:03d}",
        load_tokenizer(task.tokenizer, task.fingerprint).identity.eos,
        task.file_tokens,
    )
    with writer:
        for epoch in range(_most_copies(shard)):
            for chosen in _chosen(shard, epoch):
                paths = [origin] * len(chosen.ids)
                writer.write(chosen.tokens, chosen.bounds, chosen.ids, paths, chosen.lines)
                documents += len(chosen.ids)
                tokens += len(chosen.tokens) + len(chosen.ids)
    counts = {
        "documents": documents,
        "tokens": tokens,
        "files": sum(file.path.endswith(".npy") for file in writer.files),
    }
    task.dataset.write_record(TaskRecord(task.name, list(writer.files), counts))
    return task


def _most_copies(shard: PoolShard) -> int:
    columns: dict[str, list[str] | None] = {"selection": ["copies"]}
    most = 0
    for batches in read_aligned(shard.paths("selection"), shard.file.rows_digest, columns):
        most = max(most, pc.max(batches["selection"].column("copies")).as_py() or 0)
    return most


def _chosen(shard: PoolShard, epoch: int) -> Iterator[_Chosen]:
    """The documents that are taken more than `epoch` times, row group by row group."""
    columns: dict[str, list[str] | None] = {
        "documents": ["id"],
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
            ids = batches["documents"].column("id").take(pa.array(rows)).to_pylist()
            tokens = taken.flatten().to_numpy()
            yield _Chosen(ids, (rows + first).tolist(), tokens, bounds.astype(np.int64))
        first += len(copies)


def rescan_shard(task: MixTask) -> str:
    """Read the token files of a shard back and write what is found as a record of its own."""
    if not storage.exists(task.dataset.record_path(task.rescan)):
        tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
        index = load_index(*task.index) if task.index else None
        files = [
            file.path
            for file in task.dataset.read_record(task.name).files
            if file.path.endswith(".npy")
        ]
        counts = sum_counts(
            scan_tokens(
                read_token_file(task.dataset.path(path)),
                read_document_bounds(task.dataset.path(csv_of(path))),
                tokenizer,
                index,
            )
            for path in files
        )
        task.dataset.write_record(TaskRecord(task.rescan, [], {**_nothing_scanned(), **counts}))
    return task.name


def _nothing_scanned() -> dict[str, int]:
    """The rescan counters of a shard without a token file: all are there, all are 0."""
    nowhere = np.empty(0, np.int64)
    counts = check_tokens(np.empty(0, np.uint32), nowhere, nowhere, 1, 0)
    return {**dict.fromkeys(counts, 0), "rescan.hits": 0}


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


def csv_of(npy_path: str) -> str:
    """The file of document bounds beside a token file."""
    return npy_path.removesuffix(".npy") + ".csv.gz"


def source_of(path: str) -> str:
    """The source whose tokens a token file holds."""
    return path.split("/")[1]


@dataclass(frozen=True)
class AboutTask:
    """What is stored beside the tokens."""

    dataset: Dataset
    tokenizer: TokenizerSpec
    fingerprint: str  # of the tokenizer
    memory: str  # see `describe_tokenizer`
    index: tuple[str, str] | None
    recipe: Mapping[str, Any]
    name: str = ABOUT


def write_about(task: AboutTask) -> str:
    """Store the recipe, the tokenizer (as a file, however it was named) and the n-gram index."""
    if storage.exists(task.dataset.record_path(task.name)):
        return task.name
    paths = [RECIPE_FILE, TOKENIZER_FILE]
    storage.write_json(task.dataset.path(RECIPE_FILE), task.recipe)
    stored = task.dataset.path(TOKENIZER_FILE)
    content, spec = as_file(task.tokenizer)
    storage.write_bytes(stored, content)
    if describe_tokenizer(replace(spec, name=stored), task.memory).fingerprint != task.fingerprint:
        raise TokenizerError(
            f"tokenizer {task.tokenizer.name!r} has changed since this run began: run again"
        )
    if task.index:
        storage.write_bytes(task.dataset.path(INDEX_FILE), storage.read_bytes(task.index[0]))
        paths.append(INDEX_FILE)
    files = []
    for path in paths:
        digest, size_bytes = storage.sha256_of(task.dataset.path(path))
        files.append(OutputFile(path, size_bytes, digest))
    task.dataset.write_record(TaskRecord(task.name, files, {}))
    return task.name


def selected_counts(budget: SourceBudget, selected: Mapping[str, int]) -> dict[str, Any]:
    """What must be in the mix of one source: it is part of the stage's fingerprint.

    `selected`: counts of the stage `selection`. Less than `next_document_tokens` is missing to
    `wanted_tokens`; `digest`: see `transforms.mixing.identity`, 16 hex digits.
    """
    return {
        "wanted_tokens": budget.wanted_tokens,
        "next_document_tokens": budget.next_document_tokens,
        "tokens": selected["tokens"],
        "documents": selected["copies"],
        "digest": f"{selected[DIGEST] % (1 << 64):016x}",
    }


def mix_job(
    workspace: Workspace,
    recipe: Recipe,
    tokenizer: TokenizerSpec,
    described: Description,
    shards: Sequence[PoolShard],
    inputs: Mapping[str, str],
    index: tuple[str, str] | None,
    budgets: Mapping[str, SourceBudget],
    selected: Mapping[str, Mapping[str, int]],
) -> Job:
    """The job that writes the mix. `index`: (path, fingerprint) of the benchmark n-grams.

    `budgets` and `selected` (counts of the stage `selection`) are by source.
    """
    tree = spelled_alike(recipe, workspace.uri)
    mixed = [shard for shard in shards if shard.source in recipe.mix.proportions]
    names = [f"{shard.source}-{shard.task}" for shard in mixed]
    fingerprint = described.fingerprint
    stage = Stage(
        name="mix",
        folder=workspace.mix(recipe.name),
        version=MIX_VERSION,
        parameters={
            "recipe": tree,
            "tokenizer": fingerprint,
            "index": index[1] if index else None,
            "selected": {
                source: selected_counts(budget, selected[source])
                for source, budget in sorted(budgets.items())
            },
        },
        inputs=inputs,
        tasks=[ABOUT, *names, *(f"{name}.rescan" for name in names)],
    )
    tasks = [
        MixTask(name, shard, stage.dataset, tokenizer, fingerprint, recipe.mix.file_tokens, index)
        for name, shard in zip(names, mixed, strict=True)
    ]
    source_of_task = {
        task: shard.source
        for name, shard in zip(names, mixed, strict=True)
        for task in (name, f"{name}.rescan")
    }
    memory = workspace.tokenizers
    about = AboutTask(stage.dataset, tokenizer, fingerprint, memory, index, tree)

    def build(pipeline: beam.Pipeline, missing: Mapping[str, Sequence[str]]) -> None:
        (
            pipeline
            | "Shards" >> Listed(tasks, stage.dataset.aside)
            | "Write tokens" >> ProcessTasks(write_shard, MIX)
            | "Read back" >> ProcessTasks(rescan_shard, f"{MIX}, reading back")
        )
        (
            pipeline
            | "About" >> beam.Create([about], reshuffle=False)
            | "Write about" >> ProcessTasks(write_about, f"{MIX}, about")
        )

    def by_source(records: Sequence[TaskRecord]) -> dict[str, dict[str, int]]:
        """What the files hold, beside what was selected (which writers' records cannot change)."""
        counts: dict[str, dict[str, int]] = {}
        for source, budget in budgets.items():
            its = [one.counts for one in records if source_of_task.get(one.task) == source]
            counts[source] = {
                **sum_counts(its),
                "documents": selected[source]["copies"],
                "tokens": selected[source]["tokens"],
                "wanted_tokens": budget.wanted_tokens,
                # Less than that is missing.
                "next_document_tokens": budget.next_document_tokens,
            }
        return counts

    def gate(finished: Sequence[Finished]) -> list[Verdict]:
        tables = [mix_metrics(by_source(one.records), recipe.mix.proportions) for one in finished]
        return run_gates("mixes", tables, recipe.tree)

    def details(stage: Stage, records: Sequence[TaskRecord]) -> dict[str, Any]:
        # The name is below the mix's own folder, wherever that is copied to.
        spec = asdict(replace(as_file(tokenizer)[1], name=TOKENIZER_FILE))
        return {
            "sources": by_source(records),
            "shares": recipe.mix.proportions,
            "tokenizer": {
                "spec": spec,
                "fingerprint": fingerprint,
                "vocabulary_size": described.vocabulary_size,
                "eos": described.eos,
                "pad": described.pad,
            },
            "benchmarks": {"file": INDEX_FILE, "fingerprint": index[1]} if index else None,
        }

    # An earlier run's files were read back by that run: what they hold now is seen anew.
    proofs = [f"{name}.rescan" for name in names]
    return Job(MIX, [stage], build, gate, details, proofs=proofs)
