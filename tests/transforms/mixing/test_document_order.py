"""The shuffled order: uniform, cut into equal ranges, provable from ids alone."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transforms.mixing.document_order import (
    bucket_count,
    buckets_of,
    document_order,
    out_of_order,
)

orders = st.lists(st.integers(0, 2**64 - 1), max_size=30)


@given(orders, st.integers(1, 2**32 - 1))
def test_buckets_are_equal_ranges_of_the_order(values: list[int], buckets: int) -> None:
    values = [*values, 0, 2**64 - 1]
    found = buckets_of(np.array(values, np.uint64), buckets)
    assert found.tolist() == [value * buckets >> 64 for value in values]


def test_seeds_and_copies_have_orders_of_their_own() -> None:
    ids = pa.array([f"d{n}" for n in range(4000)])
    first, again, copy, other = (
        document_order(ids, seed, number) for seed, number in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert (first == again).all()
    for one in (copy, other):
        assert not (one == first).any()
        assert abs(np.corrcoef(one.astype(float), first.astype(float))[0, 1]) < 0.1
    assert np.bincount(buckets_of(first, 8)).min() > 400


def test_buckets_leave_room_in_their_files() -> None:
    assert [bucket_count(tokens, 1000) for tokens in (0, 1, 900, 901, 9000, 9001)] == [
        1, 1, 1, 2, 10, 11,
    ]  # fmt: skip


@given(st.lists(st.integers(1, 4), min_size=1, max_size=20), st.integers(0, 5), st.data())
def test_documents_in_their_order_are_without_fault_and_no_others(
    copies: list[int], seed: int, data: st.DataObject
) -> None:
    ids = [f"d{n}" for n in range(len(copies))]
    rows = [
        (int(document_order(pa.array([name]), seed, copy)[0]), name)
        for name, count in zip(ids, copies, strict=True)
        for copy in range(count)
    ]
    rows.sort()
    names = [name for _, name in rows]
    most = dict(zip(ids, copies, strict=True))

    def faults(given: list[str]) -> int:
        counts = np.array([most[one] for one in given], np.int64)
        return out_of_order(given, ["s"] * len(given), seed, counts, 0)[0]

    assert faults(names) == 0
    # In two parts, as files are.
    cut = data.draw(st.integers(0, len(names)))
    last = 0
    for part in (names[:cut], names[cut:]):
        wrong, last = out_of_order(
            part, ["s"] * len(part), seed, np.array([most[one] for one in part], np.int64), last
        )
        assert wrong == 0
    # A document at two places more than it has copies is found, and so is a swap of single ones.
    assert faults([*names, *[names[0]] * most[names[0]]]) > 0
    single = [place for place, name in enumerate(names) if most[name] == 1]
    if len(single) > 1:
        swapped = list(names)
        swapped[single[0]], swapped[single[-1]] = names[single[-1]], names[single[0]]
        assert faults(swapped) > 0


def test_one_id_in_two_sources_is_two_documents() -> None:
    once = np.array([1, 1], np.int64)
    assert out_of_order(["7", "7"], ["web", "code"], 0, once, 0)[0] == 0
    assert out_of_order(["7", "7"], ["web", "web"], 0, once, 0)[0] == 1
