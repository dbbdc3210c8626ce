"""Mix: the chosen documents' tokens become token files, and files of other formats beside them.

In: tables `tokens` and `selection`. Out, in the mix's folder: the parts that each shard of the pool
makes, or, with `order: shuffled`, each bucket of the order, for which tokens move once (shards,
read back by rescan); an index of MDS shards where those are asked for; and what tells of it and
proves it (about).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import apache_beam as beam

from expectations.gate import Verdict, run_gates
from expectations.metrics import mix_metrics
from pipelines.mixing.about import (
    ABOUT,
    INDEX_FILE,
    TOKENIZER_FILE,
    AboutTask,
    describe_mix,
    write_about,
)
from pipelines.mixing.outputs import bucket_groups, of_source
from pipelines.mixing.rescan import nothing_scanned, rescan_parts
from pipelines.mixing.select import DIGEST, in_stage
from pipelines.mixing.shards import (
    MIX_VERSION,
    BucketTask,
    IndexTask,
    MixTask,
    write_bucket,
    write_index,
    write_shard,
    write_shard_run,
)
from pipelines.recipes.paths import spelled_alike
from pipelines.recipes.recipe import Recipe, RecipeError
from pipelines.runners.beam_options import PlannedExchange
from pipelines.stage_names import MIX
from pipelines.stages import Finished, Job, ProcessTasks, Stage
from pipelines.workspace import Workspace
from transforms.datasets import Manifest, TaskRecord, sum_counts
from transforms.dedup.pool import PoolShard
from transforms.mixing.budget import SourceBudget
from transforms.mixing.curriculum import tokens_by_stage
from transforms.mixing.document_order import bucket_count
from transforms.mixing.window import WindowBounds
from transforms.stored_lists import Afterwards, Listed, StoredList
from transforms.tokens.loading import Description, file_spec
from transforms.tokens.specification import TokenizerSpec
from transforms.tokens.token_files import SHUFFLED, TOKEN_BYTES

__all__ = ["MIX_VERSION", "mix_job", "selected_counts"]

MOVED_BYTES = 150  # of a document beside its tokens, that are moved with it into the order


def selected_counts(budget: SourceBudget, selected: Mapping[str, int]) -> dict[str, Any]:
    """What must be in the mix of one source: it is part of the stage's fingerprint.

    `selected`: counts of the stage `selection`. Less than `next_document_tokens` is missing to
    `wanted_tokens`; `most_tokens`: what the source can give; `digest`: see
    `transforms.mixing.identity`, 16 hex digits.
    """
    return {
        "wanted_tokens": budget.wanted_tokens,
        "next_document_tokens": budget.next_document_tokens,
        "most_tokens": budget.most_tokens,
        "tokens": selected["tokens"],
        "documents": selected["copies"],
        "digest": _hex(selected[DIGEST]),
    }


def _order_parameters(
    budgets: Mapping[str, SourceBudget], selected: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """What the order of a shuffled mix is proven by, beside the recipe's seed: no document of a
    source is there more often; and, of a curriculum, what each stage holds of each source."""
    most = {source: budget.most_copies for source, budget in sorted(budgets.items())}
    stages = [
        {
            source: {
                "next_document_tokens": its.next_document_tokens,
                "tokens": selected[source][in_stage(number, "tokens")],
                "documents": selected[source][in_stage(number, "copies")],
                "digest": _hex(selected[source][in_stage(number, DIGEST)]),
            }
            for source, its in stage.items()
        }
        for number, stage in enumerate(tokens_by_stage(budgets))
    ]
    return {"most_copies": most, **({"stages": stages} if stages else {})}


def _hex(digest: int) -> str:
    return f"{digest % (1 << 64):016x}"


def _check_lengths(recipe: Recipe, selected: Mapping[str, Mapping[str, int]]) -> None:
    """RecipeError where documents are longer than a sequence, or than a file, and the recipe
    refuses them."""
    mix, limits = recipe.mix, []
    if mix.sequence and mix.sequence.packing == "best_fit" and mix.sequence.long == "refuse":
        remedy = "choose long: split or long: cut, or a greater length"
        limits.append(("sequence", "a sequence", mix.sequence.length, remedy))
    if mix.long_documents == "refuse":
        remedy = (
            "leave them out by mix.where, choose long_documents: own_file, or raise file_tokens"
        )
        limits.append(("long_documents", "a file", mix.file_tokens, remedy))
    longest = {source: its.get("largest_document_tokens", 0) for source, its in selected.items()}
    problems = []
    for key, what, limit, remedy in limits:
        told = ", ".join(f"{source} {its:,}" for source, its in longest.items() if its > limit)
        if told:
            message = (
                f"the mix holds documents longer than {what} of {limit:,} tokens"
                f" (longest: {told}); {remedy}"
            )
            problems.append(recipe.problem(("mix", key), message))
    if problems:
        raise RecipeError(problems)


def mix_job(
    workspace: Workspace,
    recipe: Recipe,
    tokenizer: TokenizerSpec,
    described: Description,
    shards: Sequence[PoolShard],
    inputs: Mapping[str, str],
    index: tuple[str, str] | None,
    budgets: Mapping[str, SourceBudget],
    windows: Mapping[str, WindowBounds],
    manifests: Mapping[str, Manifest],
    reuse_tokens: bool = False,
) -> Job:
    """The job that writes the mix. `index`: (path, fingerprint) of the benchmark n-grams;
    `reuse_tokens`: parts that an earlier mix of the workspace holds are shared.
    RecipeError where documents are longer than the recipe lets them be.

    `budgets` and `windows` are by source, `manifests` of all stages before by their names.
    """
    # A source without a shard has no counts; where there are some, none may lack.
    selected = {name: manifests[f"selection {name}"].counts or Counter() for name in budgets}
    _check_lengths(recipe, selected)
    tree = spelled_alike(recipe, workspace.uri)
    mixed = [shard for shard in shards if shard.source in recipe.mix.proportions]
    shuffled = recipe.mix.order == "shuffled"
    total = sum(selected[source]["tokens"] for source in budgets)
    staged = tokens_by_stage(budgets)
    totals = [sum(its.taken_tokens for its in one.values()) for one in staged] or [total]
    buckets = tuple(bucket_count(one, recipe.mix.file_tokens) for one in totals if shuffled)
    of_shard = {f"{shard.source}-{shard.task}": shard.source for shard in mixed}
    sharded = set(of_shard.values())  # the others have no document
    names = [f"bucket-{number:05d}" for number in range(sum(buckets))] or list(of_shard)
    groups = bucket_groups(buckets)
    folders = [SHUFFLED] if shuffled else sorted(set(of_shard.values()))
    indexed = [f"mds-index-{one}" for one in folders] if "mds" in recipe.mix.outputs else []
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
            **({"order": _order_parameters(budgets, selected)} if shuffled else {}),
        },
        inputs=inputs,
        tasks=[ABOUT, *names, *(f"{name}.rescan" for name in names), *indexed],
    )
    common: dict[str, Any] = {
        "dataset": stage.dataset,
        "tokenizer": tokenizer,
        "fingerprint": fingerprint,
        "file_tokens": recipe.mix.file_tokens,
        "index": index,
        "outputs": recipe.mix.outputs,
        "sequence": recipe.mix.sequence,
        "shuffled": shuffled,
    }
    tasks = [
        MixTask(
            name=name,
            shard=shard,
            folder=shard.source,
            group=f"{shard.number:03d}",
            buckets=buckets,
            seed=recipe.mix.seed,
            slices=1 if shuffled else recipe.mix.slices,
            memory=workspace.parts,
            reuse=reuse_tokens,
            **common,
        )
        for name, shard in zip(of_shard, mixed, strict=True)
    ]
    # The recipe's, but where sources give what others lack.
    whole = sum(budget.wanted_tokens for budget in budgets.values())
    shares = {source: budget.wanted_tokens / whole for source, budget in budgets.items()}
    memory = workspace.tokenizers
    about = AboutTask(stage.dataset, tokenizer, fingerprint, memory, index, tree)

    def build(pipeline: beam.Pipeline, missing: Mapping[str, Sequence[str]]) -> None:
        shards = pipeline | "Shards" >> Listed(tasks, stage.dataset.aside)
        if shuffled:
            runs = StoredList.write([task.run for task in tasks], stage.dataset.aside)
            its = [
                BucketTask(
                    name=name, number=number, runs=runs, folder=SHUFFLED, group=group, **common
                )
                for number, (name, group) in enumerate(zip(names, groups, strict=True))
            ]  # fmt: skip
            written = (
                shards
                | "Write runs" >> ProcessTasks(write_shard_run, f"{MIX}, runs")
                | "Buckets" >> Afterwards(its, stage.dataset.aside)
                | "Write tokens" >> ProcessTasks(write_bucket, MIX)
            )
        else:
            written = shards | "Write tokens" >> ProcessTasks(write_shard, MIX)
        written | "Read back" >> ProcessTasks(rescan_parts, f"{MIX}, reading back")
        if indexed:
            indices = [
                IndexTask(
                    task,
                    folder,
                    stage.dataset,
                    StoredList.write(
                        [name for name in names if shuffled or of_shard[name] == folder],
                        stage.dataset.aside,
                    ),
                )
                for task, folder in zip(indexed, folders, strict=True)
            ]
            (
                written
                | "Indices" >> Afterwards(indices, stage.dataset.aside)
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
            its = [counts_of(one, source) for one in records]
            counts[source] = {
                **(nothing_scanned() if shuffled or source not in sharded else {}),
                **({} if source in sharded else {"files": 0, "rescan.files": 0}),
                **sum_counts(its),
                "documents": selected[source]["copies"],
                "tokens": selected[source]["tokens"],
                "wanted_tokens": budget.wanted_tokens,
                # Less than that is missing.
                "next_document_tokens": budget.next_document_tokens,
            }
        return counts

    def counts_of(record: TaskRecord, source: str) -> Mapping[str, int]:
        if shuffled:
            its = of_source(source, "")
            return {
                name.removeprefix(its): count
                for name, count in record.counts.items()
                if name.startswith(its)
            }
        return record.counts if of_shard.get(record.task.removesuffix(".rescan")) == source else {}

    def gate(finished: Sequence[Finished]) -> list[Verdict]:
        tables = [mix_metrics(by_source(one.records), shares) for one in finished]
        return run_gates("mixes", tables, recipe.tree)

    def details(stage: Stage, records: Sequence[TaskRecord]) -> dict[str, Any]:
        # The name is below the mix's own folder, wherever that is copied to.
        spec = asdict(replace(file_spec(tokenizer), name=TOKENIZER_FILE))
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

    def describe(stage: Stage, records: Sequence[TaskRecord]) -> dict[str, bytes]:
        its = stage.fingerprint
        return describe_mix(recipe, its, described, budgets, windows, manifests, records)

    documents = sum(selected[source]["copies"] for source in budgets)
    moved = TOKEN_BYTES * total + MOVED_BYTES * documents
    exchanges = {"order": PlannedExchange(moved, by_files=True)} if shuffled else {}
    # An earlier run's files were read back by that run: what they hold now is seen anew.
    proofs = [f"{name}.rescan" for name in names]
    return Job(MIX, [stage], build, gate, details, describe, exchanges=exchanges, proofs=proofs)
