"""What kernels of quality rules take beside the text is bounded by what their docstrings say: so
many bytes for what they find, and a constant. Texts are the worst for one kernel or another."""

import tracemalloc

import numpy as np
import pytest

from transforms.kernels.c4_lines import judge_lines
from transforms.kernels.lines import (
    find_lines,
    fold_paragraphs,
    mark_bullets_and_ellipses,
    mark_endings,
)
from transforms.kernels.repetition import MAX_SLOTS, cover_ngrams, mark_repeated
from transforms.kernels.sentences import judge_sentences
from transforms.kernels.unicode import CODE_POINTS
from transforms.kernels.web_lines import LineRules, cut_web_lines
from transforms.kernels.word_statistics import (
    count_characters,
    find_excess_newlines,
    measure_words,
)
from transforms.kernels.words import find_words

SIZE = 1 << 20  # bytes of each text
SLACK = 64 << 10  # bytes of views and of Python's own objects
TEXTS = {
    "one line": b"some words and then. ",
    "one word": b"x",
    "lines of a character": b"x\n",
    "empty lines": b"\n",
    "blanks": b" ",
    "words of a character": b"x ",
    "ideographs": "日".encode(),
    "brackets": b"[",
    "end marks": b". ",
    "lines of a phrase": b"Sign-in\n",
    "phrases": b"items in cart ",
    "runs of line feeds": b"x\n\n\n",
}


def batch_of(piece):
    """Two documents of one size and an empty one."""
    text = (piece * (SIZE // len(piece) + 1))[: SIZE // len(piece) * len(piece)]
    return np.frombuffer(text * 2, np.uint8), np.array([0, len(text), 2 * len(text), 2 * len(text)])


def taken(run):
    """Most bytes that NumPy and Python had allocated at once while `run` was run."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", TEXTS)
def test_memory_is_bounded_by_what_is_found(name):
    data, offsets = batch_of(TEXTS[name])
    words, lines = find_words(data, offsets), find_lines(data, offsets)
    counted, measured = count_characters(data, offsets), measure_words(data, words)
    feeds, brackets = int(counted.newlines.sum()), int(np.count_nonzero(data == ord("[")))
    phrases = sum(data.tobytes().count(one) for one in (b"cart", b"more", b"in"))
    table = np.zeros(CODE_POINTS, np.bool_)
    largest_words = int(np.diff(words.bounds).max())
    largest_lines = int(np.diff(lines.bounds).max())
    room = 24 * (len(data) // 4 + 1)
    n_words, n_lines = len(words.hashes), len(lines.hashes)
    table_bytes = 16 * MAX_SLOTS
    line_rules = LineRules(0.5, 2, 10, 2)
    runs = {
        "find_words": (lambda: find_words(data, offsets), room + 24 * 4 * n_words),
        "find_lines": (lambda: find_lines(data, offsets), 29 * (feeds + 3)),
        "count_characters": (lambda: count_characters(data, offsets), 0),
        "measure_words": (lambda: measure_words(data, words), 4 * n_words),
        "find_excess_newlines": (
            lambda: find_excess_newlines(data, offsets, counted, 2),
            16 * feeds // 3,
        ),
        "fold_paragraphs": (lambda: fold_paragraphs(lines), 12 * int(lines.first.sum())),
        "mark_bullets": (lambda: mark_bullets_and_ellipses(data, lines), 2 * n_lines),
        "mark_endings": (lambda: mark_endings(data, lines, table), n_lines),
        "mark_repeated": (
            lambda: mark_repeated(lines.hashes, lines.bounds),
            5 * n_lines + 4 * largest_lines + table_bytes,
        ),
        "cover_ngrams": (
            lambda: cover_ngrams(words.hashes, measured.lengths, words.bounds),
            13 * largest_words + table_bytes,
        ),
        "judge_lines": (
            lambda: judge_lines(data, offsets, 5, 1000),
            16 * (feeds + brackets + 3) + len(data) // 2,
        ),
        "judge_sentences": (lambda: judge_sentences(data, offsets, words, 12, 0.5), 0),
        "cut_web_lines": (
            lambda: cut_web_lines(data, offsets, lines, words, feeds, line_rules),
            16 * (n_lines + feeds + phrases) + n_words,
        ),
    }
    over = {}
    for kernel, (run, most) in runs.items():
        run()  # compiled, and tables made
        peak = taken(run)
        if peak > most + SLACK:
            over[kernel] = (peak, most)
    assert over == {}
