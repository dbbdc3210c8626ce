"""What `compare` shows: all numbers at any width, and no character that commands a terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pipelines.cli.compare_screens import comparison_screens, examples_lines
from pipelines.recipes.differences import Difference
from pipelines.reports.compare import Comparison, Example, Side, SourceComparison
from transforms.mixing.comparison import SourceCounts

COUNTS = SourceCounts(
    documents_a=1200, documents_b=1300, tokens_a=3_000_000, tokens_b=2_500_000, both=1000,
    both_tokens_a=2_000_000, both_tokens_b=2_100_000, only_a=77, only_b=88, only_a_tokens=1_000_000,
    only_b_tokens=400_000, more=66, fewer=55,
)  # fmt: skip
REASONS = {f"filter: rule{n}": 100 - n for n in range(20)}
FOUND = Comparison(
    Side("w/mixes/a", "a", "f1", 3_000_000, 1200),
    Side("w/mixes/b", "b", "f2", 2_500_000, 1300),
    {"web": SourceComparison(COUNTS, 1.0, 1.0, 1.5, None, {}, REASONS)},
    [Difference("mix.shares.web", 0.5, None), Difference("mix.where", "x" * 200, ["y"])],
    [],
    [],
)
EXAMPLE = Example("web", "only_a", "page-1", 1, 0, "filter: rule0", "https://a.org/1", "It begins")


def shown(found, width):
    console = Console(file=io.StringIO(), width=width)
    for screen in comparison_screens(found):
        console.print(screen)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_numbers_of_both_mixes_are_shown(width):
    text = shown(FOUND, width)
    for part in (
        "3,000,000", "2,500,000", "-500,000", "1.50 -> -", "1,000", "77", "88", "66", "55",
        "mix.shares.web", "0.5",
    ):  # fmt: skip
        assert part in text
    assert "made of" not in text  # where nothing differs


def test_the_most_frequent_reasons_are_named_and_the_rest_counted():
    text = shown(FOUND, 200)
    assert "filter: rule7" in text
    assert "filter: rule8" not in text
    assert f"{sum(100 - n for n in range(8, 20)):,}" in text
    assert "12 other reasons" in text


def test_examples_stand_below_their_source_and_change():
    often = replace(EXAMPLE, kind="more", copies_b=3, reason=None, origin=None, begins=None)
    assert list(examples_lines([EXAMPLE, replace(EXAMPLE, id="page-2"), often])) == [
        "web, only in A",
        "  page-1  https://a.org/1  filter: rule0",
        "    'It begins'",
        "  page-2  https://a.org/1  filter: rule0",
        "    'It begins'",
        "web, more often in B",
        "  page-1  once in A, 3 times in B",
    ]


def test_no_character_of_a_document_commands_the_terminal():
    evil = replace(EXAMPLE, id="a\x1b[2Jb", origin="c\x07", begins="d\x1b]0;e\x07")
    assert all(line.isprintable() for line in examples_lines([evil]))
