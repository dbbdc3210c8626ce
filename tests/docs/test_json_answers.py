"""docs/commands.md names the keys that answers have, and the exit codes."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import outcomes
from pipelines.demo.outcome import Finding
from pipelines.recipes.differences import Difference
from pipelines.recipes.recipe import Problem
from pipelines.reports.compare import Comparison, Example, Side, SourceComparison
from pipelines.reports.story import Cut, Draw, Reason, RuleVerdict, Story
from pipelines.stage_states import StageState
from pipelines.train_classifier import Outcome
from pipelines.verification.check import Check
from transforms.mixing.comparison import SourceCounts

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([\w -]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def keys_of(command: str) -> list[str]:
    """Keys in the first column of a command's table."""
    cells = re.findall(r"^\| (`.*?) \|", SECTIONS[command], re.MULTILINE)
    return [key for cell in cells for key in re.findall(r"`(\w+)`", cell)]


def inner_keys(command: str, key: str) -> list[str]:
    """Keys of the objects that a key holds, as `{a, b}` in its row."""
    (row,) = re.findall(rf"^\| `{key}` \|.*$", SECTIONS[command], re.MULTILINE)
    (listed,) = re.findall(r"`\{([\w, ]+)\}`", row)
    return listed.split(", ")


def names_of(kind: Any) -> list[str]:
    return [one.name for one in fields(kind)]


def test_exit_codes_are_those_of_the_code() -> None:
    codes = [int(code) for code in re.findall(r"^\| (\d) \|", SECTIONS["Exit codes"], re.M)]
    assert codes == [
        outcomes.GOOD, outcomes.CHECK_FAILED, outcomes.RECIPE_WRONG, outcomes.RUN_FAILED
    ]  # fmt: skip


def test_keys_of_a_story_are_all_named() -> None:
    story = Story("a", "web", "s", 0, {}, "text", 4, {})
    assert sorted(keys_of("why")) == sorted(story.to_json())


@pytest.mark.parametrize(
    ("command", "key", "names"),
    [
        ("run", "stages", list(StageState("mix", None, None, "done", {}).to_json())),
        ("check", "errors", names_of(Problem)),
        ("verify", "checks", names_of(Check)),
        ("why", "reasons", names_of(Reason)),
        ("why", "rules", names_of(RuleVerdict)),
        ("why", "cuts", names_of(Cut)),
        ("why", "draws", names_of(Draw)),
        ("compare", "a", names_of(Side)),
        ("compare", "recipe", list(Difference._fields)),
        ("compare", "made_of", list(Difference._fields)),
        ("compare", "examples", names_of(Example)),
        ("demo", "planted", names_of(Finding)),
    ],
)
def test_keys_of_what_is_listed_are_those_of_the_code(
    command: str, key: str, names: list[str]
) -> None:
    assert sorted(inner_keys(command, key)) == sorted(names)


def test_keys_of_a_comparison_are_all_named() -> None:
    sides = (Side("m", "n", "f", 0, 0), Side("m", "n", "f", 0, 0))
    source = SourceComparison(SourceCounts(), 0.0, 0.0, None, None, {}, {})
    answer = Comparison(*sides, {"web": source}, [], [], []).to_json()
    assert sorted(keys_of("compare")) == sorted(answer)
    (row,) = re.findall(r"^\| `sources` \|(.*)$", SECTIONS["compare"], re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == answer["sources"]["web"].keys()


def test_keys_of_a_training_are_all_named() -> None:
    assert sorted(keys_of("train-classifier")) == sorted(["ok", *names_of(Outcome)])
