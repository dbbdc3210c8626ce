"""A pool of stored attributes that nobody measured: as many documents as are wanted, without text.

In: a recipe and a workspace. Out: the datasets of every stage up to `tokenize`, published under the
fingerprints that a run would give them, so that `vineleaf plan` finds all of them up to date.
Documents have ids and one letter of text; scores, sizes, duplicates and token counts are random and
the same in every shard, since only the ids decide who is chosen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.recipes.recipe import load_recipe
from pipelines.stage_names import MIX, SELECT
from pipelines.stages import Stage
from pipelines.workflow import Workflow
from pipelines.workspace import Workspace
from transforms import storage
from transforms.attributes import write_table
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.documents import MAX_ROW_GROUP_DOCUMENTS, ROWS_DIGEST_KEY, SCHEMA, rows_digest
from transforms.tokens.training import train_bpe

__all__ = ["SHARES", "make_pool"]

SHARES = {"web": 0.7, "code": 0.2, "wiki": 0.1}  # of the documents, and of the mix
SHARD_DOCUMENTS = 50_000  # some 200 MB of text, were there any
MEAN_BYTES = 4_000  # of a document
TOKEN_BYTES = 4  # of text in a token, about
KEPT = 0.8  # of the documents that rules keep; of these that are no duplicates
LEVELS = 256  # values of a random score
RECIPE = """\
name: planned
pool:
  sources:
    web: {ingest: dolma, paths: [web.jsonl], rules: [gopher, language]}
    code: {ingest: dolma, paths: [code.jsonl]}
    wiki: {ingest: dolma, paths: [wiki.jsonl], rules: [gopher]}
  dedup: {exact: true}
mix:
  tokens: TOKENS
  tokenizer: tokenizer.json
  shares: SHARES
  where: size.bytes >= 200
  max_epochs: 1000  # the input files are small, and what they can hold is looked at
"""


def make_pool(documents: int, folder: str) -> tuple[str, str]:
    """Write the pool below `folder`; gives the paths of its recipe and its workspace."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for source in SHARES:
        line = json.dumps({"id": source, "text": "x " * 2_000_000})
        (place / f"{source}.jsonl").write_text(line + "\n")
    train_bpe(iter(["a few words " * 50]), 300, str(place / "tokenizer.json"))
    tokens = int(documents * KEPT * KEPT * MEAN_BYTES / TOKEN_BYTES / 2)
    text = RECIPE.replace("TOKENS", str(tokens)).replace("SHARES", json.dumps(SHARES))
    recipe = place / "recipe.yaml"
    recipe.write_text(text)
    workspace = str(place / "workspace")
    workflow = Workflow(load_recipe(str(recipe)), Workspace(workspace), PipelineOptions([]))
    files: dict[str, list[OutputFile]] = {}
    for job in workflow._jobs():
        if job.title in (SELECT, MIX):
            break
        for stage in job.stages:
            table, source = stage.name.split(" ")
            if table == "documents":
                count = round(documents * SHARES[source])
                files[source] = [*_write_documents(stage.dataset, source, count)]
            manifest = _publish(stage, table, files[source])
            workflow.manifests[stage.name] = manifest
    return str(recipe), workspace


def _write_documents(dataset: Dataset, source: str, count: int) -> Iterator[OutputFile]:
    for first in range(0, count, SHARD_DOCUMENTS):
        rows = min(SHARD_DOCUMENTS, count - first)
        ids = [f"{source}/{number:012d}.warc.gz/record" for number in range(first, first + rows)]
        digest = rows_digest(ids)
        table = pa.table(
            {
                "id": pa.array(ids, pa.string()),
                "text": pa.array(["x"], pa.large_string()).take(pa.array([0] * rows)),
                "source": pa.array([source] * rows),
                "added": pa.nulls(rows, SCHEMA.field("added").type),
                "created": pa.nulls(rows, SCHEMA.field("created").type),
                "metadata": pa.array(["{}"] * rows),
            },
            schema=SCHEMA.with_metadata({ROWS_DIGEST_KEY: digest.encode()}),
        )
        path = f"{first // SHARD_DOCUMENTS:05d}-000.parquet"
        with (
            storage.write_aside(dataset.path(path)) as file,
            pq.ParquetWriter(file, table.schema, compression="zstd") as writer,
        ):
            for start in range(0, rows, MAX_ROW_GROUP_DOCUMENTS):
                group = table.slice(start, MAX_ROW_GROUP_DOCUMENTS).combine_chunks()
                writer.write_table(group, MAX_ROW_GROUP_DOCUMENTS)
        size = rows * MEAN_BYTES
        yield OutputFile(path, file.size_bytes, file.sha256, rows, digest, size)


def _publish(stage: Stage, table: str, documents: list[OutputFile]) -> Manifest:
    """Write a table for each shard, unless it is that of the documents, and its manifest."""
    dataset, rows = stage.dataset, sum(file.rows for file in documents)
    files = documents
    if table != "documents":
        schema = _schema(table, stage)
        files = [
            write_table(dataset, file, schema, _groups(table, schema, file.rows))
            for file in documents
        ]
    kept = round(rows * KEPT)
    manifest = Manifest(
        stage=stage.name,
        fingerprint=stage.fingerprint,
        version=stage.version,
        parameters=stage.parameters,
        inputs=dict(stage.inputs),
        files=files,
        counts={
            "records": rows,
            "documents": rows,
            "candidates": rows,
            "kept": kept,
            "removed": rows - kept,
            "text_bytes": rows * MEAN_BYTES,
            "kept_text_bytes": kept * MEAN_BYTES,
        },
        gate={},
        bounds={},
        code="synthetic",
    )
    dataset.publish(manifest)
    return manifest


def _schema(table: str, stage: Stage) -> pa.Schema:
    from pipelines.tokenize import TOKENS_SCHEMA
    from transforms.dedup.exact import EXACT_SCHEMA, ExactHash
    from transforms.quality.candidates import candidate_schema
    from transforms.quality.rules import rule
    from transforms.quality.size import Size

    known = {
        "candidates": candidate_schema(1),
        "exact_duplicates": EXACT_SCHEMA,
        "tokens": TOKENS_SCHEMA,
        "size": Size.schema,
        "exact": ExactHash("text").schema,
    }
    if table in known:
        return known[table]
    (annotator,) = rule(table, {}).annotators
    return annotator.schema


def _groups(table: str, schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    for first in range(0, rows, MAX_ROW_GROUP_DOCUMENTS):
        yield _batch(table, schema, min(MAX_ROW_GROUP_DOCUMENTS, rows - first))


@dataclass(frozen=True)
class _Random:
    """Random columns that are the same for the same table and column."""

    table: str
    rows: int

    def of(self, column: str) -> np.random.Generator:
        seed = hashlib.blake2b(f"{self.table}.{column}".encode(), digest_size=8).digest()
        return np.random.default_rng(int.from_bytes(seed, "little"))

    def shares(self, column: str) -> Any:
        """One of LEVELS numbers from 0 to 1."""
        return self.of(column).integers(0, LEVELS, self.rows) / (LEVELS - 1)

    def kept(self) -> Any:
        return self.of("kept").random(self.rows) < KEPT


@cache
def _batch(table: str, schema: pa.Schema, rows: int) -> pa.RecordBatch:
    random = _Random("any" if table in ("candidates", "tokens") else table, rows)
    special: Mapping[str, Any] = {}
    if table == "candidates":
        kept = random.kept()
        reasons = pa.array(["gopher.words"]).take(pa.array(np.zeros(rows, np.int8), mask=kept))
        special = {"candidate": pa.array(kept), "reason": reasons}
    elif table == "tokens":
        kept = random.kept() & (random.shares("duplicate") < KEPT)
        counts = random.of("count").geometric(TOKEN_BYTES / MEAN_BYTES, rows).astype(np.uint32)
        special = {
            "tokens": pa.array([[] if one else None for one in kept], schema.field("tokens").type),
            "count": pa.array(counts, mask=~kept),
        }
    elif table == "size":
        sizes = random.of("bytes").geometric(1 / MEAN_BYTES, rows) + 100
        special = {"bytes": pa.array(sizes), "words": pa.array(sizes // 6)}
    arrays = []
    for field in schema:
        column = special.get(field.name)
        if column is None and pa.types.is_floating(field.type):
            column = pa.array(random.shares(field.name))
        elif column is None and pa.types.is_boolean(field.type):
            column = pa.array(np.zeros(rows, np.bool_))
        elif (
            column is None
            and pa.types.is_integer(field.type)
            and table not in ("exact_duplicates",)
        ):
            column = pa.array(random.of(field.name).integers(0, LEVELS, rows))
        elif column is None and pa.types.is_string(field.type):
            column = pa.array(["en"] * rows)
        arrays.append(pa.nulls(rows, field.type) if column is None else column.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
