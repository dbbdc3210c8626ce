from collections import Counter

import pytest

from transforms.quality.c4 import C4, SCHEMA


def spans_of(spans):
    return [(span["start"], span["end"]) for span in spans]


def cut(text, row):
    """The text that is left when a recipe cuts both kinds of spans."""
    data = text.encode()
    spans = sorted(spans_of(row["line_spans"]) + spans_of(row["citation_spans"]))
    left, reached = b"", 0
    for start, end in spans:
        left += data[reached:start]
        reached = end
    return (left + data[reached:]).decode()


PAGE = """Home | About
This line is a sentence é.
Too short here.
We use cookies on this site.

Please enable JavaScript to read this.
The cat[1] sat on it[citation needed]. It did!
This one goes on and on...
"""


def test_columns_of_a_small_page(make_batch):
    batch = make_batch([PAGE])
    rows = C4().annotate(batch)
    assert rows.schema == SCHEMA
    (row,) = rows.to_pylist()
    assert {name: row[name] for name in SCHEMA.names[:8]} == {
        "kept_lines": 2,
        "long_word_lines": 0,
        "no_end_mark_lines": 3,
        "few_words_lines": 1,
        "javascript_lines": 1,
        "policy_lines": 1,
        "lines": 8,
        "sentence_count": 3,
    }
    assert cut(PAGE, row) == "This line is a sentence é.\nThe cat sat on it. It did!\n"
    assert spans_of(row["line_spans"])[0] == (0, len("Home | About\n"))


@pytest.mark.parametrize(
    ("line", "lorem_ipsum", "curly_bracket"),
    [
        ("Here is some Lorem Ipsum for you.", True, False),
        ("Here are brackets { for you too.", False, True),
        # Lines that an earlier rule cuts are not looked at, as in the paper's code.
        ("lorem ipsum { without end mark", False, False),
        ("javascript with a { bracket is cut.", False, False),
        ("javascript and lorem ipsum are seen.", True, False),
    ],
)
def test_flags_are_those_of_lines_that_earlier_rules_keep(
    make_batch, line, lorem_ipsum, curly_bracket
):
    (row,) = C4().annotate(make_batch([line])).to_pylist()
    assert (row["lorem_ipsum"], row["curly_bracket"]) == (lorem_ipsum, curly_bracket)


@pytest.mark.parametrize(("words", "kept"), [(4, 0), (5, 1)])
def test_a_line_needs_five_words_unless_told_otherwise(make_batch, words, kept):
    text = " ".join(["word"] * words) + "."
    (row,) = C4().annotate(make_batch([text])).to_pylist()
    assert row["kept_lines"] == kept
    (row,) = C4(words_per_line=4).annotate(make_batch([text])).to_pylist()
    assert row["kept_lines"] == 1


@pytest.mark.parametrize(("characters", "kept"), [(1000, 1), (1001, 0)])
def test_a_word_may_have_a_thousand_characters(make_batch, characters, kept):
    text = "é" * characters + " one two three four."
    (row,) = C4().annotate(make_batch([text])).to_pylist()
    assert row["kept_lines"] == kept


@pytest.mark.parametrize("text", ["", "\n", "\n\n", " ", "\u3000\n", "[", "\x00", "日本。"])
def test_texts_without_a_kept_line_are_cut_whole(make_batch, text):
    (row,) = C4().annotate(make_batch([text])).to_pylist()
    assert cut(text, row) == ""
    assert (row["kept_lines"], row["sentence_count"]) == (0, 0)


def test_a_batch_without_rows_gives_none(make_batch):
    assert C4().annotate(make_batch([])).num_rows == 0


def test_parameters_must_be_one_or_more():
    with pytest.raises(ValueError, match="words_per_line must be at least 1"):
        C4(words_per_line=0)
    assert C4().parameters() == {"words_per_line": 5, "word_length": 1000}


def test_verdicts_and_texts_equal_datatrove(make_batch, corpus):
    """With datatrove at 5 words and 3 sentences, its sentences counted like ours. Two lines of its
    code differ from the paper's: an apostrophe ends a line there, and words are counted before
    citations are taken out; so texts hold neither apostrophes nor citations."""
    pytest.importorskip("datatrove", reason="could not import datatrove, a test oracle")
    from datatrove.data import Document
    from datatrove.pipeline.filters.c4_filters import C4QualityFilter
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Counted(WordTokenizer):
        """As many sentences as ours counts in a line."""

        def word_tokenize(self, text):
            raise NotImplementedError

        def sent_tokenize(self, text):
            raise NotImplementedError

        def span_tokenize(self, text):
            (row,) = C4(words_per_line=1).annotate(make_batch([text])).to_pylist()
            return [(0, len(text))] * row["sentence_count"]

    judge = C4QualityFilter(min_num_sentences=3, min_words_per_line=5, language=Counted("en"))
    texts = [text.replace("'", " ").replace("[", "(") for text in corpus]
    texts += [text.replace("{", "(") for text in texts if "{" in text]
    verdicts = Counter()
    for text, row in zip(texts, C4().annotate(make_batch(texts)).to_pylist(), strict=True):
        document = Document(text=text, id="x")
        verdict = judge.filter(document)
        kept = row["sentence_count"] >= 3 and not row["lorem_ipsum"] and not row["curly_bracket"]
        assert kept == (verdict is True), (verdict, row)
        if kept:
            left = "\n".join(line.strip() for line in cut(text, row).splitlines())
            assert left == document.text
        verdicts[verdict if kept else verdict[1]] += 1
    assert min(verdicts[True], verdicts["too_few_sentences"], verdicts["curly_bracket"]) >= 3
