"""The jobs of deduplication: their stages, one per source, made together over the whole pool by the
graphs of `graphs` and `passage_graphs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import apache_beam as beam

from expectations.gate import Verdict
from pipelines.dedup.cluster_gate import judge_clusters
from pipelines.dedup.components import Linking, RunPipeline
from pipelines.dedup.gone_documents import gather_gone
from pipelines.dedup.graphs import (
    build_exact,
    build_fuzzy,
    exact_exchanges,
    fuzzy_exchanges,
)
from pipelines.dedup.passage_graphs import (
    build_substring,
    build_units,
    substring_exchanges,
    unit_exchanges,
)
from pipelines.recipes.pool_part import Fuzzy, Repeats
from pipelines.runners.beam_options import PlannedExchange
from pipelines.stage_names import EXACT_DEDUP, FUZZY_DEDUP, SUBSTRING_DEDUP, TABLES, URL_DEDUP
from pipelines.stages import Finished, Job, Stage
from pipelines.tables import table_gate, table_stages
from pipelines.workspace import Workspace
from transforms import storage
from transforms.datasets import Dataset, Manifest, fingerprint_of
from transforms.dedup.exact import EXACT_VERSION
from transforms.dedup.fuzzy import FUZZY_VERSION
from transforms.dedup.pool import PoolShard
from transforms.dedup.substring import SUBSTRING_VERSION
from transforms.dedup.units import UNITS_VERSION
from transforms.exchange import remove_runs

__all__ = ["exact_job", "fuzzy_job", "repeats_job"]

Outputs = Mapping[str, Dataset]  # by source

# Stage -> table and column of what must be equal.
_HASHED = {URL_DEDUP: ("url", "url_hash"), EXACT_DEDUP: ("exact", "text_hash")}
# Folder of an exchange (graphs, passage_graphs) -> what is done while its runs are written,
# in order.
_EXACT_STEPS = {"hashes": "reading hashes", "found": "grouping equal ones"}
_FUZZY_STEPS = {
    "bands": "reading signatures",
    "links": "linking equal bands",
    "rounds": "joining links in rounds",
    "components": "joining links",
    "members": "reading linked texts",
    "found": "comparing them",
}
_SUBSTRING_STEPS = {
    "anchors": "reading texts",
    "places": "finding places that meet",
    "found": "comparing them",
}
_UNITS_STEPS = {"units": "reading texts", "found": "grouping them"}


def exact_job(
    workspace: Workspace,
    recipe: Mapping[str, Any],
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    ranks: int,
    stage: str,
    inputs: Mapping[str, str],
) -> Job:
    """The job of a `stage` that finds documents whose hashes are equal, of texts or of URLs.
    `inputs`: fingerprints of all that the pool is made of. Published shards of earlier runs, whose
    sources `documents` then holds too, get their tables as well, which no bound judges.
    """
    stages = _stages(workspace, TABLES[stage], EXACT_VERSION, documents, shards, {}, inputs)
    work = _work(workspace, _HASHED[stage][0], stages)

    def build(pipeline: beam.Pipeline, outputs: Outputs) -> None:
        build_exact(pipeline, shards, outputs, work, ranks, _HASHED[stage])

    published = frozenset(shard.source for shard in shards if shard.is_published)
    gate = table_gate(documents, recipe, "duplicates", published)
    planned = exact_exchanges(shards, ranks)
    return _job(stage, stages, build, gate, work, _EXACT_STEPS, planned)


def fuzzy_job(
    workspace: Workspace,
    recipe: Mapping[str, Any],
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    ranks: int,
    fuzzy: Fuzzy,
    inputs: Mapping[str, str],
) -> Job:
    """The job that finds near duplicates among what exact deduplication left."""
    parameters = {"similarity": fuzzy.similarity, "ngram": fuzzy.ngram, "bands": fuzzy.bands}
    stages = _stages(
        workspace, "fuzzy_duplicates", FUZZY_VERSION, documents, shards, parameters, inputs
    )
    work = _work(workspace, "fuzzy", stages)

    def build(pipeline: beam.Pipeline, outputs: Outputs) -> None:
        build_fuzzy(
            pipeline, shards, outputs, work, ranks, fuzzy.similarity, fuzzy.ngram, fuzzy.bands
        )

    gate = partial(judge_clusters, documents=documents, recipe=recipe, shards=shards)

    def before(run: RunPipeline) -> None:
        gather_gone(run, shards, work)
        Linking(shards, work, fuzzy.bands).prepare(run)

    planned = fuzzy_exchanges(shards, ranks, fuzzy.bands)
    steps = _FUZZY_STEPS
    if any(shard.is_published for shard in shards):
        steps = {"gone": "counting published clusters", **steps}
    return _job(FUZZY_DEDUP, stages, build, gate, work, steps, planned, before)


def repeats_job(
    workspace: Workspace,
    recipe: Mapping[str, Any],
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    ranks: int,
    repeats: Repeats,
    inputs: Mapping[str, str],
) -> Job:
    """The job that finds passages, lines or paragraphs to be cut in what deduplication left."""
    is_substring = repeats.stage == SUBSTRING_DEDUP
    parameters: dict[str, Any] = {"at_least": repeats.at_least}
    if is_substring:
        parameters["join"] = repeats.join
    version = SUBSTRING_VERSION if is_substring else UNITS_VERSION
    table = TABLES[repeats.stage]
    stages = _stages(workspace, table, version, documents, shards, parameters, inputs)
    work = _work(workspace, repeats.unit, stages)

    def build(pipeline: beam.Pipeline, outputs: Outputs) -> None:
        if is_substring:
            build_substring(pipeline, shards, outputs, work, ranks, repeats.at_least, repeats.join)
        else:
            paragraphs = repeats.unit == "paragraphs"
            build_units(pipeline, shards, outputs, work, ranks, paragraphs, repeats.at_least)

    steps = _SUBSTRING_STEPS if is_substring else _UNITS_STEPS
    gate = table_gate(documents, recipe)
    if is_substring:
        planned = substring_exchanges(shards, repeats.at_least)
    else:
        planned = unit_exchanges(shards, ranks, repeats.at_least)
    return _job(repeats.stage, stages, build, gate, work, steps, planned)


def _job(
    title: str,
    stages: Mapping[str, Stage],
    build: Callable[[beam.Pipeline, Outputs], None],
    gate: Callable[[Sequence[Finished]], Sequence[Verdict]],
    work: str,
    steps: Mapping[str, str],
    planned: Mapping[str, PlannedExchange],
    before: Callable[[RunPipeline], None] = lambda run: None,
) -> Job:
    """A job whose exchanges lie in `work`. It makes all tables that are missing, so it need not be
    told which."""
    outputs = {source: stage.dataset for source, stage in stages.items()}
    return Job(
        title,
        list(stages.values()),
        lambda pipeline, missing: build(pipeline, outputs),
        gate,
        cleanup=partial(remove_runs, work),
        before=before,
        exchanges=planned,
        step=partial(_step, work, steps),
        scratch=[work],
    )


def _stages(
    workspace: Workspace,
    table: str,
    version: int,
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> dict[str, Stage]:
    return table_stages(
        table,
        lambda source: workspace.attributes(table, source),
        version,
        shards,
        dict.fromkeys(documents, parameters),
        dict.fromkeys(documents, inputs),
    )


def _work(workspace: Workspace, name: str, stages: Mapping[str, Stage]) -> str:
    fingerprints = sorted(stage.fingerprint for stage in stages.values())
    return workspace.work(name, fingerprint_of(fingerprints))


def _step(work: str, steps: Mapping[str, str]) -> str:
    """The last step that has written something, and how many runs."""
    for number, (folder, doing) in reversed(list(enumerate(steps.items(), 1))):
        below = storage.join(storage.escape(work), folder)
        runs = storage.list_files([f"{below}/*.run", f"{below}/*/*/*.run"])
        if runs:
            return f"step {number} of {len(steps)}, {doing}: {len(runs)} written"
    return ""
