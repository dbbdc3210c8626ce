from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.documents import DocumentBatch
from transforms.kernels.words import hash_words
from transforms.quality.fineweb import SCHEMA, TERMINAL_PUNCTUATION, FineWeb

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(
        st.sampled_from(["A line.", "a long line of some words that goes on", "x", "\n", "\n\n"])
        | st.sampled_from([" ", "。", "؟", "!", "é", "\u3000", "\r\n"])
    ).map("".join),
)


def terminal_points():
    points = set()
    for item in TERMINAL_PUNCTUATION.split():
        first, _, last = item.partition("-")
        points |= set(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return points


def describe(text):
    """The twin, from FineWeb's definitions."""
    lines = [line for line in text.split("\n") if line.strip()]
    seen, again = set(), 0
    for line in lines:
        again += len(line) * (line in seen)
        seen.add(line)
    characters = len(text.replace("\n", ""))
    terminal = sum(line[-1] in terminal_points() for line in lines)
    return {
        "terminal_line_fraction": terminal / len(lines) if lines else 0.0,
        "short_line_fraction": sum(len(x) <= 30 for x in lines) / len(lines) if lines else 0.0,
        "duplicate_line_character_fraction": again / characters if characters else 0.0,
        "newlines_per_word": text.count("\n") / max(len(hash_words(text)), 1),
    }


@settings(deadline=None)
@given(texts=st.lists(TEXTS, max_size=4))
def test_columns_equal_the_twins_to_the_last_bit(make_batch, texts):
    rows = FineWeb().annotate(make_batch(texts))
    assert rows.schema == SCHEMA
    assert rows.to_pylist() == [describe(text) for text in texts]


@pytest.mark.parametrize(("characters", "short"), [(30, 1.0), (31, 0.0)])
def test_a_line_of_thirty_characters_is_short(make_batch, characters, short):
    (row,) = FineWeb().annotate(make_batch(["é" * characters])).to_pylist()
    assert row["short_line_fraction"] == short


def test_white_space_after_a_full_stop_is_the_end_of_the_line(make_batch):
    rows = FineWeb().annotate(make_batch(["End.", "End. "]))
    assert rows.column("terminal_line_fraction").to_pylist() == [1.0, 0.0]


def test_a_batch_without_rows_gives_none(make_batch):
    assert FineWeb().annotate(make_batch([])).num_rows == 0


def test_rows_do_not_depend_on_the_batch_they_stand_in(make_batch, corpus):
    batch = make_batch(corpus)
    whole = FineWeb().annotate(batch)
    part = FineWeb().annotate(DocumentBatch(batch.table.slice(9, 4)))
    assert part.equals(whole.slice(9, 4))


@pytest.fixture(scope="module")
def datatrove():
    return pytest.importorskip("datatrove", reason="could not import datatrove, a test oracle")


def test_terminal_punctuation_is_datatroves(datatrove):
    from datatrove.utils.text import TERMINAL_PUNCTUATION as THEIRS

    assert terminal_points() == set(THEIRS)


def test_verdicts_equal_datatrove_when_it_is_given_our_words(datatrove, make_batch, corpus):
    from datatrove.data import Document
    from datatrove.pipeline.filters.fineweb_quality_filter import FineWebQualityFilter
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Words(WordTokenizer):
        def word_tokenize(self, text):
            return [str(word) for word in hash_words(text)]

        def sent_tokenize(self, text):
            raise NotImplementedError

        def span_tokenize(self, text):
            raise NotImplementedError

    judge = FineWebQualityFilter(language=Words("en"))
    texts = [*corpus, *(text.replace("\n\n", "\n") for text in corpus)]
    texts += [" ".join(text.split("\n")) + "." for text in corpus]
    texts += ["\n".join(f"{k}{'x' * 30}." for k in range(5))]  # a word a line
    verdicts = Counter()
    for text, row in zip(texts, FineWeb().annotate(make_batch(texts)).to_pylist(), strict=True):
        if not len(hash_words(text)):
            continue
        verdict = judge.filter(Document(text=text, id="x"))
        failed = [
            reason
            for reason, passes in (
                ("line_punct_ratio", row["terminal_line_fraction"] >= 0.12),
                ("short_line_ratio", row["short_line_fraction"] <= 0.67),
                ("char_dup_ratio", row["duplicate_line_character_fraction"] <= 0.01),
                ("list_ratio", row["newlines_per_word"] <= 0.3),
            )
            if not passes
        ]
        assert verdict == ((False, failed[0]) if failed else True)
        verdicts[failed[0] if failed else True] += 1
    assert len(verdicts) == 5, f"every verdict is put to the test: {verdicts}"
