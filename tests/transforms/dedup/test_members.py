"""Members come out of their packed rows as they went in."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.dedup.members import (
    BLOCK_VALUES,
    Members,
    join_members,
    member_dtype,
    pack_members,
    take_members,
    unpack_members,
)
from transforms.kernels.shingles import Sets


def members_of(sizes, ranks, bands, seed=0):
    rng = np.random.default_rng(seed)
    count = len(sizes)
    numbers = rng.integers(0, 1 << 64, sum(sizes) + count * (ranks + bands + 3), dtype=np.uint64)
    counts, numbers = numbers[:count], numbers[count:]
    values, heads = numbers[: sum(sizes)], numbers[sum(sizes) :]
    return Members(
        heads[:count] % np.uint64(3),
        np.arange(count, dtype=np.uint64),
        heads[count : 2 * count],
        heads[2 * count : count * (2 + ranks)].reshape(count, ranks),
        heads[count * (2 + ranks) :].reshape(count, bands),
        Sets(values, np.cumsum([0, *sizes]).astype(np.int64)),
        counts,
    )


def assert_equal(seen, wanted):
    for name in ("component", "address", "stands_for", "ranks", "bands", "sizes"):
        assert getattr(seen, name).tolist() == getattr(wanted, name).tolist(), name
    assert seen.sets.values.tolist() == wanted.sets.values.tolist()
    assert seen.sets.bounds.tolist() == wanted.sets.bounds.tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 30, 31, 32, 59, 61, 122, 500]), max_size=6),
    st.integers(1, 3),
    st.integers(1, 80),
)
def test_round_trip(sizes, ranks, bands):
    members = members_of(sizes, ranks, bands)
    assert_equal(unpack_members(pack_members(members), bands), members)


def test_blocks_may_arrive_in_any_order_of_members():
    members = members_of([200, 3, 70], 2, 26)
    rows = pack_members(members)
    order = np.lexsort([rows["block"], rows["address"], rows["component"]])
    expected = np.lexsort([members.address, members.component])
    found = unpack_members(rows[order], 26)
    assert found.address.tolist() == expected.tolist()
    sizes = np.diff(members.sets.bounds)[expected]
    assert np.diff(found.sets.bounds).tolist() == sizes.tolist()


def test_a_row_is_512_bytes_and_a_short_document_has_one():
    assert member_dtype(2).itemsize == 512
    assert len(pack_members(members_of([1], 3, 26))) == 1
    assert len(pack_members(members_of([BLOCK_VALUES - 28], 3, 26))) == 1
    assert len(pack_members(members_of([BLOCK_VALUES - 27], 3, 26))) == 2


def test_members_are_taken_and_joined():
    members = members_of([5, 0, 70, 2], 2, 3)
    parts = [take_members(members, np.array(some, np.int64)) for some in ([2, 0], [], [3, 1])]
    together = join_members(parts)
    assert_equal(take_members(together, np.array([1, 3, 0, 2])), members)
    assert np.diff(together.sets.bounds).tolist() == [70, 5, 2, 0]
