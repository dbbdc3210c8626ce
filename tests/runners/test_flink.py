"""A real Flink cluster makes the bytes of the local runner; killed or stuck, it loses none.

One JobManager, two TaskManagers and Beam's job server on loopback, Python workers as processes.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from flink_cluster import FlinkCluster, flink_cluster, require_flink
from small_pool import (
    ROOT,
    Finished,
    Outcome,
    command_line,
    environment,
    files_of,
    hashes_of,
    vineleaf_here,
)

from pipelines.demo.sources import make_sources
from pipelines.runners import submission
from pipelines.runners.submission import name_jobs

RECIPE = str(ROOT / "mixes/demo.yaml")
KEPT_OF = {"web": 6, "code": 6, "pdf": 5}  # every n-th of the demo's files
TOKENS = "100K"
GIVE_UP_SECONDS = 240
POLL_SECONDS = 0.005


def run_demo(workspace: Path, *beam: str) -> Outcome:
    return vineleaf_here(*demo_command(workspace, *beam))


def demo_command(workspace: Path, *beam: str) -> list[str]:
    runner = ["--runner=FlinkRunner", "--", *beam] if beam else []
    changed = ["--set", f"mix.tokens={TOKENS}"]
    return ["run", RECIPE, "-w", str(workspace), "--json", *changed, *runner]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The demo's recipe over a part of its sources, by the default runner."""
    require_flink()
    workspace = tmp_path_factory.mktemp("demo") / "workspace"
    make_sources(str(workspace / "input"))
    for kind, step in KEPT_OF.items():
        for place, path in enumerate(sorted((workspace / "input" / kind).rglob("*"))):
            if path.is_file() and place % step:
                path.unlink()
    return Finished(workspace, {}, run_demo(workspace).good())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    with flink_cluster(tmp_path_factory.mktemp("flink")) as running:
        yield running


def without(finished: Finished, table: str, folder: Path) -> Path:
    """A copy of the workspace in which one table of all sources is to be made anew."""
    workspace = finished.copy_to(folder)
    shutil.rmtree(workspace / "attributes" / table)
    return workspace


def disturbed(
    cluster: FlinkCluster,
    workspace: Path,
    disturb: Callable[[], None],
    again: bool = False,
    **options: object,
) -> Outcome:
    """Run the fuzzy job; `disturb` once the first of its exchanges has written something.

    With `again`, disturb it until the run ends.
    """
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(run_demo, workspace, *cluster.beam_options(**options))
        wait_until(lambda: running.done() or has_exchanged(workspace))
        assert not running.done(), running.result().stderr
        disturb()
        while again and not running.done():
            time.sleep(POLL_SECONDS)
            disturb()
        return running.result(timeout=GIVE_UP_SECONDS)


def has_exchanged(workspace: Path) -> bool:
    """Whether the first of the fuzzy job's exchanges has written something."""
    return bool(list((workspace / "work/fuzzy").glob("*/bands/*.run")))


def wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while not ready():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(POLL_SECONDS)


def assert_same_bytes(workspace: Path, finished: Finished) -> None:
    seen = {name: one for name, one in hashes_of(workspace).items() if "/_aside/" not in name}
    wanted = hashes_of(finished.workspace)
    assert seen.keys() == wanted.keys()
    assert [name for name in wanted if seen[name] != wanted[name]] == []


def test_the_demos_recipe_makes_the_same_bytes(
    cluster: FlinkCluster, finished: Finished, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(finished.workspace / "input", workspace / "input")
    outcome = run_demo(workspace, *cluster.beam_options()).good()
    assert set(outcome.states.values()) == {"done"}
    assert outcome.answer["ledger"] == finished.outcome.answer["ledger"]
    assert_same_bytes(workspace, finished)
    assert [name for name in files_of(workspace) if "/_aside/" in name] == []
    jobs = cluster.rest("/jobs/overview")["jobs"]
    assert {job["state"] for job in jobs} == {"FINISHED"}
    begin = name_jobs(PipelineOptions([]), str(workspace))
    assert all(job["name"].startswith(begin) for job in jobs)


def test_a_killed_taskmanager_is_replaced_and_the_job_goes_on(
    cluster: FlinkCluster, finished: Finished, tmp_path: Path
) -> None:
    workspace = without(finished, "fuzzy_duplicates", tmp_path / "workspace")

    def replace() -> None:
        cluster.kill("taskmanager-1")
        cluster.start_taskmanager("taskmanager-3")

    states = disturbed(cluster, workspace, replace).good().states
    assert {name.split(" ")[0] for name, state in states.items() if state == "done"} == {
        "fuzzy_duplicates"
    }
    assert_same_bytes(workspace, finished)


def test_a_killed_worker_fails_the_run_in_a_sentence_and_the_next_run_ends_it(
    cluster: FlinkCluster, finished: Finished, tmp_path: Path
) -> None:
    """Where Flink may not try again.

    All and again: one alone may have ended its work, or be of the job before.
    """
    workspace = without(finished, "fuzzy_duplicates", tmp_path / "workspace")

    def kill_workers() -> None:
        for worker in cluster.workers():
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    said = disturbed(
        cluster, workspace, kill_workers, again=True, number_of_execution_retries=0
    ).failed(3)
    assert said.startswith("fuzzy-dedup: ")
    assert "\n" not in said
    run_demo(workspace, *cluster.beam_options()).good()
    assert_same_bytes(workspace, finished)


def test_a_job_that_stands_still_is_cancelled_and_told(
    cluster: FlinkCluster, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = without(finished, "fuzzy_duplicates", tmp_path / "workspace")
    stopped: list[int] = []
    look, looks = submission._seen, count()

    def look_after_the_stop(folders: Iterable[str]) -> dict[str, int]:
        """Before it, something moves at each look, however slowly the workers start."""
        return look(folders) if stopped else {"": next(looks)}

    def stop_all() -> None:
        workers = cluster.workers()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        stopped.extend(workers)

    monkeypatch.setattr(submission, "_seen", look_after_the_stop)
    try:
        said = disturbed(cluster, workspace, stop_all, patience_minutes=0.05).failed(3)
    finally:
        for worker in stopped:
            os.kill(worker, signal.SIGKILL)
    assert "nothing was written" in said
    assert "2 TaskManagers" in said
    assert "the job is RUNNING at " in said
    jobs = sorted(cluster.rest("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
    assert jobs[-1]["state"] in ("CANCELLING", "CANCELED")

    run_demo(workspace, *cluster.beam_options()).good()
    assert_same_bytes(workspace, finished)


def test_the_job_of_a_killed_run_is_ended_by_the_next_one(
    cluster: FlinkCluster, finished: Finished, tmp_path: Path
) -> None:
    workspace = without(finished, "fuzzy_duplicates", tmp_path / "workspace")
    options = cluster.beam_options()
    killed = subprocess.Popen(
        command_line(*demo_command(workspace, *options)),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    begin = name_jobs(PipelineOptions([]), str(workspace))

    def states() -> list[str]:
        jobs = cluster.rest("/jobs/overview")["jobs"]
        return [job["state"] for job in jobs if job["name"].startswith(begin)]

    stopped: list[int] = []
    try:
        wait_until(lambda: killed.poll() is not None or has_exchanged(workspace))
        stopped += cluster.workers()
        for worker in stopped:  # so that the job does not end by itself
            os.kill(worker, signal.SIGSTOP)
        assert killed.poll() is None
        killed.kill()
        killed.wait()
        assert states() == ["RUNNING"]
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(run_demo, workspace, *options)
            wait_until(lambda: running.done() or "RUNNING" not in states())
            for worker in stopped:
                os.kill(worker, signal.SIGKILL)
            outcome = running.result(timeout=GIVE_UP_SECONDS).good()
    finally:
        killed.kill()
        for worker in stopped:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
    assert sorted(set(states())) == ["CANCELED", "FINISHED"]
    (note,) = [note for note in outcome.answer["notes"] if "earlier run" in note]
    assert begin in note
    assert_same_bytes(workspace, finished)
