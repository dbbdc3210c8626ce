import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.blanks import count_blank

BLANKS = st.text(st.sampled_from(" \t\n\r\x0b\x0c\x1c\x85\xa0\u1680\u2003\u2028\u3000"), max_size=5)
TEXTS = st.one_of(BLANKS, st.text(max_size=5), st.builds(str.__add__, BLANKS, st.text(max_size=2)))


def count(rows: list[bytes]) -> int:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return count_blank(np.frombuffer(b"".join(rows), np.uint8), offsets)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=8))
def test_blank_is_what_python_strips_to_nothing(texts: list[str]) -> None:
    assert count([text.encode() for text in texts]) == sum(not text.strip() for text in texts)


def test_no_rows_have_no_blank() -> None:
    assert count([]) == 0


def test_cut_sequence_at_the_end_is_not_read_past() -> None:
    # E3 80 80 is a blank, but the first row ends after its first byte.
    assert count([b"\xe3", b"\x80\x80", b"\xe3\x80\x80"]) == 1
