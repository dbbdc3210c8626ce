"""Budgets of a whole run: shortage by the recipe's rule, quality, repetition, and their proof."""

import copy
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_pool import Finished, Outcome, published, run, vineleaf_here

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


def test_a_changed_curve_runs_select_and_mix_alone(
    mixed: tuple[Path, dict[str, Any], Outcome],
) -> None:
    workspace, recipe, _ = mixed
    recipe = copy.deepcopy(recipe)
    recipe["mix"]["quality"]["discard"] = 0.3
    again = run(recipe, workspace).good()
    done = {one["name"] for one in again.answer["stages"] if one["state"] == "done"}
    assert {name.split()[0] for name in done} == {"select", "mix"}
