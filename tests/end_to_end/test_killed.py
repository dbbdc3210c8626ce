"""Killed with SIGKILL at any stage and started again, a run ends with the undisturbed run's bytes.

What was finished when the process died is not made again, and what it left aside is never read.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from small_pool import (
    Finished,
    Pool,
    command_line,
    environment,
    files_of,
    hashes_of,
    run,
    times_of,
    vineleaf_here,
    write_recipe,
)

POLL_SECONDS = 0.002
GIVE_UP_SECONDS = 240
SCORES = ("size", "exact", "minhash", "gopher", "language", "code", "contamination")
STAGES = {  # stage -> its folders, in the order of the run
    "ingest": ("documents", "quarantine", "benchmarks"),
    "annotate": tuple(f"attributes/{name}" for name in SCORES),
    "filter": ("attributes/candidates",),
    "exact-dedup": ("attributes/exact_duplicates",),
    "fuzzy-dedup": ("attributes/fuzzy_duplicates",),
    "tokenize": ("attributes/tokens",),
    "select": ("attributes/selection-small",),
    "mix": ("mixes",),
}


def workspace_before(stage: str, finished: Finished, folder: Path) -> Path:
    """A copy of the finished workspace without what the stage and those after it made."""
    workspace = finished.copy_to(folder)
    names = list(STAGES)
    for name in names[names.index(stage) :]:
        for made in STAGES[name]:
            shutil.rmtree(workspace / made, ignore_errors=True)
    return workspace


def find(workspace: Path, stage: str, pattern: str) -> list[Path]:
    found = []
    for folder in STAGES[stage]:
        try:
            found += list((workspace / folder).rglob(pattern))
        except FileNotFoundError:  # a file moved while we looked
            continue
    return [path for path in found if path.parent.name != "_aside" or pattern == "_aside/*"]


def start_until(workspace: Path, recipe: Path, stage: str, pattern: str) -> subprocess.Popen[bytes]:
    """Start the run, in a process group of its own, and wait until a file of the stage matches."""
    process = subprocess.Popen(
        command_line("run", str(recipe), "-w", str(workspace), "--json", small=True),
        env=environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while not find(workspace, stage, pattern):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f"{stage} wrote no {pattern}"
            time.sleep(POLL_SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process


def run_until(workspace: Path, recipe: Path, stage: str, pattern: str) -> None:
    """Start the run and kill its whole process group when a file of the stage matches."""
    process = start_until(workspace, recipe, stage, pattern)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def in_place(hashes: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in hashes.items() if "/_aside/" not in name}


def recorded_files(workspace: Path) -> list[str]:
    """Files that a record of a finished task names, as paths below the workspace."""
    names = []
    for record in workspace.rglob("records/*.json"):
        base = record.parent.parent
        for file in json.loads(record.read_text())["files"]:
            names.append(str((base / file["path"]).relative_to(workspace)))
    return names


@pytest.mark.parametrize(
    ("stage", "pattern"),
    [
        ("ingest", "records/*.json"),
        ("annotate", "_aside/*"),
        ("exact-dedup", "*.parquet"),
        ("fuzzy-dedup", "records/*.json"),
        ("tokenize", "records/*.json"),
        ("mix", "*.npy"),
    ],
)
def test_killed_run_goes_on_and_ends_with_the_same_bytes(
    finished: Finished, pool: Pool, tmp_path: Path, stage: str, pattern: str
) -> None:
    workspace = workspace_before(stage, finished, tmp_path / "workspace")
    recipe = write_recipe(tmp_path / "recipe.yaml", pool.recipe())
    run_until(workspace, recipe, stage, pattern)
    assert not (workspace / "mixes/small/manifest.json").exists()
    before = times_of(workspace)
    made = [name for name in recorded_files(workspace) if name in before]

    run(pool.recipe(), workspace).good()

    seen, wanted = in_place(hashes_of(workspace)), hashes_of(finished.workspace)
    assert seen.keys() == wanted.keys()
    assert [name for name in wanted if seen[name] != wanted[name]] == []
    after = times_of(workspace)
    assert [name for name in made if after[name] != before[name]] == []
    assert vineleaf_here("verify", str(workspace / "mixes/small"), "--json").code == 0


def test_what_a_killed_run_left_aside_is_never_read(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    """Half a file beside every file that the undisturbed run wrote, as a kill would leave it."""
    workspace = finished.copy_to(tmp_path / "workspace")
    for path in (workspace / "mixes").rglob("*"):
        if path.is_file():
            path.unlink()
    for name, path in files_of(finished.workspace).items():
        aside = (workspace / name).parent / "_aside"
        aside.mkdir(exist_ok=True)
        content = path.read_bytes()
        (aside / f"{path.name}.0123456789abcdef").write_bytes(content[: len(content) // 2])

    states = run(pool.recipe(), workspace).good().states
    assert {name for name, state in states.items() if state == "done"} == {"mix"}

    assert in_place(hashes_of(workspace)) == hashes_of(finished.workspace)
    for manifest in workspace.rglob("manifest.json"):
        assert "_aside" not in manifest.read_text()
    assert vineleaf_here("why", "story-00", "-w", str(workspace), "--json").code == 0
    outcome = vineleaf_here("verify", str(workspace / "mixes/small"), "--json")
    assert [check for check in outcome.answer["checks"] if not check["ok"]] == []


def test_a_run_that_a_scheduler_stops_tells_so_and_another_may_begin_at_once(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    workspace = workspace_before("mix", finished, tmp_path / "workspace")
    recipe = write_recipe(tmp_path / "recipe.yaml", pool.recipe())
    process = start_until(workspace, recipe, "mix", "*.npy")
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate()

    assert process.returncode == 3
    assert json.loads(told) == {
        "ok": False,
        "errors": ["interrupted; run the same command again to go on from here"],
    }
    assert not (workspace / "mixes/small/manifest.json").exists()
    run(pool.recipe(), workspace).good()
    assert in_place(hashes_of(workspace)) == hashes_of(finished.workspace)
