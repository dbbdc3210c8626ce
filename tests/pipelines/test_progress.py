"""Progress without a terminal: one line at the end of each job that had something to do."""

import io
import re

import pytest
from rich.console import Console

from pipelines.progress import RunProgress
from pipelines.stages import Job, Stage
from transforms.datasets import Manifest, TaskRecord


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def job_of(folder, title, *names, tasks=("t0", "t1")):
    stages = [Stage(name, f"{folder}/{name}", 1, {}, {}, tasks) for name in names]
    return Job(title, stages, lambda pipeline, missing: None, None)


def record(**counts):
    return TaskRecord("t", [], {key.replace("__", "."): value for key, value in counts.items()})


def lines(console):
    return [re.sub(r"\d+\.\d s", "N s", line) for line in console.file.getvalue().splitlines()]


def test_a_job_ends_with_its_documents_bytes_and_removals(console, tmp_path):
    progress = RunProgress(console)
    job = job_of(tmp_path, "judge", "candidates web")
    with progress.shown():
        progress.start(job)
        progress.observe(job.stages[0], record(documents=1500, text_bytes=2_500_000, removed=7))
        progress.observe(job.stages[0], record(rows=10, removed__words=2, removed__share=1))
    assert lines(console) == ["judge: N s, 1,510 documents, 2.5 MB, 10 removed"]


def test_documents_of_several_tables_in_one_read_are_counted_once(console, tmp_path):
    progress = RunProgress(console)
    job = job_of(tmp_path, "annotate", "size web", "gopher web", "size code")
    with progress.shown():
        progress.start(job)
        for stage in job.stages:
            progress.observe(stage, record(rows=10, text_bytes=1_000_000))
    assert lines(console) == ["annotate: N s, 20 documents, 2.0 MB"]


def test_what_is_not_known_is_not_shown(console, tmp_path):
    progress = RunProgress(console)
    with progress.shown():
        progress.start(job_of(tmp_path, "benchmarks", "benchmarks"))
    assert lines(console) == ["benchmarks: N s"]


def test_a_job_that_is_up_to_date_says_nothing(console, tmp_path):
    progress = RunProgress(console)
    finished, resumed = job_of(tmp_path, "old", "a"), job_of(tmp_path, "new", "b")
    finished.stages[0].dataset.publish(
        Manifest("a", finished.stages[0].fingerprint, 1, {}, {}, [], {}, {}, {}, "0")
    )
    with progress.shown():
        progress.start(finished)
        progress.start(resumed)
        progress.start(finished)
    assert lines(console) == ["new: N s"]


def test_a_job_that_fails_is_still_told(console, tmp_path):
    progress = RunProgress(console)

    def fail():
        with progress.shown():
            progress.start(job_of(tmp_path, "judge", "candidates web"))
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        fail()
    assert lines(console) == ["judge: N s"]


def test_on_a_terminal_a_bar_shows_shards_and_rates(tmp_path):
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    progress = RunProgress(console)
    job = job_of(tmp_path, "judge", "candidates web")
    job.stages[0].dataset.write_record(TaskRecord("t0", [], {}))
    with progress.shown():
        progress.start(job)
        progress.observe(job.stages[0], record(documents=1500, text_bytes=2_500_000, removed=7))
    shown = console.file.getvalue()
    for part in ("judge", "1/1 shards", "documents/s", "MB/s", "7 removed"):
        assert part in shown
