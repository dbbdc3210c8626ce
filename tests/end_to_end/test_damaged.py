"""Stored files that change behind the workflow's back are made anew, and nothing else is."""

import os
import shutil
from pathlib import Path

import pytest
from small_pool import Finished, Pool, hashes_of, run, vineleaf_here


def flip(path: Path, keep_time: bool) -> None:
    """Change a byte of the data; as a disk does (nothing tells), or as a program that writes."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0x55
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def one(workspace: Path, pattern: str) -> Path:
    """The largest file that matches."""
    return max(workspace.glob(pattern), key=lambda path: (path.stat().st_size, str(path)))


def test_a_changed_byte_is_noticed_where_a_file_is_read_and_mended(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    """In documents, in tables that later stages read, and in the benchmarks' index."""
    workspace = finished.copy_to(tmp_path / "workspace")
    flipped = [
        one(workspace, pattern)
        for pattern in (
            "documents/docs/*/*.parquet",
            "attributes/minhash/docs/*/*.parquet",
            "attributes/tokens/docs/*/*.parquet",
            "benchmarks/index/*/*.arrow",
        )
    ]
    for path in flipped:
        flip(path, keep_time=True)
    for lost in ("mixes", "attributes/contamination", "attributes/fuzzy_duplicates"):
        shutil.rmtree(workspace / lost)

    outcome = run(pool.recipe(), workspace).good()

    told = "".join(outcome.stderr.split())  # it may be wrapped
    for path in flipped:
        assert f"{path}wascutorchanged" in told
    wanted, seen = hashes_of(finished.workspace), hashes_of(workspace)
    assert seen == wanted
    states = {name: state for name, state in outcome.states.items() if state == "done"}
    assert "size docs" not in states


@pytest.mark.parametrize(
    ("pattern", "stages"),
    [
        ("mixes/small/*/tokens/docs/*.npy", {"mix"}),
        ("mixes/small/*/tokens/docs/*.csv.gz", {"mix"}),
        ("attributes/minhash/web/*/*.parquet", {"minhash web"}),
    ],
)
def test_a_file_written_since_is_noticed_by_a_run_that_is_up_to_date(
    finished: Finished, pool: Pool, tmp_path: Path, pattern: str, stages: set[str]
) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    flip(one(workspace, pattern), keep_time=False)
    states = run(pool.recipe(), workspace).good().states
    assert {name for name, state in states.items() if state == "done"} == stages
    assert hashes_of(workspace) == hashes_of(finished.workspace)
    assert set(run(pool.recipe(), workspace).good().states.values()) == {"up to date"}


def test_a_story_names_the_file_that_is_damaged(finished: Finished, tmp_path: Path) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    story = vineleaf_here("why", "story-00", "-w", str(workspace), "--json").good().answer
    path = one(workspace, "attributes/gopher/docs/*/" + Path(story["shard"]).name)
    flip(path, keep_time=True)
    told = vineleaf_here("why", "story-00", "-w", str(workspace), "--json").failed(3)
    assert f"{path} was cut or changed" in told
