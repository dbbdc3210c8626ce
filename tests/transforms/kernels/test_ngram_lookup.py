"""N-gram lookup against a plain-Python twin, and at its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.ngram_lookup import (
    MAX_ATTRIBUTED_HITS,
    Found,
    Lookup,
    Owners,
    build_lookup,
    collect_grams,
    count_hits,
    find_owners,
)
from transforms.kernels.words import Words, find_words, hash_words

N = 3  # words of an n-gram in these tests: short texts hit often
WHOLE = 2  # words from which a shorter text counts whole

few_words = st.text(alphabet="aAbß_é\u0301漢か0 \n-😀", max_size=40)
any_text = st.text(max_size=30)
texts = st.lists(st.one_of(few_words, any_text), max_size=6)


def batch(values: list[str]) -> Words:
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    return find_words(np.frombuffer(b"".join(encoded), np.uint8), offsets)


def plain_words(text: str) -> list[int]:
    """Words by their hashes, which have a twin of their own."""
    return [int(word) for word in hash_words(text)]


def plain_grams(text: str) -> list[tuple[int, ...]]:
    words = plain_words(text)
    if len(words) >= N:
        return [tuple(words[k : k + N]) for k in range(len(words) - N + 1)]
    return [tuple(words)] if len(words) >= WHOLE else []


def index_of(items: list[str]) -> tuple[Lookup, Owners]:
    """Each text is an owner of its own, with field mask 1."""
    grams = collect_grams(batch(items), np.full(len(items), WHOLE, np.int64), N)
    pairs = sorted(
        set(zip(grams.hashes.tolist(), grams.lengths.tolist(), grams.texts.tolist(), strict=True))
    )
    keys = sorted({pair[:2] for pair in pairs})
    bounds = [sum(pair[:2] < key for pair in pairs) for key in keys] + [len(pairs)]
    lookup = build_lookup(
        np.array([key for key, _ in keys], np.uint64),
        np.array([length for _, length in keys], np.uint8),
        N,
        grams.prefixes,
        grams.prefix_words,
    )
    owners = Owners(
        np.array(bounds, np.int64),
        np.array([owner for _, _, owner in pairs], np.int32),
        np.ones(len(pairs), np.uint32),
        len(items),
    )
    return lookup, owners


def found_in(documents: list[str], items: list[str], most: int = 4) -> tuple[list[int], Found]:
    lookup, owners = index_of(items)
    words = batch(documents)
    hits, runs = count_hits(words, lookup)
    return hits.tolist(), find_owners(words, lookup, owners, hits, runs, most, most)


def runs_of(found: Found, words: Words) -> list[list[tuple[int, int]]]:
    """Covered runs of each document, in words of the document."""
    return [
        [
            (int(found.run_first[k] - words.bounds[d]), int(found.run_last[k] - words.bounds[d]))
            for k in range(found.run_bounds[d], found.run_bounds[d + 1])
        ]
        for d in range(len(words.bounds) - 1)
    ]


def plain_spans(text: str, grams: set[tuple[int, ...]]) -> list[tuple[int, int]]:
    words = plain_words(text)
    return [
        (k, k + length)
        for k in range(len(words))
        for length in range(WHOLE, N + 1)
        if k + length <= len(words) and tuple(words[k : k + length]) in grams
    ]


def plain_runs(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans united where they touch or overlap."""
    runs: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if runs and first <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(runs[-1][1], last))
        else:
            runs.append((first, last))
    return runs


@settings(max_examples=300, deadline=None)
@given(documents=texts, items=texts)
def test_equals_the_plain_twin(documents: list[str], items: list[str]) -> None:
    hits, found = found_in(documents, items)
    words = batch(documents)
    all_grams = {gram for item in items for gram in plain_grams(item)}
    for d, document in enumerate(documents):
        spans = plain_spans(document, all_grams)
        assert hits[d] == len(spans)
        assert runs_of(found, words)[d] == plain_runs(spans)
        strength = []
        for owner, item in enumerate(items):
            own = plain_spans(document, set(plain_grams(item)))
            if own:
                first, last = max(plain_runs(own), key=lambda run: (run[1] - run[0], -run[0]))
                strength.append((-len(own), first - last, owner, first, last))
        assert found.owners[d] == len(strength)
        matches = range(found.match_bounds[d], found.match_bounds[d + 1])
        assert [
            (
                int(found.owner[k]),
                int(found.first[k] - words.bounds[d]),
                int(found.last[k] - words.bounds[d]),
            )
            for k in matches
        ] == [(owner, first, last) for _, _, owner, first, last in sorted(strength)[:4]]


@settings(max_examples=50, deadline=None)
@given(documents=texts, items=texts)
def test_a_document_is_judged_alone(documents: list[str], items: list[str]) -> None:
    together, _ = found_in(documents, items)
    assert together == [found_in([document], items)[0][0] for document in documents]


def test_no_hash_value_is_special() -> None:
    zero = np.zeros(N, np.uint64)  # words that hash to 0 make an n-gram that hashes to 0
    words = Words(zero, np.arange(N), np.arange(N) + 1, np.array([0, N]))
    grams = collect_grams(words, np.zeros(1, np.int64), N)
    assert grams.hashes.tolist() == [0]
    lookup = build_lookup(grams.hashes, grams.lengths, N, grams.prefixes, grams.prefix_words)
    assert count_hits(words, lookup)[0].tolist() == [1]
    empty = build_lookup(grams.hashes[:0], grams.lengths[:0], N, grams.prefixes, 0)
    assert count_hits(words, empty)[0].tolist() == [0]


def test_a_hit_needs_the_length_that_was_indexed() -> None:
    lookup, _ = index_of(["a b"])
    hash_of_two = lookup.keys
    three = build_lookup(hash_of_two, np.array([3], np.uint8), N, np.empty(0, np.uint64), 0)
    assert count_hits(batch(["a b", "x a b y"]), lookup)[0].tolist() == [1, 1]
    assert count_hits(batch(["a b", "x a b y"]), three)[0].tolist() == [0, 0]


@pytest.mark.parametrize("words", [4093, 4094, 4095, 4096, 4097, 4098, 4099, 4100, 20_000])
def test_hits_beyond_one_buffer_are_counted_once(words: int) -> None:
    hits, found = found_in(["a " * words], ["a a a", "b b"])
    assert hits == [words - N + 1]
    assert (found.run_first.tolist(), found.run_last.tolist()) == ([0], [words])


def test_attribution_stops_and_counting_goes_on() -> None:
    document = "a " * (MAX_ATTRIBUTED_HITS + N) + "x y z"
    hits, found = found_in([document], ["a a a", "x y z"])
    assert hits == [MAX_ATTRIBUTED_HITS + 2]
    assert found.owner.tolist() == [0]
    assert found.run_last.tolist() == [MAX_ATTRIBUTED_HITS + N + 3]


def test_owners_that_nothing_tells_apart_are_all_named_up_to_a_bound() -> None:
    items = ["a b c"] * 5 + ["x y z"]
    lookup, owners = index_of(items)
    words = batch(["a b c - x y z", "a b c - a b c - x y z"])
    hits, runs = count_hits(words, lookup)
    named = {}
    for most, most_equal in ((2, 2), (2, 9), (5, 9)):
        found = find_owners(words, lookup, owners, hits, runs, most, most_equal)
        named[most, most_equal] = np.split(found.owner, found.match_bounds[1:-1])
        assert found.owners.tolist() == [6, 6]
    assert [one.tolist() for one in named[2, 2]] == [[0, 1], [0, 1]]
    assert [one.tolist() for one in named[2, 9]] == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4]]
    assert [one.tolist() for one in named[5, 9]] == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4]]
