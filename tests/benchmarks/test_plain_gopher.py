import pytest

from benchmarks.plain_gopher import find_rule_words, repeats_little

# Lines of five words that no other line has.
LINES = [" ".join(f"w{number}x{place}" for place in range(5)) for number in range(40)]


def test_words_are_those_of_the_rules():
    assert find_rule_words("The cat_sat, don't; 日本ひカナ e\u0301") == [
        *("the", "cat", "sat", "don", "t", "日", "本", "ひ", "カナ", "e\u0301")
    ]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", True),
        ("One plain line.", True),
        ("the same line\n" * 3, False),
        ("first\nsecond\n\nfirst\nsecond\n\n" + "x1 y2 z3 w4 v5 u6 t7 s8", False),
        (" ".join(f"word{number}" for number in range(100)), True),
        ("one two three four five six seven eight nine ten eleven " * 2, False),
    ],
)
def test_verdicts_of_small_texts(text, kept):
    assert repeats_little(text) is kept


def test_verdicts_equal_those_of_the_rule():
    """On texts with and without repeated lines, paragraphs and n-grams."""
    from benchmarks.ours.batches import batch
    from transforms.documents import DocumentBatch
    from transforms.quality.rules import rule
    from transforms.query import evaluate

    # More and more lines that stand twice, then words of lines in another order of lines.
    texts = ["\n".join(LINES[: 4 + n] + LINES[: n % 5]) for n in range(30)]
    texts += ["\n\n".join([*LINES, " ".join(LINES[:n])]) for n in range(20)]
    rows = [{"id": str(n), "text": text, "source": "s"} for n, text in enumerate(texts)]
    its = rule("gopher")
    (annotator,) = its.annotators
    tables = {"gopher": annotator.annotate(DocumentBatch(batch(rows)))}
    conditions = [c for c in its.conditions if ".duplicate_" in c.reason or ".top_" in c.reason]
    met = evaluate([c.to_sql() for c in conditions], tables, len(texts))
    kept = [all(values) for values in zip(*(column.to_pylist() for column in met), strict=True)]
    assert kept == [repeats_little(text) for text in texts]
    assert set(kept) == {True, False}
