"""Bounds of quality bins: exact over all documents in any split; ties together, none empty."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.mixing.quality_bins import (
    LOWER_BITS,
    find_bounds,
    find_cut_keys,
    merge_sums,
    score_keys,
    sum_keys,
    unkey,
)

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
# Few values that many share, values that differ in their last bits, and any others.
scores = st.one_of(
    st.sampled_from([0.0, -0.0, 0.5, 1.0, -3.0]),
    st.integers(0, 6).map(lambda k: float(np.nextafter(np.float32(0.7), 1, dtype="f4") + k * 1e-7)),
    floats,
)
rows = st.lists(st.tuples(st.integers(0, 2), scores, st.integers(1, 40)), min_size=1, max_size=60)
SETTINGS = settings(max_examples=120, deadline=None)


def found(topics, values, tokens, bins, parts=1):
    """Bounds as a run finds them: sums of parts, by the upper bits and then by all."""
    keys = score_keys(values)
    pieces = [np.arange(k, len(keys), parts) for k in range(parts)]
    upper = merge_sums(
        [sum_keys(topics[p], keys[p] >> np.uint32(LOWER_BITS), tokens[p]) for p in pieces]
    )
    cut = find_cut_keys(upper, bins)
    wanted = {(int(one["topic"]), int(one["key"])) for one in cut}
    lower = []
    for piece in pieces:
        inside = [k for k in piece if (int(topics[k]), int(keys[k]) >> LOWER_BITS) in wanted]
        lower.append(sum_keys(topics[inside], keys[inside], tokens[inside]))
    return find_bounds(upper, merge_sums(lower), bins)


def plain_bounds(values, tokens, bins):
    """The same by sorting all documents: bound k is the first score with k / bins of the tokens."""
    whole = sum(tokens)
    bounds = []
    for k in range(1, bins):
        so_far = 0
        for value in sorted(set(values)):
            so_far += sum(t for v, t in zip(values, tokens, strict=True) if v == value)
            if so_far >= Fraction(k * whole, bins):
                bounds.append(value)
                break
    return [one for one in sorted(set(bounds)) if one != max(values)]


def arrays(listed):
    return (
        np.array([topic for topic, _, _ in listed], np.uint64),
        np.array([score for _, score, _ in listed], np.float32),
        np.array([tokens for _, _, tokens in listed], np.int64),
    )


@SETTINGS
@given(rows, st.integers(1, 12), st.integers(1, 4))
def test_bounds_are_those_of_sorting_all_documents_in_any_split(listed, bins, parts):
    topics, values, tokens = arrays(listed)
    bounds = found(topics, values, tokens, bins, parts)
    assert set(bounds) == set(topics.tolist())
    for topic, keys in bounds.items():
        its = topics == topic
        wanted = plain_bounds((values[its] + np.float32(0)).tolist(), tokens[its].tolist(), bins)
        assert unkey(keys).tolist() == wanted


@SETTINGS
@given(rows, st.integers(1, 12))
def test_no_bin_is_empty_and_equal_scores_stay_together(listed, bins):
    topics, values, tokens = arrays(listed)
    for topic, keys in found(topics, values, tokens, bins).items():
        its = values[topics == topic]
        numbers = np.searchsorted(keys, score_keys(its), side="left")
        assert set(numbers.tolist()) == set(range(len(keys) + 1))
        assert len(keys) < bins
        for value in np.unique(its):
            assert len(set(numbers[its == value].tolist())) == 1


def test_distinct_scores_make_bins_of_equal_tokens():
    values = np.random.default_rng(0).permutation(1000).astype(np.float32)
    bounds = found(np.zeros(1000, np.uint64), values, np.ones(1000, np.int64), 20)
    assert unkey(bounds[0]).tolist() == [49 + 50 * k for k in range(19)]


@given(st.lists(floats, min_size=2))
def test_keys_are_in_the_order_of_scores_and_give_them_back(values):
    its = np.array(values, np.float32)
    keys = score_keys(its)
    for left, right in zip(range(len(its)), range(1, len(its)), strict=False):
        assert (its[left] < its[right]) == (keys[left] < keys[right])
        assert (its[left] == its[right]) == (keys[left] == keys[right])
    assert np.array_equal(unkey(keys), its)


def test_no_number_is_the_worst():
    nan, low, high = score_keys(np.array([np.nan, -3e38, np.inf], np.float32)).tolist()
    assert nan < low < high
    assert unkey(np.array([nan], np.uint32))[0] == np.finfo(np.float32).min
