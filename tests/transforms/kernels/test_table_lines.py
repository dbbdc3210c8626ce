import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.lines import find_lines
from transforms.kernels.table_lines import measure_tables

PIECES = ["a", "1", "22", "²", "٣", "½", "|", "| ", " |", "\n", "\n\n", "\t", "\u3000", "é", "日"]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
)


def measure(texts, before=b"| 12 |\n"):
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(before + b"".join(encoded), np.uint8)
    offsets = len(before) + np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    fractions, pipes = measure_tables(data, find_lines(data, offsets))
    return list(zip(fractions.tolist(), pipes.tolist(), strict=True))


def twin(text):
    lines = [line for line in text.split("\n") if line.strip()]
    total = 0.0
    for line in lines:
        total += sum(char.isdigit() for char in line) / len(line)
    stripped = [line.strip() for line in lines]
    pipes = sum(line.startswith("|") and line.endswith("|") for line in stripped)
    return (total / len(lines) if lines else 0.0), pipes


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=4))
def test_numbers_are_those_of_a_plain_reading(texts):
    assert measure(texts) == [twin(text) for text in texts]


@given(st.binary(max_size=40))
def test_bytes_that_are_no_utf8_are_measured(malformed):
    data = np.frombuffer(malformed, np.uint8)
    offsets = np.array([0, len(data)], np.int64)
    fractions, pipes = measure_tables(data, find_lines(data, offsets))
    assert np.isfinite(fractions).all()
    assert pipes[0] <= malformed.count(b"|")


def test_each_line_weighs_the_same():
    assert measure(["12\nabcdefgh", "| a | 1 |\n  |---|  \n|\nx |", " \n\n", ""]) == [
        (0.5, 0),
        (1 / 9 / 4, 3),
        (0.0, 0),
        (0.0, 0),
    ]
