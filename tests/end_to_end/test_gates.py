"""A bound of the recipe that is broken stops the run: named, unpublished, nothing after it."""

import shutil
from pathlib import Path

import pytest
from small_pool import (
    Finished,
    Pool,
    compressed,
    dolma_line,
    files_of,
    prose,
    published,
    run,
    times_of,
)

LATER = ("exact_duplicates", "fuzzy_duplicates", "tokens", "selection-small")


def without_judgement(finished: Finished, folder: Path) -> Path:
    """A copy of the finished workspace up to the scores."""
    workspace = finished.copy_to(folder)
    for table in ("candidates", *LATER):
        shutil.rmtree(workspace / "attributes" / table)
    shutil.rmtree(workspace / "mixes")
    return workspace


def test_broken_bound_stops_the_run_and_relaxing_it_goes_on(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    workspace = without_judgement(finished, tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["gates"] = {"removed": {"at_most": 0.0}}
    said = run(recipe, workspace).failed(1)
    # Two of the ten pages are removed.
    assert "removed_fraction" in said or "removed" in said
    assert "web" in said
    assert "0.2" in said
    assert "at most" in said or "<=" in said or "removed_at_most" in said or "no more" in said
    judged = workspace / "attributes/candidates"
    assert list((judged / "web").rglob("manifest.json")) == []
    assert not (workspace / "mixes/small/manifest.json").exists()
    for table in LATER:
        assert not (workspace / "attributes" / table).exists()
    reports = [path for path in judged.rglob("*.json") if path.name == "gate.json"]
    assert reports
    assert all(str(path) in said for path in reports[:1])

    before = times_of(workspace)
    states = run(pool.recipe(), workspace).good().states
    after = times_of(workspace)
    tables = [name for name in before if name.endswith(".parquet")]
    assert any("candidates/web" in name for name in tables)
    assert [name for name in tables if after[name] != before[name]] == []
    assert states["mix"] == "done"
    assert states["gopher web"] == "up to date"


@pytest.mark.parametrize(
    ("bounds", "named"),
    [
        ({"removed": {"at_most": 0.1}}, "0.2"),
        ({"duplicates": {"at_most": 0.01}}, "exact_duplicates"),
        ({"duplicates": {"at_least": 0.99}}, "duplicates"),
        ({"largest_cluster": {"at_most": 1}}, ": 2 like '"),
        ({"contaminated": {"at_most": 0.0}}, "docs"),
        ({"quarantined": {"at_least": 0.5}}, "0.5"),
    ],
    ids=lambda value: str(value),
)
def test_tightened_bound_fails_though_all_is_up_to_date(
    finished: Finished,
    pool: Pool,
    tmp_path: Path,
    bounds: dict[str, dict[str, float]],
    named: str,
) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["gates"] = bounds
    before = times_of(workspace)
    assert named in run(recipe, workspace).failed(1)
    # It fails again when it is tried again, and the first recipe's mix is as good as before.
    assert named in run(recipe, workspace).failed(1)
    after = times_of(workspace)
    data = [name for name in before if not name.endswith(".json")]
    assert [name for name in data if after.get(name) != before[name]] == []
    assert set(run(pool.recipe(), workspace).good().states.values()) <= {"up to date", "done"}


def test_a_bound_that_holds_changes_no_data(finished: Finished, pool: Pool, tmp_path: Path) -> None:
    """Gates are no part of what is made: other bounds, the same files of data."""
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["gates"] = {"removed": {"at_most": 0.5}, "duplicates": {"at_most": 0.6}}
    before = times_of(workspace, ("documents", "attributes", "mixes"))
    run(recipe, workspace).good()
    after = times_of(workspace, ("documents", "attributes", "mixes"))
    data = [name for name in before if name.endswith((".parquet", ".npy"))]
    assert [name for name in data if after[name] != before[name]] == []
    assert files_of(workspace).keys() >= files_of(finished.workspace).keys()


def test_an_id_that_is_there_twice_stops_the_run_and_is_named(pool: Pool, tmp_path: Path) -> None:
    """In two files, so that no single task can see it."""
    lines = [dolma_line(f"once-{part}", prose(f"once {part}")) for part in range(2)]
    for part, line in enumerate(lines):
        path = tmp_path / f"sources/part{part}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        again = dolma_line("twice", prose(f"twice {part}"))
        path.write_bytes(compressed([line, again, *pool.lines[part::2]], "gz"))
    said = run(pool.recipe_of([str(tmp_path / "sources")]), tmp_path / "workspace").failed(1)
    assert "duplicate_ids of docs is 1" in said
    assert "'twice', for one, stands in" in said
    assert said.count(".parquet row") == 2
    for part in ("part0.jsonl.gz", "part1.jsonl.gz", "leave 'id' out"):
        assert part in said
    assert not list((tmp_path / "workspace").rglob("manifest.json"))


def test_tables_that_have_changed_places_are_made_again(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    """Two shards' tables have changed places: rows would be judged by others' scores."""
    workspace = without_judgement(finished, tmp_path / "workspace")
    base, manifest = published(workspace / "attributes/gopher/docs")
    one, other = (base / file["path"] for file in manifest["files"][:2])
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    states = run(pool.recipe(), workspace).good().states
    assert states["gopher docs"] == "done"
    assert states["gopher web"] == "up to date"
    mix = "mixes/small/manifest.json"
    assert (workspace / mix).read_bytes() == (finished.workspace / mix).read_bytes()
