"""Bounds on a mix: what can be met is not refused, and no more is read than decides that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.mixing.bounds import bound_texts, check_bounds
from pipelines.recipes.mix_part import read_mix
from transforms.mixing.budget import BudgetError


def mix_of(tokens, shares, **more):
    return read_mix({"tokens": tokens, "tokenizer": "t", "shares": shares, **more})


@pytest.mark.parametrize("shortage", ["refuse", "share_out"])
def test_a_document_that_stands_in_the_pool_often_counts_as_often(shortage):
    asked = {"shares": {"web": 1.0}, "shortage": shortage, "repeat": {"times": {"2": 20, "9": 3}}}
    check_bounds(mix_of(40_000, **asked), {"web": 1000}, "its input")
    assert bound_texts(mix_of(40_000, **asked), ["web"], lambda name, enough: 1000)
    with pytest.raises(BudgetError, match="1 too many"):
        check_bounds(mix_of(40_001, **asked), {"web": 1000}, "its input")


def test_what_repeats_is_told_where_there_is_too_little_all_the_same():
    mix = mix_of(40_001, {"web": 1.0}, repeat={"times": {"2": 20}})
    with pytest.raises(BudgetError, match="its input, its documents 20 times each, can hold no"):
        check_bounds(mix, {"web": 1000}, "its input")


CONTENTS = st.dictionaries(
    st.sampled_from("abc"), st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1
)


@given(CONTENTS, st.integers(1, 1500), st.sampled_from(["refuse", "share_out", "less"]))
def test_bounds_decide_as_the_whole_content_would(contents, tokens, shortage):
    """Files of so many bytes that hold so many times as many, decompressed."""
    mix = mix_of(tokens, dict.fromkeys(contents, 1 / len(contents)), shortage=shortage)

    def bound(name, enough):
        stored, ratio = contents[name]
        return stored if stored >= enough else stored * ratio

    def refuses(text_bytes):
        try:
            check_bounds(mix, text_bytes, "its input")
        except BudgetError:
            return True
        return False

    whole = {name: stored * ratio for name, (stored, ratio) in contents.items()}
    assert refuses(bound_texts(mix, contents, bound)) == refuses(whole)


def test_sources_that_can_give_a_mix_together_are_not_decompressed():
    mix = mix_of(1000, {"small": 0.9, "large": 0.1}, shortage="share_out")
    asked = []

    def bound(name, enough):
        asked.append(enough)
        return {"small": 10, "large": 600}[name]

    assert bound_texts(mix, ["small", "large"], bound) == {"small": 10, "large": 600}
    assert asked == [0, 0]
