import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.c4_lines import CUT_REASONS, judge_lines

PIECES = st.one_of(
    st.sampled_from(["a", "word ", "Sentence. ", " ", "\n", ".", "?", "!", '"', "...", "…", "{"]),
    st.sampled_from(
        [
            "[1]",
            "[edit]",
            "[citation needed]",
            "[",
            "]",
            "[]",
            "12",
            "[٣4]",
            "[²]",
            "[３",
            "[citation ",
        ]
    ),
    st.sampled_from(["JavaScript", "lorem ", "Ipsum", "Terms of Use", "use cookies", "Cookie "]),
    st.sampled_from(["needed]", "uses cookies", "policy", "privacy ", "use of ", "cookies"]),
    st.sampled_from([")", "'", ",", "日", "é", "\r", "\u3000", "K\u212a"]),
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(PIECES, max_size=30).map("".join),
)
DOCUMENTS = st.lists(TEXTS, max_size=4)
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies")
UPPER_TO_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def batch_of(texts, before=b'."\n['):
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    offsets = len(before) + np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(before + b"".join(encoded), np.uint8), offsets.astype(np.int64)


def sentences_of(line):
    """Ends of sentences, where white space is Python's."""
    count, place = 0, 0
    while match := re.compile(r"[.?!]+[\"')\]]*").search(line, place):
        place = match.end()
        count += place == len(line) or line[place].isspace()
    return max(count, 1)


def judge(text, min_words, max_word_length):
    """The twin: (verdict counts, lines, sentences, flags, text that is left, with line feeds)."""
    counts = dict.fromkeys(("kept", *CUT_REASONS), 0)
    sentences, flags, left, citations = 0, [False, False], "", 0
    pieces = text.split("\n")
    pieces = [piece + "\n" for piece in pieces[:-1]] + pieces[-1:] * bool(pieces[-1])
    for piece in pieces:
        line = piece.strip()
        clean = CITATION.sub("", line)
        lower = clean.translate(UPPER_TO_LOWER)
        if any(len(word) > max_word_length for word in line.split()):
            verdict = "long_word"
        elif not clean.endswith((".", "?", "!", '"')) or clean.endswith("..."):
            verdict = "no_end_mark"
        elif len(clean.split()) < min_words:
            verdict = "few_words"
        else:
            flags[0] |= "lorem ipsum" in lower
            if "javascript" in lower:
                verdict = "javascript"
            else:
                flags[1] |= "{" in lower
                bad = any(policy in lower for policy in (*POLICIES, "use cookies"))
                verdict = "policy" if bad else "kept"
        counts[verdict] += 1
        if verdict == "kept":
            sentences += sentences_of(clean)
            citations += len(CITATION.findall(line))
            left += CITATION.sub("", piece)
    return [*counts.values(), len(pieces), sentences], flags, left, citations


def cut(text, starts, ends):
    data, left, reached = text.encode(), b"", 0
    for start, end in sorted(zip(starts, ends, strict=True)):
        assert reached <= start < end
        left += data[reached:start]
        reached = end
    return (left + data[reached:]).decode()


@settings(deadline=None, max_examples=300)
@given(DOCUMENTS, st.integers(1, 3), st.integers(1, 9) | st.just(1000))
def test_verdicts_and_spans_equal_the_twins(texts, min_words, max_word_length):
    judged = judge_lines(*batch_of(texts), min_words, max_word_length)
    for d, text in enumerate(texts):
        counts, flags, left, citations = judge(text, min_words, max_word_length)
        assert judged.counts[d].tolist() == counts
        assert judged.flags[d].tolist() == flags
        lines = slice(judged.line_bounds[d], judged.line_bounds[d + 1])
        cited = slice(judged.citation_bounds[d], judged.citation_bounds[d + 1])
        assert cited.stop - cited.start == citations
        starts = np.concatenate((judged.line_starts[lines], judged.citation_starts[cited]))
        ends = np.concatenate((judged.line_ends[lines], judged.citation_ends[cited]))
        assert cut(text, starts, ends) == left


def test_neighbouring_lines_that_are_cut_are_one_span():
    judged = judge_lines(*batch_of(["x\ny\nThis line is kept here.\nz"]), 5, 1000)
    assert judged.line_starts.tolist() == [0, 28]
    assert judged.line_ends.tolist() == [4, 29]


def test_a_span_does_not_reach_into_the_next_document():
    judged = judge_lines(*batch_of(["x\n", "y\n"]), 5, 1000)
    assert judged.line_starts.tolist() == [0, 0]
    assert judged.line_ends.tolist() == [2, 2]
    assert judged.line_bounds.tolist() == [0, 1, 2]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=4), st.binary(max_size=4), st.binary(max_size=4))
def test_malformed_bytes_are_read_within_their_document(documents, tail, other):
    data, offsets = batch_of(documents)
    results = []
    for after in (tail, other):
        longer = np.concatenate((data, np.frombuffer(after, np.uint8)))
        results.append([column.tolist() for column in judge_lines(longer, offsets, 2, 5)])
    assert results[0] == results[1]
