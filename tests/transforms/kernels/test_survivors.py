"""Survivors against a plain reading: in order, each against the survivors that share a band."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.shingles import Sets
from transforms.kernels.survivors import MOST_MET, choose_survivors


def sets_of(members):
    values = np.array([v for one in members for v in sorted(one)], np.uint64)
    return Sets(values, np.cumsum([0, *map(len, members)]).astype(np.int64))


def similarity(a, b):
    return len(a & b) / len(a | b) if a | b else 0.0


def plainly(bands, members, at_least):
    survivors, found = [], []
    for i, one in enumerate(members):
        like = [
            s
            for s in survivors
            if (bands[i] == bands[s]).any() and similarity(one, members[s]) >= at_least
        ]
        if not like:
            survivors.append(i)
        best = like[0] if like else i
        found.append((best, similarity(one, members[best]) if like else 1.0))
    return found


ITEMS = st.lists(
    st.tuples(
        st.sets(st.integers(0, 9)), st.lists(st.integers(0, 3), min_size=3, max_size=3)
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(ITEMS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_each_gives_way_to_the_best_similar_survivor_that_shares_a_band(items, at_least):
    members = [item[0] for item in items]
    bands = np.array([item[1] for item in items], np.uint64)
    found = choose_survivors(bands, sets_of(members), at_least)
    seen = list(zip(found.survivor.tolist(), found.similarity.tolist(), strict=True))
    assert seen == plainly(bands, members, at_least)


@settings(max_examples=200, deadline=None)
@given(ITEMS, st.sampled_from([0.3, 0.8]), st.sampled_from([1, 2, MOST_MET]), st.integers(0, 24))
def test_every_cluster_has_a_survivor_and_worse_items_change_nothing(items, at_least, met, first):
    members = [item[0] for item in items]
    bands = np.array([item[1] for item in items], np.uint64)
    survivor, seen = choose_survivors(bands, sets_of(members), at_least, met)
    for i, s in enumerate(survivor.tolist()):
        assert survivor[s] == s <= i
        assert i == s or similarity(members[i], members[s]) == seen[i] >= at_least
    # The first ones alone, and only their survivors with the others: the same for each.
    alone = choose_survivors(bands[:first], sets_of(members[:first]), at_least, met)
    assert alone.survivor.tolist() == survivor[:first].tolist()
    left = [i for i in range(len(items)) if i >= first or survivor[i] == i]
    again = choose_survivors(bands[left], sets_of([members[i] for i in left]), at_least, met)
    assert [left[s] for s in again.survivor] == [survivor[i] for i in left]
    # The same where it is known of the first ones that they survive.
    settled = sum(i < first for i in left)
    told = choose_survivors(
        bands[left], sets_of([members[i] for i in left]), at_least, met, settled
    )
    assert told.survivor.tolist() == again.survivor.tolist()


def test_settled_items_survive_whatever_they_are_like():
    found = choose_survivors(np.zeros((4, 1), np.uint64), sets_of([{1}] * 4), 0.8, settled=2)
    assert found.survivor.tolist() == [0, 1, 0, 0]


@settings(max_examples=100, deadline=None)
@given(ITEMS, st.sampled_from([0.3, 0.8]), st.sampled_from([1, 2, MOST_MET]), st.integers(0, 24))
def test_who_is_settled_is_not_asked_again_and_a_closed_list_takes_nobody(
    items, at_least, met, first
):
    members = [item[0] for item in items]
    bands = np.array([item[1] for item in items], np.uint64)
    survivor, seen = choose_survivors(bands, sets_of(members), at_least, met)
    left = [i for i in range(len(items)) if i >= first or survivor[i] == i]
    settled = sum(i < first for i in left)
    part = bands[left], sets_of([members[i] for i in left]), at_least, met, settled
    again = choose_survivors(*part)
    assert [left[s] for s in again.survivor] == [survivor[i] for i in left]
    assert again.similarity.tolist() == [seen[i] for i in left]
    closed = choose_survivors(*part, closed=True)
    wanted = [k if survivor[i] >= first else again.survivor[k] for k, i in enumerate(left)]
    assert closed.survivor.tolist() == wanted


def test_a_chain_does_not_collapse():
    members = [
        set(range(k, k + 20)) for k in range(0, 10, 2)
    ]  # neighbours 18 / 22, next but one 16 / 24
    bands = np.zeros((5, 1), np.uint64)
    assert choose_survivors(bands, sets_of(members), 0.8).survivor.tolist() == [0, 0, 2, 2, 4]


def test_similar_items_without_a_shared_band_stay_apart():
    bands = np.array([[1, 2], [3, 4]], np.uint64)
    assert choose_survivors(bands, sets_of([{1}, {1}]), 0.5).survivor.tolist() == [0, 1]


@pytest.mark.parametrize("size", [MOST_MET, MOST_MET + 1, 5000])
def test_equal_items_have_one_survivor_however_many(size):
    bands = np.full((size, 4), 9, np.uint64)
    found = choose_survivors(bands, sets_of([{1, 2, 3}] * size), 0.8)
    assert (found.survivor == 0).all()


def test_items_of_a_large_group_meet_its_best_and_their_like_by_the_next_band():
    # All share band 0, and the last two thousand are like one of the two thousand before them, with
    # which they share the next band too. The last one is like the first, and shares nothing more.
    size = 4001
    like = np.arange(size) % 2000
    last = np.arange(size) == size - 1
    bands = np.stack(
        [np.zeros(size), np.where(last, 9_999, like), np.arange(size) + 10_000], axis=1
    )
    members = [{int(k) * 10 + v for v in range(5)} for k in np.where(last, 0, like)]
    found = choose_survivors(bands.astype(np.uint64), sets_of(members), 0.8)
    assert found.survivor.tolist() == np.where(last, 0, like).tolist()


def test_no_items_give_no_survivors():
    found = choose_survivors(np.empty((0, 3), np.uint64), sets_of([]), 0.8)
    assert len(found.survivor) == len(found.similarity) == 0
