"""A real Flink cluster makes the bytes of the local runner; killed or stuck, it loses none.

One JobManager, two TaskManagers and Beam's job server on loopback, Python workers as processes.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from flink_cluster import FlinkCluster, flink_cluster, require_flink
from small_pool import ROOT, Finished, Outcome, files_of, hashes_of, vineleaf_here

from pipelines import submission
from pipelines.demo.sources import make_sources

RECIPE = str(ROOT / "mixes/demo.yaml")
KEPT_OF = {"web": 6, "code": 6, "pdf": 5}  # every n-th of the demo's files
TOKENS = "100K"
GIVE_UP_SECONDS = 240
POLL_SECONDS = 0.005


def run_demo(workspace: Path, *beam: str) -> Outcome:
    runner = ["--runner=PortableRunner", "--", *beam] if beam else []
    changed = ["--set", f"mix.tokens={TOKENS}"]
    return vineleaf_here("run", RECIPE, "-w", str(workspace), "--json", *changed, *runner)


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
    cluster: FlinkCluster, workspace: Path, disturb: Callable[[], None], **options: object
) -> Outcome:
    """Run the fuzzy job; `disturb` once the first of its exchanges has written something."""
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(run_demo, workspace, *cluster.beam_options(**options))
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while not list((workspace / "work/fuzzy").glob("*/bands/*.run")):
            assert not running.done(), running.result().stderr
            assert time.monotonic() < deadline, "the job wrote nothing"
            time.sleep(POLL_SECONDS)
        disturb()
        return running.result(timeout=GIVE_UP_SECONDS)


def assert_same_bytes(workspace: Path, finished: Finished) -> None:
    seen = {name: one for name, one in hashes_of(workspace).items() if "/aside/" not in name}
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
    assert [name for name in files_of(workspace) if "/aside/" in name] == []
    jobs = cluster.rest("/jobs/overview")["jobs"]
    assert {job["state"] for job in jobs} == {"FINISHED"}
    assert all(job["name"].startswith("vineleaf-") for job in jobs)


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
    """Where Flink may not try again."""
    workspace = without(finished, "fuzzy_duplicates", tmp_path / "workspace")

    def kill_one() -> None:
        os.kill(cluster.workers()[-1], signal.SIGKILL)

    said = disturbed(cluster, workspace, kill_one, number_of_execution_retries=0).failed(3)
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
