"""Near duplicates of packed members: who survives, with which evidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.dedup.fuzzy import find_near_duplicates
from transforms.dedup.members import Members
from transforms.kernels.shingles import Sets


def members_of(sets, ranks, bands=None, addresses=None, stands_for=None, sizes=None):
    count = len(sets)
    values = np.array([v for one in sets for v in sorted(one)], np.uint64)
    return Members(
        np.zeros(count, np.uint64),
        np.array(range(100, 100 + count) if addresses is None else addresses, np.uint64),
        np.array([1] * count if stands_for is None else stands_for, np.uint64),
        np.array(ranks, np.uint64).reshape(count, -1 if count else 1),
        np.array([[1]] * count if bands is None else bands, np.uint64).reshape(
            count, -1 if count else 2
        ),
        Sets(values, np.cumsum([0, *map(len, sets)]).astype(np.int64)),
        np.array([1] * count if sizes is None else sizes, np.uint64),
    )


def found_of(members, at_least):
    rows = find_near_duplicates(members, at_least)
    return {row[0]: row[1:] for row in rows.tolist()}


def test_the_least_rank_survives_and_the_evidence_is_the_true_similarity():
    sets, bands = [set(range(10)), set(range(9)), {77}], [[1, 2, 3], [1, 2, 4], [1, 2, 3]]
    assert found_of(members_of(sets, [5, 3, 1], bands), 0.8) == {
        100: (101, float(np.float32(0.9)), 2, 2, 2),
        101: (101, 1.0, 3, 2, 2),
    }


def test_a_survivor_stands_for_all_that_earlier_stages_removed_for_its_cluster():
    members = members_of([{1}, {1}, {2}, {1}], [1, 2, 3, 4], stands_for=[1, 5, 9, 2])
    sizes = {address: row[3:] for address, row in found_of(members, 0.8).items()}
    assert sizes == {100: (3, 8), 101: (3, 8), 103: (3, 8)}


def test_published_members_stay_count_their_clusters_and_are_not_told_of():
    members = members_of(
        [{1}, {1}, {1}, {2}], [0, 1, 2, 3], addresses=[900, 901, 5, 6], stands_for=[7, 4, 2, 1],
        sizes=[3, 1, 1, 1],
    )  # fmt: skip
    rows = find_near_duplicates(members, 0.8, np.uint64(900))
    assert rows.tolist() == [(5, 900, 1.0, 1, 4, 9)]


def test_ranks_are_compared_in_order():
    members = members_of([{1}, {1}, {1}], [(2, 0), (1, 9), (1, 8)])
    assert {row[0] for row in found_of(members, 0.8).values()} == {102}


def test_the_threshold_is_inclusive():
    members = members_of([set(range(5)), set(range(4))], [1, 2])
    assert len(found_of(members, 0.8)) == 2
    assert found_of(members, 0.8000001) == {}


def test_the_end_of_a_chain_is_no_duplicate_of_its_beginning():
    sets = [set(range(k, k + 20)) for k in range(0, 8, 2)]  # neighbours 18 / 22, others less
    found = found_of(members_of(sets, [1, 2, 3, 4]), 0.8)
    assert {address: row[0] for address, row in found.items()} == {
        100: 100, 101: 100, 102: 102, 103: 102
    }  # fmt: skip
    assert {row[1] for row in found.values()} == {1.0, float(np.float32(18 / 22))}


def test_pages_of_one_template_stay():
    # Half of each page is the template: each two share every band of it, and no two are alike.
    template = set(range(100))
    sets = [template | {1000 * k + v for v in range(60)} for k in range(1, 301)]
    assert found_of(members_of(sets, list(range(300)), [[1, 2]] * 300), 0.5) == {}


def test_no_members_give_nothing():
    assert len(find_near_duplicates(members_of([], [], []), 0.8)) == 0


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 7), min_size=1), st.tuples(*[st.integers(0, 2)] * 3)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([0.5, 0.8]),
    st.randoms(use_true_random=False),
)
def test_addresses_and_order_change_nothing_and_survivors_stay(items, at_least, random):
    ranks = list(range(len(items)))
    random.shuffle(ranks)
    stories = []
    for turn in range(2):
        order = list(range(len(items)))
        addresses = list(range(len(items)))
        if turn:
            random.shuffle(order)
            random.shuffle(addresses)
        members = members_of(
            [items[k][0] for k in order],
            [ranks[k] for k in order],
            [items[k][1] for k in order],
            [addresses[k] for k in order],
        )
        back = {addresses[k]: k for k in order}
        found = found_of(members, at_least)
        stories.append({back[a]: (back[row[0]], *row[1:]) for a, row in found.items()})
        for row in found.values():
            assert row[0] in found  # a survivor's own row is there ...
            assert found[row[0]][0] == row[0]  # ... and it survives
            assert row[1] >= np.float32(at_least)
    assert stories[0] == stories[1]


@pytest.mark.parametrize("size", [24, 5000])
def test_copies_have_one_survivor_however_many(size):
    ranks = np.random.default_rng(1).permutation(size)
    found = find_near_duplicates(members_of([{1, 2, 3}] * size, ranks, np.full((size, 5), 8)), 0.8)
    assert len(found) == size
    assert set(found["survivor"].tolist()) == {100 + int(np.argmin(ranks))}
    assert set(found["cluster_size"].tolist()) == {size}
