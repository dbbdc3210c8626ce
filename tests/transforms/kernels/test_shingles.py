"""Shingle sets and their similarity against plain-Python sets."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.documents import DocumentBatch
from transforms.kernels.shingles import SHINGLE_BITS, Sets, find_shingles, jaccard
from transforms.kernels.words import hash_words

TEXTS = st.lists(
    st.one_of(st.text(max_size=40), st.text(alphabet="ab \n漢é", max_size=60)), max_size=6
)


def batch_of(texts):
    return DocumentBatch(pa.record_batch({"text": pa.array(texts, pa.large_string())}))


def sets_of(*members):
    values = np.array([v for one in members for v in sorted(one)], np.uint64)
    return Sets(values, np.cumsum([0, *map(len, members)]).astype(np.int64))


def as_sets(sets):
    pairs = zip(sets.bounds, sets.bounds[1:], strict=False)
    return [sets.values[first:end].tolist() for first, end in pairs]


def word_ngrams(text, n):
    words = hash_words(text).tolist()
    if not words:
        return set()
    n = min(n, len(words))
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 6))
def test_shingles_are_sorted_distinct_and_as_many_as_word_ngrams(texts, n):
    for text, found in zip(texts, as_sets(find_shingles(batch_of(texts).words, n)), strict=True):
        assert found == sorted(set(found))
        assert max(found, default=0) < 1 << SHINGLE_BITS
        assert len(found) == len(word_ngrams(text, n))


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 6))
def test_similarity_of_texts_is_that_of_their_word_ngrams(texts, n):
    sets = find_shingles(batch_of(texts).words, n)
    a, b = (x.reshape(-1) for x in np.indices((len(texts), len(texts))))
    for i, j, seen in zip(a, b, jaccard(sets, a, b), strict=True):
        left, right = word_ngrams(texts[i], n), word_ngrams(texts[j], n)
        union = len(left | right)
        assert seen == (len(left & right) / union if union else 0.0)


@settings(max_examples=300, deadline=None)
@given(
    st.sets(st.integers(0, 30)),
    st.sets(st.integers(0, 30)),
    st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.5, 0.8, 2 / 3, 1.0])),
)
def test_stopping_early_gives_zero_exactly_below_the_bound(left, right, at_least):
    whole = len(left & right) / len(left | right) if left | right else 0.0
    zero, one = np.array([0]), np.array([1])
    seen = jaccard(sets_of(left, right), zero, one, at_least)[0]
    assert seen == (whole if whole >= at_least else 0.0)


@pytest.mark.parametrize(
    ("shared", "left", "right", "at_least", "expected"),
    [
        (4, 1, 0, 0.8, 0.8),  # 4 / 5: the bound is inclusive
        (8, 1, 1, 0.8, 0.8),  # 8 / 10
        (79, 10, 10, 0.8, 0.0),  # 79 / 99
        (3, 0, 0, 1.0, 1.0),
        (3, 1, 0, 1.0, 0.0),
        (0, 0, 0, 0.0, 0.0),  # two empty sets
        (0, 0, 3, 0.0, 0.0),
    ],
)
def test_bounds(shared, left, right, at_least, expected):
    sets = sets_of(
        set(range(shared)) | set(range(1000, 1000 + left)),
        set(range(shared)) | set(range(2000, 2000 + right)),
    )
    assert jaccard(sets, np.array([0]), np.array([1]), at_least)[0] == expected


def test_one_very_repetitive_document_has_few_shingles():
    sets = find_shingles(batch_of(["spam " * 100_000, "x"]).words, 5)
    assert np.diff(sets.bounds).tolist() == [1, 1]


def test_ngram_below_one_is_refused():
    with pytest.raises(ValueError, match="ngram must be 1 word or more"):
        find_shingles(batch_of(["a"]).words, 0)
