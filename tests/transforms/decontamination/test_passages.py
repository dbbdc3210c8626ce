"""Cutting passages: what goes, what stays, and that nothing is left to find."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.annotators import SPANS
from transforms.decontamination.benchmarks import Item
from transforms.decontamination.index import (
    IndexParameters,
    NgramIndex,
    build_index,
    count_document_hits,
)
from transforms.decontamination.passages import MAX_ROUNDS, CleanTexts, cut_until_clean
from transforms.documents import text_buffers
from transforms.kernels.cut import cut_spans
from transforms.spans import spans_array, unite_spans

EIGHT = "a b c d e f g h"


def index_of(*texts: str, ngram: int = 8) -> NgramIndex:
    return build_index(
        (Item("b", str(k), "question", text, True) for k, text in enumerate(texts)),
        IndexParameters(ngram=ngram),
    )


def clean(
    index: NgramIndex,
    texts: list[str],
    spans: list[list[tuple[int, int]]] | None = None,
) -> tuple[list[str], CleanTexts]:
    rows = [[{"start": s, "end": e} for s, e in row] for row in spans or [[]] * len(texts)]
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    result = cut_until_clean(index, data, offsets, unite_spans([pa.array(rows, SPANS)], len(texts)))
    left = [
        result.data[result.offsets[d] : result.offsets[d + 1]].tobytes().decode()
        for d in range(len(texts))
    ]
    assert not count_document_hits(index, result.data, result.offsets).any()
    again = cut_spans(data, offsets, result.spans)
    assert again[0].tobytes() == result.data.tobytes()
    assert again[1].tolist() == result.offsets.tolist()
    return left, result


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no such words\n", "no such words\n"),
        (f"keep\nso: {EIGHT}, he said\nkeep", "keep\nkeep"),
        (f"keep\n{EIGHT}", "keep\n"),
        ("keep\na b c d\n\ne f g h\nkeep\n", "keep\nkeep\n"),
        (f"{EIGHT} {EIGHT}", ""),
        (f"{EIGHT}\n{EIGHT}!\n", ""),
        (f"é {EIGHT} 漢\né", "é"),
        (f"{EIGHT} x {EIGHT}\nkeep", "keep"),
        # In its plain reading alone.
        (f"é\n{EIGHT.replace(' ', '&nbsp;')}\nkeep", "é\nkeep"),
        ("keep\na b <b\n>c</b> d&amp;nbsp;e\\nf%20g \x7fh!\nkeep", "keep\nkeep"),
    ],
)
def test_whole_lines_go(text: str, left: str) -> None:
    assert clean(index_of(EIGHT), [text])[0] == [left]


def test_a_hit_that_forms_at_a_seam_is_cut_too() -> None:
    index = index_of(EIGHT, "p q r s t u v w")
    text = "keep\na b c d\np q r s t u v w\ne f g h\nkeep"
    left, result = clean(index, [text, "keep"])
    assert left == ["keep\nkeep", "keep"]
    assert spans_array(result.spans).to_pylist() == [[{"start": 5, "end": 37}], []]
    assert result.words.tolist() == [2, 1]


def test_a_hit_that_forms_at_the_seam_of_another_cut_is_cut_too() -> None:
    text = "keep\na b c d\nspam\ne f g h\nkeep"
    left, _ = clean(index_of(EIGHT), [text], [[(13, 18)]])
    assert left == ["keep\nkeep"]


def test_what_never_gets_clean_goes_whole() -> None:
    # Each cut lets the halves around it meet and form the next n-gram.
    halves = [(f"l{k} m{k}", f"r{k} s{k}") for k in range(MAX_ROUNDS + 1)]
    grams = [f"{left} {right}" for left, right in halves]
    index = index_of(*grams, ngram=4)

    def nested(depth: int) -> str:
        before = "\n".join(left for left, _ in halves[:depth])
        after = "\n".join(right for _, right in halves[:depth][::-1])
        return f"keep\n{before}\n{after}\nkeep"

    texts = [nested(MAX_ROUNDS), nested(MAX_ROUNDS + 1)]
    left, result = clean(index, texts)
    assert [text.split() for text in left] == [["keep", "keep"], []]
    assert result.words.tolist() == [2, 0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(alphabet="abé漢 \n-&;<>\x7f", max_size=40), min_size=1, max_size=4),
    st.lists(st.text(alphabet="abé漢 ", min_size=3, max_size=9), max_size=3),
)
def test_nothing_is_left_to_find_and_clean_texts_stay(texts: list[str], items: list[str]) -> None:
    index = index_of(*items, ngram=3)
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    before = count_document_hits(index, data, offsets)
    left, _ = clean(index, texts)
    for text, rest, hits in zip(texts, left, before, strict=True):
        assert (text == rest) == (hits == 0)


def test_no_documents_are_no_trouble() -> None:
    left, result = clean(index_of(EIGHT), [])
    assert (left, result.offsets.tolist()) == ([], [0])
    assert np.array_equal(result.words, np.empty(0))
