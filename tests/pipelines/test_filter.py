"""Filter: verdicts of a shard's documents, and what is counted of them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.filter import Judgement, filter_job, filter_shard
from pipelines.tables import TableTask
from pipelines.workspace import Workspace
from transforms import storage
from transforms.attributes import AlignmentError, write_table
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.dedup.pool import PoolShard
from transforms.documents import ROWS_DIGEST_KEY, SCHEMA, StoredTable, rows_digest
from transforms.quality.conditions import Condition

SIZE = pa.schema([pa.field("bytes", pa.int64()), pa.field("words", pa.int64())])
WORDS = Condition("words", "size.words", at_least=5)
BYTES = Condition("bytes", "size.bytes", at_most=100)
IDS = ["a", "b", "c", "d"]
ROWS = [(10, 9), (200, 9), (300, 2), (40, 1)]  # bytes, words


@pytest.fixture
def shard(tmp_path):
    digest = rows_digest(IDS)
    documents = Dataset(str(tmp_path / "documents"), "f")
    schema = SCHEMA.with_metadata({ROWS_DIGEST_KEY: digest.encode()})
    rows = [{"id": one, "text": one, "source": "web", "metadata": "{}"} for one in IDS]
    with (
        storage.write_aside(documents.path("0.parquet")) as file,
        pq.ParquetWriter(file, schema) as writer,
    ):
        for first in (0, 2):
            writer.write_batch(pa.RecordBatch.from_pylist(rows[first : first + 2], schema))
    entry = OutputFile("0.parquet", 1, "x", len(IDS), digest, 4)
    size = Dataset(str(tmp_path / "size"), "f")
    scores = [{"bytes": size_bytes, "words": words} for size_bytes, words in ROWS]
    groups = [pa.RecordBatch.from_pylist(scores[first : first + 2], SIZE) for first in (0, 2)]
    write_table(size, entry, SIZE, groups)
    tables = {"size": size.path("0.parquet")}
    return PoolShard(0, "web", documents.path("0.parquet"), entry, tables)


def filtered(shard, folder, *conditions):
    """(reason of each document, counts) of the shard."""
    dataset = Dataset(str(folder / "candidates"), "f")
    judgement = Judgement(conditions, (), {"size": SIZE})
    assert filter_shard(TableTask(shard, dataset), {"web": judgement}) == "web/0"
    with StoredTable(dataset.path("0.parquet")) as stored:
        assert stored.group_rows == [2, 2], "row groups are those of the documents"
    table = pq.read_table(dataset.path("0.parquet"))
    return table["reason"].to_pylist(), dataset.read_record("0").counts


def test_a_document_counts_under_its_first_reason_and_under_every_one_it_meets(shard, tmp_path):
    reasons, counts = filtered(shard, tmp_path, WORDS, BYTES)
    assert reasons == [None, "bytes", "words", "words"]
    wanted = {
        "candidates": 4, "removed": 3, "kept": 1, "kept_text_bytes": 10,
        "removed.words": 2, "removed.bytes": 1, "found.words": 2, "found.bytes": 2,
    }  # fmt: skip
    assert wanted.items() <= counts.items()


def test_the_order_of_the_rules_changes_reasons_and_neither_verdicts_nor_what_is_found(
    shard, tmp_path
):
    _, one = filtered(shard, tmp_path / "one", WORDS, BYTES)
    reasons, other = filtered(shard, tmp_path / "other", BYTES, WORDS)
    assert reasons == [None, "bytes", "bytes", "words"]
    for name in ("removed", "kept", "found.words", "found.bytes"):
        assert one[name] == other[name]


@pytest.mark.parametrize("rows", [1, 3])
def test_verdicts_are_the_same_however_many_rows_are_judged_at_once(
    shard, tmp_path, monkeypatch, rows
):
    wanted = filtered(shard, tmp_path / "all", WORDS, BYTES)
    monkeypatch.setattr("pipelines.filter.EVALUATED_ROWS", rows)
    assert filtered(shard, tmp_path / "few", WORDS, BYTES) == wanted


def test_without_rules_all_are_candidates(shard, tmp_path):
    reasons, counts = filtered(shard, tmp_path)
    assert reasons == [None] * 4
    assert (counts["kept"], counts["removed"], counts["kept_text_bytes"]) == (4, 0, 550)
    assert [name for name in counts if name.startswith(("found.", "removed."))] == []


def test_scores_of_other_documents_are_refused(shard, tmp_path):
    other = OutputFile("0.parquet", 1, "x", len(IDS), rows_digest(IDS[::-1]), 4)
    moved = PoolShard(0, "web", shard.documents, other, shard.tables)
    with pytest.raises(AlignmentError, match="other documents"):
        filtered(moved, tmp_path, WORDS)


def test_a_changed_bound_is_another_version_of_the_table(shard, tmp_path):
    documents = {"web": Manifest("documents web", "f", 1, {}, {}, [], {}, {}, {}, "0")}

    def fingerprint(*conditions):
        judgement = Judgement(conditions, (), {"size": SIZE})
        job = filter_job(
            Workspace(str(tmp_path)), {}, documents, [shard], {"web": judgement}, {"web": {}}
        )
        (stage,) = job.stages
        assert (job.title, stage.name) == ("filter", "candidates web")
        return stage.fingerprint

    prints = [
        fingerprint(WORDS, BYTES),
        fingerprint(BYTES, WORDS),
        fingerprint(Condition("words", "size.words", at_least=6), BYTES),
    ]
    assert len(set(prints)) == 3
    assert fingerprint(WORDS, BYTES) == prints[0]
