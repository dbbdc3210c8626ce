"""Token budgets: met to within one document, whatever the split, and never less for asking more."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.mixing.budget import (
    BINS,
    BudgetError,
    Histogram,
    SourceBudget,
    check_possible,
    copies,
    cut_in_bin,
    divide_tokens,
    find_bin,
    least_text_bytes,
    order_key,
    tokens_by_bin,
)

LAST = (1 << 64) - 1


def budget_of(order, tokens, wanted, max_epochs=100.0, batches=1):
    """The budget as a run finds it: histograms of batches added, then one bin looked into."""
    total = np.zeros((2, BINS), np.int64)
    for part in np.array_split(np.arange(len(order)), batches):
        histogram = tokens_by_bin(order[part], tokens[part])
        total += np.stack([histogram.tokens, histogram.documents])
    budget, index = find_bin("web", Histogram(*total), wanted, max_epochs)
    inside = (order >> np.uint64(48)) == np.uint64(min(index, BINS - 1))
    inside &= index < BINS
    return cut_in_bin(budget, order[inside], tokens[inside])


def chosen(order, budget):
    return copies(order, np.ones(len(order), np.bool_), budget)


# Orders that crowd into few bins and some that are equal, as well as any others.
orders = st.one_of(
    st.integers(0, LAST),
    st.integers(0, 3),
    st.builds(lambda high, low: (high << 48) | low, st.integers(0, 2), st.integers(0, 5)),
    st.just(LAST),
)
documents = st.lists(st.tuples(orders, st.integers(1, 50)), min_size=1, max_size=25)
SETTINGS = settings(max_examples=80, deadline=None)


def arrays(pairs):
    return (
        np.array([order for order, _ in pairs], np.uint64),
        np.array([tokens for _, tokens in pairs], np.int64),
    )


def next_tokens(order, tokens, taken_more):
    """Tokens of the first document (and those of equal order) that is not taken once more."""
    left = np.flatnonzero(~taken_more)
    if not len(left):
        return 0
    return int(tokens[order == order[left].min()].sum())


@SETTINGS
@given(documents, st.floats(0, 3.5))
def test_a_source_is_met_to_within_its_next_document(pairs, epochs):
    order, tokens = arrays(pairs)
    wanted = int(tokens.sum() * epochs)
    budget = budget_of(order, tokens, wanted)
    times = chosen(order, budget).astype(np.int64)
    taken = int((times * tokens).sum())
    assert taken == budget.taken_tokens
    assert int(times.sum()) == budget.taken_documents
    following = next_tokens(order, tokens, times > budget.whole_epochs)
    assert taken <= wanted < taken + following
    assert budget.next_document_tokens == following


@SETTINGS
@given(documents, st.floats(0, 3.5))
def test_the_first_in_order_are_taken_once_more_than_the_others(pairs, epochs):
    order, tokens = arrays(pairs)
    wanted = int(tokens.sum() * epochs)
    times = chosen(order, budget_of(order, tokens, wanted))
    whole = wanted // int(tokens.sum())
    assert set(times.tolist()) <= {whole, whole + 1}
    in_order = times[np.argsort(order, kind="stable")].tolist()
    assert in_order == sorted(in_order, reverse=True)
    for equal in np.unique(order):
        assert len(set(times[order == equal].tolist())) == 1


@SETTINGS
@given(documents, st.floats(0, 2.5), st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_batches_or_their_order(pairs, epochs, batches, random):
    order, tokens = arrays(pairs)
    wanted = int(tokens.sum() * epochs)
    budget = budget_of(order, tokens, wanted)
    rows = list(range(len(pairs)))
    random.shuffle(rows)
    assert budget_of(order[rows], tokens[rows], wanted, batches=batches) == budget


@SETTINGS
@given(documents, st.floats(0, 2.5), st.floats(0, 1))
def test_asking_for_more_never_takes_a_document_less_often(pairs, epochs, more):
    order, tokens = arrays(pairs)
    total = int(tokens.sum())
    less = chosen(order, budget_of(order, tokens, int(total * epochs)))
    assert (chosen(order, budget_of(order, tokens, int(total * (epochs + more)))) >= less).all()


@pytest.mark.parametrize("epochs", [0, 1, 2, 7])
def test_whole_epochs_take_every_document_equally_often(epochs):
    order = order_key(np.arange(500, dtype=np.uint64), 0)
    tokens = np.arange(1, 501)
    budget = budget_of(order, tokens, epochs * int(tokens.sum()))
    assert (chosen(order, budget) == epochs).all()
    assert budget.taken_tokens == budget.wanted_tokens


def test_half_an_epoch_takes_about_half_of_the_documents():
    order = order_key(np.arange(20_000, dtype=np.uint64), 3)
    tokens = np.full(20_000, 10)
    budget = budget_of(order, tokens, 100_000)
    assert (chosen(order, budget) == 1).sum() == 10_000
    assert budget.epochs == 0.5


def test_epochs_are_those_taken_not_those_wanted():
    order = order_key(np.arange(4, dtype=np.uint64), 3)
    assert budget_of(order, np.full(4, 10), 19).epochs == 0.25
    assert budget_of(order, np.full(4, 10), 9).epochs == 0


def test_documents_that_are_not_eligible_are_never_taken():
    order = order_key(np.arange(10, dtype=np.uint64), 0)
    budget = budget_of(order, np.full(10, 5), 125)
    eligible = np.arange(10) % 2 == 0
    times = copies(order, eligible, budget)
    assert times.dtype == np.uint32
    assert (times[~eligible] == 0).all()
    assert (times[eligible] >= 2).all()


def test_orders_at_both_ends_are_taken_and_left_like_others():
    order = np.array([LAST, 0], np.uint64)
    tokens = np.array([3, 3])
    assert chosen(order, budget_of(order, tokens, 5)).tolist() == [0, 1]
    assert chosen(order, budget_of(order, tokens, 6)).tolist() == [1, 1]
    assert chosen(order, budget_of(order, tokens, 2)).tolist() == [0, 0]


def test_a_source_without_documents_gives_nothing_when_nothing_is_asked():
    nothing = np.zeros(BINS, np.int64)
    budget, index = find_bin("web", Histogram(nothing, nothing), 0, 1.0)
    assert (budget.taken_tokens, budget.taken_documents, budget.epochs) == (0, 0, 0.0)
    assert index >= 0


def test_tokens_of_a_source_beyond_32_bits_are_counted():
    order = np.zeros(3, np.uint64)
    tokens = np.full(3, 1 << 40)
    assert tokens_by_bin(order, tokens).tokens[0] == 3 << 40


@pytest.mark.parametrize(
    ("available", "wanted", "epochs", "too_many"),
    [(100, 101, 1.0, 1), (100, 250, 2.0, 50), (100, 51, 0.5, 1), (3, 1_000_000, 4.0, 999_988)],
)
def test_asking_for_too_much_is_told_with_how_much_and_a_remedy_that_helps(
    available, wanted, epochs, too_many
):
    histogram = tokens_by_bin(np.array([7], np.uint64), np.array([available]))
    with pytest.raises(BudgetError) as raised:
        find_bin("web", histogram, wanted, epochs)
    sentence = str(raised.value)
    assert sentence.startswith("web: ")
    assert f"asks for {wanted:,} tokens" in sentence
    assert f"{too_many:,} too many" in sentence
    remedy = float(re.search(r"max_epochs to ([0-9.]+)", sentence)[1])
    assert find_bin("web", histogram, wanted, remedy)[0].wanted_tokens == wanted


@given(st.integers(1, 10**6), st.integers(1, 10**7))
@settings(max_examples=50, deadline=None)
def test_the_remedy_of_too_much_is_always_enough(available, wanted):
    histogram = tokens_by_bin(np.array([7], np.uint64), np.array([available]))
    try:
        find_bin("web", histogram, wanted, 0.001)
    except BudgetError as error:
        remedy = float(re.search(r"max_epochs to ([0-9.]+)", str(error))[1])
        find_bin("web", histogram, wanted, remedy)
        assert remedy < wanted / available + 0.011
    else:
        assert wanted <= available * 0.001


def test_just_as_much_as_there_is_at_most_can_be_asked():
    histogram = tokens_by_bin(np.array([7], np.uint64), np.array([100]))
    assert find_bin("web", histogram, 250, 2.5)[0].whole_epochs == 2
    with pytest.raises(BudgetError):
        find_bin("web", histogram, 251, 2.5)


def test_an_empty_source_is_told_as_such():
    nothing = np.zeros(BINS, np.int64)
    with pytest.raises(BudgetError, match=r"web: .* no document is left"):
        find_bin("web", Histogram(nothing, nothing), 5, 1.0)


def test_what_input_can_not_hold_is_refused_before_any_work():
    check_possible("web", 200, 100, 1.0)
    with pytest.raises(BudgetError, match="at least 1 too many"):
        check_possible("web", 201, 100, 1.0)
    check_possible("web", 400, 100, 2.0)


@given(st.integers(1, 10**15), st.sampled_from([0.1, 0.7, 1.0, 1.1, 2.5, 7.0]))
def test_the_least_text_is_what_is_just_not_refused(wanted, epochs):
    least = least_text_bytes(wanted, epochs)
    check_possible("web", wanted, least, epochs)
    with pytest.raises(BudgetError):
        check_possible("web", wanted, least - 1, epochs)


# Orders


@given(st.lists(st.integers(0, LAST), unique=True, max_size=30), st.integers(-(2**70), 2**70))
def test_different_hashes_have_different_orders(hashes, seed):
    assert len(set(order_key(np.array(hashes, np.uint64), seed).tolist())) == len(hashes)


def test_other_seeds_are_other_orders_and_choose_other_documents():
    hashes = np.arange(2000, dtype=np.uint64)
    tokens = np.ones(2000, np.int64)
    taken = {}
    for seed in (0, 1, 2, -1):
        order = order_key(hashes, seed)
        taken[seed] = frozenset(np.flatnonzero(chosen(order, budget_of(order, tokens, 1000))))
    assert len(set(taken.values())) == 4
    # Two orders agree on half of what they take, as chance would.
    for left, right in [(0, 1), (1, 2), (0, -1)]:
        assert 400 < len(taken[left] & taken[right]) < 600


def test_orders_spread_evenly_over_their_bins_even_of_small_numbers():
    order = order_key(np.arange(65_536, dtype=np.uint64), 0)
    counts = np.bincount((order >> np.uint64(60)).astype(int), minlength=16)
    assert counts.min() > 3800
    assert counts.max() < 4400


def test_orders_never_change():
    # Of a change here every mix would hold other documents.
    assert order_key(np.array([0, 1], np.uint64), 0).tolist() == [
        1536015134109599548,
        15355594627107997725,
    ]


# Dividing


proportions = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.floats(1e-6, 1), min_size=1, max_size=6
)


@given(st.integers(0, 10**15), proportions)
def test_parts_sum_to_the_whole_and_miss_their_share_by_less_than_one_token(total, shares):
    parts = divide_tokens(total, shares)
    assert sum(parts.values()) == total
    scale = sum(Fraction(share) for share in shares.values())
    for name, part in parts.items():
        assert abs(part - total * Fraction(shares[name]) / scale) < 1


@given(st.integers(0, 10**9), proportions)
def test_the_division_does_not_depend_on_the_order_of_sources(total, shares):
    backwards = {name: shares[name] for name in reversed(shares)}
    assert divide_tokens(total, backwards) == divide_tokens(total, shares)


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [
        (10, {"a": 0.5, "b": 0.5}, {"a": 5, "b": 5}),
        (1, {"a": 0.5, "b": 0.5}, {"a": 1, "b": 0}),
        (10, {"a": 0.34, "b": 0.33, "c": 0.33}, {"a": 4, "b": 3, "c": 3}),
        (7, {"b": 0.25, "a": 0.25, "c": 0.5}, {"a": 2, "b": 2, "c": 3}),
        (0, {"a": 1.0}, {"a": 0}),
    ],
)
def test_what_is_left_goes_to_the_largest_remainders_and_ties_to_the_first_name(
    total, shares, parts
):
    assert divide_tokens(total, shares) == parts


def test_budgets_come_back_from_json():
    order = order_key(np.arange(50, dtype=np.uint64), 0)
    budget = budget_of(order, np.full(50, 3), 333)
    assert SourceBudget.from_json(budget.to_json()) == budget
    assert math.isclose(budget.to_json()["epochs"], 333 / 150, abs_tol=1e-6)
