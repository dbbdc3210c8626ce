"""A classifier, from labelled documents through its training to the mix that it judges."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_pool import Outcome, Pool, prose, run, vineleaf_here, write_recipe

pytest.importorskip("fasttext")

SHOUT = " Buy now! Cheap offer! Click here!"
TEXTS = {
    **{f"good-{number}": prose(f"good {number}") for number in range(30)},
    **{f"bad-{number}": prose(f"bad {number}", 6) + SHOUT * 20 for number in range(30)},
}
SETTINGS = ("--dim", "8", "--buckets", "1000", "--epochs", "30", "--learning-rate", "0.5")


def write_documents(path: Path, kind: str) -> str:
    lines = [
        json.dumps({"id": identifier, "text": text}) + "\n"
        for identifier, text in TEXTS.items()
        if identifier.startswith(kind)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))
    return str(path)


def train(folder: Path, *changes: str) -> Outcome:
    labels = [
        f"{kind}={write_documents(folder / f'{kind}.jsonl', kind)}" for kind in ("good", "bad")
    ]
    return vineleaf_here(
        *("train-classifier", str(folder / "models/quality.bin")),
        *("--label", labels[0], "--label", labels[1], *SETTINGS, *changes, "--json"),
    ).good()


def recipe_of(folder: Path, pool: Pool, **options: Any) -> dict[str, Any]:
    recipe = pool.recipe_of([write_documents(folder / "docs.jsonl", "")])
    rule = {"name": "quality", "model": "models/quality.bin", "label": "good", "at_least": 0.5}
    recipe["pool"]["sources"]["docs"]["rules"] = [{"classifier": rule | options}]
    recipe["pool"]["dedup"] = {"exact": True, "keep": ["quality.good desc"]}
    del recipe["pool"]["decontaminate"]
    recipe["mix"] |= {"tokens": 2_000, "max_epochs": 4, "where": "quality.label = 'good'"}
    return recipe


def test_a_trained_classifier_judges_a_pool_and_another_model_judges_again(
    pool: Pool, tmp_path: Path
) -> None:
    answer = train(tmp_path).answer
    assert answer["accuracy"] == 1.0
    recipe, workspace = recipe_of(tmp_path, pool), tmp_path / "workspace"
    first = run(recipe, workspace).good().answer
    assert first["ledger"]["docs"]["removed"]["filter: quality"] == 30

    story = vineleaf_here("why", "bad-3", "-w", str(workspace), "--json").good().answer
    assert [one["reason"] for one in story["reasons"]] == ["quality"]
    assert story["scores"]["quality"]["label"] == "bad"
    assert story["scores"]["quality"]["good"] < 0.5

    states = run(recipe, workspace).good().states
    assert set(states.values()) == {"up to date"}
    train(tmp_path, "--seed", "5")
    states = run(recipe, workspace).good().states
    assert states["documents docs"] == states["size docs"] == "up to date"
    assert states["quality docs"] == "done"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "models/none.bin"}, "no file matches"),
        ({"model": "docs.jsonl"}, "does not begin as one"),
        ({"label": "great"}, "has no label 'great' \\(there are bad, good\\)"),
    ],
)
def test_a_model_that_cannot_be_used_is_told_before_any_work(
    pool: Pool, tmp_path: Path, options: dict[str, str], message: str
) -> None:
    train(tmp_path)
    recipe = recipe_of(tmp_path, pool, **options)
    if "label" in options:
        del recipe["pool"]["dedup"]["keep"]
    path = write_recipe(tmp_path / "recipe.yaml", recipe)
    workspace = tmp_path / "workspace"
    outcome = vineleaf_here("run", str(path), "-w", str(workspace), "--json")
    assert outcome.code == 2
    (error,) = outcome.answer["errors"]
    assert re.match(rf"{re.escape(str(path))}:\d+:\d+: .*{message}", error)
    assert not (workspace / "documents").exists()
