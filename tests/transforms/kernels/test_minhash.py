"""MinHash kernels against a plain-Python twin, against theory and against datasketch."""

import itertools
import math

import numpy as np
import pytest
from datasketch import MinHash as DatasketchMinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.minhash import EMPTY, band_keys, permutations, signatures
from transforms.kernels.words import Words, hash_words, roll_ngrams

SEED = 7


def words_of(documents):
    """Words of documents given as arrays of word hashes; places in the text are of no interest."""
    hashes = np.concatenate([np.asarray(d, np.uint64) for d in documents] or [[]]).astype(np.uint64)
    bounds = np.cumsum([0, *map(len, documents)]).astype(np.int64)
    nowhere = np.zeros(len(hashes), np.int64)
    return Words(hashes, nowhere, nowhere, bounds)


def pairs_of_similarity(shared, alone, count, seed):
    """`count` pairs of sets that share `shared` elements and have `alone` each of their own."""
    values = np.random.default_rng(seed).integers(
        0, 1 << 63, (count, shared + 2 * alone), dtype=np.uint64
    )
    left = values[:, : shared + alone]
    right = np.concatenate([values[:, :shared], values[:, shared + alone :]], axis=1)
    return words_of(list(left)), words_of(list(right))


def test_permutations_come_from_splitmix64():
    # The published first outputs of SplitMix64 with seed 1234567.
    outputs = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    a, b = permutations(1234567, 3)
    assert a.tolist() == [(value >> 32) | 1 for value in outputs]
    assert b.tolist() == [value & 0xFFFFFFFF for value in outputs]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=5), st.integers(1, 6), st.integers(1, 9))
def test_signature_is_the_least_permuted_shingle(texts, ngram, count):
    words = words_of([hash_words(text) for text in texts])
    a, b = permutations(SEED, count)

    def value(x, k):
        return (int(a[k]) * x + int(b[k])) & 0xFFFFFFFF

    expected = []
    for first, end in itertools.pairwise(words.bounds):
        hashes = words.hashes[first:end]
        size = min(ngram, len(hashes)) or 1
        rolled = np.empty(max(len(hashes) - size + 1, 0), np.uint64)
        roll_ngrams(hashes, size, rolled)
        lower_halves = [int(v) & 0xFFFFFFFF for v in rolled]
        expected.append(
            [min([value(x, k) for x in lower_halves] or [int(EMPTY)]) for k in range(count)]
        )
    assert signatures(words, ngram, SEED, count).tolist() == expected


@pytest.mark.parametrize("length", [255, 256, 257, 1030])
def test_documents_longer_than_a_block_are_seen_whole(length):
    document = np.random.default_rng(1).integers(0, 1 << 63, length, dtype=np.uint64)
    whole = signatures(words_of([document]), 1, SEED, 32)
    each = signatures(words_of([[value] for value in document]), 1, SEED, 32)
    assert whole[0].tolist() == each.min(axis=0).tolist()


@pytest.mark.parametrize(("shared", "alone"), [(20, 40), (50, 25), (80, 10)])
def test_estimate_is_unbiased_and_as_sharp_as_independent_permutations(shared, alone):
    count, pairs = 286, 600
    similarity = shared / (shared + 2 * alone)
    left, right = pairs_of_similarity(shared, alone, pairs, seed=shared)
    equal = signatures(left, 1, SEED, count) == signatures(right, 1, SEED, count)
    estimates = equal.mean(axis=1)
    variance = similarity * (1 - similarity) / count
    assert abs(estimates.mean() - similarity) < 4 * math.sqrt(variance / pairs)
    # The sample variance of 600 estimates has a relative standard deviation of 0.058.
    assert 0.75 < estimates.var() / variance < 1.25


def test_estimate_agrees_with_datasketch_on_the_same_sets():
    count, pairs, shared, alone = 128, 60, 60, 20
    left, right = pairs_of_similarity(shared, alone, pairs, seed=5)
    ours = (signatures(left, 1, SEED, count) == signatures(right, 1, SEED, count)).mean()
    theirs = []
    for d in range(pairs):
        both = []
        for words in (left, right):
            one = DatasketchMinHash(num_perm=count, seed=3)
            one.update_batch(
                [int(v).to_bytes(8, "little") for v in words.hashes[d * 80 : (d + 1) * 80]]
            )
            both.append(one)
        theirs.append(both[0].jaccard(both[1]))
    deviation = math.sqrt(0.6 * 0.4 / (count * pairs))
    assert abs(ours - np.mean(theirs)) < 4 * math.sqrt(2) * deviation


@pytest.mark.parametrize(
    ("shared", "alone"), [(60, 20), (70, 15), (75, 12), (80, 10), (85, 7), (90, 5)]
)
def test_chance_to_share_a_band_follows_the_formula(shared, alone):
    bands, rows, pairs = 26, 11, 3000
    similarity = shared / (shared + 2 * alone)
    left, right = pairs_of_similarity(shared, alone, pairs, seed=alone)
    keys = [
        band_keys(signatures(words, 1, SEED, bands * rows), bands, rows) for words in (left, right)
    ]
    seen = (keys[0] == keys[1]).any(axis=1).mean()
    chance = 1 - (1 - similarity**rows) ** bands
    assert abs(seen - chance) < 4 * math.sqrt(chance * (1 - chance) / pairs)


def test_short_documents_meet_only_when_all_their_words_are_equal():
    texts = ["Read more", "read, MORE!", "read more now", "more read", "", "?!", "read"]
    values = signatures(words_of([hash_words(text) for text in texts]), 5, SEED, 22)
    keys = band_keys(values, 2, 11)
    assert (keys[0] == keys[1]).all()
    for other in (2, 3, 6):
        assert not (keys[0] == keys[other]).any()
    assert (values[4:6] == EMPTY).all()


def test_a_value_changes_the_key_of_its_own_band_alone():
    values = np.zeros((2, 12), np.uint32)
    values[1, 5] = 1
    keys = band_keys(values, 3, 4)
    assert (keys[0] == keys[1]).tolist() == [True, False, True]
    assert len(set(keys[0].tolist())) == 3  # equal values in other bands are other keys


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="2 x 3 values \\(got 5\\)"):
        band_keys(np.zeros((1, 5), np.uint32), 2, 3)
    with pytest.raises(ValueError, match="ngram"):
        signatures(words_of([[1]]), 0, SEED, 4)
