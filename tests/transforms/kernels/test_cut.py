"""Cutting spans against plain Python."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.annotators import SPANS
from transforms.documents import text_buffers
from transforms.kernels.cut import Spans, cut_spans, lift_spans
from transforms.spans import spans_array, unite_spans

Pairs = list[tuple[int, int]]
rows = st.lists(
    st.tuples(
        st.text(max_size=12),
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=4),
    ),
    max_size=5,
)


def byte_spans(text: str, pairs: Pairs) -> list[dict[str, int]]:
    """Spans of characters, in any order, as spans of bytes inside the text."""
    spans = []
    for one, other in pairs:
        first, last = sorted((min(one, len(text)), min(other, len(text))))
        spans.append({"start": len(text[:first].encode()), "end": len(text[:last].encode())})
    return spans


def plain_cut(text: str, spans: list[dict[str, int]]) -> str:
    encoded = text.encode()
    cut = {k for span in spans for k in range(span["start"], span["end"])}
    return bytes(byte for k, byte in enumerate(encoded) if k not in cut).decode()


def texts_of(data: np.ndarray, offsets: np.ndarray) -> list[str]:
    return [data[offsets[d] : offsets[d + 1]].tobytes().decode() for d in range(len(offsets) - 1)]


@settings(max_examples=200, deadline=None)
@given(rows)
def test_equals_plain_python(rows: list[tuple[str, Pairs]]) -> None:
    spans = [byte_spans(text, pairs) for text, pairs in rows]
    padded = pa.array(["before", *(text for text, _ in rows)], pa.large_string())
    arrays = pa.array([[{"start": 0, "end": 6}], *spans], SPANS)
    united = unite_spans([arrays.slice(1)], len(rows))  # slices: offsets do not begin at 0
    cut = texts_of(*cut_spans(*text_buffers(padded.slice(1)), united))
    assert cut == [plain_cut(text, one) for (text, _), one in zip(rows, spans, strict=True)]
    for d in range(len(rows)):
        mine = slice(united.bounds[d], united.bounds[d + 1])
        assert (united.starts[mine] < united.ends[mine]).all()
        assert (united.starts[mine][1:] > united.ends[mine][:-1]).all()


@settings(max_examples=200, deadline=None)
@given(rows, st.lists(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=3)))
def test_two_cuts_are_one_cut_of_the_lifted_spans(
    rows: list[tuple[str, Pairs]], more: list[Pairs]
) -> None:
    texts = [text for text, _ in rows]
    buffers = text_buffers(pa.array(texts, pa.large_string()))
    first = unite_spans(
        [pa.array([byte_spans(text, pairs) for text, pairs in rows], SPANS)], len(rows)
    )
    once = cut_spans(*buffers, first)
    left = texts_of(*once)
    later = [byte_spans(text, more[d] if d < len(more) else []) for d, text in enumerate(left)]
    second = unite_spans([pa.array(later, SPANS)], len(rows))
    lifted = lift_spans(first, second)
    assert texts_of(*cut_spans(*buffers, lifted)) == texts_of(*cut_spans(*once, second))
    again = unite_spans([spans_array(lifted)], len(rows))
    assert [one.tolist() for one in again] == [one.tolist() for one in lifted]


@pytest.mark.parametrize("span", [(-1, 2), (0, 5), (1, 2), (2, 3)])
def test_spans_outside_a_text_or_inside_a_character_are_refused(span: tuple[int, int]) -> None:
    data, offsets = text_buffers(pa.array(["aé-", "zzz"], pa.large_string()))
    assert offsets.tolist() == [0, 4, 7]
    spans = Spans(np.array([0, 1, 1]), np.array(span[:1]), np.array(span[1:]))
    with pytest.raises(ValueError, match="inside the text"):
        cut_spans(data, offsets, spans)
