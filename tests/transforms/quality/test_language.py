import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fasttext")

import fasttext

from transforms.quality.language import LANGUAGES, MODEL_SHA256, Language, model_path

SENTENCES = {
    "en": "The quick brown fox jumps over the lazy dog and runs into the forest.",
    "de": "Der schnelle braune Fuchs springt über den faulen Hund und läuft in den Wald.",
    "fr": "Le renard brun saute par-dessus le chien paresseux et court dans la forêt.",
    "ja": "すばやい茶色の狐がのろまな犬を飛び越えて森に走っていきます。",
    "ru": "Быстрая коричневая лиса прыгает через ленивую собаку и бежит в лес.",
}


def test_sentences_are_in_their_languages(make_batch):
    rows = Language().annotate(make_batch(list(SENTENCES.values()))).to_pylist()
    assert [row["label"] for row in rows] == list(SENTENCES)
    assert rows[0]["en"] == rows[0]["score"] > 0.65
    assert all(row["en"] < 0.1 for row in rows[1:])


def test_asked_languages_have_a_column_each(make_batch):
    annotator = Language(languages=("de", "fr"))
    rows = annotator.annotate(make_batch(list(SENTENCES.values())))
    assert rows.schema == annotator.schema
    assert rows.schema.names == ["label", "score", "de", "fr"]
    assert rows.schema.field("fr").type == pa.float32()
    labels, scores = rows.column("label").to_pylist(), rows.column("score").to_pylist()
    for language in ("de", "fr"):
        row = labels.index(language)
        assert rows.column(language)[row].as_py() == scores[row]


@pytest.mark.parametrize("text", ["", " ", "\n", "\t\n \r\n", "\u3000\u2028"])
def test_white_space_has_no_language(make_batch, text):
    (row,) = Language().annotate(make_batch([text])).to_pylist()
    assert row == {"label": None, "score": 0.0, "en": 0.0}


@pytest.mark.parametrize(
    "text",
    ["\x00", "\x00\x01\x02", "\x1b[0m", "</s>", "\ufffd", "\U0010ffff", "...", "1 2 3", "\u200b"],
)
def test_control_characters_and_signs_do_not_raise(make_batch, text):
    (row,) = Language().annotate(make_batch([text])).to_pylist()
    assert 0.0 <= row["en"] <= row["score"] <= 1.0


def test_line_feeds_count_as_blanks(make_batch):
    text = SENTENCES["fr"]
    rows = Language().annotate(make_batch([text, text.replace(" ", "\n"), f"\n{text}"]))
    assert len(set(map(str, rows.to_pylist()))) == 1


def test_text_after_fasttexts_own_end_of_line_is_read(make_batch):
    rows = Language().annotate(make_batch(["</s> " + SENTENCES["de"], SENTENCES["de"]])).to_pylist()
    assert rows[0] == rows[1]


def test_only_the_first_bytes_are_read_and_no_character_is_cut(make_batch):
    text = SENTENCES["ru"]
    most = len(text.encode()) + 1  # the next character has two bytes
    annotator = Language(max_text_bytes=most)
    rows = annotator.annotate(make_batch([text, text + "ж" + SENTENCES["en"] * 9])).to_pylist()
    assert rows[0] == rows[1]
    assert rows[0]["label"] == "ru"


def test_a_text_as_long_as_the_cap_is_read_whole(make_batch):
    text = SENTENCES["en"]
    whole = Language().annotate(make_batch([text]))
    assert Language(max_text_bytes=len(text)).annotate(make_batch([text])).equals(whole)


@pytest.fixture(scope="module")
def library():
    """lid.176.ftz as the fasttext package reads it."""
    return fasttext.load_model(model_path()).f


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8")) | st.sampled_from(list(SENTENCES.values())))
def test_scores_are_those_of_the_model(make_batch, library, text):
    """Of any text with its white space as blanks; a probability of 1e-5 may be 0."""
    annotator = Language(languages=LANGUAGES)
    (row,) = annotator.annotate(make_batch([text])).to_pylist()
    plain = " ".join(text.replace("\0", " ").replace("</s>", " ").split())
    ranked = library.predict(plain + "\n", len(LANGUAGES), 0.0, "strict") if plain else []
    expected = {label.removeprefix("__label__"): min(one, 1.0) for one, label in ranked}
    assert all(abs(row[one] - expected.get(one, 0.0)) < 1.01e-5 for one in LANGUAGES)
    assert row["score"] == max(row[one] for one in LANGUAGES)
    assert row["label"] is None if not plain else row[row["label"]] == row["score"]


def test_the_languages_are_the_models():
    assert len(LANGUAGES) == len(set(LANGUAGES)) == 176
    with pytest.raises(ValueError, match="languages must be codes"):
        Language(languages=("english",))
    with pytest.raises(ValueError, match="languages must differ"):
        Language(languages=("en", "en"))


def test_a_batch_without_rows_gives_none(make_batch):
    annotator = Language(languages=("en", "is"))
    assert annotator.annotate(make_batch([])).schema == annotator.schema
    assert annotator.parameters() == {
        "languages": ["en", "is"],
        "max_text_bytes": 1 << 20,
        "model": MODEL_SHA256,
    }
