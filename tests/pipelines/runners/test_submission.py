"""Submission: which runner, under which name, and when a job that was submitted is given up."""

import re
import sys
import threading

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.runners.runner import PipelineResult, PipelineRunner
from apache_beam.runners.worker import data_plane

from pipelines.runners import submission
from pipelines.runners.submission import (
    RunFailed,
    describe_runner,
    end_left_jobs,
    job_name,
    job_server_options,
    name_jobs,
    run_pipeline,
    runner_of,
)

OPTIONS = PipelineOptions(["--direct_num_workers=1"])


class FakeJob(PipelineResult):
    """A job elsewhere, which ends as `work` does, or when it is cancelled."""

    def __init__(self, work):
        super().__init__("RUNNING")
        self.cancelled = threading.Event()
        self.work = work

    def wait_until_finish(self, duration=None):
        self.work(self)

    def cancel(self):
        self.cancelled.set()


@pytest.fixture
def elsewhere(monkeypatch):
    """Runs a pipeline as a job whose work is given; gives the job and the options it saw."""
    monkeypatch.setattr(submission, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(submission, "LOOKS_SHARE", 1.0)

    def run(work, watched=(), *flags):
        job = FakeJob(work)
        seen = {}

        class Runner(PipelineRunner):
            def run_pipeline(self, pipeline, options):
                seen.update(options.get_all_options())
                options.view_as(beam.options.pipeline_options.StandardOptions).runner = None
                return job

        monkeypatch.setattr(submission, "runner_of", lambda options: "Elsewhere")
        monkeypatch.setattr("apache_beam.pipeline.create_runner", lambda name: Runner())
        options = PipelineOptions([f"--patience_minutes={0.2 / 60}", *flags])
        before = options.get_all_options()
        try:
            run_pipeline("things", lambda pipeline: pipeline | beam.Create([1]), options, watched)
        finally:
            assert options.get_all_options() == before
        return job, seen

    return run


@pytest.mark.parametrize("flags", [[], ["--runner=DirectRunner"], ["--runner=FnApiRunner"]])
def test_the_direct_runner_is_the_one_in_this_process(flags):
    assert isinstance(runner_of(PipelineOptions(flags)), FnApiRunner)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "FnApiRunner in this process, 1 thread"),
        (
            ["--direct_running_mode=multi_threading", "--direct_num_workers=4"],
            "FnApiRunner in this process, 4 threads",
        ),
        (
            ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
            "FnApiRunner, 2 processes",
        ),
        (["--runner=PrismRunner"], "PrismRunner"),
        (
            ["--runner=PortableRunner", "--job_endpoint=localhost:8099"],
            "PortableRunner, job server localhost:8099",
        ),
    ],
)
def test_what_a_run_uses_is_told(flags, told):
    assert describe_runner(PipelineOptions(flags)) == told


def test_no_thread_takes_what_another_one_is_still_writing(monkeypatch, tmp_path):
    def refuse(*arguments, **options):
        raise AssertionError("a stream of the data plane is emptied by the clock")

    monkeypatch.setattr(worker_handlers, "DATA_BUFFER_TIME_LIMIT_MS", 1000)  # Beam's own
    monkeypatch.setattr(data_plane.TimeBasedBufferingClosableOutputStream, "__init__", refuse)
    options = PipelineOptions(["--direct_num_workers=2", "--direct_running_mode=multi_threading"])

    def write(number: int) -> None:
        (tmp_path / str(number)).touch()

    def build(pipeline):
        numbers = pipeline | beam.Create(range(20)) | beam.Reshuffle()
        return numbers | "Write" >> beam.Map(write)

    run_pipeline("numbers", build, options)
    assert len(list(tmp_path.iterdir())) == 20


def test_other_runners_are_beams_by_name():
    assert runner_of(PipelineOptions(["--runner=FlinkRunner"])) == "FlinkRunner"


@pytest.mark.parametrize("error", [ValueError(), RuntimeError("one\ntwo"), KeyError("x")])
def test_a_pipeline_that_can_not_be_built_is_one_sentence(error):
    def build(pipeline):
        raise error

    with pytest.raises(RunFailed) as raised:
        run_pipeline("title", build, OPTIONS)
    assert str(raised.value).startswith("title: ")
    assert len(str(raised.value)) > len("title: ")
    assert "\n" not in str(raised.value)


def test_a_job_is_waited_for_as_long_as_files_appear_or_grow(elsewhere, tmp_path):
    def work(job):
        for size in range(12):  # several times the patience
            (tmp_path / "_aside").mkdir(exist_ok=True)
            (tmp_path / "_aside/file").write_bytes(bytes(size))
            assert not job.cancelled.wait(0.05)

    job, _ = elsewhere(work, [str(tmp_path)])
    assert not job.cancelled.is_set()


def test_a_job_during_which_nothing_is_written_is_cancelled(elsewhere, tmp_path):
    jobs = []

    def work(job):
        jobs.append(job)
        job.cancelled.wait()

    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(RunFailed, match=r"^things: nothing was written below .* for 0\.003") as end:
        elsewhere(work, [str(tmp_path)])
    assert "run the same command again" in str(end.value)
    assert jobs[0].cancelled.wait(10)


@pytest.mark.parametrize("error", [OSError("S3 answered 503"), RuntimeError("token expired")])
def test_a_look_that_fails_ends_no_job(elsewhere, tmp_path, monkeypatch, error):
    looks = []

    def sometimes(folders):
        looks.append(1)
        if len(looks) % 2 == 0:
            raise error
        return {"file": len(looks)}

    def work(job):
        while len(looks) < 9:
            assert not job.cancelled.wait(0.02)

    monkeypatch.setattr(submission, "_seen", sometimes)
    job, _ = elsewhere(work, [str(tmp_path)])
    assert not job.cancelled.is_set()


def test_a_job_that_can_not_be_looked_at_for_too_long_is_cancelled(
    elsewhere, tmp_path, monkeypatch
):
    jobs = []

    def work(job):
        jobs.append(job)
        job.cancelled.wait()

    def fail(folders):
        raise OSError("S3 answered 503")

    monkeypatch.setattr(submission, "_seen", fail)
    with pytest.raises(RunFailed, match=r"cancelled; the last look failed: S3 answered 503; run"):
        elsewhere(work, [str(tmp_path)])
    assert jobs[0].cancelled.wait(10)


def test_a_job_that_shows_in_no_file_moves_by_what_flink_counts(elsewhere, tmp_path, monkeypatch):
    looks = []

    def moves(options, name):
        looks.append(name)
        return len(looks)

    monkeypatch.setattr(submission, "flink_moves", moves)
    job, _ = elsewhere(lambda job: job.cancelled.wait(0.6), [str(tmp_path)])
    assert not job.cancelled.is_set()
    assert looks


class Gone(FakeJob):
    """A job whose server does not answer any more."""

    def cancel(self):
        super().cancel()
        raise RuntimeError("the job server is gone")


def lose_connection(job):
    raise RuntimeError("connection to the job server was lost")


@pytest.mark.parametrize("work", [lose_connection, lambda job: job.cancelled.wait(20)])
def test_a_job_is_cancelled_on_flink_however_its_run_fails(work, monkeypatch):
    told = []
    monkeypatch.setattr(submission, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(submission, "_seen", lambda folders: {})
    monkeypatch.setattr(submission, "cancel_flink_job", lambda options, name: told.append(name))
    options = PipelineOptions(["--job_name=ours", f"--patience_minutes={0.1 / 60}"])
    job = Gone(work)
    with pytest.raises((RuntimeError, RunFailed), match=r"connection .* lost|nothing was written"):
        submission._await("things", job, ["/x"], options)
    assert told == ["ours"]
    assert job.cancelled.is_set()


def test_a_job_without_folders_to_watch_is_waited_for(elsewhere):
    job, _ = elsewhere(lambda job: job.cancelled.wait(0.5))
    assert not job.cancelled.is_set()


def test_a_job_that_writes_nothing_is_watched_by_what_flink_counts(elsewhere, monkeypatch):
    looks = []

    def moves(options, name):
        looks.append(name)
        return min(len(looks), 20)  # it moves, then it stands still

    jobs = []

    def work(job):
        jobs.append(job)
        job.cancelled.wait()

    monkeypatch.setattr(submission, "flink_moves", moves)
    with pytest.raises(RunFailed, match=r"^things: no record was read for 0\.003.* minutes"):
        elsewhere(work)
    assert len(looks) > 20
    assert jobs[0].cancelled.wait(10)


def test_the_names_of_a_runs_jobs_begin_with_its_workspaces(tmp_path, monkeypatch):
    options = PipelineOptions(["--job_name=Team_A"])
    begin = name_jobs(options, "gs://bucket/w")
    assert re.fullmatch(r"team-a-[0-9a-f]{8}-", begin)
    name = options.view_as(GoogleCloudOptions).job_name
    assert job_name(name, "ingest web", ["x"]).startswith(f"{begin}ingest-web-")
    monkeypatch.chdir(tmp_path)
    here = name_jobs(PipelineOptions([]), "w")
    assert here == name_jobs(PipelineOptions([]), str(tmp_path / "w"))
    assert here != name_jobs(PipelineOptions([]), "gs://bucket/w")
    again = PipelineOptions(["--job_name=Team_A"])
    assert name_jobs(again, "gs://bucket/w/") == begin  # it has the same lock


def test_jobs_that_can_not_be_ended_end_the_run():
    options = PipelineOptions(["--flink_master=127.0.0.1:1"])
    with pytest.raises(RunFailed, match="jobs of an earlier run can not be ended: "):
        end_left_jobs(options, "vineleaf-")
    assert end_left_jobs(PipelineOptions([]), "vineleaf-") == []


def test_the_sentence_of_a_task_that_failed_elsewhere_reaches_the_user(elsewhere):
    def work(job):
        raise RuntimeError(
            "Pipeline failed: java.lang.RuntimeException: Error received from SDK harness\n"
            "RuntimeError: task failed: things, task t0: ValueError: upside down"
            " [while running 'x']\n\tat java"
        )

    with pytest.raises(RunFailed, match=r"^things, task t0: ValueError: upside down$"):
        elsewhere(work)


def test_a_worker_of_another_python_is_told_as_such(elsewhere):
    def work(job):
        raise RuntimeError(
            "Pipeline failed: java.lang.RuntimeException: Error received from SDK harness for"
            " instruction 1: Traceback (most recent call last):\n"
            '  File "/v/apache_beam/runners/worker/bundle_processor.py", line 1573,'
            " in create_operation\n"
            "    return creator(self, transform_id, transform_proto, payload, consumers)\n"
            "           ^^^^^^^^\n"
            '  File "/v/apache_beam/internal/cloudpickle/cloudpickle.py", line 515, in _walk\n'
            "    for instr in dis.get_instructions(code):\n"
            "IndexError: tuple index out of range\n\n\tat org.apache.beam.fn.Client.process\n"
        )

    with pytest.raises(RunFailed) as raised:
        elsewhere(work)
    series = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert str(raised.value) == (
        "things: a worker could not take up what was submitted (IndexError: tuple index out of"
        f" range): workers need the Python that submits, {series}, and the same packages"
    )


def test_an_interrupted_run_leaves_no_job(elsewhere, monkeypatch, tmp_path):
    def interrupt(folders):
        raise KeyboardInterrupt

    jobs = []

    def work(job):
        jobs.append(job)
        job.cancelled.wait()

    monkeypatch.setattr(submission, "_seen", interrupt)
    with pytest.raises(KeyboardInterrupt):
        elsewhere(work, [str(tmp_path)])
    assert jobs[0].cancelled.wait(10)


def test_a_job_has_a_name_of_its_stage_and_workspace(elsewhere):
    _, seen = elsewhere(lambda job: None, ["/a/documents/web/0123"])
    assert re.fullmatch(r"vineleaf-things-[0-9a-f]{8}", seen["job_name"])
    _, named = elsewhere(lambda job: None, ["/a/documents/web/0123"], "--job_name=Team_A")
    assert named["job_name"] == seen["job_name"].replace("vineleaf", "team-a")
    assert job_name("v", "ingest web", ["a"]) != job_name("v", "ingest web", ["b"])
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", job_name("v", "ingest My_web", ["a"]))


def test_the_runner_in_this_process_needs_no_name(tmp_path):
    names = []

    def build(pipeline):
        names.append(pipeline.options.view_as(GoogleCloudOptions).job_name)
        pipeline | beam.Create([1])

    run_pipeline("things", build, OPTIONS)
    assert OPTIONS.view_as(GoogleCloudOptions).job_name is None
    assert names[0].startswith("vineleaf-things-")


def test_a_job_server_that_does_not_answer_is_told_at_once(monkeypatch):
    monkeypatch.setattr(submission, "ANSWER_SECONDS", 0.2)
    assert job_server_options(PipelineOptions([])) == []
    with pytest.raises(ValueError, match=r"no job server answers at 127\.0\.0\.1:1: start it"):
        job_server_options(PipelineOptions(["--job_endpoint=127.0.0.1:1"]))
