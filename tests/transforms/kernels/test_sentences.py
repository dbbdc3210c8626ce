import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.sentences import CURSED, CURSED_ENDINGS, END_MARKS, judge_sentences
from transforms.kernels.words import find_words

# MADLAD-400's list as its paper prints it: regular expressions, sought in a sentence.
PATTERNS = [
    r" №", "\ufffd\ufffd\ufffd", r"\|\s*$", r" nr\.$", r"aute irure dolor ", r" sunt in culpa qui ",
    r"orem ipsum ", r" quis nostrud ", r" adipisicing ", r" dolore eu ", r" cupidatat ",
    r"autem vel eum", r"wisi enim ad", r" sex ", r" porn ", r"黄色电影", r"mp3", r"ownload",
    r"Vol\.", r" Ep\.", r"Episode", r" г\.\s*$", r" кг\.\s*$", r" шт\.", r"Develop", r"Facebook",
    r" crusher ", r" xxx ",
    r" ... ... ... ... ... ... ... ... ...",
    r" .... .... .... .... .... .... .... .... ....",
    r" [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ]",
    r", ..,,? ..,,? ..,,? ..,,?",
]  # fmt: skip
CURSES = [re.compile(pattern) for pattern in PATTERNS]
PIECES = [
    "word ", "Word ", "É", "日", "x", " ", ". ", "!", "?! ", "...", ".", "\n", "\u3000", "\u00ad",
    *CURSED, *CURSED_ENDINGS, " a b c d e f g h", " i", " é", " abc", " abcd", " é日x", " ab\n",
    " abc" * 8, " abcd" * 8, ", ab", ",", " cd", ", ab, cd,, ef,", " gh,", "A B C D E F G H I J K",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.sampled_from("aA .,|\n日é")),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
)


def batch_of(texts, before=b"\xe2 A."):
    """Documents that start in the middle of a buffer."""
    encoded = [text.encode() for text in texts]
    offsets = len(before) + np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(before + b"".join(encoded), np.uint8), offsets.astype(np.int64)


def judge(texts, min_words=12, capitals=0.5):
    """(sentences, in list case, cursed, questionable) of each text."""
    data, offsets = batch_of(texts)
    judged = judge_sentences(data, offsets, find_words(data, offsets), min_words, capitals)
    return [tuple(map(int, row)) for row in zip(*judged, strict=True)]


def sentences_of(text):
    ends = re.finditer(rf"([{END_MARKS}]+)(?=\s|\Z)", text)
    start, sentences = 0, []
    for end in [match.span() for match in ends] + [(len(text), len(text))]:
        if text[start : end[0]].strip():
            sentences.append(text[start : end[1]].strip())
        start = end[1]
    return sentences


def is_list_case(sentence, min_words, capitals):
    data = sentence.encode()
    starts = find_words(np.frombuffer(data, np.uint8), np.array([0, len(data)])).starts
    upper = sum(data[start:].decode()[0].isupper() for start in starts)
    return len(starts) >= min_words and upper / len(starts) > capitals


def describe(text, min_words, capitals):
    """The twin, from the rules' definitions."""
    sentences = sentences_of(text)
    listed = [is_list_case(sentence, min_words, capitals) for sentence in sentences]
    cursed = [any(curse.search(sentence) for curse in CURSES) for sentence in sentences]
    either = sum(map(max, listed, cursed))
    return len(sentences), sum(listed), sum(cursed), either


@settings(deadline=None, max_examples=400)
@given(
    st.lists(TEXTS, max_size=4), st.sampled_from([1, 2, 12]), st.sampled_from([0.0, 0.25, 0.5, 1.0])
)
def test_counts_equal_the_twins(texts, min_words, capitals):
    assert judge(texts, min_words, capitals) == [
        describe(text, min_words, capitals) for text in texts
    ]


def test_the_lists_are_those_of_the_paper():
    plain = [pattern.replace("\\.", ".") for pattern in PATTERNS[:-4]]
    endings = tuple(re.sub(r"(\\s\*)?\$$", "", one) for one in plain if one.endswith("$"))
    assert tuple(one.replace("\\|", "|") for one in endings) == CURSED_ENDINGS
    assert tuple(one for one in plain if not one.endswith("$")) == CURSED


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0),
        (" \n", 0),
        ("One. Two! Three? Four", 4),
        ("One.\nTwo.\n", 2),
        ("One\n\nstill one.", 1),
        ("Version 3.5 of it.", 1),
        ("Wait... what?!", 2),
        ("... ... ...", 0),
        ('He said "No." Then he left.', 1),  # a quote is no white space, as in datamap-rs
        ("日本。日本。", 1),
    ],
)
def test_sentences_of_a_text(text, sentences):
    assert judge([text])[0][0] == sentences
    assert len(sentences_of(text)) == sentences


@pytest.mark.parametrize(
    ("sentence", "list_case"),
    [
        ("Aa Bb Cc Dd Ee Ff gg hh ii jj kk ll", 0),  # half of twelve is not more than half
        ("Aa Bb Cc Dd Ee Ff Gg hh ii jj kk ll", 1),
        ("Aa Bb Cc Dd Ee Ff Gg Hh Ii Jj Kk", 0),  # eleven words
        ("Éé Üü Жж Δδ Éé Üü Жж hh ii jj kk ll", 1),
        ("iPhone eBay Aa Bb Cc Dd Ee Ff gg hh ii jj", 0),  # the first character counts
    ],
)
def test_list_case_needs_twelve_words_and_more_than_half(sentence, list_case):
    assert judge([f"Before. {sentence}. After."]) == [(3, list_case, 0, list_case)]


@pytest.mark.parametrize(
    ("text", "cursed"),
    [
        ("Please download it. Or not.", 1),
        ("See Vol. 3 of it.", 1),  # "See Vol." is a sentence
        ("Home | About |\nand so on.", 0),
        ("Home | About | \n", 1),
        ("A S P A C E D T E X T.", 1),
        ("see a b c d e f g h .", 1),
        ("see a b c d e f g h\n", 0),
        ("one two big red cat dog pen cup jar box.", 1),
        ("in, US, UK, DE,, FR, and more.", 1),
        ("in, US, UK, DE, and more.", 0),
        ("a sexton", 0),
    ],
)
def test_what_is_cursed(text, cursed):
    assert judge([text])[0][2] == cursed


def test_a_sentence_is_questionable_once():
    text = "Download Facebook And mp3 Of The Big Red Cat In The Box. Fine."
    assert judge([text]) == [(2, 1, 1, 1)]


def test_results_do_not_depend_on_the_batch():
    texts = ["One. Two mp3", "", ".", " and. Facebook", "A" * 99]
    assert judge(texts) == [judge([text])[0] for text in texts]
