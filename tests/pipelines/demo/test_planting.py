"""pipelines/demo/planting.py: what is planted, and how similar copies are."""

import gzip
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.demo.planting import (
    HALF_CHANGED,
    NEAR_CHANGED,
    BenchmarkItem,
    Plan,
    change_words,
    keyed_share,
    read_items,
    similarity,
)

PROSE = " ".join(f"word{number}" for number in range(4000))
ITEM = BenchmarkItem(
    "HumanEval/1", 'def f(x):\n    """Give x, plus one."""\n', "    return x + 1\n"
)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a b c d e", "A, b; c.  D\ne", 1.0),  # case, punctuation and layout do not count
        ("a b c d e f", "a b c d e g", 1 / 3),  # of 3 shingles one is common
        ("a b c d e", "v w x y z", 0.0),
        ("too short", "also short", 1.0),
        ("a b c d e", "", 0.0),
        ("a b c d e a b c d e", "a b c d e", 0.2),  # sets: what repeats counts once
        ("snake_case a b c", "snake case a b c", 1.0),  # _ parts words
    ],
)
def test_similarity_is_jaccard_of_sets_of_word_5grams(
    one: str, other: str, expected: float
) -> None:
    assert similarity(one, other) == pytest.approx(expected)


def test_near_copies_are_near_and_half_copies_are_half() -> None:
    assert 0.93 < similarity(PROSE, change_words(PROSE, NEAR_CHANGED)) < 0.97
    assert 0.45 < similarity(PROSE, change_words(PROSE, HALF_CHANGED)) < 0.55


@given(st.text(alphabet="ab <>&;/\n", max_size=60), st.integers(1, 5))
def test_changed_html_keeps_its_markup(page: str, every: int) -> None:
    markup = re.compile(r"<[^>]*>|&#?\w+;")
    assert (
        markup.findall(change_words(page, every, html=True))[: page.count("<p>")]
        == (markup.findall(page)[: page.count("<p>")])
    )


def test_only_every_nth_word_changes() -> None:
    assert change_words("one two, three four.", 2) == "one reowt, three reruof."
    assert change_words("<b class=one>one</b>&nbsp;two", 1, html=True) == (
        "<b class=one>reeno</b>&nbsp;reowt"
    )


def test_each_variant_holds_the_words_of_the_prompt_in_order() -> None:
    wanted = re.findall(r"[^\W_]+", ITEM.prompt.lower())
    for how, text in ITEM.variants().items():
        assert re.findall(r"[^\W_]+", text.lower())[: len(wanted)] == wanted, how


def test_reformatted_differs_in_case_and_layout() -> None:
    assert ITEM.variants()["reformatted"] == 'DEF F(X): """GIVE X, PLUS ONE."""'


def test_a_plan_uses_each_item_once_and_says_when_none_is_left() -> None:
    plan = Plan([ITEM])
    assert plan.contaminate("web", "a.html", "prompt only") == ITEM.prompt
    assert plan.to_json()["contaminated"] == [
        {
            "source": "web",
            "document": "a.html",
            "benchmark": "HumanEval",
            "item": "HumanEval/1",
            "how": "prompt only",
        }
    ]
    with pytest.raises(ValueError, match="only 1 items"):
        plan.contaminate("web", "b.html", "exact")


def test_items_are_long_ascii_and_in_an_order_of_their_own(tmp_path: Path) -> None:
    long = "def f(): " + "word " * 60
    rows = [
        {"task_id": f"HumanEval/{number}", "prompt": long, "canonical_solution": "pass"}
        for number in range(30)
    ]
    rows.append({"task_id": "short", "prompt": "def f():", "canonical_solution": "pass"})
    rows.append({"task_id": "not ascii", "prompt": long + "é", "canonical_solution": "pass"})
    path = tmp_path / "HumanEval.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    names = [item.name for item in read_items(str(path))]
    assert sorted(names) == sorted(f"HumanEval/{number}" for number in range(30))
    neighbours = {(f"HumanEval/{number}", f"HumanEval/{number + 1}") for number in range(29)}
    assert len(neighbours & set(pairwise(names))) < 10


def test_keyed_shares_are_spread_evenly_and_differ_by_key() -> None:
    shares = [keyed_share("one", str(number)) for number in range(2000)]
    assert all(0 <= share < 1 for share in shares)
    assert sum(share < 0.35 for share in shares) == pytest.approx(700, abs=80)
    assert shares != [keyed_share("other", str(number)) for number in range(2000)]
