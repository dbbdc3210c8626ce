"""Another budget writes only what is new: other files are those of the earlier mix, and the mix is
the same as without the option."""

import copy
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from small_pool import Finished, hashes_of, mixed_ids, published, run, vineleaf_here

from pipelines.reports.absences import NOT_KNOWN

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
    assert_compared(workspace / "mixes/before", workspace / "mixes/after", tmp_path / "copy")


def assert_compared(before: Path, after: Path, copied: Path) -> None:
    """`compare` finds what the larger budget added, and why the smaller did not have it."""
    found = vineleaf_here("compare", str(before), str(after), "--json").good().answer
    assert {one["key"] for one in found["recipe"]} == {"name", "mix.tokens"}
    assert found["made_of"] == []
    ids = [mixed_ids(mix) for mix in (before, after)]
    for source, its in found["sources"].items():
        a, b = (Counter(one[source]) for one in ids)
        new = len(b.keys() - a.keys())
        assert (its["documents_a"], its["documents_b"]) == (a.total(), b.total())
        assert (its["only_a"], its["only_b"]) == (0, new)  # a larger budget takes nothing away
        assert (its["both"], its["fewer"]) == (len(a), 0)
        assert its["more"] == sum(b[one] > a[one] for one in a)
        assert its["why_not_in_b"] == {}
        assert its["why_not_in_a"] == ({"select: not drawn": new} if new else {})
        assert its["epochs_b"] > its["epochs_a"]
    assert sum(its["only_b"] for its in found["sources"].values()) > 5
    for one in found["examples"]:
        there = [its[one["source"]].count(one["id"]) for its in ids]
        assert there == [one["copies_a"], one["copies_b"]]
        assert one["kind"] == ("more" if there[0] else "only_b")
        assert one["reason"] == (None if there[0] else "select: not drawn")
        assert len(one["begins"]) > 20
    assert {one["kind"] for one in found["examples"]} == {"only_b", "more"}
    shown = vineleaf_here("compare", str(before), str(after))
    for part in ("mix.tokens", "not drawn", "more often in B", found["examples"][0]["id"]):
        assert part in shown.good().stdout

    shutil.copytree(before, copied)  # out of its workspace
    alone = vineleaf_here("compare", str(copied), str(after), "--json").good().answer
    for source, its in found["sources"].items():
        new = {NOT_KNOWN: its["only_b"]} if its["only_b"] else {}
        assert alone["sources"][source] == {**its, "why_not_in_a": new}
    same = vineleaf_here("compare", str(copied), str(before), "--json").good().answer
    assert same["same_documents"] is True
    assert same["recipe"] == same["made_of"] == same["examples"] == []
    workspace = before.parents[1]
    for folder, told in (
        (workspace, f"name a mix of that workspace, {after} or {before}"),
        (workspace / "mixes/none", f"name a mix of that workspace, {after} or"),
        (workspace / "documents/docs", "is no mix but the dataset 'documents docs'"),
        (copied.parent, "name the folder that holds a mix's manifest.json"),
    ):
        assert told in vineleaf_here("compare", str(folder), str(after), "--json").failed(2)


def test_without_the_option_all_files_are_written(finished: Finished, tmp_path: Path) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    for name in ("one", "two"):
        run(recipe_of(finished, name, 6_000), workspace).good()
    one, two = (published(workspace / "mixes" / name)[0] for name in ("one", "two"))
    assert hashes_of(one, KINDS) == hashes_of(two, KINDS)
    assert not inodes_of(one) & inodes_of(two)
