"""Tables of commands: no number is lost or broken at any width."""

import io
from dataclasses import fields

import pytest
from rich.console import Console

from pipelines.cli.plan_screens import outlook_tables, sweep_tables
from pipelines.cli.screens import (
    Screen,
    bands_table,
    budgets_table,
    checks_table,
    describe_fuzzy,
    labels_table,
    published_table,
    shortfalls,
    stages_table,
)
from pipelines.planning.sweeps import Variant
from pipelines.planning.what_if import Outlook, SourceOutlook
from pipelines.recipes.pool_part import Fuzzy
from pipelines.stage_states import StageState
from pipelines.verification.check import Check
from transforms.mixing.budget import SourceBudget

WIDTHS = (20, 40, 80, 200)
ROWS = (("a-long-source", "1,234,567,890,123", "[x] " * 12), ("b", "", "1 word\n2 [bold]lines"))
SCREEN = Screen("Title", ("source", "tokens", "why"), ROWS, frozenset({"source", "why"}), "Note.")


def shown(screen, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(screen)
    return console.file.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_cell_stands_whole_at_any_width(width):
    text = shown(SCREEN, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "1,234,567,890,123" in text
    for part in ("Title", "a-long-source", "[bold]lines", "Note."):
        assert part in text
    assert text.count("[x]") == 12


def test_what_is_too_narrow_for_a_table_is_told_line_by_line():
    assert "┏" in shown(SCREEN, 80)
    lines = shown(SCREEN, 40).splitlines()
    assert lines[0] == "Title"
    assert "tokens: 1,234,567,890,123" in lines
    assert "why: 1 word, 2 [bold]lines" in lines
    assert not any(line.startswith("tokens: ") and len(line) < 10 for line in lines)


def state(stage, source, table, done, **counts):
    its = {key.replace("__", "."): value for key, value in counts.items()}
    return StageState(stage, source, table, "up to date" if done else "to do", its)


def rows_of(screen):
    return [tuple(row) for row in screen.rows]


def test_a_stage_stands_once_with_what_it_removes_and_what_is_to_do():
    states = [
        state("ingest", "a", "documents", True, removed__binary=1, quarantined__cut=3),
        state("ingest", "b", "documents", True, removed__binary=1),
        state("annotate", "a", "gopher", True),
        state("annotate", "b", "gopher", False),
        state("exact-dedup", "a", "exact_duplicates", True, removed=4),
        state("mix", None, "mix", False),
    ]
    assert rows_of(stages_table(states)) == [
        ("ingest", "up to date", "3 quarantined: cut\n2 binary"),
        ("annotate", "to do: gopher b", ""),
        ("exact-dedup", "up to date", "4 duplicate"),
        ("mix", "to do", ""),
    ]


def test_bands_are_shown_with_the_probability_to_find_a_pair():
    described = describe_fuzzy(Fuzzy(5, 26, 11, 0.72))
    curve = {one["similarity"]: one["probability"] for one in described["found"]}
    assert list(curve) == [0.3, 0.4, 0.5, 0.6, 0.7, 0.72, 0.75, 0.8, 0.85, 0.9]
    assert (curve[0.5], curve[0.8]) == (0.012618, 0.903207)
    screen = bands_table(described)
    assert (
        "word 5-grams, MinHash 26 x 11, removed from a true similarity of 0.72 on" in screen.title
    )
    assert rows_of(screen)[4:6] == [
        ("0.7", "0.4050", "stays, once compared"), ("0.72", "0.5086", "removed")
    ]  # fmt: skip


def test_earlier_runs_are_shown_with_where_their_keys_are():
    run = {"recipe": "old", "keys": "s3://b/keys/old", "fingerprint": "f", "documents": 12_000}
    screen = published_table([{**run, "survivors": 9_000, "bytes": 3_210_000}])
    assert rows_of(screen) == [("old", "12,000", "9,000", "3.2 MB", "s3://b/keys/old")]


def test_what_is_not_known_of_a_budget_is_said():
    numbers = {"available": None, "wanted": 1000, "taken": None, "epochs": 1.5}
    assert rows_of(budgets_table({"a": numbers})) == [
        ("a", "not known yet", "1,000", "not known yet", "1.50")
    ]


def test_a_source_that_gives_clearly_less_than_asked_says_why():
    def budget(taken):
        return SourceBudget(
            **{
                **{field.name: 0 for field in fields(SourceBudget)},
                "wanted_tokens": 20_000,
                "taken_tokens": taken,
                "next_document_tokens": 16_000,
            }
        )

    short = shortfalls({"web": budget(19_900), "code": budget(4_391)})
    assert short == [
        "code: whole documents come to within 15,609 tokens of what is wanted; the next one has"
        " 16,000"
    ]
    screen = budgets_table({}, short)
    assert screen.caption == short[0]


def test_a_stage_that_holds_nothing_is_told():
    def budget(taken, ends=()):
        zeros = {field.name: 0 for field in fields(SourceBudget)}
        return SourceBudget(**{**zeros, "taken_tokens": taken, "stage_ends": ends})

    told = shortfalls({"web": budget(90, (budget(0),)), "code": budget(50, (budget(0),))})
    assert [one.split(":")[0] for one in told] == ["stage 1 holds no document and has no file"]
    assert shortfalls({"web": budget(90, (budget(40),))}) == []


def outlook(refused=None, **taken):
    """Of sources that lack nothing, but for `web` where a run would refuse it."""
    sources = {
        name: SourceOutlook(9, 3, 100, 2, 0, 9, tokens, tokens, 4 if refused else 0, ())
        for name, tokens in {**taken, "excluded": 1000}.items()
    }
    return Outlook(sources, tuple(taken), refused)


def test_a_combination_that_a_run_would_refuse_is_no_number():
    variants = [Variant((("tokens", value),), ()) for value in ("1", "2")]
    given, _ = sweep_tables(variants, [outlook(web=5), outlook("web lacks 4", web=5)])
    assert rows_of(given) == [("1", "5", "5", ""), ("2", "5", "refused", "web 4")]
    mix, _ = outlook_tables(outlook("web lacks 4", web=5))
    assert mix.caption.startswith("a run would refuse this: web lacks 4\n")


def test_a_sweep_has_a_column_for_each_source_of_the_mix_and_counts_no_other():
    variants = [Variant((("exclude", value),), ()) for value in ("[]", "[code]")]
    given, held = sweep_tables(variants, [outlook(web=5, code=3), outlook(web=8)])
    assert given.header == ("exclude", "web", "code", "taken", "lacks")
    assert rows_of(given) == [("[]", "5", "3", "8", ""), ("[code]", "8", "", "8", "")]
    assert rows_of(held) == [("[]", "6", "4", "18"), ("[code]", "3", "2", "9")]


def test_failed_checks_come_first_and_hashes_are_shortened():
    checks = [Check("x", True, 1000, {"a": 2}), Check("y", False, "f" * 64, None)]
    assert rows_of(checks_table("m", checks)) == [
        ("y", "FAILED", f"{'f' * 16}...", ""), ("x", "good", "1,000", "a 2")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("same", "same"),
        ([], "[]"),
        ({"a": 1000, "b": 0.123456}, "a 1,000\nb 0.1235"),
        ({"a": {"tokens": 1000, "digest": "e49a"}}, "a tokens 1,000, digest e49a"),
        ({"a": "e" * 64}, f"a {'e' * 16}..."),
    ],
)
def test_whatever_a_check_saw_can_be_shown(value, text):
    assert rows_of(checks_table("m", [Check("x", True, value, None)])) == [("x", "good", text, "")]


def test_labels_have_a_row_per_threshold():
    row = {"at_least": 0.5, "documents": 1200, "precision": 0.25, "recall": None}
    assert rows_of(labels_table({"hq": [row]})) == [("hq", "0.50", "1,200", "0.250", "")]
