"""Windows: the quantiles of all documents, however they were counted, with ties at either end."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.mixing.quality_bins import LOWER_BITS, merge_sums, score_keys, sum_keys
from transforms.mixing.window import Window, WindowBounds, find_window, keys_at_bounds

percents = st.integers(0, 100)
# Few values, so that many are tied, and such as differ in lower bits alone.
scores = st.lists(
    st.one_of(
        st.sampled_from([-1.0, 0.0, 0.5, 0.500001, 0.5000011, 7.0]),
        st.floats(-1e9, 1e9, width=32),
    ),
    min_size=1,
    max_size=40,
)


def count(keys):
    return sum_keys(np.zeros(len(keys), np.uint64), keys, np.ones(len(keys), np.int64))


def find(parts, window):
    """As `pipelines.mixing.windows`: the upper bits of all, then the lower ones that count."""
    keys = [score_keys(np.array(one, np.float32)) for one in parts]
    upper = merge_sums(count(one >> np.uint32(LOWER_BITS)) for one in keys)
    cut = keys_at_bounds(upper, window)
    lower = merge_sums(count(one[np.isin(one >> np.uint32(LOWER_BITS), cut)]) for one in keys)
    return find_window(upper, lower, window)


@given(st.lists(scores, min_size=1, max_size=4), percents, percents)
def test_no_more_than_its_share_is_left_out_at_either_end(parts, one, other):
    low, high = sorted((one, other))
    window = Window("x", low / 100, (high + (low == high)) / 100)
    if window.high > 1:
        return
    bounds = find(parts, window)
    values = sorted(float(np.float32(one)) + 0.0 for part in parts for one in part)
    below = [one for one in values if one < bounds.least]
    above = [one for one in values if one > bounds.greatest]
    share = len(values) * Fraction(low, 100)
    assert len(below) <= share < len([one for one in values if one <= bounds.least])
    share = len(values) * (1 - Fraction(str(window.high)))
    assert len(above) <= share < len([one for one in values if one >= bounds.greatest])
    assert bounds.documents == len(values)
    assert bounds.kept == len(values) - len(below) - len(above) > 0
    assert bounds.inside(np.array(values, np.float32)).sum() == bounds.kept
    together = find([[one for part in parts for one in part]], window)
    assert together == bounds
    assert WindowBounds.from_json(bounds.to_json()) == bounds


def test_the_middle_of_ten_documents_is_six_of_them():
    bounds = find([[n / 10 for n in range(10)]], Window("x", 0.2, 0.8))
    assert (bounds.documents, bounds.kept) == (10, 6)
    assert (bounds.least, bounds.greatest) == pytest.approx((0.2, 0.7))


def test_nothing_is_inside_where_no_document_has_a_score():
    bounds = find([[]], Window("x", 0.2, 0.8))
    assert bounds == WindowBounds(None, None, 0, 0)
    assert not bounds.inside(np.array([0.5, np.nan], np.float32)).any()


def test_a_document_without_a_score_is_outside():
    bounds = find([[1.0, 2.0]], Window("x", 0.0, 1.0))
    assert bounds.inside(np.array([1, 2, np.nan], np.float32)).tolist() == [True, True, False]
