"""Mix: the chosen documents' tokens become token files, and files of other formats beside them.

In: tables `tokens` and `selection`. Out, in the mix's folder: the parts that each shard of the pool
makes (mix_shards), an index of MDS shards where those are asked for, and in `about/` what a reader
needs to prove it: the recipe, the tokenizer and the index of benchmark n-grams (hashes, no text).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import apache_beam as beam

from expectations.gate import Verdict, run_gates
from expectations.metrics import mix_metrics
from pipelines.mix_shards import IndexTask, MixTask, rescan_shard, write_index, write_shard
from pipelines.recipe import Recipe, RecipeError
from pipelines.recipe_paths import spelled_alike
from pipelines.select import DIGEST
from pipelines.stage_names import MIX
from pipelines.stages import Finished, Job, ProcessTasks, Stage
from pipelines.workspace import Workspace
from transforms import storage
from transforms.datasets import Dataset, OutputFile, TaskRecord, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.mixing.budget import SourceBudget
from transforms.stored_lists import Listed
from transforms.tokens.loading import Description, as_file, describe_tokenizer
from transforms.tokens.specification import TokenizerError, TokenizerSpec

__all__ = [
    "INDEX_FILE",
    "MIX_VERSION",
    "RECIPE_FILE",
    "TOKENIZER_FILE",
    "mix_job",
    "selected_counts",
]

MIX_VERSION = 3
ABOUT = "about"  # task that stores recipe, tokenizer and index beside the tokens
RECIPE_FILE = "about/recipe.json"
TOKENIZER_FILE = "about/tokenizer"
INDEX_FILE = "about/benchmarks.arrow"


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


def _check_lengths(recipe: Recipe, selected: Mapping[str, Mapping[str, int]]) -> None:
    """RecipeError where documents are longer than a sequence and the recipe refuses them."""
    asked = recipe.mix.sequence
    if asked is None or asked.packing != "best_fit" or asked.long != "refuse":
        return
    longest = {source: its["largest_document_tokens"] for source, its in selected.items()}
    told = ", ".join(f"{source} {its:,}" for source, its in longest.items() if its > asked.length)
    if told:
        message = (
            f"the mix holds documents longer than a sequence of {asked.length:,} tokens"
            f" (longest: {told}); choose long: split or long: cut, or a greater length"
        )
        raise RecipeError([recipe.problem(("mix", "sequence"), message)])


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
    RecipeError where documents are longer than the recipe lets them be.

    `budgets` and `selected` (counts of the stage `selection`) are by source.
    """
    _check_lengths(recipe, selected)
    tree = spelled_alike(recipe, workspace.uri)
    mixed = [shard for shard in shards if shard.source in recipe.mix.proportions]
    names = [f"{shard.source}-{shard.task}" for shard in mixed]
    fingerprint = described.fingerprint
    with_index = {shard.source for shard in mixed} if "mds" in recipe.mix.outputs else ()
    indexed = {f"mds-index-{source}": source for source in sorted(with_index)}  # by task
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
        tasks=[ABOUT, *names, *(f"{name}.rescan" for name in names), *indexed],
    )
    tasks = [
        MixTask(
            name, shard, stage.dataset, tokenizer, fingerprint, recipe.mix.file_tokens, index,
            recipe.mix.outputs, recipe.mix.sequence,
        )
        for name, shard in zip(names, mixed, strict=True)
    ]  # fmt: skip
    indices = {
        source: IndexTask(
            task, source, stage.dataset, [one.name for one in tasks if one.shard.source == source]
        )
        for task, source in indexed.items()
    }
    source_of_task = {
        task: shard.source
        for name, shard in zip(names, mixed, strict=True)
        for task in (name, f"{name}.rescan")
    }
    memory = workspace.tokenizers
    about = AboutTask(stage.dataset, tokenizer, fingerprint, memory, index, tree)

    def build(pipeline: beam.Pipeline, missing: Mapping[str, Sequence[str]]) -> None:
        written = (
            pipeline
            | "Shards" >> Listed(tasks, stage.dataset.aside)
            | "Write tokens" >> ProcessTasks(write_shard, MIX)
        )
        written | "Read back" >> ProcessTasks(rescan_shard, f"{MIX}, reading back")
        if indices:
            (
                written
                | "Source" >> beam.Map(lambda task: (task.shard.source, task.name))
                | "All shards of a source" >> beam.GroupByKey()
                | "Index" >> beam.Map(lambda pair: indices[pair[0]])
                | "Write index" >> ProcessTasks(write_index, f"{MIX}, index")
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
