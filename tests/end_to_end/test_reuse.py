"""Another budget writes only what is new: other files are those of the earlier mix, and the mix is
the same as without the option."""

import copy
from pathlib import Path
from typing import Any

from small_pool import Finished, hashes_of, published, run, vineleaf_here

KINDS = ("tokens", "jsonl", "mds", "sequences")


def recipe_of(finished: Finished, name: str, docs: int) -> dict[str, Any]:
    recipe = copy.deepcopy(finished.recipe)
    recipe["name"] = name
    recipe["mix"] |= {
        "tokens": docs * 2, "slices": 16, "outputs": ["tokens", "jsonl", "mds"],
        "sequence": {"length": 300},
    }  # fmt: skip
    return recipe


def inodes_of(base: Path) -> set[int]:
    return {path.stat().st_ino for kind in KINDS for path in (base / kind).rglob("part-*")}


def test_files_that_are_alike_are_shared(finished: Finished, tmp_path: Path) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    other = finished.copy_to(tmp_path / "other")
    run(recipe_of(finished, "before", 6_000), workspace).good()
    before, _ = published(workspace / "mixes/before")
    # A file that was damaged since is not shared but written.
    damaged = max((before / "tokens/docs").glob("*.npy"), key=lambda path: path.stat().st_size)
    kept = damaged.read_bytes()
    damaged.write_bytes(kept[:-4] + b"\x07\0\0\0")
    recipe = recipe_of(finished, "after", 7_500)
    outcome = run(recipe, workspace, options=["--reuse-tokens"]).good()
    after, _ = published(workspace / "mixes/after")
    shared = inodes_of(after) & inodes_of(before)
    assert len(shared) > 0.6 * len(inodes_of(after))
    assert damaged.stat().st_ino not in shared

    run(recipe, other).good()
    plain, _ = published(other / "mixes/after")
    assert hashes_of(after, KINDS) == hashes_of(plain, KINDS)
    assert plain.name == after.name
    answer = vineleaf_here("verify", outcome.answer["mix"], "--json").good().answer
    assert [check["name"] for check in answer["checks"] if not check["ok"]] == []


def test_without_the_option_all_files_are_written(finished: Finished, tmp_path: Path) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    for name in ("one", "two"):
        run(recipe_of(finished, name, 6_000), workspace).good()
    one, two = (published(workspace / "mixes" / name)[0] for name in ("one", "two"))
    assert hashes_of(one, KINDS) == hashes_of(two, KINDS)
    assert not inodes_of(one) & inodes_of(two)
