"""The same recipe gives the same bytes: other workers, other order, other seed, other folder.

And which documents survive, how often they are mixed and what they duplicate does not depend on how
the input was split into files.
"""

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from small_pool import (
    Finished,
    Pool,
    compressed,
    environment,
    files_of,
    hashes_of,
    make_pool,
    mixed_ids,
    published,
    run,
)


def assert_same_bytes(workspace: Path, finished: Finished) -> None:
    seen, wanted = hashes_of(workspace), hashes_of(finished.workspace)
    assert seen.keys() == wanted.keys()
    assert [name for name in wanted if seen[name] != wanted[name]] == []


def test_the_pool_is_no_trivial_one(finished: Finished, pool: Pool) -> None:
    """What the comparisons below rest on: several shards, removals of each kind, several epochs."""
    _, manifest = published(finished.workspace / "documents/docs")
    assert len(manifest["files"]) >= 3
    assert len(published(finished.workspace / "documents/crawl")[1]["files"]) >= 2
    reasons = finished.outcome.answer["ledger"]["docs"]["removed"]
    assert reasons["exact-dedup: duplicate"] == len(pool.planted.exact)
    assert reasons["fuzzy-dedup: duplicate"] == len(pool.planted.near)
    assert reasons["filter: contaminated"] == len(pool.planted.contaminated)
    assert reasons["select: not drawn"] > 0
    copies = Counter(mixed_ids(finished.workspace / "mixes/small")["web"])
    assert set(copies.values()) == {1, 2}


def test_nothing_is_left_aside(finished: Finished) -> None:
    assert [name for name in files_of(finished.workspace) if "/_aside/" in name] == []


def test_one_worker_makes_the_same(finished: Finished, pool: Pool, tmp_path: Path) -> None:
    run(pool.recipe(), tmp_path / "other", beam=["--direct_num_workers=1"]).good()
    assert_same_bytes(tmp_path / "other", finished)


def test_two_processes_make_the_same(finished: Finished, pool: Pool, tmp_path: Path) -> None:
    """One job of each kind: every pipeline starts its processes anew, which takes seconds."""
    workspace = finished.copy_to(tmp_path / "workspace")
    made = ["documents/docs", "attributes/fuzzy_duplicates", "mixes"]
    made += [f"attributes/{name}" for name in ("gopher", "minhash", "contamination", "language")]
    for folder in made:
        shutil.rmtree(workspace / folder)
    beam = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    states = run(pool.recipe(), workspace, beam=beam, here=False).good().states
    redone = {name.split(" ")[0] for name, state in states.items() if state == "done"}
    assert redone == {
        "documents", "gopher", "minhash", "contamination", "language", "fuzzy_duplicates", "mix",
    }  # fmt: skip
    assert_same_bytes(workspace, finished)


def test_hash_seed_and_order_of_files_on_disk_do_not_matter(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    """Copies of the sources, made in another order so that folders list them in another order."""
    paths = [path for path in sorted(pool.folder.rglob("*")) if path.is_file()]
    random.Random(5).shuffle(paths)
    for path in paths:
        target = tmp_path / "sources" / path.relative_to(pool.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        os.utime(target, (1, 1))
    # The recipe names the sources by a link: its text is the same, its files are the copies.
    kept_away = pool.folder.with_name(pool.folder.name + "-away")
    pool.folder.rename(kept_away)
    try:
        pool.folder.symlink_to(tmp_path / "sources")
        outcome = run(
            pool.recipe(), tmp_path / "other", env=environment(PYTHONHASHSEED="77"), here=False
        )
    finally:
        if pool.folder.is_symlink():
            pool.folder.unlink()
        kept_away.rename(pool.folder)
    outcome.good()
    assert_same_bytes(tmp_path / "other", finished)


def _without_recipe(workspace: Path) -> dict[str, str]:
    """Hashes of all that does not state the recipe itself."""
    base, _ = published(workspace / "mixes/small")
    hashes = hashes_of(workspace, ("documents", "attributes", "quarantine", "benchmarks"))
    of_mix = hashes_of(base, ("tokens",))
    return {**hashes, **{f"mix/{name}": digest for name, digest in of_mix.items()}}


def test_order_of_paths_in_the_recipe_does_not_matter(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    recipe = pool.recipe()
    for source in recipe["pool"]["sources"].values():
        source["paths"].reverse()
    workspace = finished.copy_to(tmp_path / "other")
    states = run(recipe, workspace).good().states
    assert {name for name, state in states.items() if state == "done"} <= {"mix"}
    assert _without_recipe(workspace) == _without_recipe(finished.workspace)


def _story(workspace: Path) -> dict[str, dict[str, Any]]:
    """By id of the Dolma source: what every table says of the document, addresses told as ids."""
    ids: list[list[str]] = []
    sources = sorted(path.name for path in (workspace / "documents").iterdir())
    for source in sources:
        base, manifest = published(workspace / "documents" / source)
        for file in manifest["files"]:
            ids.append(pq.read_table(base / file["path"])["id"].to_pylist())
    stories: dict[str, dict[str, Any]] = {}
    number = 0
    for source in sources:
        _, manifest = published(workspace / "documents" / source)
        for file in manifest["files"]:
            for table in sorted((workspace / "attributes").iterdir()):
                if not (table / source).exists():
                    continue
                base, _ = published(table / source)
                rows = pq.read_table(base / file["path"]).to_pylist()
                assert len(rows) == len(ids[number])
                for identifier, row in zip(ids[number], rows, strict=True):
                    told = stories.setdefault(f"{source} {identifier}", {})
                    for column, value in row.items():
                        if column == "duplicate_of" and value is not None:
                            value = ids[value >> 32][value & 0xFFFFFFFF]
                        told[f"{table.name}.{column}"] = value
            number += 1
    return stories


def test_split_of_the_input_does_not_change_any_documents_story(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    other = Pool(tmp_path / "sources", pool.planted, pool.lines)
    make_pool(other.folder)
    for path in (other.folder / "docs").iterdir():
        path.unlink()
    lines = list(reversed(pool.lines))
    for part, start in enumerate(range(0, len(lines), 9)):
        kind = "zst" if part % 3 else "gz"
        path = other.folder / f"docs/other{part}.jsonl.{kind}"
        path.write_bytes(compressed(lines[start : start + 9], kind))
    outcome = run(other.recipe(), tmp_path / "other").good()
    files = published(tmp_path / "other/documents/docs")[1]["files"]
    assert len(files) != len(published(finished.workspace / "documents/docs")[1]["files"])
    seen, wanted = _story(tmp_path / "other"), _story(finished.workspace)
    assert seen.keys() == wanted.keys()
    assert {name: story for name, story in seen.items() if story != wanted[name]} == {}
    assert any(story["fuzzy_duplicates.duplicate_of"] for story in seen.values())
    assert mixed_ids(tmp_path / "other/mixes/small") == mixed_ids(
        finished.workspace / "mixes/small"
    )
    assert json.dumps(outcome.answer["ledger"]) == json.dumps(finished.outcome.answer["ledger"])
