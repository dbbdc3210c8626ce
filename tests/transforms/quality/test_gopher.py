import re
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.documents import DocumentBatch
from transforms.kernels.repetition import DUPLICATE_SIZES, TOP_SIZES
from transforms.kernels.words import find_words
from transforms.quality.gopher import SCHEMA, Gopher

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
PIECES = [
    "the ",
    "Be ",
    "word ",
    "x1 ",
    "12 ",
    "\n",
    "\n\n",
    "- ",
    "• ",
    "...",
    "#",
    "日",
    "é ",
    ".",
]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
)


def share(part, whole):
    return float(Fraction(part, whole)) if whole else 0.0


def words_of(batch):
    data, _ = batch.text
    found = find_words(*batch.text)
    words = [
        bytes(data[start:end]).decode() for start, end in zip(found.starts, found.ends, strict=True)
    ]
    return [words[a:b] for a, b in zip(found.bounds[:-1], found.bounds[1:], strict=True)]


def repeated_shares(elements):
    counts = Counter(elements)
    again = [element for element in elements if counts[element] > 1]
    return share(len(again), len(elements)), share(len("".join(again)), len("".join(elements)))


def covered_share(words, n, chosen):
    places = {
        place
        for start in range(len(words) - n + 1)
        if tuple(words[start : start + n]) in chosen
        for place in range(start, start + n)
    }
    return share(sum(len(words[place]) for place in places), len("".join(words)))


def describe(text, words):
    """The twin: Gopher's numbers of one text, from its definition."""
    lines = [line for line in text.split("\n") if line.strip()]
    stripped = [line.strip() for line in lines]
    blocks = re.split(r"\n(?:[^\S\n]*\n)+", "\n" + text + "\n")
    paragraphs = ["\n".join(line for line in block.split("\n") if line.strip()) for block in blocks]
    paragraphs = [paragraph for paragraph in paragraphs if paragraph]
    lower = [word.lower() for word in words]
    stops = [word for word in lower if word in STOP_WORDS]
    symbols = sum(text.count(symbol) for symbol in ("#", "...", ". . .", "…"))
    row = {
        "word_count": len(words),
        "character_count": len(text),
        "stop_word_count": len(stops),
        "distinct_stop_word_count": len(set(stops)),
        "longest_newline_run": max(map(len, re.findall("\n+", text)), default=0),
        "mean_word_length": share(len("".join(words)), len(words)),
        "symbol_word_ratio": share(symbols, max(len(words), 1)),
        "bullet_line_fraction": share(
            sum(line.startswith(("•", "●", "*", "-")) for line in stripped), len(lines)
        ),
        "ellipsis_line_fraction": share(
            sum(line.endswith(("...", ". . .", "…")) for line in stripped), len(lines)
        ),
        "words_without_letter_fraction": share(
            sum(not any(map(str.isalpha, word)) for word in words), len(words)
        ),
    }
    for unit, elements in (("line", lines), ("paragraph", paragraphs)):
        by_count, by_characters = repeated_shares(elements)
        row[f"duplicate_{unit}_fraction"] = by_count
        row[f"duplicate_{unit}_character_fraction"] = by_characters
    for n in (*TOP_SIZES, *DUPLICATE_SIZES):
        grams = [tuple(lower[start : start + n]) for start in range(len(words) - n + 1)]
        counts = Counter(grams)
        repeated = [gram for gram in counts if counts[gram] > 1]
        if n in TOP_SIZES:
            order = [(counts[gram], len("".join(gram)), -grams.index(gram)) for gram in repeated]
            chosen = {repeated[order.index(max(order))]} if repeated else set()
            row[f"top_{n}gram_character_fraction"] = covered_share(lower, n, chosen)
        else:
            row[f"duplicate_{n}gram_character_fraction"] = covered_share(lower, n, set(repeated))
    row["excess_newlines"] = [
        {"start": len(text[: run.start() + 2].encode()), "end": len(text[: run.end()].encode())}
        for run in re.finditer("\n{3,}", text)
    ]
    return row


@settings(deadline=None)
@given(texts=st.lists(TEXTS, max_size=4))
def test_columns_equal_the_twins_to_the_last_bit(make_batch, texts):
    batch = make_batch(texts)
    rows = Gopher().annotate(batch)
    assert rows.schema == SCHEMA
    expected = [describe(*pair) for pair in zip(texts, words_of(batch), strict=True)]
    assert rows.to_pylist() == expected


def test_columns_of_a_small_text(make_batch):
    text = "The cat sat...\n- The cat sat...\n\n\n\nThe #1 cat, the cat!\n"
    (row,) = Gopher().annotate(make_batch([text])).to_pylist()
    assert row["word_count"] == 11
    assert row["stop_word_count"] == 4
    assert row["distinct_stop_word_count"] == 1
    assert row["longest_newline_run"] == 4
    assert row["mean_word_length"] == 31 / 11
    assert row["symbol_word_ratio"] == 3 / 11
    assert row["bullet_line_fraction"] == 1 / 3
    assert row["ellipsis_line_fraction"] == 2 / 3
    assert row["words_without_letter_fraction"] == 1 / 11
    assert row["duplicate_line_fraction"] == 0.0
    assert row["top_2gram_character_fraction"] == 18 / 31  # "the cat", three times
    assert row["excess_newlines"] == [{"start": 33, "end": 35}]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u3000", ".", "\x00", "a", "日"])
def test_texts_of_nearly_nothing_have_numbers(make_batch, text):
    (row,) = Gopher().annotate(make_batch([text])).to_pylist()
    assert row["character_count"] == len(text)
    shares = [value for name, value in row.items() if name.endswith("fraction")]
    assert all(0.0 <= value <= 1.0 for value in shares)


def test_a_batch_without_rows_gives_none(make_batch):
    assert Gopher().annotate(make_batch([])).num_rows == 0


def test_rows_do_not_depend_on_the_batch_they_stand_in(make_batch, corpus):
    batch = make_batch(corpus)
    whole = Gopher().annotate(batch)
    for start, length in ((0, 7), (5, 1), (len(corpus) - 3, 3)):
        part = Gopher().annotate(DocumentBatch(batch.table.slice(start, length)))
        assert part.equals(whole.slice(start, length))


def test_repeats_in_a_long_line_are_found_whole(make_batch):
    words = 400_000  # the second half repeats the first
    text = " ".join(f"w{k % (words // 2)}" for k in range(words))
    (row,) = Gopher().annotate(make_batch([text])).to_pylist()
    assert row["duplicate_10gram_character_fraction"] == 1.0


def test_newlines_kept_must_be_one_or_more():
    with pytest.raises(ValueError, match="newlines_kept must be at least 1"):
        Gopher(newlines_kept=0)
    assert Gopher(newlines_kept=3).parameters() == {"newlines_kept": 3}


# datatrove's definitions, where texts are plain words (ASCII letters, single blanks, no
# punctuation) so that its words, given by a tokenizer that splits at blanks, are ours.
datatrove = pytest.importorskip("datatrove", reason="could not import datatrove, a test oracle")


@pytest.fixture(scope="module")
def plain(corpus):
    """The corpus as lower-case words with single blanks and line feeds."""
    texts = []
    for text in corpus:
        lines = [" ".join(re.findall("[a-z]+", line.lower())) for line in text.split("\n")]
        texts.append("\n".join(line for line in lines if line))
    return [text for text in texts if text]


def blank_tokenizer():
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Blanks(WordTokenizer):
        def word_tokenize(self, text):
            return text.split()

        def sent_tokenize(self, text):
            return [text]

        def span_tokenize(self, text):
            return [(0, len(text))]

    return Blanks()


def test_quality_numbers_decide_like_datatrove_on_plain_words(make_batch, plain):
    from datatrove.data import Document
    from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter

    judge = GopherQualityFilter(language=blank_tokenizer())
    rows = Gopher().annotate(make_batch(plain)).to_pylist()
    verdicts = Counter()
    for text, row in zip(plain, rows, strict=True):
        verdict = judge.filter(Document(text=text, id="x"))
        kept = (
            50 <= row["word_count"] <= 100_000
            and 3 <= row["mean_word_length"] <= 10
            and row["symbol_word_ratio"] <= 0.1
            and row["bullet_line_fraction"] <= 0.9
            and row["ellipsis_line_fraction"] <= 0.3
            and row["words_without_letter_fraction"] <= 0.2
            and row["distinct_stop_word_count"] >= 2
        )
        assert kept == (verdict is True), (verdict, row)
        verdicts[kept] += 1
    assert min(verdicts[True], verdicts[False]) >= 20, "both verdicts are put to the test"


def test_repetition_differs_from_datatrove_only_as_defined(make_batch, plain):
    """datatrove counts from the second occurrence on, over all characters of the text; so its
    numbers are ours less the first occurrences."""
    from datatrove.pipeline.filters.gopher_repetition_filter import (
        find_all_duplicate,
        find_duplicates,
        find_top_duplicate,
        get_n_grams,
    )

    rows = Gopher().annotate(make_batch(plain)).to_pylist()
    compared = Counter()
    for text, row in zip(plain, rows, strict=True):
        lines, words = text.split("\n"), text.split()
        counts = Counter(lines)
        firsts = [line for line in counts if counts[line] > 1]
        again, again_characters = find_duplicates(lines)
        assert row["duplicate_line_fraction"] == (again + len(firsts)) / len(lines)
        assert row["duplicate_line_character_fraction"] == (
            again_characters + len("".join(firsts))
        ) / len("".join(lines))
        compared["lines"] += bool(firsts)
        characters = len("".join(words))
        for n in TOP_SIZES:
            grams = get_n_grams(words, n)
            ranked = Counter(grams).most_common(2)
            alone = len(ranked) == 2 and ranked[0][1] > max(ranked[1][1], 1)
            overlaps = alone and len(set(ranked[0][0].split())) < n
            if alone and not overlaps:  # ties, and what overlaps itself, are counted otherwise
                blanks = (n - 1) * ranked[0][1]
                top = find_top_duplicate(grams) - blanks
                assert row[f"top_{n}gram_character_fraction"] == top / characters
                compared[n] += 1
        for n in DUPLICATE_SIZES:
            # Nothing repeats for both, or what datatrove finds is part of what is covered.
            theirs = find_all_duplicate(words, n)
            ours = row[f"duplicate_{n}gram_character_fraction"] * characters
            assert (theirs == 0) == (ours == 0.0)
            assert theirs <= ours + 1e-6
            compared[n] += theirs > 0
    assert all(compared[key] >= 10 for key in ("lines", *TOP_SIZES, *DUPLICATE_SIZES)), compared
