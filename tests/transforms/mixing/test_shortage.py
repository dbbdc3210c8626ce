"""Shortage: sums exact, nobody asked for more than it can give, and equal to a solver that knows
nothing of the rule's way."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.mixing.budget import BudgetError, divide_tokens
from transforms.mixing.shortage import settle

shares = st.dictionaries(st.sampled_from("abcdefg"), st.floats(0.01, 1), min_size=1, max_size=6)
pools = shares.flatmap(
    lambda one: st.tuples(
        st.just(one), st.fixed_dictionaries({name: st.integers(0, 10**6) for name in one})
    )
)
SETTINGS = settings(max_examples=150, deadline=None)


def exact_level(total, proportions, most):
    """The one number by which all shares are scaled where each gives min(most, level * share), by
    looking at every interval between two sources' limits."""
    limits = sorted({Fraction(most[name]) / Fraction(proportions[name]) for name in proportions})
    for low, high in zip([Fraction(0), *limits], limits, strict=False):
        full = sum(most[n] for n in proportions if most[n] <= low * Fraction(proportions[n]))
        open_ = sum(
            Fraction(proportions[n])
            for n in proportions
            if most[n] > low * Fraction(proportions[n])
        )
        if open_ and low <= (total - full) / open_ <= high:
            return (total - full) / open_
    return limits[-1]


@SETTINGS
@given(pools, st.floats(0, 1))
def test_what_is_shared_out_reaches_the_budget_and_follows_the_shares(pool, part):
    proportions, most = pool
    total = int(sum(most.values()) * part)
    wanted = settle(total, proportions, most, "share_out")
    assert list(wanted) == list(proportions)
    assert sum(wanted.values()) == total
    assert all(0 <= wanted[name] <= most[name] for name in wanted)
    level = exact_level(total, proportions, most)
    for name, tokens in wanted.items():
        asked = min(Fraction(most[name]), level * Fraction(proportions[name]))
        assert abs(tokens - asked) <= len(wanted)  # of rounding, each time that one is full


@SETTINGS
@given(pools)
def test_more_than_all_can_give_is_refused_with_the_number(pool):
    proportions, most = pool
    there = sum(most.values())
    with pytest.raises(BudgetError, match=f"can give {there:,}: 3 too many"):
        settle(there + 3, proportions, most, "share_out")


@SETTINGS
@given(pools, st.integers(1, 10**7))
def test_less_is_the_largest_mix_in_these_proportions(pool, total):
    proportions, most = pool
    most = {name: one + 1 for name, one in most.items()}
    wanted = settle(total, proportions, most, "less")
    assert wanted == divide_tokens(sum(wanted.values()), proportions)
    assert all(wanted[name] <= most[name] for name in wanted)
    if sum(wanted.values()) < total:
        scale = sum(Fraction(one) for one in proportions.values())
        larger = sum(wanted.values()) + 1
        assert any(larger * Fraction(proportions[n]) / scale > most[n] for n in wanted)
    else:
        assert sum(wanted.values()) == total


@pytest.mark.parametrize("rule", ["refuse", "share_out", "less"])
@given(pool=pools, total=st.integers(1, 10**6))
@SETTINGS
def test_where_nobody_is_short_every_rule_is_the_shares(rule, pool, total):
    proportions, _ = pool
    most = divide_tokens(total, proportions)
    if rule != "less" or all(most.values()):
        exact = all(
            most[n] >= total * Fraction(proportions[n]) / sum(map(Fraction, proportions.values()))
            for n in most
        )
        if rule != "less" or exact:
            assert settle(total, proportions, most, rule) == most


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("refuse", {"web": 50, "code": 25, "pdf": 25}),
        ("share_out", {"web": 64, "code": 32, "pdf": 4}),
        ("less", {"web": 8, "code": 4, "pdf": 4}),
    ],
)
def test_a_small_case_by_head(rule, wanted):
    shares = {"web": 0.5, "code": 0.25, "pdf": 0.25}
    assert settle(100, shares, {"web": 90, "code": 90, "pdf": 4}, rule) == wanted


def test_who_gets_full_by_giving_for_others_is_full_too():
    shares = {"web": 0.6, "code": 0.3, "pdf": 0.1}
    wanted = settle(100, shares, {"web": 62, "code": 90, "pdf": 4}, "share_out")
    assert wanted == {"web": 62, "code": 34, "pdf": 4}


def test_no_smaller_mix_holds_a_source_without_documents():
    with pytest.raises(BudgetError, match=r"^pdf: no document is left.*mix\.exclude"):
        settle(10, {"web": 0.5, "pdf": 0.5}, {"web": 9, "pdf": 0}, "less")
