"""Cuts: marked spans leave the text, no benchmark n-gram is left, and nothing else changes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms.annotators import SPANS
from transforms.decontamination.benchmarks import Item
from transforms.decontamination.index import IndexParameters, build_index, count_document_hits
from transforms.documents import text_buffers
from transforms.mixing.cuts import cut_texts

QUESTION = "how many apples does little anna have left at home today"


def texts_of(values):
    return pa.array(values, pa.large_string())


def spans_of(rows):
    return pa.array([[{"start": a, "end": b} for a, b in row] for row in rows], SPANS)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """(path, fingerprint) of an index of one question of eleven words."""
    built = build_index([Item("GSM8K", "1", "question", QUESTION, True)], IndexParameters())
    path = str(tmp_path_factory.mktemp("index") / "index.arrow")
    built.save(path)
    return path, built.fingerprint


def hits(index, texts):
    from transforms.decontamination.index import load_index

    return count_document_hits(load_index(*index), *text_buffers(texts)).tolist()


def test_without_spans_the_texts_are_the_very_same(index):
    texts = texts_of(["one", "", QUESTION])
    for given_index in (None, index):
        cut = cut_texts(texts, [], given_index)
        assert cut.texts is texts
        assert cut.cut_bytes.tolist() == [0, 0, 0]
        assert cut.kept.tolist() == [True] * 3


def test_spans_of_all_columns_are_united_and_cut():
    texts = texts_of(["abcdefghij", "abc def", "öäü x"])
    left = spans_of([[(0, 3)], [], [(0, 2)]])
    right = spans_of([[(2, 5), (9, 10)], [(0, 4)], [(2, 6)]])
    cut = cut_texts(texts, [left, right], None)
    assert cut.texts.to_pylist() == ["fghi", "def", " x"]
    assert cut.cut_bytes.tolist() == [6, 4, 6]
    assert cut.kept.tolist() == [True] * 3


def test_rows_without_a_span_keep_every_byte(index):
    values = ["  some text\r\n\n", "", "\u2028x", "plain"]
    for given_index in (None, index):
        cut = cut_texts(texts_of(values), [spans_of([[], [], [], [(0, 1)]])], given_index)
        assert cut.texts.to_pylist() == [*values[:3], "lain"]
        assert cut.cut_bytes.tolist() == [0, 0, 0, 1]


def test_what_has_no_word_left_after_a_cut_is_not_kept_but_what_never_had_one_is():
    texts = texts_of(["word", "word ...", " ... ", ""])
    cut = cut_texts(texts, [spans_of([[(0, 4)], [(0, 4)], [], []])], None)
    assert cut.kept.tolist() == [False, False, True, True]
    assert cut.texts.to_pylist()[2:] == [" ... ", ""]


def test_a_row_of_nulls_is_a_row_without_spans():
    spans = pa.array([None, [{"start": 0, "end": 1}]], SPANS)
    assert cut_texts(texts_of(["ab", "cd"]), [spans], None).texts.to_pylist() == ["ab", "d"]


def test_a_seam_that_forms_a_benchmark_n_gram_is_cut_too(index):
    words = QUESTION.split()
    first, second = " ".join(words[:5]), " ".join(words[5:])
    text = f"An opening line.\n{first} ADVERTISEMENT {second}\nA closing line."
    start = text.index("ADVERTISEMENT ")
    spans = [spans_of([[(start, start + len("ADVERTISEMENT "))]])]
    texts = texts_of([text])
    assert hits(index, texts) == [0]
    assert hits(index, cut_texts(texts, spans, None).texts) == [4]
    clean = cut_texts(texts, spans, index)
    assert hits(index, clean.texts) == [0]
    (left,) = clean.texts.to_pylist()
    assert "An opening line." in left
    assert "A closing line." in left
    assert clean.cut_bytes.tolist() == [len(text) - len(left)]


def test_slices_are_cut_at_their_own_offsets(index):
    texts = texts_of(["skipped", "abcdef", "ghi"]).slice(1)
    spans = spans_of([[(0, 7)], [(1, 3)], []]).slice(1)
    for given_index in (None, index):
        assert cut_texts(texts, [spans], given_index).texts.to_pylist() == ["adef", "ghi"]


pieces = st.lists(st.sampled_from([*QUESTION.split(), "x", "y.", "\n"]), max_size=40)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(pieces, st.integers(0, 80), st.integers(0, 60)), max_size=4))
def test_what_is_left_holds_no_benchmark_n_gram_and_loses_nothing_it_needs_not(index, rows):
    values, marks = [], []
    for words, start, length in rows:
        value = " ".join(words)
        start = min(start, len(value))
        values.append(value)
        marks.append([(start, min(start + length, len(value)))] if length else [])
    texts, spans = texts_of(values), [spans_of(marks)]
    clean, plain = cut_texts(texts, spans, index), cut_texts(texts, spans, None)
    assert sum(hits(index, clean.texts)) == 0
    found = hits(index, plain.texts) if values else []
    for row, value in enumerate(values):
        kept = clean.texts[row].as_py()
        assert clean.cut_bytes[row] == len(value) - len(kept)
        if not found[row]:
            assert kept == plain.texts[row].as_py()
    assert len(clean.texts) == len(values)
    assert clean.kept.dtype == np.bool_
