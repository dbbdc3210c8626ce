"""Budgets of a whole run: shortage by the recipe's rule, quality, repetition, and their proof."""

import copy
import gzip
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_pool import Finished, Outcome, published, run, vineleaf_here

from transforms.datasets import Dataset
from transforms.mixing.budget import divide_tokens

QUALITY = {
    "score": "gopher.mean_word_length",
    "topic": "language.label",
    "bins": 4,
    "discard": 0.25,
    "max_epochs": 2,
    "sources": ["docs"],
}


@pytest.fixture(scope="module")
def mixed(
    finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], Outcome]:
    """A mix in which code lacks tokens, docs are taken by quality and copies count twice."""
    workspace = finished.copy_to(tmp_path_factory.mktemp("budgets") / "workspace")
    recipe = copy.deepcopy(finished.recipe)
    recipe["mix"] |= {
        "tokens": 12_000,
        "shares": {"docs": 0.6, "code": 0.4},
        "max_epochs": {"code": 0.5, "docs": 1},
        "shortage": "share_out",
        "quality": QUALITY,
        "repeat": {"times": {2: 2}},
        "window": {"docs": {"score": "size.bytes", "keep": [0.05, 0.95]}},
        "order": {
            "stages": [
                {"share": 0.5, "shares": {"docs": 0.8}},
                {"share": 0.5, "shares": {"docs": 0.4}},
            ],
            "quality": "rising",
        },
    }
    return workspace, recipe, run(recipe, workspace).good()


def plan(workspace: Path) -> dict[str, Any]:
    recipe = workspace.with_name(workspace.name + ".yaml")
    planned = vineleaf_here("plan", str(recipe), "-w", str(workspace), "--json", small=True)
    return planned.good().answer


def test_what_a_source_lacks_others_give_and_plan_says_so(
    mixed: tuple[Path, dict[str, Any], Outcome],
) -> None:
    workspace, _, outcome = mixed
    sources = plan(workspace)["sources"]
    asked = divide_tokens(12_000, {"docs": 0.6, "code": 0.4})
    assert {name: one["asked_tokens"] for name, one in sources.items()} == asked
    wanted = {name: one["wanted_tokens"] for name, one in sources.items()}
    assert sum(wanted.values()) == 12_000
    assert wanted["code"] < asked["code"]
    notes = outcome.answer["notes"]
    assert any(note.startswith("code can give ") for note in notes)
    assert any("docs gives" in note and "which others lack" in note for note in notes)


def test_the_mix_verifies_by_the_rule_of_shortage(
    mixed: tuple[Path, dict[str, Any], Outcome],
) -> None:
    mix = mixed[2].answer["mix"]
    checks = vineleaf_here("verify", mix, "--json").good().answer["checks"]
    assert {one["name"] for one in checks} >= {"share of docs", "share of code"}


def test_early_files_hold_the_first_stage_and_late_ones_the_second(
    mixed: tuple[Path, dict[str, Any], Outcome],
) -> None:
    workspace, _, outcome = mixed
    stages = plan(workspace)["curriculum"]
    assert [one["share"] for one in stages] == [0.5, 0.5]
    base, manifest = published(Path(outcome.answer["mix"]))
    paths = [one["path"] for one in manifest["files"] if one["path"].endswith(".csv.gz")]
    assert paths == sorted(paths)
    for number, stage in enumerate(stages, 1):
        assert stage["sources"]["docs"]["wanted_tokens"] > 3000 / number
        held: Counter[str] = Counter()
        for path in paths:
            if path.startswith(f"tokens/shuffled/part-stage{number:02d}-"):
                for row in gzip.decompress((base / path).read_bytes()).decode().splitlines():
                    begin, end, _, origin, _ = row.split(",")
                    held[origin.split("/")[1]] += int(end) - int(begin)
        wanted = {source: its["taken_tokens"] for source, its in stage["sources"].items()}
        assert held == wanted
    page = (base / "README.md").read_text()
    assert "## Stages" in page
    assert "`part-stage02-*`" in page
    assert "for after deduplication: from 2 on twice; below that once." in page
    repeated = page[page.index("## Repetition") : page.index("## How to read it")]
    cells = [cell for its in plan(workspace)["sources"].values() for cell in its["cells"] or []]
    twice = sum(cell["available_tokens"] for cell in cells if cell["times"] == 2)
    rows = [line.split("|") for line in repeated.splitlines() if "| twice " in line]
    assert sum(int(row[4].replace(",", "")) for row in rows) == twice > 0


def test_a_document_in_another_stage_than_its_own_is_found(
    mixed: tuple[Path, dict[str, Any], Outcome], tmp_path: Path
) -> None:
    """The files of a stage are given the name of the other, and the manifest agrees."""
    mix = tmp_path / "mix"
    shutil.copytree(mixed[2].answer["mix"], mix)
    dataset, manifest = Dataset.published(str(mix))
    files = []
    swapped = {"stage01": "stage02", "stage02": "stage01"}
    for file in manifest.files:
        name = re.sub("stage0[12]", lambda found: swapped[found[0]], file.path)
        if name != file.path:
            Path(dataset.path(file.path)).rename(dataset.path(name + ".moved"))
        files.append(replace(file, path=name))
    for moved in Path(dataset.base).rglob("*.moved"):
        moved.rename(moved.with_suffix(""))
    dataset.publish(replace(manifest, files=files))
    answer = vineleaf_here("verify", str(mix), "--json").answer
    found = [check["name"] for check in answer["checks"] if not check["ok"]]
    assert "stage 1 holds the documents that were selected" in found
    assert "shares of stage 1, to within a document of each source" in found
    assert not [name for name in found if "hash of" in name or "share of" in name]


def test_cells_of_the_plan_hold_what_the_manifest_says(
    mixed: tuple[Path, dict[str, Any], Outcome],
) -> None:
    workspace = mixed[0]
    _, manifest = published(workspace / "attributes" / "selection-small" / "docs")
    budget = manifest["details"]["budget"]
    assert budget["cells"]
    assert sum(cell["taken_tokens"] for cell in budget["cells"]) == budget["taken_tokens"]
    assert manifest["counts"]["tokens"] == budget["taken_tokens"]
    assert manifest["counts"]["removed.quality"] > 0


def test_why_tells_how_often_documents_of_a_bin_are_taken(
    mixed: tuple[Path, dict[str, Any], Outcome],
) -> None:
    workspace = mixed[0]
    base, _ = published(workspace / "documents" / "docs")
    selected, _ = published(workspace / "attributes" / "selection-small" / "docs")
    file = min(path.name for path in base.glob("*.parquet"))
    ids = pq.read_table(base / file)["id"].to_pylist()
    copies = pq.read_table(selected / file)["copies"].to_pylist()
    most = max(range(len(ids)), key=lambda row: copies[row])
    story = vineleaf_here("why", ids[most], "-w", str(workspace), "--json").good().answer
    (draw,) = [one for one in story["draws"] if one["mix"] == "small"]
    assert draw["copies"] == copies[most] > 0
    assert "quality bin" in draw["group"]


def test_plan_why_and_datasheet_tell_the_bounds_of_a_window(
    mixed: tuple[Path, dict[str, Any], Outcome],
) -> None:
    workspace, _, outcome = mixed
    window = plan(workspace)["windows"]["docs"]
    base, _ = published(workspace / "documents" / "docs")
    selected, manifest = published(workspace / "attributes" / "selection-small" / "docs")
    assert window["documents"] - window["kept"] == manifest["counts"]["removed.window"] > 0
    outside = []
    for file in sorted(path.name for path in base.glob("*.parquet")):
        documents = pq.read_table(base / file, columns=["id", "text"]).to_pylist()
        rows = pq.read_table(selected / file, columns=["eligible", "outside"]).to_pylist()
        for document, row in zip(documents, rows, strict=True):
            size = len(document["text"].encode())
            if row["eligible"] or row["outside"]:
                assert row["eligible"] == (window["least"] <= size <= window["greatest"])
            if row["outside"]:
                outside.append(document["id"])
    assert len(outside) == window["documents"] - window["kept"]
    story = vineleaf_here("why", outside[0], "-w", str(workspace), "--json").good().answer
    (reason,) = story["reasons"]
    assert reason["reason"] == "window"
    assert f"from {window['least']:.6g} to {window['greatest']:.6g}" in reason["message"]
    page = (published(Path(outcome.answer["mix"]))[0] / "README.md").read_text()
    assert f"from {window['least']:.6g} to {window['greatest']:.6g} count under `window`" in page


def test_a_changed_curve_runs_select_and_mix_alone(
    mixed: tuple[Path, dict[str, Any], Outcome],
) -> None:
    workspace, recipe, _ = mixed
    recipe = copy.deepcopy(recipe)
    recipe["mix"]["quality"]["discard"] = 0.3
    again = run(recipe, workspace).good()
    done = {one["name"] for one in again.answer["stages"] if one["state"] == "done"}
    assert {name.split()[0] for name in done} == {"select", "mix"}
