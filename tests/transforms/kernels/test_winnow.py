"""Anchors: equal windows choose the same place in themselves; there are few of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.winnow import find_anchors
from transforms.kernels.words import mix

BASE, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def find(texts, size, gram, wanted=None):
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.concatenate(([0], np.cumsum([len(one) for one in texts]))).astype(np.int64)
    chosen = np.ones(len(texts), np.bool_) if wanted is None else np.array(wanted)
    return find_anchors(data, offsets, chosen, size, gram), offsets


def key_of(gram):
    h = 0
    for byte in gram:
        h = (h * BASE + byte) & MASK
    return int(mix(np.uint64(h)))


def chosen(window, gram):
    """Of the k-grams of a window the one with the least key, those of one byte only last; of equal
    ones the last."""
    ranked = []
    for at in range(len(window) - gram + 1):
        one = window[at : at + gram]
        ranked.append((MASK if len(set(one)) == 1 else key_of(one), -at))
    return -min(ranked)[1]


TEXTS = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.sampled_from([b"a", b"b", b"ab", b"aaaa"]), max_size=14).map(b"".join),
        st.tuples(st.binary(min_size=1, max_size=4), st.integers(1, 12)).map(
            lambda pair: pair[0] * pair[1]
        ),
    ),
    max_size=5,
)


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.integers(2, 12), st.data())
def test_each_window_has_its_anchor_or_repeats_one_before(texts, size, data):
    gram = data.draw(st.integers(1, size))
    found, offsets = find(texts, size, gram)
    anchors = dict(zip(found.places.tolist(), found.keys.tolist(), strict=True))
    repeated = [
        set(range(start, end))
        for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    ]
    own = set().union(*repeated) if repeated else set()
    wanted = set()
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        text = b"".join(texts)[begin:end]
        for q in range(len(text) - size + 1):
            window = text[q : q + size]
            at = begin + q + chosen(window, gram)
            if at in anchors:
                wanted.add(at)
                assert anchors[at] == key_of(text[at - begin : at - begin + gram])
            else:  # it equals a window before that overlaps it, and adds its last bytes
                earlier = [p for p in range(max(0, q - size), q) if text[p : p + size] == window]
                assert any(set(range(begin + p + size, begin + q + size)) <= own for p in earlier)
    assert wanted == set(anchors)
    assert len(anchors) == len(found.places)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(2, 12))
def test_what_repeats_its_own_document_stood_in_it_before(texts, size):
    found, offsets = find(texts, size, max(1, size // 4))
    whole = b"".join(texts)
    for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True):
        begin = int(offsets[np.searchsorted(offsets, start, side="right") - 1])
        assert end <= min(one for one in offsets.tolist() if one > start)
        covered = {
            byte
            for q in range(max(begin, start - size), end - size + 1)
            for p in range(max(begin, q - size + 1), q)
            if whole[p : p + size] == whole[q : q + size]
            for byte in range(p + size, q + size)
        }
        assert set(range(start, end)) <= covered


def test_prose_has_two_anchors_in_a_window_and_one_byte_repeated_has_one():
    size, gram = 500, 125
    text = np.random.default_rng(1).integers(97, 123, 1_000_000).astype(np.uint8).tobytes()
    found, _ = find([text, b"-" * 1_000_000, b"-" * 499], size, gram)
    inside = found.places < 1_000_000
    assert inside.sum() / 1_000_000 == pytest.approx(2 / (size - gram + 2), rel=0.03)
    assert (~inside).sum() == 1
    assert (found.starts.tolist(), found.ends.tolist()) == ([1_000_500], [2_000_000])


def test_documents_that_are_not_wanted_have_none():
    found, _ = find([b"abcdefghij", b"klmnopqrst"], 4, 2, [False, True])
    assert len(found.places)
    assert found.places.min() >= 10
    assert find([], 4, 2)[0].keys.tolist() == []


def test_a_gram_longer_than_its_window_is_refused():
    for gram in (0, 5):
        with pytest.raises(ValueError, match="gram must be 1 to 4 bytes"):
            find([b"abc"], 4, gram)
