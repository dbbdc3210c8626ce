"""Recipes compared key by key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.recipes.differences import recipe_differences

LEAF = st.one_of(st.none(), st.integers(0, 3), st.text("ab", max_size=2), st.lists(st.integers()))
TREE = st.recursive(
    LEAF, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner), max_leaves=9
)
RECIPE = st.dictionaries(st.sampled_from("xyz"), TREE)


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ({"mix": {"tokens": 1}}, {"mix": {"tokens": 2}}, [("mix.tokens", 1, 2)]),
        ({"mix": {"where": "x"}}, {"mix": {}}, [("mix.where", "x", None), ("mix", None, {})]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a", [1, 2], [1, 3])]),
        (
            {"rules": ["c4", {"gopher": {"words": {"at_least": 50}}}]},
            {"rules": [{"gopher": {"words": {"at_least": 80}}}]},
            [("rules.c4", {}, None), ("rules.gopher.words.at_least", 50, 80)],
        ),
    ],
)
def test_keys_that_differ_are_named_with_both_values(a, b, found):
    assert [tuple(one) for one in recipe_differences(a, b)] == found


@given(RECIPE)
def test_a_recipe_does_not_differ_from_itself(tree):
    assert recipe_differences(tree, tree) == []


@given(RECIPE, RECIPE)
def test_recipes_differ_where_they_are_not_the_same_and_the_same_way_round(a, b):
    there, back = recipe_differences(a, b), recipe_differences(b, a)
    assert sorted((one.key, repr(one.a), repr(one.b)) for one in there) == sorted(
        (one.key, repr(one.b), repr(one.a)) for one in back
    )
    assert bool(there) == (a != b)
