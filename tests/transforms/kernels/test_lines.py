import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.lines import (
    count_byte,
    find_lines,
    fold_paragraphs,
    mark_bullets_and_ellipses,
    mark_endings,
)
from transforms.kernels.unicode import CODE_POINTS

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(
        st.sampled_from(["a", "b", "\n", "\n\n", " ", "\t", "\u3000", "é", "日", "-", "•", "*"])
        | st.sampled_from([".", "...", ". . .", "…", "\r", "\x1c", "\u0301"])
    ).map("".join),
)
DOCUMENTS = st.lists(TEXTS, max_size=4)


def batch_of(texts, before=b"\xe2 -"):
    """Documents that start in the middle of a buffer."""
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    offsets = len(before) + np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(before + b"".join(encoded), np.uint8), offsets.astype(np.int64)


def lines_of(text):
    return [line for line in text.split("\n") if line.strip()]


def paragraphs_of(text):
    paragraphs, current = [], []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            current.append(line)
        elif current:
            paragraphs.append("\n".join(current))
            current = []
    return paragraphs


@settings(deadline=None)
@given(DOCUMENTS)
def test_lines_are_those_of_split_that_are_not_blank(texts):
    data, offsets = batch_of(texts)
    lines = find_lines(data, offsets)
    spans = zip(lines.starts, lines.ends, strict=True)
    found = [bytes(data[start:end]).decode() for start, end in spans]
    expected = [lines_of(text) for text in texts]
    assert found == [line for one in expected for line in one]
    assert np.diff(lines.bounds).tolist() == [len(one) for one in expected]
    assert lines.characters.tolist() == [len(line) for line in found]


@settings(deadline=None)
@given(DOCUMENTS)
def test_lines_hash_alike_exactly_when_they_are_alike(texts):
    data, offsets = batch_of(texts)
    lines = find_lines(data, offsets)
    found = [line for text in texts for line in lines_of(text)]
    assert len(set(zip(found, lines.hashes.tolist(), strict=True))) == len(set(found))
    assert len(set(lines.hashes.tolist())) == len(set(found))


@settings(deadline=None)
@given(DOCUMENTS)
def test_paragraphs_are_runs_of_lines_without_a_blank_one(texts):
    paragraphs = fold_paragraphs(find_lines(*batch_of(texts)))
    expected = [paragraphs_of(text) for text in texts]
    found = [paragraph for one in expected for paragraph in one]
    assert np.diff(paragraphs.bounds).tolist() == [len(one) for one in expected]
    assert paragraphs.characters.tolist() == [len(paragraph) for paragraph in found]
    assert len(set(zip(found, paragraphs.hashes.tolist(), strict=True))) == len(set(found))
    assert len(set(paragraphs.hashes.tolist())) == len(set(found))


@settings(deadline=None)
@given(DOCUMENTS)
def test_bullets_and_ellipses_are_sought_inside_white_space(texts):
    data, offsets = batch_of(texts)
    bullets, ellipses = mark_bullets_and_ellipses(data, find_lines(data, offsets))
    lines = [line.strip() for text in texts for line in lines_of(text)]
    assert bullets.tolist() == [line.startswith(("•", "●", "*", "-")) for line in lines]
    assert ellipses.tolist() == [line.endswith(("...", ". . .", "…")) for line in lines]


@settings(deadline=None)
@given(DOCUMENTS)
def test_endings_are_those_of_the_line_as_it_stands(texts):
    table = np.zeros(CODE_POINTS, np.bool_)
    table[[ord("."), ord("日"), ord("\u3000")]] = True
    data, offsets = batch_of(texts)
    marks = mark_endings(data, find_lines(data, offsets), table)
    lines = [line for text in texts for line in lines_of(text)]
    assert marks.tolist() == [line.endswith((".", "日", "\u3000")) for line in lines]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=4), st.binary(max_size=4), st.binary(max_size=4))
def test_malformed_bytes_are_read_within_their_document(documents, tail, other):
    data, offsets = batch_of(documents)
    table = np.zeros(CODE_POINTS, np.bool_)
    results = []
    for after in (tail, other):
        longer = np.concatenate((data, np.frombuffer(after, np.uint8)))
        lines = find_lines(longer, offsets)
        marks = mark_bullets_and_ellipses(longer, lines)
        results.append([*lines, *marks, mark_endings(longer, lines, table)])
    assert [column.tolist() for column in results[0]] == [one.tolist() for one in results[1]]


def test_only_bytes_of_the_documents_are_counted():
    data, offsets = batch_of(["a\n\nb", "\n"], before=b"\n\n")
    assert count_byte(data, offsets, ord("\n")) == 3
