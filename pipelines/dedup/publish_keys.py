"""Publish keys: what a later run needs to be compared with this one (transforms.dedup.published).

In: candidates, the hashes and signatures of deduplication, its results, and the text of survivors,
for their shingles, lines and paragraphs. Out: one dataset for the recipe, `keys/<recipe>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from expectations.gate import Verdict, run_gates
from expectations.metrics import attribute_metrics
from pipelines.recipes.pool_part import Fuzzy
from pipelines.recipes.recipe import Recipe
from pipelines.stage_names import KEYS
from pipelines.stages import Finished, Job, ProcessTasks, Stage
from pipelines.workspace import Workspace
from transforms.attributes import open_table, read_aligned
from transforms.checks.attributes import count_attributes
from transforms.datasets import Dataset, OutputFile, TaskRecord, sum_counts
from transforms.dedup.exact import EXACT_VERSION, HASH_BYTES, ExactHash
from transforms.dedup.fuzzy import FUZZY_VERSION
from transforms.dedup.minhash import MinHash
from transforms.dedup.pool import PoolShard, in_pool
from transforms.dedup.published import (
    IDS,
    KEYS_STAGE,
    KEYS_VERSION,
    NEAR_SCHEMA,
    Published,
    keys_path,
)
from transforms.dedup.stored_sets import ENCODINGS, SET_SCHEMA, pack_sets
from transforms.dedup.survivors import rank_names
from transforms.dedup.units import UNITS_VERSION, find_units
from transforms.dedup.url import UrlHash
from transforms.documents import DocumentBatch
from transforms.environment import environment
from transforms.kernels.shingles import SHINGLE_BITS, Sets, find_shingles
from transforms.stored_lists import Listed

__all__ = ["Compared", "compared", "keys_job", "keys_shard"]

_UNITS = {"lines": "repeated_lines", "paragraphs": "repeated_paragraphs"}  # table of keys -> spans
_PLAIN: dict[str, str] = {}  # encodings of tables without a dictionary: their values do not repeat
_HASH = pa.binary(HASH_BYTES)


@dataclass(frozen=True)
class Compared:
    """By what the documents of a pool are compared. `units`: lines or paragraphs -> words of the
    shortest."""

    urls: bool
    exact: str | None
    fuzzy: Fuzzy | None
    units: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """What two runs must have in common for the keys of one to serve the other: the settings by
        their keys in a recipe, and versions, also of what decides what a word is."""
        fuzzy = self.fuzzy
        return {
            "urls": self.urls,
            "exact": self.exact or False,
            "fuzzy.similarity": fuzzy.similarity if fuzzy else False,
            "fuzzy.ngram": fuzzy.ngram if fuzzy else False,
            "fuzzy.bands x rows": f"{fuzzy.bands} x {fuzzy.rows}" if fuzzy else False,
            **{f"{unit}.at_least": self.units.get(unit, False) for unit in _UNITS},
            "versions": [
                KEYS_VERSION,
                UrlHash.version,
                ExactHash.version,
                MinHash.version,
                EXACT_VERSION,
                FUZZY_VERSION,
                UNITS_VERSION,
                SHINGLE_BITS,
                *environment().values(),
            ],
        }

    def schemas(self, ranks: int) -> dict[str, pa.Schema]:
        """The tables of keys."""
        schemas = {
            IDS: pa.schema([("id", pa.string())]),
            "candidates": pa.schema(
                [
                    ("candidate", pa.bool_()),
                    *((name, pa.uint64()) for name in rank_names(ranks - 1)),
                ]
            ),
            "size": pa.schema([("bytes", pa.int64())]),
        }
        if self.urls:
            schemas["url"] = pa.schema([("url_hash", _HASH)])
        if self.exact:
            schemas["exact"] = pa.schema([("text_hash", _HASH)])
        if self.fuzzy:
            bands = pa.binary(8 * self.fuzzy.bands)
            schemas |= {"near": NEAR_SCHEMA, "minhash": pa.schema([("bands", bands)])}
            schemas["shingles"] = SET_SCHEMA
        return {**schemas, **dict.fromkeys(self.units, SET_SCHEMA)}


def compared(recipe: Recipe) -> Compared:
    """What a recipe asks for. Repeated substrings are not among it: they are compared by text."""
    units = {one.unit: one.at_least for one in recipe.repeats if one.unit in _UNITS}
    return Compared(recipe.urls, recipe.exact, recipe.fuzzy, units)


@dataclass(frozen=True)
class KeysTask:
    """One shard whose keys are to be written."""

    shard: PoolShard
    dataset: Dataset
    compared: Compared
    ranks: int

    @property
    def name(self) -> str:
        return f"{self.shard.number:05d}"


def keys_shard(task: KeysTask) -> str:
    """Write the keys of a shard and its record; gives the task's name."""
    shard, dataset = task.shard, task.dataset
    counts: list[Mapping[str, int]] = []
    with ExitStack() as stack:
        tables = {}
        for name, schema in task.compared.schemas(task.ranks).items():
            file = replace(shard.file, path=keys_path(name, shard.number))
            plain = ENCODINGS if schema == SET_SCHEMA else _PLAIN
            encodings = None if name == "candidates" else plain
            tables[name] = stack.enter_context(open_table(dataset, file, schema, encodings))
        for batches in _read(shard, task.compared):
            keys = _keys(batches, task.compared)
            for name, table in tables.items():
                table.write(keys[name])
            counts.append(_count(keys, batches))
    files = [_told(tables[name].file, counts) for name in sorted(tables)]
    dataset.write_record(TaskRecord(task.name, files, sum_counts(counts)))
    return task.name


def _told(file: OutputFile | None, counts: Sequence[Mapping[str, int]]) -> OutputFile:
    assert file is not None
    if not file.path.startswith(f"{IDS}/"):
        return file
    return replace(file, text_bytes=sum(one["survivor_text_bytes"] for one in counts))


def _read(shard: PoolShard, compared: Compared) -> Iterator[dict[str, pa.RecordBatch]]:
    names = ["documents", "size", *shard.judged_by]
    if compared.urls:
        names.append("url")
    if compared.exact:
        names.append("exact")
    if compared.fuzzy:
        names.append("minhash")
    names += [_UNITS[unit] for unit in compared.units]
    reads_text = compared.fuzzy or compared.units
    columns: dict[str, list[str] | None] = {
        "documents": ["id", "text"] if reads_text else ["id"],
        "size": ["bytes"],
    }
    return read_aligned(shard.paths(*names), shard.file.rows_digest, columns)


def _keys(batches: Mapping[str, pa.RecordBatch], compared: Compared) -> dict[str, pa.RecordBatch]:
    """The tables of a row group."""
    judged = batches["candidates"]
    candidate = in_pool({"candidates": judged})
    after_urls = in_pool(_those(batches, "candidates", "url_duplicates"))
    survives = in_pool(batches)
    ranks = [name for name in judged.schema.names if name.startswith("rank_")]
    sizes = batches["size"].column("bytes")
    keys = {
        IDS: _masked(batches["documents"], ["id"], candidate),
        "candidates": _masked(judged, ["candidate", *ranks], candidate),
        "size": pa.record_batch({"bytes": pc.if_else(pa.array(candidate), sizes, 0)}),
    }
    if compared.urls:
        keys["url"] = _masked(batches["url"], ["url_hash"], candidate)
    if compared.exact:
        keys["exact"] = _masked(batches["exact"], ["text_hash"], after_urls)
    text = DocumentBatch(batches["documents"].filter(pa.array(survives)))
    if compared.fuzzy:
        near = batches["fuzzy_duplicates"].column("duplicate_of")
        keys["near"] = pa.record_batch([near], schema=NEAR_SCHEMA)
        keys["minhash"] = _masked(batches["minhash"], ["bands"], survives)
        keys["shingles"] = pack_sets(find_shingles(text.words, compared.fuzzy.ngram), survives)
    for unit, words in compared.units.items():
        spans = batches[_UNITS[unit]].column("spans").filter(pa.array(survives))
        keys[unit] = pack_sets(_kept_units(text, unit == "paragraphs", words, spans), survives)
    return keys


def _those(batches: Mapping[str, pa.RecordBatch], *names: str) -> dict[str, pa.RecordBatch]:
    return {name: batches[name] for name in names if name in batches}


def _masked(
    table: pa.RecordBatch, names: Sequence[str], rows: npt.NDArray[np.bool_]
) -> pa.RecordBatch:
    """Some columns, null at all rows but the marked ones."""
    mask = pa.array(rows)
    columns = {
        name: pc.if_else(mask, column, pa.scalar(None, column.type))
        for name, column in ((name, table.column(name)) for name in names)
    }
    return pa.record_batch(columns)


def _kept_units(batch: DocumentBatch, paragraphs: bool, words: int, spans: pa.ListArray) -> Sets:
    """The hashes of the lines or paragraphs of each document of which none stood before: those that
    `spans`, of its text, do not cut."""
    units = find_units(batch, paragraphs)
    offsets = batch.text[1] - batch.text[1][0]
    bounds = spans.offsets.to_numpy()
    flat = spans.values.slice(bounds[0], bounds[-1] - bounds[0])
    its = np.repeat(offsets[:-1], np.diff(bounds))
    starts = flat.field("start").to_numpy() + its
    ends = flat.field("end").to_numpy() + its
    before = np.searchsorted(starts, units.starts, side="right") - 1
    is_cut = before >= 0
    is_cut[is_cut] = units.starts[is_cut] < ends[before[is_cut]]
    kept = ~is_cut & (units.words >= words)
    keys, rows = units.keys[kept], units.rows[kept]
    order = np.lexsort([keys, rows])
    sizes = np.bincount(rows, minlength=batch.rows)
    return Sets(keys[order], np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def _count(
    keys: Mapping[str, pa.RecordBatch], batches: Mapping[str, pa.RecordBatch]
) -> dict[str, int]:
    survives = in_pool(batches)
    sizes = batches["size"].column("bytes").to_numpy()
    counts = {
        "documents": keys[IDS].num_rows,
        "candidates": keys[IDS].num_rows - keys[IDS].column("id").null_count,
        "survivors": int(survives.sum()),
        "survivor_text_bytes": int(sizes[survives].sum()),
    }
    for name in ("shingles", *_UNITS):
        if name in keys:
            counts[name] = len(keys[name].column("gaps").flatten())
    return {**count_attributes(keys[IDS]), **counts}


def keys_job(
    workspace: Workspace,
    recipe: Recipe,
    shards: Sequence[PoolShard],
    published: Sequence[Published],
    inputs: Mapping[str, str],
) -> Job:
    """The job that publishes the keys of a pool's own shards. `published`: the earlier runs that
    these were compared with; `inputs`: fingerprints of all that the pool is made of."""
    asked = compared(recipe)
    stage = Stage(
        name=KEYS_STAGE,
        folder=workspace.keys(recipe.name),
        version=KEYS_VERSION,
        parameters={
            "recipe": recipe.name,
            "compared": asked.to_json(),
            "ranks": len(recipe.keep) + 1,
            "against": [[one.manifest.fingerprint, len(one.shards)] for one in published],
        },
        inputs=inputs,
        tasks=[f"{shard.number:05d}" for shard in shards],
    )

    def build(pipeline: beam.Pipeline, missing: Mapping[str, Sequence[str]]) -> None:
        wanted = frozenset(missing[KEYS_STAGE])
        tasks = [KeysTask(shard, stage.dataset, asked, len(recipe.keep) + 1) for shard in shards]
        listed = Listed([one for one in tasks if one.name in wanted], stage.dataset.aside)
        _ = pipeline | "Shards" >> listed | ProcessTasks(keys_shard, KEYS)

    return Job(KEYS, [stage], build, partial(_gate, recipe=recipe.tree, shards=shards), _details)


def _details(stage: Stage, records: Sequence[TaskRecord]) -> dict[str, Any]:
    """Bytes of each table."""
    sizes: dict[str, int] = {}
    for file in (file for record in records for file in record.files):
        table = file.path.partition("/")[0]
        sizes[table] = sizes.get(table, 0) + file.size_bytes
    return {"bytes": sizes}


def _gate(
    finished: Sequence[Finished], recipe: Mapping[str, Any], shards: Sequence[PoolShard]
) -> list[Verdict]:
    ((_, records),) = finished
    misaligned = sum(
        (file.rows, file.rows_digest) != (shard.file.rows, shard.file.rows_digest)
        for shard, record in zip(shards, records, strict=True)
        for file in record.files
    )
    row = attribute_metrics(
        "all sources",
        KEYS,
        sum_counts(record.counts for record in records),
        documents=sum(shard.file.rows for shard in shards),
        misaligned_files=misaligned,
    )
    return run_gates("attributes", [[row]], recipe)
