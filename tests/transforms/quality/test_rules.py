"""Rules as a recipe writes them: which bounds its options leave."""

import pytest

from transforms.quality.rules import rule


def bounds(name, option, given):
    conditions = {one.reason: one for one in rule(name, {option: given}).conditions}
    condition = conditions.get(f"{name}.{option}")
    return condition and (condition.at_least, condition.at_most, condition.below)


@pytest.mark.parametrize(
    ("name", "option", "given", "left"),
    [
        ("gopher", "words", {}, (50, 100_000, None)),
        ("gopher", "words", {"at_least": 100}, (100, 100_000, None)),
        ("gopher", "words", {"at_most": None}, (50, None, None)),
        ("gopher", "words", {"below": 60}, (50, None, 60)),
        ("gopher", "words", False, None),
        ("madlad", "questionable", {"at_most": 0.3}, (None, 0.3, None)),
        ("pdf_quality", "numeric", {"at_most": 0.5}, (None, 0.5, None)),
        ("pdf_quality", "numeric", {"at_most": 0.5, "below": 0.4}, (None, 0.5, 0.4)),
        ("pdf_quality", "numeric", {"at_most": None}, None),
    ],
)
def test_a_bound_that_is_given_takes_the_place_of_the_default_on_its_side(
    name, option, given, left
):
    assert bounds(name, option, given) == left
