import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.unicode import CODE_POINTS
from transforms.kernels.word_statistics import (
    STOP_WORDS,
    count_characters,
    find_excess_newlines,
    letter_table,
    measure_words,
)
from transforms.kernels.words import find_words

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text("#.. …\n\u00a6\u0080aé"),
    st.lists(st.sampled_from([*STOP_WORDS, "The", "AND", "x1", "12", "½", "日", "カナ"])).map(
        " ".join
    ),
)
DOCUMENTS = st.lists(TEXTS, max_size=4)


def batch_of(texts, before=b"..\n"):
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    offsets = len(before) + np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(before + b"".join(encoded), np.uint8), offsets.astype(np.int64)


def words_of(data, offsets):
    """Words of each document, as strings; finding them is tested elsewhere."""
    found = find_words(data, offsets)
    spans = [
        bytes(data[start:end]).decode() for start, end in zip(found.starts, found.ends, strict=True)
    ]
    return [spans[a:b] for a, b in zip(found.bounds[:-1], found.bounds[1:], strict=True)]


@settings(deadline=None)
@given(DOCUMENTS)
def test_word_statistics_equal_the_twins(texts):
    data, offsets = batch_of(texts)
    measured = measure_words(data, find_words(data, offsets))
    documents = words_of(data, offsets)
    assert measured.lengths.tolist() == [len(word) for words in documents for word in words]
    assert measured.without_letter.tolist() == [
        sum(not any(char.isalpha() for char in word) for word in words) for words in documents
    ]
    stops = [[word.lower() for word in words if word.lower() in STOP_WORDS] for words in documents]
    assert measured.stop_words.tolist() == [len(one) for one in stops]
    assert measured.distinct_stop_words.tolist() == [len(set(one)) for one in stops]


@settings(deadline=None)
@given(DOCUMENTS)
def test_characters_symbols_and_newlines_equal_the_twins(texts):
    counted = count_characters(*batch_of(texts))
    assert counted.characters.tolist() == [len(text) for text in texts]
    assert counted.symbols.tolist() == [
        sum(text.count(symbol) for symbol in ("#", "...", ". . .", "…")) for text in texts
    ]
    assert counted.newlines.tolist() == [text.count("\n") for text in texts]
    assert counted.longest_newline_run.tolist() == [
        max(map(len, re.findall("\n+", text)), default=0) for text in texts
    ]


@settings(deadline=None)
@given(DOCUMENTS, st.integers(1, 3))
def test_cutting_excess_newlines_leaves_at_most_so_many_in_a_row(texts, kept):
    data, offsets = batch_of(texts)
    runs = find_excess_newlines(data, offsets, count_characters(data, offsets), kept)
    for d, text in enumerate(texts):
        left, reached = b"", 0
        for k in range(runs.bounds[d], runs.bounds[d + 1]):
            assert reached <= runs.starts[k] < runs.ends[k]
            left += text.encode()[reached : runs.starts[k]]
            reached = runs.ends[k]
        left += text.encode()[reached:]
        assert left.decode() == re.sub(f"\n{{{kept},}}", "\n" * kept, text)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=4), st.binary(max_size=4), st.binary(max_size=4))
def test_malformed_bytes_are_read_within_their_document(documents, tail, other):
    data, offsets = batch_of(documents)
    results = []
    for after in (tail, other):
        longer = np.concatenate((data, np.frombuffer(after, np.uint8)))
        counted = count_characters(longer, offsets)
        columns = [
            *measure_words(longer, find_words(longer, offsets)),
            *counted,
            *find_excess_newlines(longer, offsets, counted, 1),
        ]
        results.append([column.tolist() for column in columns])
    assert results[0] == results[1]


def test_letters_are_those_of_the_running_python():
    table = letter_table()
    assert all(table[code] == chr(code).isalpha() for code in range(CODE_POINTS))
