import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from transforms.kernels.phrases import pad_phrases, starts_with


@njit
def look(data, i, end, phrase, length):
    return starts_with(data, i, end, phrase, length)


@settings(deadline=None)
@given(st.text("ab").map(str.encode), st.text("ab", max_size=3).map(str.encode), st.integers(0, 9))
def test_a_phrase_is_found_where_bytes_startswith_finds_it(data, phrase, i):
    i = min(i, len(data))
    table, lengths = pad_phrases([phrase], 4)
    longer = np.frombuffer(data + b"abab", np.uint8)
    found = look(longer, i, len(data), table[0], lengths[0])
    assert found == (phrase != b"" and data.startswith(phrase, i))


def test_phrases_are_padded_with_zeros():
    table, lengths = pad_phrases([b"ab", b"", b"abc"], 3)
    assert table.tolist() == [[97, 98, 0], [0, 0, 0], [97, 98, 99]]
    assert lengths.tolist() == [2, 0, 3]
