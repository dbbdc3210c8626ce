"""Repeats: exactly the windows that stood before, whatever the text; nothing else, nothing less."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydivsufsort import divsufsort, kasai

from benchmarks.package_texts import read_texts
from transforms.dedup import substring
from transforms.dedup.passages import FOUND_PASSAGE, passage_columns, place_of
from transforms.dedup.substring import (
    ANCHOR,
    EDGE_BYTES,
    PAIRS_AT_ONCE,
    find_repeats,
    gram_of,
    place_dtype,
    shared_anchors,
    window_dtype,
)
from transforms.kernels.common_passages import Places, compare_places
from transforms.kernels.winnow import find_anchors
from transforms.sorted_pieces import sorted_pieces

SHARD = 3


def find(texts, size, order=None, gram=None, most_bytes=1 << 20):
    """Spans to be cut of each text, and the number of the text in which most of each stands first.
    `order`: numbers of the texts in the order in which they survive."""
    gram = gram_of(size) if gram is None else gram
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    offsets = np.concatenate(([0], np.cumsum([len(one) for one in encoded]))).astype(np.int64)
    found = find_anchors(data, offsets, np.ones(len(texts), np.bool_), size, gram)
    rows = np.empty(len(found.keys), ANCHOR)
    rows["key"], rows["place"] = found.keys, place_of(SHARD, found.places)
    ranks = np.empty(len(texts), np.int64)
    ranks[list(range(len(texts)) if order is None else order)] = np.arange(len(texts))

    def placed(anchors):
        at = (anchors["place"] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        document = np.searchsorted(offsets[:-1], at, side="right") - 1
        places = np.empty(len(anchors), place_dtype(1))
        places["key"], places["place"] = anchors["key"], anchors["place"]
        places["rank_0"], places["address"], places["at"] = ranks[document], document, at
        places["left"] = np.minimum(at - offsets[document], size - gram + EDGE_BYTES)
        places["right"] = np.minimum(offsets[document + 1] - at, size + EDGE_BYTES)
        return places

    def compare(one, other, apart):
        assert 0 < len(one) <= PAIRS_AT_ONCE
        order = [list(zip(its["rank_0"], its["place"], strict=True)) for its in (one, other)]
        assert all(a < b for a, b in zip(*order, strict=True))
        pairs = [
            Places(*(its[name].astype(np.int64) for name in ("at", "left", "right")))
            for its in (one, other)
        ]
        leads = (other[name].astype(np.int64) for name in ("least", "most"))
        return compare_places(data, *pairs, *leads, apart, size)

    shared = shared_anchors(sorted_pieces([rows], ANCHOR, most_bytes))
    repeats = find_repeats(map(placed, shared), 1, size, gram, compare, most_bytes)
    own = np.empty(len(found.starts), FOUND_PASSAGE)
    own["start"], own["length"] = place_of(SHARD, found.starts), found.ends - found.starts
    own["first_in"] = np.searchsorted(offsets[:-1], found.starts, side="right") - 1
    own["head"], own["tail"] = found.head, found.tail
    everything = [own, *repeats]
    columns, spans = passage_columns(np.concatenate(everything), offsets, None)
    cut = [[(s["start"], s["end"]) for s in row] for row in columns["spans"].to_pylist()]
    assert spans == sum(map(len, cut))
    assert columns["cut_bytes"].to_pylist() == [sum(e - s for s, e in row) for row in cut]
    return cut, columns["first_in"].to_pylist()


def marked(texts, size, order=None):
    """By the definition: for each byte, where (text, byte) an equal one stands first, or None."""
    seen, marks = {}, [[None] * len(text.encode()) for text in texts]
    for number in range(len(texts)) if order is None else order:
        text = texts[number].encode()
        for q in range(len(text) - size + 1):
            first = seen.setdefault(text[q : q + size], (number, q))
            if first != (number, q):
                start = max(q, first[1] + size) if first[0] == number else q
                for at in range(start, q + size):
                    marks[number][at] = (first[0], first[1] + at - q)
    return marks


def spans_of(text, marks):
    """Runs of marked bytes, moved inwards to lie between characters."""
    encoded = text.encode()
    starts_character = [byte & 0xC0 != 0x80 for byte in encoded] + [True]
    spans, at = [], 0
    while at < len(encoded):
        end = at
        while end < len(encoded) and marks[end] is not None:
            end += 1
        start, stop = at, end
        while start < stop and not starts_character[start]:
            start += 1
        while stop > start and not starts_character[stop]:
            stop -= 1
        if stop > start:
            spans.append((start, stop))
        at = end + 1
    return spans


def expected(texts, size, order=None):
    marks = marked(texts, size, order)
    return [spans_of(text, its) for text, its in zip(texts, marks, strict=True)]


SIZES = st.integers(8, 14)
CHARACTERS = st.one_of(
    st.sampled_from("ab"),
    st.sampled_from("abéあ😀"),
    st.characters(codec="utf-8"),
)
PIECES = st.lists(st.text(CHARACTERS, max_size=14), min_size=1, max_size=5)


@st.composite
def corpora(draw):
    """Texts of a few pieces, so that much of them repeats in whole and in part."""
    pieces = draw(PIECES)
    pieces += [piece * 4 for piece in pieces[:2]]
    return draw(
        st.lists(st.lists(st.sampled_from(pieces), max_size=5).map("".join), min_size=1, max_size=8)
    )


@settings(max_examples=300, deadline=None)
@given(corpora(), SIZES, st.randoms(use_true_random=False), st.sampled_from([1, 100, 500, 1 << 20]))
def test_what_is_cut_is_what_stood_before(texts, size, chance, most_bytes):
    order = list(range(len(texts)))
    chance.shuffle(order)
    assert find(texts, size, order, None, most_bytes)[0] == expected(texts, size, order)


def characters_of(text):
    """Offsets at which characters begin, and the end."""
    return np.cumsum([0] + [len(c.encode()) for c in text]).tolist()


@settings(max_examples=300, deadline=None)
@given(corpora(), SIZES)
def test_after_the_cut_no_passage_stands_twice(texts, size):
    cut, _ = find(texts, size)
    seen = set()
    for text, spans in zip(texts, cut, strict=True):
        encoded = text.encode()
        bounds = [0, *(at for span in spans for at in span), len(encoded)]
        for start, end in zip(bounds[::2], bounds[1::2], strict=True):
            edges = [at for at in characters_of(text) if start <= at <= end]
            for at in edges:
                # The shortest passage of whole characters from here on.
                stop = next((edge for edge in edges if edge >= at + size), None)
                if stop is not None:
                    assert encoded[at:stop] not in seen
                    seen.add(encoded[at:stop])


@settings(max_examples=300, deadline=None)
@given(corpora(), SIZES)
def test_each_byte_that_is_cut_has_an_equal_one_that_stays(texts, size):
    cut, first_in = find(texts, size)
    marks = marked(texts, size)
    gone = [{at for start, end in spans for at in range(start, end)} for spans in cut]
    for number, text in enumerate(texts):
        for at in gone[number]:
            place = (number, at)
            while place[1] in gone[place[0]]:  # ends: each step goes back in the order of reading
                earlier = marks[place[0]][place[1]]
                assert earlier < place
                place = earlier
            assert texts[place[0]].encode()[place[1]] == text.encode()[at]
        assert len(first_in[number]) == len(cut[number])
        assert all(keeper <= number for keeper in first_in[number])


def test_a_window_that_stood_before_stays_whole_where_it_stood_first():
    passage = "The quick brown fox jumps over the lazy dog. "
    size = len(passage)
    texts = [f"a {passage}", f"b {passage}c", passage * 3]
    cut, first_in = find(texts, 20)
    assert cut == [[], [(1, 2 + size)], [(0, 3 * size)]]
    assert first_in == [[], [0], [0]]
    # Read from the last on, its first passage is the one that stays.
    assert find(texts, 20, order=[2, 1, 0])[0][2] == [(size, 3 * size)]


def test_places_that_agree_with_each_other_more_than_with_the_first_are_found():
    """All hold one anchor; each two of them share more, on one side or on both."""
    middle = "0123456789ABCDEF"
    texts = [middle]
    for k in range(6):
        texts.append(f"{'uvwxyz'[k] * 3}left{k % 3}{middle}")
        texts.append(f"{'UVWXYZ'[k] * 3}left{k % 3}{middle}right{k % 2}")
    for size in (17, 19, 20, 24):
        wanted = expected(texts, size)
        assert find(texts, size, gram=4)[0] == wanted
        assert sum(map(len, wanted)) > 2


def test_a_key_of_many_places_is_compared_in_pieces():
    chance = np.random.default_rng(1)
    passage = "".join(map(chr, chance.integers(97, 123, 60)))
    texts = [f"{'ABCDEFGH'[k % 8]}{k} {passage}{k % 7}-{k}" for k in range(PAIRS_AT_ONCE + 10)]
    cut, _ = find(texts, 50)
    assert cut[0] == []
    assert all(cut[1:])
    assert cut[:200] == expected(texts[:200], 50)


def test_a_key_of_many_places_takes_no_more_memory_than_the_bound(monkeypatch):
    """All texts hold one passage, and part from each other in many ways on both sides of it."""
    held, with_heads = [], substring.with_heads

    def recorded(pieces, names):
        for rows in with_heads(pieces, names):
            held.append(len(rows))
            yield rows

    monkeypatch.setattr(substring, "with_heads", recorded)
    monkeypatch.setattr("transforms.sorted_pieces.LEAST_ROWS", 16)
    chance = np.random.default_rng(1)
    passage = "".join(map(chr, chance.integers(97, 123, 60)))
    texts = [f"{k % 3}left{k % 7}{passage}{k % 5}right{k % 11} {k}" for k in range(3000)]
    bound = 300 * window_dtype(1).itemsize
    cut, first_in = find(texts, 50, most_bytes=bound)
    assert max(held) <= 302  # and the head
    assert (cut, first_in) == find(texts, 50)
    assert max(held) > 3000
    assert cut[:300] == expected(texts[:300], 50)


@given(st.lists(st.integers(0, 9)), st.integers(1, 7))
def test_shared_anchors_are_found_over_the_edges_of_pieces(keys, piece_rows):
    rows = np.array([(key, place) for place, key in enumerate(sorted(keys))], ANCHOR)
    pieces = [rows[k : k + piece_rows] for k in range(0, len(rows), piece_rows)]
    shared = [row for piece in shared_anchors(pieces) for row in piece.tolist()]
    assert shared == [row for row in rows.tolist() if keys.count(row[0]) > 1]


def by_suffix_array(texts, size, order=None):
    """As `expected`, by a suffix array of all texts in the order in which they are read: windows
    are equal where neighbouring suffixes share as many bytes, and the one that begins first
    stays."""
    order = range(len(texts)) if order is None else order
    # 0xFF stands in no UTF-8, so it parts the texts.
    joined = b"".join(texts[number].encode() + b"\xff" for number in order)
    parted = np.concatenate([[0], np.cumsum(np.frombuffer(joined, np.uint8) == 0xFF)])
    suffixes = divsufsort(joined).astype(np.int64)
    shared = kasai(joined, suffixes.astype(np.int32))[: len(suffixes) - 1]  # with the next one
    begins = np.concatenate([[True], shared < size])
    first = np.minimum.reduceat(suffixes, np.flatnonzero(begins))[np.cumsum(begins) - 1]
    ends = np.minimum(suffixes + size, len(joined))
    again = (suffixes + size <= len(joined)) & (parted[ends] == parted[suffixes])
    again &= suffixes != first
    starts, first, ends = suffixes[again], first[again], ends[again]
    same_text = parted[starts] == parted[first]
    starts = np.where(same_text, np.maximum(starts, first + size), starts)
    edges = np.zeros(len(joined) + 1, np.int64)
    np.add.at(edges, starts, 1)
    np.add.at(edges, ends, -1)
    marks = [True if open_ else None for open_ in (np.cumsum(edges) > 0).tolist()]
    spans, at = {}, 0
    for number in order:
        length = len(texts[number].encode())
        spans[number] = spans_of(texts[number], marks[at : at + length])
        at += length + 1
    return [spans[number] for number in range(len(texts))]


@settings(max_examples=300, deadline=None)
@given(corpora(), SIZES, st.randoms(use_true_random=False))
def test_the_bytes_that_are_cut_are_those_of_a_suffix_array(texts, size, chance):
    order = list(range(len(texts)))
    chance.shuffle(order)
    assert find(texts, size, order)[0] == by_suffix_array(texts, size, order)


@pytest.mark.parametrize(("kind", "size"), [("code", 500), ("notes", 500), ("languages", 100)])
def test_on_real_text_the_bytes_that_are_cut_are_those_of_a_suffix_array(kind, size):
    def order(path):
        return hashlib.blake2b(path.encode(), digest_size=8).digest()

    texts, total = [], 0
    for one in read_texts(kind, order):
        texts.append(one.text)
        total += len(one.text.encode())
        if total > 2_000_000:
            break
    cut, _ = find(texts, size)
    assert cut == by_suffix_array(texts, size)
    assert sum(map(len, cut)) > 20
