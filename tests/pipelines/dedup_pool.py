"""A small pool for the graphs of deduplication: shards with the tables of annotators, without the
workflow, and one way to run a graph.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import apache_beam as beam
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.attributes import write_table
from transforms.datasets import Dataset, OutputFile
from transforms.dedup.exact import ExactHash
from transforms.dedup.minhash import MinHash
from transforms.dedup.pool import PoolShard
from transforms.dedup.survivors import rank_documents
from transforms.documents import (
    ROWS_DIGEST_KEY,
    SCHEMA,
    DocumentBatch,
    read_batches,
    rows_digest,
)
from transforms.quality.size import Size

ONE_WORKER = ("--direct_num_workers=1",)
TWO_THREADS = ("--direct_num_workers=2", "--direct_running_mode=multi_threading")
SOURCES = ["web", "code"]  # in the recipe's order
CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
SMALL_GROUP_ROWS = 7  # rows of a row group, so that small shards have several


def write_documents(path, source, documents, group_rows):
    """A shard of documents, (id, text) each or more; gives its entry as a manifest has it."""
    digest = rows_digest([document[0] for document in documents])
    schema = SCHEMA.with_metadata({ROWS_DIGEST_KEY: digest.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema) as writer:
        for k in range(0, len(documents), group_rows):
            rows = [
                {"id": d[0], "text": d[1], "source": source, "metadata": "{}"}
                for d in documents[k : k + group_rows]
            ]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
    text_bytes = sum(len(document[1].encode()) for document in documents)
    return OutputFile(path.name, 0, "", len(documents), digest, text_bytes)


@dataclass(frozen=True)
class Candidates:
    """Stands for the annotator of the pool's rules."""

    order: int
    refused: frozenset[str]
    name = "candidates"
    schema = pa.schema(
        [("candidate", pa.bool_()), ("rank_0", pa.uint64()), ("rank_1", pa.uint64())]
    )

    def annotate(self, batch):
        ids = batch.table.column("id")
        candidate = pa.array([one not in self.refused for one in ids.to_pylist()])
        order = pa.array([self.order] * len(ids))
        ranks = rank_documents([(order, False)], ids, seed=1)
        return pa.record_batch({"candidate": candidate, **ranks})


def make_pool(folder, shards, group_rows=SMALL_GROUP_ROWS, sources=SOURCES):
    """Shards with their annotations. `shards`: (source, [(id, text) or (id, text, False)]) each;
    False: no candidate. `sources`: in the recipe's order."""
    pool = []
    for number, (source, documents) in enumerate(shards):
        path = folder / "documents" / source / f"{number:05d}.parquet"
        file = write_documents(path, source, documents, group_rows)
        refused = frozenset(d[0] for d in documents if len(d) == 3 and not d[2])
        tables = {}
        for rule in (Size(), ExactHash(), MinHash(), Candidates(sources.index(source), refused)):
            dataset = Dataset(str(folder / "attributes" / rule.name / source), "f")
            batches = (rule.annotate(DocumentBatch(batch)) for batch in read_batches(str(path)))
            write_table(dataset, file, rule.schema, batches)
            tables[rule.name] = dataset.path(file.path)
        pool.append(PoolShard(number, source, str(path), file, tables))
    return pool


def with_annotation(folder, pool, rule):
    """The shards with the table of one more annotator."""
    extended = []
    for shard in pool:
        dataset = Dataset(str(folder / "attributes" / rule.name / shard.source), "f")
        batches = (rule.annotate(DocumentBatch(batch)) for batch in read_batches(shard.documents))
        write_table(dataset, shard.file, rule.schema, batches)
        tables = {**shard.tables, rule.name: dataset.path(shard.file.path)}
        extended.append(replace(shard, tables=tables))
    return extended


def read_corpus(path):
    with open(path, "rb") as file:
        lines = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file))
        return [(d["id"], d["text"]) for d in map(orjson.loads, lines)]


def run(build, flags=ONE_WORKER, **arguments):
    options = PipelineOptions(list(flags))
    with beam.Pipeline(runner=FnApiRunner(), options=options) as pipeline:
        build(pipeline, **arguments)
