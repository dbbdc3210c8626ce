"""The curve of quality: its integral and its cap are met, by an integral that is computed anew."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from transforms.mixing.upsampling import (
    MOST_GROWTH,
    MOST_POWER,
    Curve,
    first_kept,
    solve_curve,
)

EVEN = np.linspace(0, 1, 21)
edges = st.lists(st.integers(1, 100), min_size=1, max_size=25).map(
    lambda sizes: np.concatenate([[0.0], np.cumsum(sizes) / sum(sizes)])
)
SETTINGS = settings(max_examples=60, deadline=None)


def integral(curve, low, high):
    """By quadrature of the formula, which the code does not use."""

    def f(x):
        y = x - curve.discard
        return curve.scale * y**curve.power * np.exp(curve.growth * y) if y > 0 else 0.0

    return quad(f, low, high, points=[curve.discard], limit=200)[0]


@SETTINGS
@given(edges, st.floats(0, 0.9), st.floats(0.01, 0.999), st.floats(0.5, 10))
def test_the_curve_meets_target_and_cap_and_never_falls(edges, discard, part, cap):
    first = first_kept(edges, discard)
    target = part * cap * (1 - edges[first])  # what the cap allows at most, and less
    curve = solve_curve(target, edges, first, cap)
    means = curve.means(edges)
    assert float((means * np.diff(edges)).sum()) == pytest.approx(target, rel=1e-9)
    assert integral(curve, curve.discard, 1) == pytest.approx(target, rel=1e-6)
    assert means.max() <= cap * (1 + 1e-6)
    assert (np.diff(means) >= -1e-9 * cap).all()
    assert (means[:first] == 0).all()


@SETTINGS
@given(edges, st.floats(0, 0.9), st.floats(0.05, 0.95))
def test_no_steeper_curve_would_hold_the_cap(edges, discard, part):
    cap, first = 3.0, first_kept(edges, discard)
    target = part * cap * (1 - edges[first])
    curve = solve_curve(target, edges, first, cap)
    steepest = (curve.power, curve.growth) == (MOST_POWER, MOST_GROWTH)
    if not steepest and first < len(edges) - 2:
        assert curve.means(edges)[-1] == pytest.approx(cap, rel=1e-6)
    assert curve.growth == 0 or curve.power == MOST_POWER


def test_means_are_those_of_the_formula():
    curve = solve_curve(0.55, EVEN, 8, 7.0)
    for low, high, mean in zip(EVEN, EVEN[1:], curve.means(EVEN), strict=False):
        assert mean == pytest.approx(integral(curve, low, high) / (high - low), abs=1e-9)
    assert curve.at(np.array([0.2, 0.4, 1.0])).tolist() == [
        0.0,
        0.0,
        pytest.approx(curve.scale * 0.6**curve.power * np.exp(curve.growth * 0.6)),
    ]


def test_dolma_3_takes_the_worst_two_fifths_not_at_all_and_the_best_within_the_cap():
    for target in (0.3, 0.55, 1.0, 2.0, 4.0):
        means = solve_curve(target, EVEN, first_kept(EVEN, 0.4), 7.0).means(EVEN)
        assert (means[:8] == 0).all()
        assert means[8] > 0
        assert means[-1] <= 7.0 + 1e-9


def test_what_can_only_be_taken_level_is_taken_level():
    curve = solve_curve(0.6 * 7, EVEN, 8, 7.0)
    assert (curve.power, curve.growth) == (0.0, 0.0)
    assert curve.means(EVEN)[8:].tolist() == pytest.approx([7.0] * 12)


def test_more_than_the_cap_allows_is_refused():
    with pytest.raises(ValueError, match="taken 8 times, more than 7"):
        solve_curve(0.6 * 8, EVEN, 8, 7.0)


@pytest.mark.parametrize(
    ("edges", "discard", "first"),
    [
        (EVEN, 0.4, 8),
        (EVEN, 0.0, 0),
        (EVEN, 0.99, 19),  # the best bin is always kept
        ([0, 0.2, 0.9, 1], 0.4, 1),  # many share a score: the bound that is nearest
        ([0, 1], 0.9, 0),
    ],
)
def test_bins_are_discarded_as_a_whole(edges, discard, first):
    assert first_kept(np.array(edges), discard) == first


def test_one_bin_is_taken_as_often_as_is_wanted():
    curve = solve_curve(1.7, np.array([0.0, 1.0]), 0, 2.0)
    assert isinstance(curve, Curve)
    assert curve.means(np.array([0.0, 1.0])).tolist() == [pytest.approx(1.7)]
