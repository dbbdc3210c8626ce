"""The MinHash annotator and the choice of its numbers."""

import pyarrow as pa
import pytest

from transforms.dedup.minhash import (
    MinHash,
    band_matrix,
    choose_bands,
)
from transforms.documents import DocumentBatch

TEXTS = ["one two three four five six", "", "one two", "?! ...", "One Two", "one two three"]


def annotate(rule, texts):
    column = pa.array(texts, pa.large_string())
    return rule.annotate(DocumentBatch(pa.record_batch({"text": column})))


def test_bands_are_null_for_documents_without_a_word():
    found = annotate(MinHash(), TEXTS)
    assert found.schema == MinHash().schema
    assert found.column("bands").is_null().to_pylist() == [False, True, False, True, False, False]


def test_equal_short_texts_share_all_bands_and_others_none():
    keys = band_matrix(annotate(MinHash(), TEXTS).column("bands"))
    assert keys.shape == (6, 26)
    assert (keys[2] == keys[4]).all()
    assert not (keys[2] == keys[5]).any()


def test_a_document_has_the_same_bands_in_every_batch():
    whole = annotate(MinHash(), TEXTS).column("bands").to_pylist()
    alone = [annotate(MinHash(), [text]).column("bands")[0].as_py() for text in TEXTS]
    assert whole == alone


def test_a_slice_of_the_column_gives_its_own_rows():
    column = annotate(MinHash(bands=2, rows=3), TEXTS).column("bands")
    assert band_matrix(column.slice(2, 3)).tolist() == band_matrix(column)[2:5].tolist()


def test_bands_of_a_known_text_do_not_change():
    # Golden: raise MinHash.version when this changes.
    found = annotate(MinHash(ngram=2, bands=2, rows=3), ["The quick brown fox"])
    assert found.column("bands")[0].as_py().hex() == "f70fef3fedff44a8d34d7484e7f87176"


@pytest.mark.parametrize("parameter", ["ngram", "bands", "rows"])
def test_every_parameter_changes_the_bands(parameter):
    base = MinHash(ngram=2, bands=2, rows=3)
    values = {**base.parameters(), parameter: base.parameters()[parameter] + 1}
    bands = [annotate(rule, TEXTS).column("bands")[0].as_py() for rule in (base, MinHash(**values))]
    assert bands[0] != bands[1]


def test_the_choice_for_dolma_3_is_that_of_dolma_3():
    assert choose_bands(0.8) == (26, 11)


def chance_to_share_a_band(similarity, bands, rows):
    return 1.0 - (1.0 - similarity**rows) ** bands


@pytest.mark.parametrize(("similarity", "permutations"), [(0.5, 64), (0.7, 112), (0.9, 286)])
def test_chosen_bands_fit_the_permutations_and_rise_steeply_around_the_similarity(
    similarity, permutations
):
    bands, rows = choose_bands(similarity, permutations)
    assert bands * rows <= permutations
    assert chance_to_share_a_band(min(1.0, similarity + 0.1), bands, rows) > 0.9
    assert chance_to_share_a_band(similarity / 2, bands, rows) < 0.3


@pytest.mark.parametrize("wrong", [{"ngram": 0}, {"bands": 0}, {"rows": -1}])
def test_senseless_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MinHash(**wrong)


@pytest.mark.parametrize("similarity", [0.0, 1.0, 1.5])
def test_a_similarity_outside_is_refused(similarity):
    with pytest.raises(ValueError, match="similarity must be between 0 and 1"):
        choose_bands(similarity)
