from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.repetition import (
    AGAIN,
    DUPLICATE_SIZES,
    FIRST,
    ONCE,
    TOP_SIZES,
    cover_ngrams,
    mark_repeated,
    sum_by_document,
)
from transforms.kernels.words import hash_words

# Few different words, so that long n-grams repeat; words of different lengths.
WORDS = ["a", "bb", "ccc", "日"]
DOCUMENTS = st.lists(
    st.one_of(
        st.lists(st.sampled_from(WORDS), max_size=40),
        st.builds(lambda part, times: part * times, st.lists(st.sampled_from(WORDS)), st.just(3)),
        st.lists(st.text("xyz", min_size=1, max_size=2), max_size=60),
    ),
    max_size=4,
)
SLOTS = st.sampled_from([16, 32, 1 << 22])  # a small table forces several passes


def arrays_of(documents):
    words = [word for document in documents for word in document]
    hashes = np.array([hash_words(word)[0] for word in words], np.uint64)
    lengths = np.array([len(word) for word in words], np.int32)
    return hashes, lengths, np.cumsum([0, *map(len, documents)]).astype(np.int64)


def covered(words, n, chosen):
    """Characters of the words that an n-gram of `chosen` covers, each word once."""
    places = {
        place
        for start in range(len(words) - n + 1)
        if tuple(words[start : start + n]) in chosen
        for place in range(start, start + n)
    }
    return sum(len(words[place]) for place in places)


def ngrams_of(words, n):
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def top_of(words, n):
    """The most frequent n-gram that repeats; then the longest, then the first."""
    grams = ngrams_of(words, n)
    counts = Counter(grams)
    repeated = [gram for gram in counts if counts[gram] > 1]
    if not repeated:
        return 0
    best = max(repeated, key=lambda one: (counts[one], len("".join(one)), -grams.index(one)))
    return covered(words, n, {best})


def duplicate_of(words, n):
    counts = Counter(ngrams_of(words, n))
    return covered(words, n, {gram for gram in counts if counts[gram] > 1})


@settings(deadline=None)
@given(DOCUMENTS, SLOTS)
def test_covered_characters_equal_the_twins(documents, max_slots):
    top, duplicate = cover_ngrams(*arrays_of(documents), max_slots=max_slots)
    assert top.tolist() == [[top_of(words, n) for n in TOP_SIZES] for words in documents]
    assert duplicate.tolist() == [
        [duplicate_of(words, n) for n in DUPLICATE_SIZES] for words in documents
    ]


@pytest.mark.parametrize(
    ("text", "top", "duplicate"),
    [
        ("", [0, 0, 0], [0] * 6),
        ("one", [0, 0, 0], [0] * 6),
        ("a b a b", [4, 0, 0], [0] * 6),
        # "a a" covers the three words once, though it occurs at two places that overlap.
        ("a a a", [3, 0, 0], [0] * 6),
        ("a b c d e x a b c d e", [4, 6, 8], [10, 0, 0, 0, 0, 0]),
        # Equally frequent: "long word" is longer than "a b".
        ("a b x a b y long word z long word", [16, 0, 0], [0] * 6),
    ],
)
def test_covered_characters_of_small_texts(text, top, duplicate):
    found = cover_ngrams(*arrays_of([text.split()]))
    assert (found[0].tolist(), found[1].tolist()) == ([top], [duplicate])


def test_a_document_does_not_see_the_one_before():
    words = list("abcdefghij")
    top, duplicate = cover_ngrams(*arrays_of([words, words]))
    assert not top.any()
    assert not duplicate.any()


def test_ngrams_of_a_document_that_exceeds_the_table_are_all_counted():
    words = [f"w{k}" for k in range(3000)] * 2
    arrays = arrays_of([words])
    whole, small = cover_ngrams(*arrays), cover_ngrams(*arrays, max_slots=16)
    assert whole[0].tolist() == small[0].tolist()
    assert whole[1].tolist() == small[1].tolist() == [[len("".join(words))] * 6]


@settings(deadline=None)
@given(DOCUMENTS, SLOTS)
def test_marks_equal_the_twins(documents, max_slots):
    hashes, _, bounds = arrays_of(documents)
    expected = []
    for words in documents:
        counts = Counter(words)
        for place, word in enumerate(words):
            again = AGAIN if word in words[:place] else FIRST
            expected.append(again if counts[word] > 1 else ONCE)
    assert mark_repeated(hashes, bounds, max_slots=max_slots).tolist() == expected


def test_a_key_of_zero_is_a_key_like_others():
    hashes = np.array([0, 5, 0, 0], np.uint64)
    marks = mark_repeated(hashes, np.array([0, 4], np.int64))
    assert marks.tolist() == [FIRST, ONCE, AGAIN, AGAIN]


def test_sums_of_documents_without_values_are_zero():
    bounds = np.array([0, 0, 2, 2, 3, 3], np.int64)
    assert sum_by_document(np.array([1, 2, 4], np.int32), bounds).tolist() == [0, 3, 0, 4, 0]
    assert sum_by_document(np.empty(0, np.bool_), np.array([0], np.int64)).tolist() == []
