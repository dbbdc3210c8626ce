"""Budgets of cells: sums exact, caps held, the source met to within one document."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.mixing.budget import BudgetError, Histogram, cut_in_bin, order_key, start_cut
from transforms.mixing.cells import Cell, Cells, budget_from_json, copies_in_cells, sum_cells
from transforms.mixing.partition import Partition

BITS = 8
SETTINGS = settings(max_examples=60, deadline=None)
partitions = st.lists(st.lists(st.integers(1, 9), max_size=4), min_size=1, max_size=3).flatmap(
    lambda bounds: st.sampled_from([((0, 1),), ((0, 1), (2, 2), (4, 3), (9, 0))]).map(
        lambda steps: Partition(
            tuple("abc"[: len(bounds)]), tuple(tuple(sorted({*its})) for its in bounds), steps
        )
    )
)


def pool_of(partition, seed, count=60):
    """Order, tokens and cell of made-up documents, one at least in every cell."""
    random = np.random.default_rng(seed)
    cells = np.concatenate(
        [np.arange(len(partition.places())), random.integers(0, len(partition.places()), count)]
    )
    tokens = random.integers(1, 30, len(cells))
    return order_key(np.arange(len(cells), dtype=np.uint64), seed), tokens, cells


def budget_of(partition, pool, part, cap=3.0, discard=0.4, shares=None, max_epochs=99.0):
    """The budget as a run finds it, and the cells; `part`: of what the source can give."""
    order, tokens, numbers = pool
    count = len(partition.places())
    there = np.bincount(numbers, tokens, count).astype(np.int64)
    cells = Cells("web", partition, there, cap, discard, shares)
    most = cells.most_tokens(max_epochs, "refuse")
    wanted = int(most * part)
    asks, curves = cells.ask(wanted)
    done = []
    for number, ask in enumerate(asks):
        its = numbers == number
        bins = (order[its] >> np.uint64(64 - BITS)).astype(int)
        histogram = Histogram(
            np.bincount(bins, tokens[its], 1 << BITS).astype(np.int64),
            np.bincount(bins, minlength=1 << BITS),
        )
        budget, index = start_cut(histogram, ask.wanted, ask.most, BITS)
        inside = bins == index
        budget = cut_in_bin(budget, order[its][inside], tokens[its][inside], BITS)
        done.append(Cell(cells.places[number], ask.rate, budget))
    return sum_cells(wanted, most, partition, done, curves), cells, asks


@SETTINGS
@given(partitions, st.integers(0, 99), st.floats(0, 1), st.floats(0, 0.9))
def test_what_is_wanted_of_cells_sums_up_and_holds_the_cap(partition, seed, part, discard):
    pool = pool_of(partition, seed)
    budget, cells, asks = budget_of(partition, pool, part, discard=discard)
    assert sum(ask.wanted for ask in asks) == budget.wanted_tokens
    for place, ask, there in zip(cells.places, asks, cells.there, strict=True):
        assert 0 <= ask.wanted <= ask.most <= 3.0 * there
        if place.number < cells.first[place.topic]:
            assert ask.wanted == 0
    for cell in budget.cells:
        assert cell.budget.taken_tokens <= cell.budget.most_tokens


@SETTINGS
@given(partitions, st.integers(0, 99), st.floats(0, 1))
def test_a_source_is_met_to_within_one_document_and_so_is_each_cell(partition, seed, part):
    pool = order, tokens, numbers = pool_of(partition, seed)
    budget, _, _ = budget_of(partition, pool, part)
    everyone = np.ones(len(order), np.bool_)
    times = copies_in_cells(order, numbers, everyone, budget).astype(np.int64)
    taken = int((times * tokens).sum())
    assert taken == budget.taken_tokens
    assert int(times.sum()) == budget.taken_documents
    assert taken <= budget.wanted_tokens
    assert budget.wanted_tokens - taken < max(budget.next_document_tokens, 1)
    for number, cell in enumerate(budget.cells):
        its = numbers == number
        of_cell = int((times[its] * tokens[its]).sum())
        assert of_cell == cell.budget.taken_tokens
        assert abs(of_cell - cell.budget.wanted_tokens) < tokens[its].max()
        assert len(set(times[its].tolist())) <= 2


@SETTINGS
@given(partitions, st.integers(0, 99), st.floats(0.1, 1))
def test_better_bins_are_taken_more_often(partition, seed, part):
    budget, _, _ = budget_of(partition, pool_of(partition, seed), part)
    for topic in partition.topics:
        its = [c for c in budget.cells if c.place.topic == topic and c.place.times == 1 and c.rate]
        rates = [c.rate for c in its]
        assert all(low <= high + 1e-9 for low, high in pairwise(rates))
    assert any(cell.rate for cell in budget.cells) == (budget.wanted_tokens > 0)


def test_what_stands_for_more_documents_is_taken_more_often():
    partition = Partition(("",), ((),), ((0, 1), (2, 2), (4, 3), (9, 0)))
    pool = pool_of(partition, 3, 2000)
    budget, _, _ = budget_of(partition, pool, 0.5, cap=2.0, discard=0.0)
    never, once, twice, thrice = budget.cells
    assert [cell.place.times for cell in budget.cells] == [0, 1, 2, 3]
    assert never.budget.taken_tokens == 0
    assert once.budget.epochs == pytest.approx(1.0, abs=0.01)
    assert twice.budget.epochs == pytest.approx(2.0, abs=0.01)
    assert thrice.budget.epochs == pytest.approx(3.0, abs=0.01)


def test_topics_get_their_shares():
    partition = Partition(("art", "science"), ((3.0, 6.0), (3.0, 6.0)))
    pool = pool_of(partition, 1, 3000)
    shares = {"art": 0.75, "science": 0.25}
    budget, _, _ = budget_of(partition, pool, 0.4, discard=0.0, shares=shares)
    art = sum(c.budget.wanted_tokens for c in budget.cells if c.place.topic == "art")
    assert abs(art - 0.75 * budget.wanted_tokens) < 1


def test_a_topic_without_a_share_gives_nothing():
    partition = Partition(("art", "science"), ((), ()))
    budget, _, _ = budget_of(partition, pool_of(partition, 1), 0.4, shares={"art": 1.0})
    assert [c.budget.taken_tokens > 0 for c in budget.cells] == [True, False]


def test_a_topic_that_no_document_has_is_told():
    with pytest.raises(BudgetError, match=r"web: no document has the topic 'math'.*art"):
        Cells("web", Partition(("art",), ((),)), np.array([5]), 7.0, 0.4, {"math": 1.0})


def test_the_source_is_never_taken_more_often_than_it_may():
    partition = Partition(("",), ((3.0,),))
    budget, cells, _ = budget_of(partition, pool_of(partition, 1), 1.0, max_epochs=0.5)
    assert budget.wanted_tokens == sum(cells.there) // 2


def test_budgets_come_back_from_json():
    partition = Partition(("art", "science"), ((3.0, 6.0), (3.5,)), ((0, 1), (2, 2)))
    budget, _, _ = budget_of(partition, pool_of(partition, 1), 0.7)
    assert budget_from_json(json.loads(json.dumps(budget.to_json()))) == budget
