import pytest

from transforms.documents import DocumentBatch
from transforms.mixing.cuts import cut_texts
from transforms.quality.c4 import C4
from transforms.quality.dolma3_lines import SCHEMA, Dolma3Lines
from transforms.quality.gopher import Gopher

PAGE = """HOME ABOUT
Sign-in or register

A page about cats and dogs.


123 likes


It has two lines that stay. Read more...
2024
"""
LEFT = """or register

A page about cats and dogs.

It has two lines that stay.
"""


def cut(batch, *columns):
    return cut_texts(batch.table.column("text"), list(columns), None).texts.to_pylist()


def test_columns_of_a_small_page(make_batch):
    batch = make_batch([PAGE])
    rows = Dolma3Lines().annotate(batch)
    assert rows.schema == SCHEMA
    (row,) = rows.to_pylist()
    assert {name: row[name] for name in SCHEMA.names[:-1]} == {
        "kept_lines": 3,
        "upper_case_lines": 1,
        "digit_lines": 1,
        "counter_lines": 1,
        "few_words_lines": 0,
        "phrase_lines": 0,
        "phrase_count": 2,
        "cut_word_count": 9,
        "cut_word_fraction": 9 / 23,
    }
    assert cut(batch, rows.column("cut_spans")) == [LEFT]


@pytest.mark.parametrize(
    ("parameters", "text", "left"),
    [
        ({"upper_case": 0.25}, "ABC defgh", ""),
        ({"upper_case": 1}, "AB CD", "AB CD"),
        ({"upper_case": 1}, "ABCD", ""),  # a single word
        ({"words_per_line": 1}, "word", "word"),
        ({"words_per_line": 3}, "two words", ""),
        ({"phrase_words": 3}, "Now Sign-in", "Now Sign-in"),
        ({"phrase_words": 3}, "Sign-in now", "now"),
        ({"phrase_words": 2}, "Sign-in now", "Sign-in now"),
        ({"newlines_kept": 1}, "a b\n\n\nc d", "a b\nc d"),
    ],
)
def test_numbers_can_be_changed(make_batch, parameters, text, left):
    batch = make_batch([text])
    annotator = Dolma3Lines(**parameters)
    assert cut(batch, annotator.annotate(batch).column("cut_spans")) == [left]
    assert annotator.parameters() == Dolma3Lines().parameters() | parameters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"upper_case": 1.5}, "upper_case must be from 0 to 1"),
        ({"upper_case": float("nan")}, "upper_case must be from 0 to 1"),
        ({"words_per_line": -1}, "words_per_line must be at least 0"),
        ({"newlines_kept": 0}, "newlines_kept must be at least 1"),
    ],
)
def test_wrong_numbers_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Dolma3Lines(**parameters)


@pytest.mark.parametrize(
    "text", [PAGE, "a b\n\n\n\nMENU\n\n\n\nc d", "MENU\n\n\n\n\nc d\n\n\nMENU", "\n\n\nA\n\n\n\n"]
)
def test_gophers_line_feeds_are_among_those_that_are_cut(make_batch, text):
    """Dolma 3 cuts line feeds before lines and again after them: together the spans do as much."""
    batch = make_batch([text])
    lines = Dolma3Lines().annotate(batch).column("cut_spans")
    feeds = Gopher().annotate(batch).column("excess_newlines")
    assert cut(batch, lines, feeds) == cut(batch, feeds, lines) == cut(batch, lines)


def test_lines_that_c4_and_dolma3_cut_go_once(make_batch):
    batch = make_batch(
        ["MENU\nThis line stays in both, does it[1]?\n12 likes\nThis one in Dolma 3"]
    )
    spans = C4().annotate(batch)
    left = cut(
        batch,
        spans.column("line_spans"),
        Dolma3Lines().annotate(batch).column("cut_spans"),
        spans.column("citation_spans"),
    )
    assert left == ["This line stays in both, does it?\n"]


def test_a_batch_without_rows_gives_none(make_batch):
    assert Dolma3Lines().annotate(make_batch([])).num_rows == 0


def test_rows_do_not_depend_on_the_batch_they_stand_in(make_batch, corpus):
    batch = make_batch(corpus)
    whole = Dolma3Lines().annotate(batch)
    part = Dolma3Lines().annotate(DocumentBatch(batch.table.slice(9, 4)))
    assert part.equals(whole.slice(9, 4))
