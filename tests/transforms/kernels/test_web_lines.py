import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.cut import cut_spans
from transforms.kernels.lines import count_byte, find_lines
from transforms.kernels.unicode import lower_table
from transforms.kernels.web_lines import COUNTED, PHRASES, LineRules, cut_web_lines
from transforms.kernels.words import find_words

RULES = LineRules(0.5, 2, 10, 2)  # Dolma 3's
CART, READ_MORE, SIGN_IN = PHRASES
PIECES = [
    "two words ", "one", "UP", "Up ", "É", "1", "1,234", "٣", ".", "k ", "_", "²",
    "K likes", " views", " Views!",
    CART, f" {CART} ", READ_MORE, f" {READ_MORE}", SIGN_IN, f"{SIGN_IN} ", "items", "日", "ǅ",
    " ", "\u3000", "\r", "\t", "\n", "\n\n", "\n\n\n", "\n \n", "\u00ad", "\u0301", "🙂",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
)
RULE_SETS = st.just(RULES) | st.builds(
    LineRules,
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.integers(0, 4),
    st.integers(0, 12),
    st.integers(1, 4),
)


def batch_of(texts, before=b"\xe2 -"):
    """Documents that start in the middle of a buffer."""
    encoded = [text.encode() for text in texts]
    offsets = len(before) + np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(before + b"".join(encoded), np.uint8), offsets.astype(np.int64)


def judge(texts, rules=RULES):
    """(counts of each text, what is left of each text)."""
    data, offsets = batch_of(texts)
    cut = cut_web_lines(
        data,
        offsets,
        find_lines(data, offsets),
        find_words(data, offsets),
        count_byte(data, offsets, 10),
        rules,
    )
    left, bounds = cut_spans(data, offsets, cut.spans)
    pieces = [bytes(left[a:b]).decode() for a, b in itertools.pairwise(bounds)]
    return cut.counts.tolist(), pieces


def words_of(text):
    """(start, end) of each word in characters, from the kernel that defines them."""
    data = text.encode()
    found = find_words(np.frombuffer(data, np.uint8), np.array([0, len(data)]))
    return [
        (len(data[:start].decode()), len(data[:end].decode()))
        for start, end in zip(found.starts, found.ends, strict=True)
    ]


def lowered(text):
    return "".join(chr(lower_table()[ord(char)]) for char in text)


COUNTER = re.compile(rf"\W*\d[\d,.]*[kmb]?\s+(?:{'|'.join(COUNTED)})\W*")


def strip_phrases(line):
    """(what is left of the line, phrases, their words)."""
    left = line.lstrip()
    start, end = len(line) - len(left), len(line.rstrip())
    words = words_of(line)
    cuts = []
    if len(words) >= 2 and words[0][0] == start and line[start : words[1][1]] == SIGN_IN:
        cuts.append((start, words[1][1], 2))
    for first, last in zip(words, words[2:], strict=False):
        if line[first[0] : last[1]] == CART:
            cuts.append((first[0], last[1], 3))
    if len(words) >= 2 and line[words[-2][0] : end] == READ_MORE:
        cuts.append((words[-2][0], end, 2))
    kept, reached = line[:start], start
    for at, after, _ in cuts:
        between = line[reached:at]
        kept += between if not between.strip() and not kept.strip() else between.rstrip()
        reached = after
        if not kept.strip():  # a phrase at the start goes with the white space behind it
            reached += len(line[after:end]) - len(line[after:end].lstrip())
    return kept + line[reached:], len(cuts), sum(words for _, _, words in cuts)


def describe(text, rules):
    """The twin: the steps of Dolma 3 one after the other, each over the whole text."""
    counts = [0] * 8
    feeds = "\n" * rules.newlines_kept
    text = re.sub(feeds + "\n+", feeds, text)
    left = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        bare, feed = line.removesuffix("\n"), line[len(line.removesuffix("\n")) :]
        if not bare.strip():
            left.append(line)
            continue
        words = len(words_of(bare))
        if sum(map(str.isupper, bare)) / len(bare) > rules.upper_case:
            verdict = 1
        elif all(map(str.isdecimal, bare)):
            verdict = 2
        elif COUNTER.fullmatch(lowered(bare)):
            verdict = 3
        elif words < rules.min_words:
            verdict = 4
        else:
            stripped, phrases, cut = bare, 0, 0
            if words <= rules.phrase_words:
                stripped, phrases, cut = strip_phrases(bare)
            counts[6] += phrases
            verdict = 0 if stripped.strip() else 5
            if verdict == 0:
                counts[7] += cut
                left.append(stripped + feed)
        counts[verdict] += 1
        if verdict:
            counts[7] += words
    return counts, re.sub(feeds + "\n+", feeds, "".join(left))


@settings(deadline=None, max_examples=250)
@given(st.lists(TEXTS, max_size=4), RULE_SETS)
def test_counts_and_texts_equal_the_twins(texts, rules):
    counts, left = judge(texts, rules)
    expected = [describe(text, rules) for text in texts]
    assert (counts, left) == ([one[0] for one in expected], [one[1] for one in expected])


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("This Line stays", "This Line stays"),
        ("ABC def", "ABC def"),  # 3 of 7
        ("ABCD def", "ABCD def"),  # 4 of 8 is not more than half
        ("ABCD de", ""),  # 4 of 7
        ("ÄÖÜ é", ""),  # characters, not bytes
        ("2024", ""),
        ("٢٠٢٤", ""),
        ("2024 2025", "2024 2025"),
        ("123 likes", ""),
        ("★ 1.2K Followers ★", ""),
        ("٣ views", ""),
        ("12 likes and more", "12 likes and more"),
        ("some 12 likes", "some 12 likes"),
        ("Home", ""),
        ("- Home", ""),
        ("日本", "日本"),  # an ideograph is a word
        ("3 items in cart", "3"),
        ("items in cart: 3", ": 3"),
        ("You have 3 items in cart now", "You have 3 now"),
        ("3 items in carts", "3 items in carts"),
        ("3 Items in cart", "3 Items in cart"),
        ("The news. Read more...", "The news."),
        ("The news. Read more...  ", "The news.  "),
        ("Read more... of the news", "Read more... of the news"),
        ("The news. Read more", "The news. Read more"),
        ("Sign-in or register", "or register"),
        ("  Sign-in or register", "  or register"),
        ("Please Sign-in", "Please Sign-in"),
        ("Sign-in items in cart Read more...", ""),
        ("one two three four five six seven Read more...", "one two three four five six seven"),
        ("1 2 3 4 5 6 7 8 Read more...", "1 2 3 4 5 6 7 8"),
        ("1 2 3 4 5 6 7 8 9 Read more...", "1 2 3 4 5 6 7 8 9 Read more..."),  # 11 words
    ],
)
def test_what_is_left_of_a_line(line, left):
    for before, after in (("", ""), ("a line\n", "\nanother line\n")):
        kept = left + after if left else after[1:]
        assert judge([before + line + after])[1] == [before + kept]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a b\n\n\n\nc d", "a b\n\nc d"),
        ("a b\n\nMENU\n\nc d", "a b\n\nc d"),
        ("a b\nMENU\n\n\n\nc d", "a b\n\nc d"),
        ("a b\nMENU\n7 likes\nc d", "a b\nc d"),
        ("MENU\n\n\nc d", "\nc d"),
        ("a b\n \n\n\nc d", "a b\n \n\nc d"),
        ("a b\nMENU", "a b\n"),
    ],
)
def test_line_feeds_are_counted_in_what_is_left(text, left):
    assert judge([text])[1] == [left]


def test_reasons_are_given_in_order_and_words_are_counted():
    counts, _ = judge(["A B C\n12\n5 likes\nHome\nSign-in\nsix items in cart\nplain text"])
    assert counts == [[2, 1, 1, 1, 1, 1, 2, 3 + 1 + 2 + 1 + 2 + 3]]


def test_results_do_not_depend_on_the_batch():
    texts = ["MENU\na b\n\n\n\nSign-in now", "", "\n\n\n", "3 items in cart"]
    together = judge(texts)
    alone = [judge([text]) for text in texts]
    assert together == ([one[0][0] for one in alone], [one[1][0] for one in alone])
