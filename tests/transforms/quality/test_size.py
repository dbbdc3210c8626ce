"""Size: bytes of UTF-8 and words, whatever the row stands beside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.kernels.words import find_words
from transforms.quality.size import Size


@pytest.mark.parametrize(
    ("text", "size_bytes", "words"),
    [
        ("", 0, 0),
        (" \n\t ", 4, 0),
        ("a", 1, 1),
        ("two words", 9, 2),
        ("äöü €", 10, 1),
        ("\U0001f600", 4, 0),
        ("...", 3, 0),
    ],
)
def test_bytes_and_words_of_small_texts(make_batch, text, size_bytes, words):
    table = Size().annotate(make_batch([text]))
    assert table.schema == Size().schema
    assert table.to_pylist() == [{"bytes": size_bytes, "words": words}]


@given(st.lists(st.text(), max_size=5))
def test_rows_are_measured_on_their_own(make_batch, texts):
    together = Size().annotate(make_batch(texts)).to_pylist()
    assert together == [Size().annotate(make_batch([text])).to_pylist()[0] for text in texts]
    assert [row["bytes"] for row in together] == [len(text.encode()) for text in texts]


def test_words_are_those_of_the_kernel(make_batch):
    batch = make_batch(["Don't stop. It's 3.14 o'clock", "one-two"])
    bounds = find_words(*batch.text).bounds
    assert Size().annotate(batch)["words"].to_pylist() == (bounds[1:] - bounds[:-1]).tolist()
