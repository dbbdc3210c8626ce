"""A new crawl against the published keys of an earlier run, whose text is gone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_pool import (
    Pool,
    compressed,
    dolma_line,
    hashes_of,
    near_copy,
    prose,
    run,
    times_of,
    vineleaf_here,
    write_recipe,
)

DEDUP: dict[str, Any] = {"exact": True, "fuzzy": {"similarity": 0.8}, "paragraphs": True}
OLD = {f"old-{k:02d}": prose(f"old {k}", sentences=24) for k in range(12)}
NEW = {
    **{f"new-{k:02d}": prose(f"new {k}", sentences=24) for k in range(12)},
    "same": OLD["old-03"],
    "near": near_copy(OLD["old-04"]),
    "nearer": near_copy(OLD["old-04"]).replace("postscript", "appendix"),
    "quotes": prose("new 40") + "\n\n" + OLD["old-05"].split("\n\n")[1],
}


def recipe_of(pool: Pool, folder: Path, name: str, texts: dict[str, str]) -> dict[str, Any]:
    """A recipe with these documents as its source."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [dolma_line(identifier, text) for identifier, text in texts.items()]
    (folder / f"{name}.jsonl.gz").write_bytes(compressed(lines, "gz"))
    recipe = pool.recipe_of([f"{folder}/{name}.jsonl.gz"])
    recipe["name"] = name
    recipe["pool"]["dedup"] = json.loads(json.dumps(DEDUP))
    return recipe


@pytest.fixture(scope="module")
def keys(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of a run, of which nothing else is left."""
    folder = tmp_path_factory.mktemp("first")
    recipe = recipe_of(pool, folder / "input", "first", OLD)
    recipe["pool"]["dedup"]["keys"] = True
    run(recipe, folder / "workspace").good()
    kept = folder / "published/keys/first"
    shutil.copytree(folder / "workspace/keys/first", kept)
    shutil.rmtree(folder / "input")
    shutil.rmtree(folder / "workspace")
    return kept


@pytest.fixture
def second(pool: Pool, keys: Path, tmp_path: Path) -> dict[str, Any]:
    recipe = recipe_of(pool, tmp_path / "input", "second", NEW)
    recipe["pool"]["dedup"]["against"] = [str(keys)]
    return recipe


def story(workspace: Path, identifier: str) -> dict[str, Any]:
    return vineleaf_here("why", identifier, "-w", str(workspace), "--json").good().answer


def test_what_repeats_a_published_document_is_removed_and_told(
    second: dict[str, Any], keys: Path, tmp_path: Path
) -> None:
    keys = Path(shutil.copytree(keys, tmp_path / "published/keys/first"))
    second["pool"]["dedup"]["against"] = ["published/keys/first"]  # from the recipe's folder
    before = hashes_of(keys.parents[1], ["keys"])
    workspace = tmp_path / "workspace"
    outcome = run(second, workspace).good()
    ledger = outcome.answer["ledger"]["docs"]
    assert ledger["balanced"] is True
    removed = {name: n for name, n in ledger["removed"].items() if "dedup" in name}
    assert removed == {
        "exact-dedup: duplicate of published": 1,
        "fuzzy-dedup: duplicate of published": 2,
    }
    same = story(workspace, "same")
    assert same["duplicate_of"] == "old-03"
    assert same["published_in"] == {"recipe": "first", "keys": str(keys)}
    assert f"old-03 of the published run first (keys at {keys})" in same["reasons"][0]["message"]
    assert story(workspace, "near")["cluster_size"] == 3
    assert story(workspace, "new-00")["published_in"] is None
    (passage,) = story(workspace, "quotes")["repeated"]
    assert passage["first_in"] == f"old-05 of the published run first (keys at {keys})"

    times = times_of(workspace)
    again = run(second, workspace).good()
    assert set(again.states.values()) == {"up to date"}
    assert times_of(workspace) == times
    assert hashes_of(keys.parents[1], ["keys"]) == before

    path = write_recipe(tmp_path / "plan.yaml", second)
    plan = vineleaf_here("plan", str(path), "-w", str(workspace), "--json").good().answer
    (told,) = plan["against"]
    assert (told["recipe"], told["keys"]) == ("first", str(keys))
    assert (told["documents"], told["survivors"]) == (12, 12)
    assert told["bytes"] == sum(one.stat().st_size for one in keys.rglob("*.parquet"))
    shown = vineleaf_here("plan", str(path), "-w", str(workspace)).good().stdout
    assert "Compared with, and after" in shown

    shutil.rmtree(keys)
    assert "of shard 0, whose keys are gone" in story(workspace, "same")["duplicate_of"]


def test_a_third_run_names_both(
    second: dict[str, Any], pool: Pool, keys: Path, tmp_path: Path
) -> None:
    second["pool"]["dedup"]["keys"] = True
    workspace = tmp_path / "workspace"
    run(second, workspace).good()
    texts = {**{f"third-{k:02d}": prose(f"third {k}") for k in range(10)}, "like": NEW["new-07"]}
    third = recipe_of(pool, tmp_path / "input", "third", {**texts, "as": OLD["old-04"]})
    third["pool"]["dedup"]["against"] = [str(workspace / "keys/second")]
    said = run(third, tmp_path / "third").failed(2)
    assert "('second') were made against keys" in said
    assert "name these before them" in said
    third["pool"]["dedup"]["against"] = [str(keys), "{workspace}/../workspace/keys/second"]
    run(third, tmp_path / "third").good()
    assert story(tmp_path / "third", "like")["duplicate_of"] == "new-07"
    assert story(tmp_path / "third", "like")["published_in"]["recipe"] == "second"
    assert story(tmp_path / "third", "as")["duplicate_of"] == "old-04"


def refused(recipe: dict[str, Any], folder: Path) -> str:
    """What `check` and `run` say before any work."""
    path = write_recipe(folder / "bad.yaml", recipe)
    checked = vineleaf_here("check", str(path), "--json")
    assert checked.code == 2
    (error,) = checked.answer["errors"]
    assert error["key"].startswith("pool.dedup.")
    assert error["message"] in run(recipe, folder / "nothing").failed(2)
    assert not list((folder / "nothing").glob("documents/*"))
    return str(error["message"])


def test_keys_that_cannot_serve_are_refused_before_any_work(
    second: dict[str, Any], keys: Path, tmp_path: Path
) -> None:
    dedup = second["pool"]["dedup"]
    dedup["fuzzy"]["similarity"] = 0.75
    dedup["urls"] = True
    assert refused(second, tmp_path) == (
        f"the keys at {keys} were made with urls false, fuzzy.similarity 0.8, fuzzy.bands x rows"
        " 35 x 8, and this recipe asks for urls true, fuzzy.similarity 0.75, fuzzy.bands x rows"
        " 40 x 7: both must compare in the same way"
    )
    second["pool"]["dedup"] = {**DEDUP, "against": [str(keys)], "substring": True}
    assert "passages are compared byte by byte" in refused(second, tmp_path)
    second["pool"]["dedup"] = {**DEDUP, "against": [str(keys.parents[1])]}
    assert refused(second, tmp_path) == (
        f"no published keys are at {keys.parents[1]}; it is a workspace: name {keys}"
    )
    second["pool"]["dedup"]["against"] = ["{workspace}/keys/second"]
    assert "this recipe's own keys" in run(second, tmp_path / "nothing").failed(2)
    second["pool"]["dedup"]["against"] = [f"{keys}s"]
    assert "a run with 'pool.dedup.keys: true' publishes them" in refused(second, tmp_path)
    second["pool"]["dedup"]["against"] = [str(keys), f"{keys}/"]
    assert "named twice" in refused(second, tmp_path)


@pytest.mark.parametrize("table", ["minhash", "ids"])
def test_keys_that_are_not_whole_are_told(
    second: dict[str, Any], keys: Path, tmp_path: Path, table: str
) -> None:
    copied = tmp_path / "keys"
    shutil.copytree(keys, copied)
    second["pool"]["dedup"]["against"] = [str(copied)]
    (lost,) = copied.glob(f"*/{table}/00000.parquet")
    content = lost.read_bytes()
    lost.unlink()
    assert refused(second, tmp_path).startswith("1 of 8 files of the keys")
    lost.write_bytes(content[:-1])
    assert f"lacking or have another size, {lost} first" in refused(second, tmp_path)
    manifest = copied / "manifest.json"
    lost.write_bytes(content)
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-20])
    assert "was cut or changed: get them again" in refused(second, tmp_path)


def test_a_changed_byte_of_keys_is_told_where_it_is_read(
    second: dict[str, Any], keys: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "keys"
    shutil.copytree(keys, copied)
    second["pool"]["dedup"]["against"] = [str(copied)]
    (path,) = copied.glob("*/minhash/00000.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    said = run(second, tmp_path / "workspace").failed(3)
    assert f"{path} was cut or changed since it was published" in said
    assert "get the keys at" in said
