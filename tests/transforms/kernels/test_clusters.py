"""Union-find against the components of scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from transforms.kernels.clusters import find_roots, join_pairs


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
