"""The MinHash annotator and the choice of its numbers."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.dedup.fuzzy import SIMILARITY
from transforms.dedup.minhash import (
    BANDS,
    MOST_BANDS,
    MOST_ROWS,
    PRESETS,
    ROWS,
    MinHash,
    band_matrix,
    choose_bands,
    probability,
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
    assert keys.shape == (6, 35)
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
    assert found.column("bands")[0].as_py().hex() == "dfef567e9e66b8ffd99fcfd054ce39d9"


@pytest.mark.parametrize("parameter", ["ngram", "bands", "rows"])
def test_every_parameter_changes_the_bands(parameter):
    base = MinHash(ngram=2, bands=2, rows=3)
    values = {**base.parameters(), parameter: base.parameters()[parameter] + 1}
    bands = [annotate(rule, TEXTS).column("bands")[0].as_py() for rule in (base, MinHash(**values))]
    assert bands[0] != bands[1]


def test_the_default_is_what_is_chosen_for_its_similarity():
    assert choose_bands(SIMILARITY) == (BANDS, ROWS)
    assert probability(0.8, BANDS, ROWS) >= 0.998


@pytest.mark.parametrize(
    ("similarity", "bands", "rows", "chance"),
    [
        (0.8, 26, 11, 0.903),
        (0.8, 14, 8, 0.924),
        (0.5, 1, 1, 0.5),
        (1.0, 3, 64, 1.0),
        (0.0, 9, 1, 0),
    ],
)
def test_the_probability_to_share_a_band_is_that_of_the_formula(similarity, bands, rows, chance):
    assert probability(similarity, bands, rows) == pytest.approx(chance, abs=5e-4)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.2, 1.0), st.floats(0.5, 0.9999), st.integers(64, 1024))
def test_chosen_bands_are_the_steepest_that_are_sure_enough(similarity, recall, permutations):
    bands, rows = choose_bands(similarity, recall, permutations)
    assert bands * rows <= permutations
    assert probability(similarity, bands, rows) >= recall
    for more in range(rows + 1, MOST_ROWS + 1):
        its = min(MOST_BANDS, permutations // more)
        assert its == 0 or probability(similarity, its, more) < recall


def test_what_too_few_permutations_cannot_find_is_refused():
    with pytest.raises(ValueError, match=r"no bands of 4 permutations find 0\.995 of the pairs"):
        choose_bands(0.3, permutations=4)


def test_presets_are_those_of_their_projects():
    dolma, fineweb = PRESETS["dolma3-web"], PRESETS["fineweb"]
    assert (dolma.ngram, dolma.bands, dolma.rows, dolma.similarity) == (5, 26, 11, 0.8)
    assert (fineweb.ngram, fineweb.bands, fineweb.rows) == (5, 14, 8)


@pytest.mark.parametrize("wrong", [{"ngram": 0}, {"bands": 0}, {"rows": -1}])
def test_senseless_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MinHash(**wrong)


@pytest.mark.parametrize("similarity", [0.0, -0.1, 1.5])
def test_a_similarity_outside_is_refused(similarity):
    with pytest.raises(ValueError, match="similarity must be above 0"):
        choose_bands(similarity)
