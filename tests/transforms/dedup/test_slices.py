"""Slices: documents of small components stay together, and similar ones of large ones mostly do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dedup.slices import MOST_TOGETHER, slice_components
from transforms.kernels.hashing import hash_keys
from transforms.kernels.shingles import Sets


def sets_of(members):
    values = np.array([v for one in members for v in sorted(one)], np.uint64)
    return Sets(values, np.cumsum([0, *map(len, members)]).astype(np.int64))


def slices_of(members, documents, most_together=10):
    component = np.full(len(members), 77, np.uint64)
    sizes = np.full(len(members), documents, np.uint64)
    return slice_components(component, sizes, sets_of(members), most_together).tolist()


@given(st.lists(st.sets(st.integers(0, 2**64 - 1)), max_size=9), st.integers(2, 10))
def test_a_component_that_is_small_enough_is_no_slice(members, documents):
    assert slices_of(members, documents) == [77] * len(members)


@given(st.sets(st.integers(0, 2**64 - 1)), st.integers(11, 2**40))
def test_equal_sets_stay_together_and_components_apart(members, documents):
    one, other = slices_of([members, members], documents)
    assert one == other
    sets = sets_of([members])
    elsewhere = slice_components(np.array([78], np.uint64), np.array([documents]), sets, 10)
    assert elsewhere.tolist() != [one]


@pytest.mark.parametrize("percent", [80, 90, 95])
def test_a_similar_pair_is_together_as_often_as_it_is_similar(percent):
    pairs, shared = 2000, 2 * percent
    values = hash_keys(np.arange(pairs * 1000, dtype=np.uint64)).reshape(pairs, 1000)
    apart = 200 - shared  # 200 shingles of both, of which so many are shared
    one = [set(row[: shared + apart // 2].tolist()) for row in values]
    other = [
        set(np.delete(row[:200], slice(shared, shared + apart // 2)).tolist()) for row in values
    ]
    assert len(one[0] & other[0]) / len(one[0] | other[0]) == percent / 100
    left, right = slices_of(one, 10_000), slices_of(other, 10_000)
    together = np.mean([a == b for a, b in zip(left, right, strict=True)])
    assert percent / 100 - 0.03 < together < percent / 100 + 0.03


def test_slices_hold_as_many_documents_as_may_be_compared_together():
    members = [{int(v)} for v in hash_keys(np.arange(40_000, dtype=np.uint64))]
    _, sizes = np.unique(slices_of(members, 40_000, 10_000), return_counts=True)
    assert len(sizes) == 4
    assert sizes.max() < 10_500
    assert MOST_TOGETHER > 1_000_000
