"""Stages and jobs: what is skipped, resumed, gated, published and told to the user."""

import threading
from dataclasses import dataclass, replace

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from expectations.gate import Result, Verdict
from pipelines import stages
from pipelines.stages import (
    GateFailed,
    Job,
    ProcessTasks,
    RunFailed,
    Stage,
    run_job,
)
from transforms import storage
from transforms.datasets import Dataset, OutputFile, TaskRecord, sum_counts

OPTIONS = PipelineOptions(["--direct_num_workers=1"])
STAGE = Stage("things web", "folder", 1, {"n": 8}, {"documents web": "f0"}, ["t0", "t1"])


@dataclass(frozen=True)
class Task:
    name: str
    dataset: Dataset


def write(task):
    """Write a file and a record."""
    if task.name == "bad":
        raise ValueError("the shard is upside down\nand more")
    with storage.write_aside(task.dataset.path(task.name)) as file:
        file.write(task.name.encode())
    written = OutputFile(task.name, file.size_bytes, file.sha256)
    counts = {"documents": 1, f"removed.{task.name}": 1}
    task.dataset.write_record(TaskRecord(task.name, [written], counts))
    return task.name


def write_file_alone(task):
    return task.name


def verdict(*failed):
    results = [
        Result("expect", "no more than half", "web", one, 0.7, "at most 0.5", ok=False)
        for one in failed
    ] or [Result("expect", "something", "web", "rows", 1, "at least 1", ok=True)]
    return Verdict("attributes", tuple(results))


def job_of(folder, stages=("a", "b"), tasks=("t0", "t1"), function=write, gate=None, **more):
    its = [Stage(name, f"{folder}/{name}", 1, {}, {}, list(tasks)) for name in stages]
    built = []

    def build(pipeline, missing):
        built.append({name: list(names) for name, names in missing.items()})
        wanted = [Task(t, stage.dataset) for stage in its for t in missing.get(stage.name, ())]
        pipeline | "Tasks" >> beam.Create(wanted) | ProcessTasks(function, "thing")

    return Job("things", its, build, gate, **more), built


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "things code"},
        {"version": 2},
        {"parameters": {"n": 9}},
        {"parameters": {"n": 8, "m": None}},
        {"inputs": {"documents web": "f1"}},
        {"inputs": {"documents code": "f0"}},
        {"inputs": {"documents web": "f0", "more": "f0"}},
    ],
)
def test_a_fingerprint_depends_on_name_version_parameters_and_inputs(changed):
    assert replace(STAGE, **changed).fingerprint != STAGE.fingerprint


def test_a_fingerprint_does_not_depend_on_the_place_or_the_order_of_keys():
    assert replace(STAGE, folder="elsewhere").fingerprint == STAGE.fingerprint
    two = replace(STAGE, parameters={"a": 1, "b": 2}, inputs={"x": "1", "y": "2"})
    turned = replace(STAGE, parameters={"b": 2, "a": 1}, inputs={"y": "2", "x": "1"})
    assert two.fingerprint == turned.fingerprint


def test_a_job_publishes_its_stages_with_what_their_tasks_wrote_and_counted(tmp_path):
    cleaned = []
    job, _ = job_of(tmp_path, cleanup=lambda: cleaned.append(True))
    result = run_job(job, OPTIONS)
    assert result.up_to_date == frozenset()
    assert cleaned == [True]
    for stage in job.stages:
        dataset, manifest = Dataset.published(stage.folder)
        assert manifest == result.manifests[stage.name]
        assert (dataset, manifest.stage) == (stage.dataset, stage.name)
        assert [file.path for file in manifest.files] == ["t0", "t1"]
        assert manifest.counts == {"documents": 2, "removed.t0": 1, "removed.t1": 1}
        for file in manifest.files:
            assert storage.sha256_of(dataset.path(file.path)) == (file.sha256, file.size_bytes)


def test_what_describes_a_stage_is_written_from_all_records_and_listed_in_its_manifest(tmp_path):
    def describe(stage, records):
        assert stage.dataset.manifest() is None  # which comes last
        counted = sum_counts(record.counts for record in records)
        return {"about/told.txt": f"{stage.name} {counted['documents']}".encode()}

    job, _ = job_of(tmp_path, describe=describe)
    run_job(job, OPTIONS)
    for stage in job.stages:
        dataset, manifest = Dataset.published(stage.folder)
        assert [file.path for file in manifest.files] == ["t0", "t1", "about/told.txt"]
        assert storage.read_bytes(dataset.path("about/told.txt")) == f"{stage.name} 2".encode()
        last = manifest.files[-1]
        assert storage.sha256_of(dataset.path(last.path)) == (last.sha256, last.size_bytes)


def test_what_describes_a_stage_is_written_again_when_it_is_lost(tmp_path):
    job, _ = job_of(tmp_path, describe=lambda stage, records: {"README.md": b"[a](b)"})
    run_job(job, OPTIONS)
    stage = job.stages[0]
    storage.delete([stage.dataset.path("README.md")])
    again, built = job_of(tmp_path, describe=lambda stage, records: {"README.md": b"[a](b)"})
    run_job(again, OPTIONS)
    assert built == []
    assert storage.read_bytes(stage.dataset.path("README.md")) == b"[a](b)"


def test_a_finished_job_is_not_run_again(tmp_path):
    first, _ = job_of(tmp_path)
    manifests = run_job(first, OPTIONS).manifests
    again, built = job_of(tmp_path)
    result = run_job(again, OPTIONS)
    assert built == []
    assert result.up_to_date == {"a", "b"}
    assert result.manifests == manifests


def test_only_tasks_without_a_record_are_run(tmp_path):
    undisturbed, _ = job_of(tmp_path / "undisturbed")
    wanted = run_job(undisturbed, OPTIONS).manifests
    job, built = job_of(tmp_path / "resumed")
    write(Task("t0", job.stages[0].dataset))  # a run was killed after this
    result = run_job(job, OPTIONS)
    assert built == [{"a": ["t1"], "b": ["t0", "t1"]}]
    assert result.manifests == wanted


def test_stages_that_are_finished_are_left_out_of_a_jobs_pipeline(tmp_path):
    run_job(job_of(tmp_path, stages=["a"])[0], OPTIONS)
    job, built = job_of(tmp_path)
    result = run_job(job, OPTIONS)
    assert built == [{"b": ["t0", "t1"]}]
    assert result.up_to_date == {"a"}
    assert set(result.manifests) == {"a", "b"}


def test_when_all_records_are_there_only_the_gate_is_run(tmp_path):
    job, built = job_of(tmp_path, stages=["a"])
    for name in ("t0", "t1"):
        write(Task(name, job.stages[0].dataset))
    run_job(job, OPTIONS)
    assert built == []
    assert job.stages[0].dataset.manifest() is not None


@pytest.mark.parametrize("bounds", [{}, {"removed": {"at_most": 0.9}}])
@pytest.mark.parametrize("path", ["manifest.json", "records/t0.json"])
def test_a_manifest_or_record_in_which_a_value_was_changed_is_made_anew(tmp_path, path, bounds):
    job, _ = job_of(tmp_path, stages=["a"])
    wanted = run_job(job, OPTIONS).manifests["a"]
    harmed = tmp_path / "a" / wanted.fingerprint / path
    good = harmed.read_bytes()
    harmed.write_bytes(good.replace(b'"documents": ', b'"documents": 4'))
    job, built = job_of(tmp_path, stages=["a"], bounds=bounds)
    assert run_job(job, OPTIONS).manifests["a"] == replace(wanted, bounds=bounds)
    if path == "manifest.json":
        assert built == []
    elif bounds:  # all of it is judged again, by its records
        assert built == [{"a": ["t0"]}]
        assert harmed.read_bytes() == good


@pytest.mark.parametrize("harm", ["flip", "cut", "lose", "none"])
def test_a_job_with_proofs_believes_no_file_and_no_proof_of_an_earlier_run(tmp_path, harm):
    more = {"stages": ("a",), "tasks": ("t0", "t1", "proof"), "proofs": ("proof",)}
    job, _ = job_of(tmp_path, **more)
    run_job(job, OPTIONS)
    dataset = job.stages[0].dataset
    content = {"flip": b"u0", "cut": b"t", "lose": None, "none": b"t0"}[harm]
    storage.delete([dataset.path("t0"), dataset.path("manifest.json")])
    if content:
        storage.write_bytes(dataset.path("t0"), content)
    job, built = job_of(tmp_path, **more)
    run_job(job, OPTIONS)
    assert built == [{"a": ["proof"] if harm == "none" else ["t0", "proof"]}]
    assert storage.read_bytes(dataset.path("t0")) == b"t0"
    job, built = job_of(tmp_path, **more)  # what is published is not proved again
    run_job(job, OPTIONS)
    assert built == []


def test_a_task_without_a_record_fails_the_job(tmp_path):
    job, _ = job_of(tmp_path, function=write_file_alone)
    with pytest.raises(RunFailed, match=r"a: .*2 tasks have no record"):
        run_job(job, OPTIONS)
    assert job.stages[0].dataset.manifest() is None


def test_the_sentence_of_the_task_that_failed_reaches_the_user(tmp_path):
    job, _ = job_of(tmp_path, stages=["a"], tasks=["t0", "bad"])
    with pytest.raises(RunFailed) as raised:
        run_job(job, OPTIONS)
    assert str(raised.value) == ("things: thing, task bad: ValueError: the shard is upside down")
    assert job.stages[0].dataset.manifest() is None


def test_after_a_failure_the_other_tasks_need_not_be_done_again(tmp_path):
    with pytest.raises(RunFailed):
        run_job(job_of(tmp_path, stages=["a"], tasks=["t0", "bad"])[0], OPTIONS)
    job, built = job_of(tmp_path, stages=["a"], tasks=["t0", "bad"], function=write_anything)
    done = job.stages[0].dataset.finished_tasks()
    run_job(job, OPTIONS)
    assert set(built[0]["a"]) == {"t0", "bad"} - done


def write_anything(task):
    task.dataset.write_record(TaskRecord(task.name, [], {}))
    return task.name


# Gates


def test_a_failed_gate_publishes_nothing_and_leaves_its_report(tmp_path):
    job, _ = job_of(tmp_path, stages=["a"], gate=lambda finished: [verdict("removed")])
    with pytest.raises(GateFailed) as raised:
        run_job(job, OPTIONS)
    dataset = job.stages[0].dataset
    assert dataset.manifest() is None
    with pytest.raises(FileNotFoundError):
        Dataset.published(job.stages[0].folder)
    assert raised.value.stage == "a"
    sentence, left_out = raised.value.sentences
    assert "0.7" in sentence
    assert "at most 0.5" in sentence
    assert left_out == "a: 1 removed (t0), 1 removed (t1)"
    report = storage.read_json(raised.value.report)
    assert raised.value.report == dataset.path("gate.json")
    assert report["gate"]["ok"] is False
    assert report["counts"]["documents"] == 2


def test_what_a_failed_gate_judged_is_not_made_again(tmp_path):
    failing, _ = job_of(tmp_path, stages=["a"], gate=lambda finished: [verdict("removed")])
    with pytest.raises(GateFailed):
        run_job(failing, OPTIONS)
    passing, built = job_of(tmp_path, stages=["a"], gate=lambda finished: [verdict()])
    manifest = run_job(passing, OPTIONS).manifests["a"]
    assert built == []
    assert manifest.gate["ok"] is True
    assert not storage.exists(passing.stages[0].dataset.path("gate.json"))


def test_a_gate_sees_the_records_in_the_order_of_tasks(tmp_path):
    seen = []

    def gate(finished):
        seen.extend((one.stage.name, [record.task for record in one.records]) for one in finished)
        return [verdict() for one in finished]

    run_job(job_of(tmp_path, tasks=["t1", "t0"], gate=gate)[0], OPTIONS)
    assert seen == [("a", ["t1", "t0"]), ("b", ["t1", "t0"])]


def test_stages_before_one_that_fails_its_gate_are_published(tmp_path):
    job, _ = job_of(
        tmp_path, ["a", "b", "c"], gate=lambda finished: [verdict(), verdict("x"), verdict()]
    )
    with pytest.raises(GateFailed) as raised:
        run_job(job, OPTIONS)
    assert raised.value.stage == "b"
    assert [stage.dataset.manifest() is not None for stage in job.stages] == [True, False, False]


def test_changed_bounds_are_judged_again_without_work(tmp_path):
    loose = {"removed": {"at_most": 0.9}}
    strict = {"removed": {"at_most": 0.1}}
    run_job(job_of(tmp_path, stages=["a"], bounds=loose)[0], OPTIONS)

    failing, built = job_of(
        tmp_path, stages=["a"], bounds=strict, gate=lambda finished: [verdict("removed")]
    )
    for _ in range(2):  # it does not pass by being asked again
        with pytest.raises(GateFailed):
            run_job(failing, OPTIONS)

    passing, built_then = job_of(
        tmp_path, stages=["a"], bounds=strict, gate=lambda finished: [verdict()]
    )
    manifest = run_job(passing, OPTIONS).manifests["a"]
    assert built == built_then == []
    assert manifest.bounds == strict
    assert Dataset.published(passing.stages[0].folder)[1] == manifest


def test_going_back_to_an_old_version_shows_it_again(tmp_path):
    def job(version):
        made, built = job_of(tmp_path, stages=["a"])
        stages = [replace(stage, version=version) for stage in made.stages]

        def build(pipeline, missing):
            tasks = [Task(t, stages[0].dataset) for t in missing["a"]]
            built.append(missing)
            pipeline | beam.Create(tasks) | ProcessTasks(write, "thing")

        return replace(made, stages=stages, build=build), built

    old = run_job(job(1)[0], OPTIONS).manifests["a"]
    new = run_job(job(2)[0], OPTIONS).manifests["a"]
    assert Dataset.published(f"{tmp_path}/a")[1] == new
    again, built = job(1)
    run_job(again, OPTIONS)
    assert built == []
    assert Dataset.published(f"{tmp_path}/a")[1] == old


# Progress


def test_a_look_that_fails_does_not_end_the_watch(tmp_path, monkeypatch, caplog):
    look, looks = Dataset.finished_tasks, []

    def sometimes(dataset):
        if threading.current_thread() is not threading.main_thread():
            looks.append(1)
            if len(looks) == 1:
                raise OSError("the store answers 503")
        return look(dataset)

    monkeypatch.setattr(stages, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(Dataset, "finished_tasks", sometimes)
    job, _ = job_of(tmp_path, stages=["a"])
    seen = []
    run_job(job, OPTIONS, lambda stage, record: seen.append(record.task))
    assert sorted(seen) == ["t0", "t1"]
    assert len(looks) > 1
    assert "the store answers 503" in caplog.text


def test_each_record_is_observed_once_and_old_ones_are_not(tmp_path):
    job, _ = job_of(tmp_path)
    write(Task("t0", job.stages[0].dataset))
    seen = []
    run_job(job, OPTIONS, lambda stage, record: seen.append((stage.name, record.task)))
    assert sorted(seen) == [("a", "t1"), ("b", "t0"), ("b", "t1")]
