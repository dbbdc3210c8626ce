"""Plan: what it says of changes that were not made comes true when they are."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_pool import Finished, published, run, vineleaf_here, write_recipe

SWEEP = ["--sweep", "gopher.words.min=30,150,400"]


@pytest.fixture(scope="module")
def recipe(finished: Finished) -> Path:
    return write_recipe(finished.workspace.with_name("planned.yaml"), finished.recipe)


def plan(recipe: Path, finished: Finished, *arguments: str) -> dict[str, Any]:
    told = vineleaf_here(
        "plan", str(recipe), "-w", str(finished.workspace), "--json", *arguments, small=True
    )
    return told.good().answer


def test_what_is_up_to_date_takes_no_work_and_rules_are_told(
    recipe: Path, finished: Finished
) -> None:
    answer = plan(recipe, finished)
    assert answer["work"] == []
    assert answer["core_hours"] == 0
    assert answer["outlook"] is None
    assert answer["sweep"] == []
    for source, its in answer["rules"].items():
        _, manifest = published(finished.workspace / "attributes" / "candidates" / source)
        assert its["seen"] == manifest["counts"]["candidates"]
        assert its["removed"] == sum(one["first"] for one in its["rules"])
        assert all(one["first"] <= one["alone"] for one in its["rules"])


def test_a_sweep_tells_what_other_thresholds_keep(recipe: Path, finished: Finished) -> None:
    answer = plan(recipe, finished, *SWEEP)
    assert [one["set"] for one in answer["sweep"]] == [
        {"gopher.words.min": value} for value in ("30", "150", "400")
    ]
    kept = [one["sources"]["docs"]["kept_documents"] for one in answer["sweep"]]
    tokens = [one["sources"]["docs"]["available_tokens"] for one in answer["sweep"]]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > kept[-1]
    assert tokens == sorted(tokens, reverse=True)
    code = [one["sources"]["code"] for one in answer["sweep"]]
    assert code[0] == code[1] == code[2]  # it has no such rule
    for its in answer["rules"].values():
        for one in its["rules"]:
            assert one["only"] <= one["first"] <= one["alone"]


def test_the_outlook_of_the_recipe_itself_is_what_its_budget_says(
    recipe: Path, finished: Finished
) -> None:
    answer = plan(recipe, finished, "--sweep", "gopher.words.min=50")
    (variant,) = answer["sweep"]
    for source, its in answer["sources"].items():
        assert variant["sources"][source]["available_tokens"] == its["available_tokens"]
        assert variant["sources"][source]["wanted_tokens"] == its["wanted_tokens"]


def test_a_changed_threshold_is_foretold_and_comes_true(finished: Finished, tmp_path: Path) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = copy.deepcopy(finished.recipe)
    recipe["pool"]["sources"]["docs"]["rules"][0] = {"gopher": {"words": {"at_least": 300}}}
    recipe["mix"]["tokens"] = 9_000
    recipe["mix"]["max_epochs"]["docs"] = 3
    path = write_recipe(tmp_path / "stricter.yaml", recipe)
    told = vineleaf_here("plan", str(path), "-w", str(workspace), "--json", small=True)
    answer = told.good().answer
    outlook = answer["outlook"]["docs"]
    assert 0 < outlook["kept_documents"] < outlook["documents"]
    assert outlook["estimated_documents"] == 0  # stricter rules let nothing in
    assert {one["stage"] for one in answer["work"]} >= {"filter", "tokenize", "select", "mix"}
    assert "annotate" not in {one["stage"] for one in answer["work"]}
    assert answer["core_hours"] > 0
    run(recipe, workspace).good()
    _, manifest = published(workspace / "attributes" / "candidates" / "docs")
    assert manifest["counts"]["kept"] == outlook["kept_documents"]

    # The tables that were made last are now those of the stricter recipe: the recipe as it was is
    # still counted from its own, and one that never ran by the last, which is marked.
    def told_of(recipe: dict[str, Any], *arguments: str) -> dict[str, Any]:
        path = write_recipe(tmp_path / "again.yaml", recipe)
        outcome = vineleaf_here("plan", str(path), "-w", str(workspace), "--json", *arguments)
        return outcome.good().answer

    words = "pool.sources.docs.rules.gopher.words.at_least"
    answer = told_of(finished.recipe, "--sweep", "gopher.words.min=50")
    for source, its in answer["sweep"][0]["sources"].items():
        assert its["available_tokens"] == answer["sources"][source]["available_tokens"]
        assert its["estimated_documents"] == 0
    assert answer["notes"] == finished.outcome.answer["notes"]
    changed = told_of(finished.recipe, "--set", f"{words}=51")["outlook"]["docs"]
    assert changed["available_tokens"] > outlook["available_tokens"]
    assert changed["estimated_documents"] == 0
    answer = told_of({**finished.recipe, "name": "other"}, "--set", f"{words}=52")
    assert answer["outlook"]["docs"]["available_tokens"] == changed["available_tokens"]
    unknown = copy.deepcopy(recipe)
    unknown["name"] = "unknown"
    unknown["pool"]["sources"]["docs"]["rules"][0]["gopher"]["words"]["at_least"] = 299
    answer = told_of(unknown)
    docs = answer["outlook"]["docs"]
    assert docs["estimated_documents"] == docs["pool_documents"] > 0
    assert any("tables that another recipe made last" in note for note in answer["notes"])


def test_a_looser_threshold_is_estimated_and_marked(recipe: Path, finished: Finished) -> None:
    lifted = [f"gopher.{option}=false" for option in ("characters", "words", "stop_words")]
    sweeps = [argument for one in lifted for argument in ("--sweep", one)]
    (variant,) = plan(recipe, finished, *sweeps)["sweep"]
    loose = variant["sources"]["docs"]
    base = plan(recipe, finished)["sources"]["docs"]
    assert loose["estimated_documents"] > 0
    assert loose["available_tokens"] > base["available_tokens"]


def test_shares_and_tokens_are_swept_as_a_grid(recipe: Path, finished: Finished) -> None:
    answer = plan(
        recipe, finished, "--sweep", "shares.docs=0.4,0.6", "--sweep", "tokens=8000,900000"
    )
    assert len(answer["sweep"]) == 4
    docs = [one["sources"]["docs"]["wanted_tokens"] for one in answer["sweep"]]
    assert docs == [3200, 360_000, 4800, 540_000]
    short = [
        any(its["missing_tokens"] for its in one["sources"].values()) for one in answer["sweep"]
    ]
    assert short == [False, True, False, True]
    assert [bool(one["refused"]) for one in answer["sweep"]] == short
    told = answer["sweep"][1]["refused"]
    lacks = answer["sweep"][1]["sources"]["docs"]["missing_tokens"]
    assert f"docs lacks {lacks:,} of the 360,000 tokens of its share" in told
    assert told.count("lower mix.tokens") == 1


def test_a_combination_is_refused_by_its_own_rule_of_shortage(
    recipe: Path, finished: Finished
) -> None:
    sweep = ("--sweep", "shortage=refuse,share_out,less", "--sweep", "tokens=900000")
    refuse, share_out, less = plan(recipe, finished, *sweep)["sweep"]
    assert "mix.shortage be share_out" in refuse["refused"]
    assert "all sources together can give" in share_out["refused"]
    assert less["refused"] is None


def test_a_sweep_that_measures_something_else_is_refused(recipe: Path, finished: Finished) -> None:
    told = vineleaf_here(
        "plan", str(recipe), "-w", str(finished.workspace), "--json",
        "--sweep", "gopher.newlines_kept=1,2", small=True,
    )  # fmt: skip
    assert told.code == 2
    assert "changes what annotate measures (gopher of" in told.answer["errors"][0]


def test_what_no_stored_table_can_tell_is_refused(recipe: Path, finished: Finished) -> None:
    key = "pool.dedup.lines.at_least"
    told = vineleaf_here(
        "plan", str(recipe), "-w", str(finished.workspace), "--json", "--sweep", f"{key}=3,6"
    )
    assert told.code == 2
    assert f"changes {key}, which no" in told.answer["errors"][0]
    answer = plan(recipe, finished, "--set", f"{key}=3")
    assert any(f"changes {key}, which no" in note for note in answer["notes"])
    for its in answer["outlook"].values():
        assert its["available_tokens"] is its["pool_documents"] is its["taken_tokens"] is None
        assert its["kept_documents"] > 0


def test_a_known_window_is_counted_exactly(recipe: Path, finished: Finished) -> None:
    window = {"score": "size.bytes", "keep": [0.1, 0.6]}
    set_ = ("--set", f"mix.window.docs={json.dumps(window)}", "--set", "mix.tokens=9000")
    answer = plan(recipe, finished, *set_, "--sweep", "tokens=9000,9500")
    for variant in answer["sweep"]:
        docs = variant["sources"]["docs"]
        assert docs["available_tokens"] == answer["sources"]["docs"]["available_tokens"]
        assert docs["pool_documents"] == answer["windows"]["docs"]["kept"]
        assert docs["estimated_documents"] == 0
    keep = "mix.window.docs.keep=[0.1, 0.5]"
    swept = plan(recipe, finished, *set_, "--sweep", "where=size.bytes > 10")["sweep"]
    (moved,) = swept
    assert moved["sources"]["docs"]["estimated_documents"] > 0
    assert plan(recipe, finished, *set_, "--set", keep)["sources"]["docs"]["available_tokens"]


@pytest.mark.parametrize("score", ["'nan'::DOUBLE", "CASE WHEN size.bytes < 0 THEN 1 END"])
def test_a_window_by_a_score_that_no_document_has_is_refused(
    recipe: Path, finished: Finished, score: str
) -> None:
    window = {"docs": {"score": score, "keep": [0.1, 0.6]}}
    other = {
        **finished.recipe,
        "name": "window",
        "mix": {**finished.recipe["mix"], "window": window},
    }
    path = write_recipe(recipe.with_name("window.yaml"), other)
    told = vineleaf_here("plan", str(path), "-w", str(finished.workspace), "--json", small=True)
    assert told.code == 2
    (error,) = told.answer["errors"]
    assert re.match(rf"{re.escape(str(path))}:\d+:\d+: mix.window.docs: ", error)
    assert f"'{score}' is null or NaN for all" in error
    documents = plan(recipe, finished, "--sweep", "gopher.words.min=50")["sweep"][0]
    assert f"all {documents['sources']['docs']['pool_documents']:,} documents" in error


def test_plots_are_written(recipe: Path, finished: Finished, tmp_path: Path) -> None:
    svg = tmp_path / "sweep.svg"
    plan(recipe, finished, *SWEEP, "--plot", str(svg))
    assert "gopher.words.min" in svg.read_text()
    told = vineleaf_here(
        "plan", str(recipe), "-w", str(finished.workspace), "--plot", str(tmp_path / "x.pdf")
    )
    assert told.code == 2


def test_a_sweep_of_a_new_workspace_says_what_to_do(recipe: Path, tmp_path: Path) -> None:
    told = vineleaf_here("plan", str(recipe), "-w", str(tmp_path / "new"), "--json", *SWEEP)
    assert told.code == 2
    assert "run the recipe first" in told.answer["errors"][0]
    fresh = vineleaf_here("plan", str(recipe), "-w", str(tmp_path / "new"), "--json").good().answer
    assert fresh["core_hours"] > 0
    assert json.dumps(fresh["rules"]) == "{}"
