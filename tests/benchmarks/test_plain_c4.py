from itertools import product

import pytest

from benchmarks.plain_c4 import DOLMA, MARKS, c4_marks

LINE = "Here are some words"
# Text -> marks by docs/rules.md and, where they differ, those that Dolma's tagger gave of it.
TEXTS = {
    "": ([0, 0, 0, 0, 0, 0, 0], [1, 0, 1, 1, 0, 0, 0]),
    f"{LINE}.": ([1, 1, 0, 0, 0, 0, 0], None),
    f"{LINE}.\r\n{LINE}": ([2, 1, 1, 0, 0, 0, 0], None),
    f"{LINE}.\n": ([1, 1, 0, 0, 0, 0, 0], [2, 1, 1, 1, 0, 0, 0]),
    f"{LINE}.\n\nWords": ([3, 1, 2, 0, 0, 0, 0], [3, 1, 2, 2, 0, 0, 0]),
    f"{LINE}.[1]": ([1, 1, 0, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0, 0]),
    "Two [1] words.": ([1, 0, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]),
    f"{LINE}...": ([1, 0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]),
    f"{LINE} {'x' * 1001}.": ([1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]),
    f"{LINE} of JavaScript {{.": ([1, 0, 0, 0, 1, 0, 0], [1, 1, 0, 0, 1, 0, 1]),
    f"Lorem Ipsum {{\n{LINE}.": ([2, 1, 1, 0, 0, 0, 0], [2, 1, 1, 0, 0, 1, 1]),
    f"{LINE} and Lorem Ipsum {{.": ([1, 1, 0, 0, 0, 1, 1], None),
    f"{LINE} and a Cookie Policy.": ([1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]),
    "日本語の文です。": ([1, 0, 1, 0, 0, 0, 0], [1, 0, 1, 1, 0, 0, 0]),
}


@pytest.mark.parametrize("text", TEXTS)
def test_marks_of_small_texts(text):
    ours, theirs = TEXTS[text]
    assert c4_marks(text, 3) == dict(zip(MARKS, ours, strict=True))
    assert c4_marks(text, 3, DOLMA) == dict(zip(MARKS, theirs or ours, strict=True))


def test_each_difference_is_one():
    """Without any one of them Dolma's marks would not be met."""
    for name in DOLMA:
        others = [one for one in DOLMA if one != name]
        assert any(c4_marks(text, 3, others) != c4_marks(text, 3, DOLMA) for text in TEXTS), name


def test_marks_equal_those_of_the_rule():
    from benchmarks.ours.batches import batch
    from benchmarks.ours.rules import table_marks
    from transforms.documents import DocumentBatch
    from transforms.quality.c4 import C4

    texts = [*TEXTS, *("\n".join(pair) for pair in product(TEXTS, repeat=2))]
    rows = [{"id": str(n), "text": text, "source": "s"} for n, text in enumerate(texts)]
    for words in (3, 5):
        table = C4(words_per_line=words).annotate(DocumentBatch(batch(rows)))
        assert table_marks(table) == [c4_marks(text, words) for text in texts]
