"""Keys of passages: equal words in equal order, wherever they stand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.passage_keys import hash_passages
from transforms.kernels.words import find_words, hash_words

CUTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=6)


@settings(deadline=None)
@given(CUTS)
def test_each_passage_has_the_key_of_its_own_words(passages):
    encoded = [f"{one}\n".encode() for one in passages]
    bounds = np.concatenate(([0], np.cumsum([len(one) for one in encoded]))).astype(np.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    keys, counts = hash_passages(bounds[:-1], bounds[1:], find_words(data, bounds[[0, -1]]))
    words = [tuple(hash_words(one).tolist()) for one in passages]
    assert counts.tolist() == [len(one) for one in words]
    assert len(set(zip(words, keys.tolist(), strict=True))) == len(set(words))
    assert len(set(keys.tolist())) == len(set(words))


def test_case_and_punctuation_do_not_count():
    text = b"Read more!\nREAD, more\nread mores\n"
    bounds = np.array([0, 11, 22, 33])
    keys, counts = hash_passages(
        bounds[:-1], bounds[1:], find_words(np.frombuffer(text, np.uint8), np.array([0, 33]))
    )
    assert keys[0] == keys[1] != keys[2]
    assert counts.tolist() == [2, 2, 2]
