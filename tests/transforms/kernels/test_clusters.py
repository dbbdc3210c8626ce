"""Clusters against brute force over all pairs, components against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from transforms.kernels.clusters import (
    NEIGHBOURS,
    SMALL_GROUP,
    cluster_similar,
    find_roots,
    join_pairs,
)
from transforms.kernels.shingles import Sets


def sets_of(members):
    values = np.array([v for one in members for v in sorted(one)], np.uint64)
    return Sets(values, np.cumsum([0, *map(len, members)]).astype(np.int64))


def bands_of(*rows):
    return np.array(rows, np.uint64).reshape(len(rows), -1)


def similarity(a, b):
    return len(a & b) / len(a | b) if a | b else 0.0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 9), min_size=1),
            st.lists(st.integers(0, 3), min_size=3, max_size=3),
        ),
        min_size=1,
        max_size=25,
    ),
    st.sampled_from([0.3, 0.5, 0.8, 1.0]),
)
def test_small_groups_give_every_similar_pair_that_shares_a_band_once(items, at_least):
    members = [item[0] for item in items]
    bands = bands_of(*[item[1] for item in items])
    expected = {
        (i, j): similarity(members[i], members[j])
        for i in range(len(items))
        for j in range(i + 1, len(items))
        if (bands[i] == bands[j]).any() and similarity(members[i], members[j]) >= at_least
    }
    found = cluster_similar(bands, sets_of(members), at_least)
    edges = list(zip(found.a.tolist(), found.b.tolist(), strict=True))
    assert len(edges) == len(set(edges))
    assert dict(zip(edges, found.similarity.tolist(), strict=True)) == expected
    for i in range(len(items)):
        reached = {i}
        while more := {x for edge in expected for x in edge if reached & set(edge)} - reached:
            reached |= more
        assert found.root[i] == min(reached)


def test_similar_items_without_a_shared_band_stay_apart():
    found = cluster_similar(bands_of([1, 2], [3, 4]), sets_of([{1}, {1}]), 0.5)
    assert found.root.tolist() == [0, 1]


@pytest.mark.parametrize("size", [SMALL_GROUP, SMALL_GROUP + 1, 5000])
def test_equal_items_of_a_group_of_any_size_have_one_survivor(size):
    bands = np.full((size, 4), 9, np.uint64)
    found = cluster_similar(bands, sets_of([{1, 2, 3}] * size), 0.8)
    assert (found.root == 0).all()
    if size > SMALL_GROUP:
        assert len(found.a) == size - 1  # work does not grow with the square


def test_items_of_a_large_group_meet_their_like_by_the_other_bands():
    # 2,000 items share band 0; each has one like, anywhere in the group, with which it shares the
    # next band too.
    size = 2000
    like = np.arange(size) % (size // 2)
    bands = np.stack([np.zeros(size), like + 1, np.arange(size) + 10_000], axis=1).astype(np.uint64)
    members = [{int(k) * 10 + v for v in range(5)} for k in like]
    found = cluster_similar(bands, sets_of(members), 0.8)
    assert found.root.tolist() == like.tolist()


def test_items_of_a_large_group_are_compared_with_the_best():
    # Only item 0 is like the others' last one; the order of further bands keeps them far apart.
    size = SMALL_GROUP + NEIGHBOURS + 10
    bands = np.stack([np.zeros(size), np.arange(size)], axis=1).astype(np.uint64)
    members = [{k * 10} for k in range(size)]
    members[-1] = members[0]
    assert cluster_similar(bands, sets_of(members), 0.8).root[-1] == 0


def test_no_items_give_no_clusters():
    found = cluster_similar(np.empty((0, 3), np.uint64), sets_of([]), 0.8)
    assert len(found.root) == len(found.a) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=60))
def test_joined_pairs_are_the_components_of_scipy(pairs):
    a = np.array([p[0] for p in pairs], np.int64)
    b = np.array([p[1] for p in pairs], np.int64)
    parent = np.arange(40)
    join_pairs(parent, a, b)
    find_roots(parent)
    _, labels = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(40, 40)), False)
    least = {label: int(np.flatnonzero(labels == label)[0]) for label in labels}
    assert parent.tolist() == [least[label] for label in labels]


@pytest.mark.parametrize("step", [1, -1])
def test_a_chain_of_a_hundred_thousand_is_one_component(step):
    nodes = np.arange(100_000)[::step]
    parent = np.arange(len(nodes))
    join_pairs(parent, nodes[:-1].copy(), nodes[1:].copy())
    find_roots(parent)
    assert (parent == 0).all()
