"""Progress: a line when a stage begins, one now and then, one at its end; on a terminal a bar."""

import io
import re
import threading
import time

import pytest
from rich.console import Console

from pipelines.progress import RunProgress
from pipelines.stages import Job, Stage
from transforms.datasets import TaskRecord

TICKS = 0.005  # seconds
GIVE_UP_SECONDS = 60


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def job_of(folder, title, *names, tasks=("t0", "t1"), step=lambda: ""):
    stages = [Stage(name, f"{folder}/{name}", 1, {}, {}, tasks) for name in names]
    return Job(title, stages, lambda pipeline, missing: None, None, step=step)


def missing(job):
    return {stage.name: stage.tasks for stage in job.stages}


def record(**counts):
    return TaskRecord("t", [], {key.replace("__", "."): value for key, value in counts.items()})


def lines(console):
    """What was printed, without what depends on the clock."""
    return [
        re.sub(r"[\d,.]+ (s\b|documents/s|MB/s)", r"N \1", line)
        for line in console.file.getvalue().splitlines()
    ]


def test_a_stage_is_told_when_it_begins_now_and_then_and_at_its_end(console, tmp_path):
    progress = RunProgress(console)
    job = job_of(tmp_path, "filter", "candidates web")
    with progress.shown(), progress.job(job, missing(job)):
        progress.observe(job.stages[0], record(documents=1500, text_bytes=2_500_000, removed=7))
        progress.tell()
        progress.observe(job.stages[0], record(rows=10, removed__words=2, removed__share=1))
    assert lines(console) == [
        "filter: begins, 2 shards to do",
        "filter: N s, 1/2 shards, N documents/s, N MB/s, 7 removed",
        "filter: done in N s, 1,510 documents, 2.5 MB, N documents/s, N MB/s, 10 removed",
    ]


def test_a_log_holds_no_escape_codes_and_reads_from_top_to_bottom(console, tmp_path):
    progress = RunProgress(console)
    job = job_of(tmp_path, "mix [x]", "mix")
    with progress.shown(), progress.job(job, missing(job)):
        progress.tell()
    assert re.fullmatch(r"[ -~\n]+", console.file.getvalue())
    assert console.file.getvalue().count("mix [x]: ") == 3


def test_a_long_stage_goes_on_telling_where_it_is(console, tmp_path):
    progress = RunProgress(console, every_seconds=TICKS)
    enough = threading.Event()
    steps = iter(range(10**9))

    def step():
        number = next(steps)
        if number == 3:
            enough.set()
        return f"step {number}"

    job = job_of(tmp_path, "fuzzy-dedup", "x web", step=step)
    with progress.shown(), progress.job(job, missing(job)):
        assert enough.wait(GIVE_UP_SECONDS)
    told = lines(console)
    assert told[1:4] == [f"fuzzy-dedup: N s, 0/2 shards, step {number}" for number in range(3)]
    assert told[-1] == "fuzzy-dedup: done in N s"


def test_documents_and_shards_of_several_tables_in_one_read_are_counted_once(console, tmp_path):
    progress = RunProgress(console)
    job = job_of(tmp_path, "annotate", "size web", "gopher web", "size code")
    with progress.shown(), progress.job(job, missing(job)):
        for stage in job.stages:
            progress.observe(stage, record(rows=10, text_bytes=1_000_000))
        progress.tell()
    assert lines(console) == [
        "annotate: begins, 4 shards to do",
        "annotate: N s, 2/4 shards, N documents/s, N MB/s",
        "annotate: done in N s, 20 documents, 2.0 MB, N documents/s, N MB/s",
    ]


def test_what_is_there_of_an_interrupted_run_is_not_to_do(console, tmp_path):
    progress = RunProgress(console)
    job = job_of(tmp_path, "annotate", "size web", "gopher web")
    with progress.shown(), progress.job(job, {"size web": ["t1"], "gopher web": []}):
        progress.observe(job.stages[0], record(rows=5))
        progress.observe(job.stages[1], record(rows=5))
    assert lines(console) == [
        "annotate: begins, 1 shard to do",
        "annotate: done in N s, 5 documents, N documents/s",
    ]


def test_a_job_that_is_up_to_date_says_nothing(console, tmp_path):
    progress = RunProgress(console)
    with progress.shown(), progress.job(job_of(tmp_path, "old", "a"), {"a": []}):
        progress.tell()
    assert lines(console) == []


def test_a_job_that_fails_is_told_as_such(console, tmp_path):
    progress = RunProgress(console)

    def fail():
        job = job_of(tmp_path, "filter", "candidates web")
        with progress.shown(), progress.job(job, missing(job)):
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        fail()
    assert lines(console) == ["filter: begins, 2 shards to do", "filter: failed after N s"]


def test_work_between_stages_is_told_only_when_it_takes_long(console):
    progress = RunProgress(console)
    with progress.shown():
        with progress.phase("ingest: hashing"):
            pass
        with progress.phase("select: counting"):
            progress.tell()
        progress.tell()
    assert lines(console) == ["select: counting: N s", "select: counting: done in N s"]


def test_on_a_terminal_a_bar_shows_shards_rates_and_step(tmp_path):
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    progress = RunProgress(console)
    job = job_of(tmp_path, "exact-dedup", "exact_duplicates web", step=lambda: "grouping")
    with progress.shown(), progress.job(job, {"exact_duplicates web": ["t1"]}):
        progress.tell()
        progress._progress.refresh()
        progress.observe(job.stages[0], record(documents=1500, text_bytes=2_500_000, removed=7))
    shown = console.file.getvalue()
    for part in ("exact-dedup", "1/1 shards", "documents/s", "MB/s", "7 removed", "grouping"):
        assert part in shown
    assert "begins" not in shown


def test_rates_of_a_stage_that_ended_stand_still(tmp_path):
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    progress = RunProgress(console)
    job = job_of(tmp_path, "filter", "candidates web")
    with progress.shown():
        with progress.job(job, missing(job)):
            progress.observe(job.stages[0], record(documents=1500))
        (before,) = [task.fields["rates"] for task in progress._progress.tasks]
        elapsed = progress._progress.tasks[0].elapsed
        time.sleep(TICKS)
        assert progress._progress.tasks[0].fields["rates"] == before
        assert progress._progress.tasks[0].elapsed == elapsed


def test_the_bar_of_a_stage_that_ended_counts_its_last_shard(tmp_path):
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    progress = RunProgress(console)
    job = job_of(tmp_path, "filter", "candidates web", tasks=[f"t{n}" for n in range(50)])
    with progress.shown(), progress.job(job, missing(job)):
        for _ in range(50):  # faster than a bar is drawn
            progress.observe(job.stages[0], record(documents=2))
    (bar,) = progress._progress.tasks
    assert bar.completed == 50
