"""Jobs of one table per source: their stages, their tasks, and the gate over them."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from expectations.gate import Verdict
from pipelines.filter import CONTAMINATED, Judgement, filter_job
from pipelines.stages import Finished, run_job
from pipelines.tables import table_gate, table_job, table_stages, with_tables
from pipelines.workspace import Workspace
from transforms.datasets import Dataset, Manifest, OutputFile, TaskRecord
from transforms.dedup.pool import PoolShard

OPTIONS = PipelineOptions(["--direct_num_workers=1"])


def file_of(name, rows=10, digest="d"):
    return OutputFile(f"{name}.parquet", 1, "x", rows, digest, 100)


SHARDS = [
    PoolShard(0, "code", "code/00000.parquet", file_of("00000"), {}),
    PoolShard(1, "web", "web/00000.parquet", file_of("00000"), {}),
    PoolShard(2, "web", "web/00001.parquet", file_of("00001"), {}),
]
DOCUMENTS = {
    "web": Manifest("documents web", "f", 1, {}, {}, [file_of("00000"), file_of("00001")],
                    {"documents": 20}, {}, {}, "0"),
    "code": Manifest("documents code", "f", 1, {}, {}, [file_of("00000")],
                     {"documents": 10}, {}, {}, "0"),
}  # fmt: skip


def stages_of(folder):
    return table_stages(
        "scores",
        lambda source: f"{folder}/{source}",
        3,
        SHARDS,
        {"web": {"n": 1}, "code": {"n": 2}},
        {"web": {"documents web": "f"}, "code": {"documents code": "f"}},
    )


def test_there_is_a_stage_per_source_with_a_task_per_shard(tmp_path):
    stages = stages_of(tmp_path)
    assert {name: (one.name, list(one.tasks)) for name, one in stages.items()} == {
        "web": ("scores web", ["00000", "00001"]),
        "code": ("scores code", ["00000"]),
    }
    assert stages["web"].version == 3
    assert stages["web"].parameters == {"n": 1}
    assert len({one.fingerprint for one in stages.values()}) == 2


def write_record(task):
    task.dataset.write_record(TaskRecord(task.shard.task, [], {"documents": 1}))
    return task.name


def test_the_function_sees_the_shards_without_a_record_alone(tmp_path):
    stages = stages_of(tmp_path)
    stages["web"].dataset.write_record(TaskRecord("00000", [], {"documents": 100}))
    gated = []

    def gate(finished):
        gated.extend((stage.name, len(records)) for stage, records in finished)
        return [Verdict("attributes", (passing(),)) for _ in finished]

    result = run_job(table_job("scores", stages, SHARDS, write_record, gate), OPTIONS)
    assert result.manifests["scores web"].counts == {"documents": 101}
    assert result.manifests["scores code"].counts == {"documents": 1}
    assert sorted(gated) == [("scores code", 1), ("scores web", 2)]


def passing():
    from expectations.gate import Result

    return Result("e", "m", "web", "rows", 1, "at least 1", True)


def test_a_job_with_nothing_missing_has_no_task(tmp_path):
    stages = stages_of(tmp_path)
    job = table_job("scores", stages, SHARDS, write_record, table_gate(DOCUMENTS, {}))
    with beam.Pipeline(options=OPTIONS) as pipeline:
        job.build(pipeline, {})
    assert all(stage.dataset.finished_tasks() == set() for stage in stages.values())


def test_shards_get_a_table_where_their_source_has_one():
    shards = with_tables(SHARDS, "scores", {"web": Dataset("folder", "f9")})
    assert [shard.tables for shard in shards] == [
        {}, {"scores": "folder/f9/00000.parquet"}, {"scores": "folder/f9/00001.parquet"}
    ]  # fmt: skip
    assert [shard.tables for shard in SHARDS] == [{}, {}, {}]


# The gate


def records_of(**changed):
    counts = {
        "rows": 10, "checked.values": 10, "candidates": 10, "removed": 2, "kept": 8, **changed
    }  # fmt: skip
    return [TaskRecord(name, [file_of(name)], dict(counts)) for name in ("00000", "00001")]


def judged(records, recipe, removes="removed"):
    stage = stages_of("folder")["web"]
    (verdict,) = table_gate(DOCUMENTS, recipe, removes)([Finished(stage, records)])
    return verdict


@pytest.mark.parametrize(
    ("bounds", "good"),
    [
        ({}, True),
        ({"at_most": 0.2}, True),
        ({"at_most": 0.19}, False),
        ({"at_least": 0.2}, True),
        ({"at_least": 0.21}, False),
    ],
)
def test_what_is_removed_must_be_within_the_recipes_bounds(bounds, good):
    verdict = judged(records_of(), {"gates": {"removed": bounds}})
    assert verdict.ok is good
    if not good:
        (sentence,) = verdict.failures()
        assert "0.2" in sentence
        assert "web/scores" in sentence


def test_bounds_of_another_gate_do_not_count():
    recipe = {"gates": {"duplicates": {"at_most": 0.0}}}
    assert judged(records_of(), recipe).ok
    assert not judged(records_of(), recipe, "duplicates").ok


@pytest.mark.parametrize(
    "records",
    [
        records_of()[:1],
        [TaskRecord("00000", [file_of("00000", rows=9)], records_of()[0].counts), records_of()[1]],
        [TaskRecord("00000", [file_of("00000", digest="e")], {}), records_of()[1]],
        [],
    ],
)
def test_tables_that_do_not_align_with_their_documents_fail(records):
    assert not judged(records, {}).ok


def test_documents_that_are_contaminated_have_bounds_of_their_own(tmp_path):
    counts = {"rows": 20, "checked.values": 20, "candidates": 20, "removed": 10, "kept": 10,
              f"removed.{CONTAMINATED}": 4, "removed.words": 6}  # fmt: skip
    records = [TaskRecord("00000", [file_of("00000"), file_of("00001")], counts)]

    def verdict(gates):
        judgement = Judgement((), (), {})
        job = filter_job(
            Workspace(str(tmp_path)), {"gates": gates}, DOCUMENTS, SHARDS,
            {"web": judgement}, {"web": {}},
        )  # fmt: skip
        (verdict,) = job.gate([Finished(job.stages[0], records)])
        return verdict

    assert verdict({"contaminated": {"at_most": 0.2}, "removed": {"at_most": 0.5}}).ok
    (leaked,) = verdict({"contaminated": {"at_most": 0.19}}).failures()
    assert "contamination" in leaked
    (removed,) = verdict({"removed": {"at_most": 0.49}}).failures()
    assert "candidates" in removed
