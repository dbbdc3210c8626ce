"""Grouping of grams against a plain sort."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.gram_owners import LONG_BUCKET, group_grams

# Few hashes, so that they meet: some share their first bits, some all but the last one.
HASHES = st.sampled_from([0, 1, 2, 1 << 63, (1 << 63) + 1, (1 << 64) - 1])
gram = st.tuples(HASHES | st.integers(0, (1 << 64) - 1), st.integers(2, 8))
text = st.tuples(st.integers(0, 4), st.integers(1, 7), st.lists(gram, max_size=6))


@settings(deadline=None)
@given(st.lists(text, max_size=12))
def test_each_gram_has_its_owners_in_order_with_the_fields_of_the_first_text(
    texts: list[tuple[int, int, list[tuple[int, int]]]],
) -> None:
    texts = sorted(texts, key=lambda one: one[0])
    wanted: dict[tuple[int, int], dict[int, int]] = {}
    for owner, mask, grams in texts:
        for one in grams:
            wanted.setdefault(one, {}).setdefault(owner, mask)
    flat = [(*one, number) for number, (_, _, grams) in enumerate(texts) for one in grams]
    owned = group_grams(
        np.array([one[0] for one in flat], np.uint64),
        np.array([one[1] for one in flat], np.uint8),
        np.array([one[2] for one in flat], np.int32),
        np.array([owner for owner, _, _ in texts], np.int32),
        np.array([mask for _, mask, _ in texts], np.uint32),
    )
    pairs = list(zip(owned.owner.tolist(), owned.fields.tolist(), strict=True))
    found = [
        (key, pairs[first:last])
        for key, first, last in zip(
            zip(owned.keys.tolist(), owned.lengths.tolist(), strict=True),
            owned.bounds[:-1],
            owned.bounds[1:],
            strict=True,
        )
    ]
    assert found == [(key, list(its.items())) for key, its in sorted(wanted.items())]


def test_frequent_grams_that_share_a_bucket_are_told_apart() -> None:
    most = 5 * LONG_BUCKET
    hashes = np.tile(np.array([7, 5, 6, 5], np.uint64), most)
    lengths = np.tile(np.array([8, 8, 8, 3], np.uint8), most)
    texts = np.arange(4 * most, dtype=np.int32)
    owned = group_grams(hashes, lengths, texts, texts, np.ones(len(texts), np.uint32))
    assert owned.keys.tolist() == [5, 5, 6, 7]
    assert owned.lengths.tolist() == [3, 8, 8, 8]
    assert owned.bounds.tolist() == [most * number for number in range(5)]
    assert owned.owner.tolist() == [
        number for first in (3, 1, 2, 0) for number in range(first, 4 * most, 4)
    ]


def test_many_grams_fill_many_buckets() -> None:
    hashes = np.arange(100_000, dtype=np.uint64)[::-1] * np.uint64(0x9E3779B97F4A7C15)
    texts = np.zeros(len(hashes), np.int32)
    lengths = np.full(len(hashes), 8, np.uint8)
    owned = group_grams(hashes, lengths, texts, np.array([3], np.int32), np.array([1], np.uint32))
    assert owned.keys.tolist() == sorted(hashes.tolist())
    assert owned.bounds.tolist() == list(range(len(hashes) + 1))
