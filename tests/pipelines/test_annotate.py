"""Annotate: one read for all annotators; what is there already is not computed again."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.annotate import AnnotateTask, annotate_job, annotate_shard
from pipelines.stages import run_job
from pipelines.workspace import Workspace
from transforms import storage
from transforms.attributes import AlignmentError
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.dedup.pool import PoolShard
from transforms.documents import ROWS_DIGEST_KEY, SCHEMA, rows_digest

OPTIONS = PipelineOptions(["--direct_num_workers=1"])
SEEN: list[tuple[str, int]] = []  # (annotator, rows) of every batch


@dataclass(frozen=True)
class Length:
    """Annotator of the characters of a text; `rows` more or fewer than it should give."""

    name: str = "length"
    rows: int = 0
    schema: ClassVar[pa.Schema] = pa.schema([pa.field("characters", pa.int64())])
    version: ClassVar[int] = 1

    def parameters(self):
        return {"rows": self.rows}

    def annotate(self, batch):
        SEEN.append((self.name, batch.rows))
        lengths = np.diff(batch.text[1])[: batch.rows + self.rows]
        return pa.record_batch([pa.array(lengths)], schema=self.schema)


@dataclass(frozen=True)
class OtherColumns(Length):
    schema: ClassVar[pa.Schema] = pa.schema([pa.field("words", pa.int64())])

    def annotate(self, batch):
        return pa.record_batch({"characters": pa.array([0] * batch.rows)})


@dataclass
class Pool:
    workspace: Workspace
    shards: list[PoolShard] = field(default_factory=list)
    documents: dict[str, Manifest] = field(default_factory=dict)

    def job(self, *annotators):
        its = dict.fromkeys(self.documents, annotators)
        return annotate_job(self.workspace, {}, self.documents, self.shards, its)

    def run(self, *annotators):
        SEEN.clear()
        return run_job(self.job(*annotators), OPTIONS)

    def scores(self, source, annotator="length"):
        dataset, manifest = Dataset.published(self.workspace.attributes(annotator, source))
        return [
            pq.read_table(dataset.path(file.path))["characters"].to_pylist()
            for file in manifest.files
        ]


@pytest.fixture
def pool(tmp_path):
    """Two shards of web, one of code; two rows a row group; texts as long as their numbers."""
    pool = Pool(Workspace(str(tmp_path / "w")))
    for source, shards in {"code": [[9]], "web": [[1, 2, 3], [4]]}.items():
        dataset, files = Dataset(pool.workspace.documents(source), "f"), []
        for number, lengths in enumerate(shards):
            ids = [f"{source}{number}{row}" for row in range(len(lengths))]
            digest = rows_digest(ids)
            schema = SCHEMA.with_metadata({ROWS_DIGEST_KEY: digest.encode()})
            rows = [
                {"id": one, "text": "x" * length, "source": source, "metadata": "{}"}
                for one, length in zip(ids, lengths, strict=True)
            ]
            name = f"{number:05d}.parquet"
            with (
                storage.write_aside(dataset.path(name)) as file,
                pq.ParquetWriter(file, schema) as writer,
            ):
                for first in range(0, len(rows), 2):
                    writer.write_batch(pa.RecordBatch.from_pylist(rows[first : first + 2], schema))
            entry = OutputFile(name, 1, "x", len(rows), digest, sum(lengths))
            files.append(entry)
            pool.shards.append(PoolShard(len(pool.shards), source, dataset.path(name), entry, {}))
        counts = {"documents": sum(file.rows for file in files)}
        pool.documents[source] = Manifest(f"documents {source}", "f", 1, {}, {}, files, counts,
                                          {}, {}, "0")  # fmt: skip
    return pool


def test_every_document_is_scored_in_its_row_and_counted(pool):
    manifests = pool.run(Length()).manifests
    assert pool.scores("web") == [[1, 2, 3], [4]]
    assert pool.scores("code") == [[9]]
    assert manifests["length web"].counts["text_bytes"] == 10
    assert sorted(SEEN) == [("length", 1)] * 3 + [("length", 2)]


def test_an_annotator_that_is_added_is_computed_alone(pool):
    pool.run(Length())
    result = pool.run(Length(), Length("again"))
    assert {name for name, _ in SEEN} == {"again"}
    assert result.up_to_date == {"length web", "length code"}
    assert pool.scores("web", "again") == pool.scores("web")


def test_a_shard_that_has_its_record_is_not_read_again(pool):
    (stage,) = [one for one in pool.job(Length()).stages if one.name == "length web"]
    annotate_shard(AnnotateTask(pool.shards[1], ((Length(), stage.dataset),)))
    pool.run(Length())
    assert sum(rows for _, rows in SEEN) == 2  # the second shard of web, and code
    assert pool.scores("web") == [[1, 2, 3], [4]]


def test_other_parameters_are_another_version_beside_the_first(pool):
    first = {one.name: one.fingerprint for one in pool.job(Length()).stages}
    other = {one.name: one.fingerprint for one in pool.job(Length(rows=1)).stages}
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


@pytest.mark.parametrize("wrong", [Length(rows=-1), OtherColumns()])
def test_an_annotator_that_loses_rows_or_columns_is_refused_and_writes_nothing(pool, wrong):
    dataset = Dataset(pool.workspace.attributes("length", "web"), "f")
    with pytest.raises((TypeError, AlignmentError)):
        annotate_shard(AnnotateTask(pool.shards[1], ((wrong, dataset),)))
    assert dataset.finished_tasks() == set()
    assert not storage.exists(dataset.path("00000.parquet"))
