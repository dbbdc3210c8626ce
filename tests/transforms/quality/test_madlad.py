import pytest

from transforms.documents import DocumentBatch
from transforms.quality.madlad import SCHEMA, Madlad

LISTED = "The Big Red Cat And The Small Blue Dog Sat Down There."


def test_columns_of_a_small_page(make_batch):
    rows = Madlad().annotate(make_batch([f"One. Two! {LISTED} Get the mp3? Five.", "", "One"]))
    assert rows.schema == SCHEMA
    assert rows.to_pylist() == [
        dict(zip(SCHEMA.names, row, strict=True))
        for row in ((5, 1, 1, 0.4), (0, 0, 0, 0.0), (1, 0, 0, 0.0))
    ]


def test_list_case_can_be_looked_for_in_shorter_sentences(make_batch):
    batch = make_batch(["The Big Red Cat sat."])
    for words, found in ((5, 1), (6, 0)):
        (row,) = Madlad(list_case_words=words).annotate(batch).to_pylist()
        assert row["list_case_sentence_count"] == found
    assert Madlad(list_case_words=5).parameters() == {"list_case_words": 5}
    with pytest.raises(ValueError, match="list_case_words must be at least 1"):
        Madlad(list_case_words=0)


def test_a_batch_without_rows_gives_none(make_batch):
    assert Madlad().annotate(make_batch([])).num_rows == 0


def test_rows_do_not_depend_on_the_batch_they_stand_in(make_batch, corpus):
    batch = make_batch(corpus)
    whole = Madlad().annotate(batch)
    part = Madlad().annotate(DocumentBatch(batch.table.slice(9, 4)))
    assert part.equals(whole.slice(9, 4))
