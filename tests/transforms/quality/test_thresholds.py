"""Every condition that a recipe can ask says what it bounds, with its unit."""

import pytest

from transforms.quality.conditions import Condition
from transforms.quality.rules import rule
from transforms.quality.thresholds import THRESHOLDS, meaning

LISTS = {kind: ["x"] for kind in ("domains", "urls", "words", "soft_words", "subwords")}
CONDITIONS = [
    condition
    for name, options in {**dict.fromkeys(THRESHOLDS), "language": None, "url_lists": LISTS}.items()
    for condition in rule(name, options).conditions
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda one: one.reason)
def test_each_condition_of_a_rule_has_a_meaning_of_its_own(condition):
    assert not meaning(condition).startswith("probability of the label")


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        (Condition("gopher.words", "gopher.word_count", at_least=1), "words"),
        (Condition("quality", "quality.hq", at_least=0.5), "probability of the label hq"),
        (Condition("contaminated", "contamination.hits", at_most=0),
         "n-grams shared with benchmarks"),
    ],
)  # fmt: skip
def test_the_meaning_has_the_unit(condition, what):
    assert meaning(condition) == what


@pytest.mark.parametrize("name", THRESHOLDS)
def test_reasons_are_named_by_rule_and_option(name):
    for option, (_, condition) in THRESHOLDS[name].items():
        assert condition.reason == f"{name}.{option}"
        assert condition.column.startswith(f"{name}.")
