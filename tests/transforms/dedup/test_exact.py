"""Exact duplicates: the hash annotator and the grouping of its rows."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dedup.exact import (
    EXACT_SCHEMA,
    FOUND,
    ExactHash,
    exact_dtype,
    group_exact,
    hash_halves,
)
from transforms.documents import DocumentBatch
from transforms.kernels.words import hash_words


def hashes_of(texts, start=0):
    column = pa.array(["sliced off"] * start + texts, pa.large_string()).slice(start)
    return ExactHash().annotate(DocumentBatch(pa.record_batch({"text": column})))


def rows_of(*rows):
    """(key, low, rank, address) each, sorted as an exchange sorts them."""
    return np.array(sorted((*row, 1)[:5] for row in rows), exact_dtype(1))


def test_hash_is_blake2b_of_the_text():
    found = hashes_of(["a", "é\x00"], start=2)
    assert found.schema == ExactHash().schema
    assert found.column("text_hash").to_pylist() == [
        hashlib.blake2b(text.encode(), digest_size=16).digest() for text in ("a", "é\x00")
    ]


@pytest.mark.parametrize("blank", ["", " ", "\n\t\r ", "\u3000\u00a0", "\x1c"])
def test_text_without_a_visible_character_has_no_hash(blank):
    assert hashes_of([blank, "x", blank]).column("text_hash").is_null().to_pylist() == [
        True, False, True
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["!", "...", " \u200b", "\x00"])
def test_text_of_punctuation_alone_has_a_hash(text):
    assert hashes_of([text]).column("text_hash").null_count == 0


@given(st.lists(st.text(), max_size=5))
def test_a_hash_is_missing_exactly_where_python_sees_only_space(texts):
    nulls = hashes_of(texts).column("text_hash").is_null().to_pylist()
    assert nulls == [not text.strip() for text in texts]


def test_halves_are_those_of_the_hash_also_in_a_slice():
    column = hashes_of(["a", " ", "b"]).column("text_hash")
    key, low = hash_halves(column.slice(2))
    assert key.tobytes() + low.tobytes() == column[2].as_py()


def test_by_words_neither_case_nor_punctuation_nor_white_space_count():
    texts = ["Read more: here", "READ  more\nhere!", "read mores here", "...", "", "here read more"]
    batch = DocumentBatch(pa.record_batch({"text": pa.array(texts, pa.large_string())}))
    hashes = ExactHash("words").annotate(batch).column("text_hash").to_pylist()
    assert hashes[0] == hashes[1] is not None
    assert hashes[3:5] == [None, None]
    assert len({hashes[0], hashes[2], hashes[5]}) == 3
    assert hashes[0] == hashlib.blake2b(hash_words(texts[0]).tobytes(), digest_size=16).digest()
    assert ExactHash("words").parameters() == {"by": "words"}
    with pytest.raises(ValueError, match="by must be one of text, words"):
        ExactHash("url")


def test_no_parameters_and_a_stored_schema():
    assert ExactHash().parameters() == {}
    assert EXACT_SCHEMA.names == ["duplicate_of", "similarity", "cluster_size", "stands_for"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([(1, 1, 5, 10)], []),
        ([(1, 1, 5, 10), (1, 2, 5, 11), (2, 1, 5, 12)], []),  # half of a hash is not a hash
        ([(1, 1, 5, 10), (1, 1, 4, 11)], [(11, 11, 2), (10, 11, 2)]),  # the lower rank survives
        # Nothing stands for "no document": addresses 0 and 2**64 - 1 are documents like others.
        (
            [(1, 1, 0, 0), (1, 1, 1, 2**64 - 1), (3, 0, 7, 5), (3, 0, 7, 4)],
            [(0, 0, 2), (2**64 - 1, 0, 2), (4, 4, 2), (5, 4, 2)],
        ),
    ],
)
def test_groups(rows, expected):
    found = grouped(rows_of(*rows))
    assert found[["address", "survivor", "cluster_size"]].tolist() == expected
    assert found["stands_for"].tolist() == found["cluster_size"].tolist()


def grouped(rows, piece_rows=1000):
    pieces = [rows[k : k + piece_rows] for k in range(0, len(rows), piece_rows)]
    return np.concatenate([np.empty(0, FOUND), *group_exact(lambda: pieces)])


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 3)), max_size=40),
    st.integers(1, 9),
)
def test_a_group_may_go_on_over_any_number_of_pieces(hashes, piece_rows):
    rows = rows_of(*[(*one, address) for address, one in enumerate(hashes)])
    assert grouped(rows, piece_rows).tolist() == grouped(rows).tolist()


def test_a_survivor_stands_for_what_earlier_stages_removed_too():
    found = grouped(rows_of((1, 1, 5, 10, 3), (1, 1, 4, 11, 7), (2, 1, 4, 12, 9)))
    assert found.tolist() == [(11, 11, 2, 10), (10, 11, 2, 10)]


def test_twenty_four_copies_have_one_survivor():
    found = grouped(rows_of(*[(7, 7, (k * 5) % 24, k) for k in range(24)]))
    assert found.dtype == FOUND
    assert set(found["survivor"].tolist()) == {0}
    assert set(found["cluster_size"].tolist()) == {24}
    assert sorted(found["address"].tolist()) == list(range(24))
