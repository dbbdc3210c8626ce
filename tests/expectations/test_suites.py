import re
from pathlib import Path

import pytest

from expectations.metrics import TABLES
from expectations.suites import SuiteError, check_suites, load_suite, read_suite

SUITE = """\
kind: documents
expectations:
  - type: expect_column_values_to_be_between
    kwargs:
      column: quarantined_fraction
      max_value: {from: recipe.gates.quarantined.at_most, default: 0.5}
    meaning: most records could be read
    note: quarantined_by_reason
  - type: expect_column_pair_values_to_be_equal
    kwargs: {column_A: checked_rows, column_B: documents}
    meaning: all rows were read
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: documents", "kind: document", r"s.yaml:1: .*one of documents, attributes, mixes"),
        ("note: q", "notes: q", r"s.yaml:8: unknown key 'notes'.*did you mean 'note'"),
        ("max_value:", "max_values:", r"s.yaml:6: unknown key 'max_values'.*'max_value'"),
        ("to_be_between", "to_be_inside", r"s.yaml:3: .*expect_column_values_to_be_inside"),
        (
            "column: quarantined_fraction",
            "column: quarantined_part",
            r"s.yaml:5: .* 'quarantined_part'; did you mean 'quarantined_fraction'",
        ),
        ("column_B: documents", "column_B: sources", r"s.yaml:10: .* no kwargs.column_B 'sources'"),
        ("note: quarantined_by_reason", "note: records", r"s.yaml:8: .* no note 'records'"),
        ("default: 0.5", "default: '0.5'", r"s.yaml:6: .*must be a number \(got the text '0.5'\)"),
        (", default: 0.5", "", r"s.yaml:6: .*lacks the key 'default'"),
        ("recipe.gates", "recipes.gates", r"s.yaml:6: .*recipes.gates"),
        ("    meaning: all rows were read\n", "", r"s.yaml:9: .*lacks the key 'meaning'"),
        (", column_B: documents", "", r"s.yaml:10: .*lacks the key 'column_B'"),
        ("note: q", "meaning: q", r"s.yaml:8: .*duplicate key"),
        ("kwargs: {", "kwargs: [", r"s.yaml:10: "),
    ],
)
def test_a_wrong_suite_is_refused_with_file_and_line(old: str, new: str, message: str) -> None:
    assert old in SUITE
    with pytest.raises(SuiteError, match=message):
        read_suite(SUITE.replace(old, new, 1), "s.yaml")


def test_a_suite_without_expectations_is_refused() -> None:
    with pytest.raises(SuiteError, match=r"s.yaml:2: 'expectations'"):
        read_suite("kind: documents\nexpectations: []\n", "s.yaml")


def test_all_defects_are_told_at_once() -> None:
    text = SUITE.replace("checked_rows", "checked_row").replace("column_B: doc", "column_B: dog")
    with pytest.raises(SuiteError) as error:
        read_suite(text, "s.yaml")
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("recipe", "most"),
    [
        ({}, 0.5),
        ({"gates": {}}, 0.5),
        ({"gates": {"quarantined": {"at_least": 0.1}}}, 0.5),
        ({"gates": {"quarantined": {"at_most": 0.02}}}, 0.02),
        ({"gates": {"quarantined": {"at_most": 0}}}, 0),
    ],
)
def test_bounds_come_from_the_recipe_or_else_from_the_suite(
    recipe: dict[str, object], most: float
) -> None:
    suite = read_suite(SUITE, "s.yaml").resolve(recipe)
    assert suite.expectations[0].kwargs == {"column": "quarantined_fraction", "max_value": most}


@pytest.mark.parametrize("value", ["0.1", True, None, [0.1]])
def test_a_bound_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(SuiteError, match=r"recipe.gates.quarantined.at_most must be a number"):
        check_suites({"gates": {"quarantined": {"at_most": value}}})


def test_suites_of_the_project_are_sound_and_judge_every_measured_column() -> None:
    check_suites({})
    for kind, table in TABLES.items():
        suite = load_suite(kind)
        judged = {column for one in suite.expectations for column in one.columns}
        assert judged == {*table.measured, *table.allowed}
        assert suite.kind == kind


def test_the_guide_explains_every_column() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "gates.md").read_text("utf-8")
    sections = dict(re.findall(r"^### (\w+), (.*?)(?=^##|\Z)", guide, re.DOTALL | re.MULTILINE))
    for kind, table in TABLES.items():
        explained = {
            column
            for line in sections[kind].splitlines()
            if line.startswith("| `")
            for column in re.findall(r"`(\w+)`", line.split("|")[1])
        }
        assert explained == {*table.columns} - {*table.subject}
