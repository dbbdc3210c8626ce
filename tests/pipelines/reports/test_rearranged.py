"""The datasheet tells of fill-in-the-middle and of repetition, in words and with their numbers."""

from dataclasses import replace

import pytest

from pipelines.reports.rearranged import MiddleFacts, RepeatFacts, write_middles, write_repetition

MIDDLES = MiddleFacts(
    rate=0.5, suffix_first=0.25, split="tokens", prefix=("<|fim_prefix|>", 301),
    middle=("<|fim_middle|>", 302), suffix=("<|fim_suffix|>", 303),
    documents={"code": (1024, 2000), "empty": (0, 0)},
)  # fmt: skip
REPEAT = RepeatFacts(
    None, ((2, 2), (8, 5), (1000, 0)), {"web": {5: (1, 99), 1: (1200, 34_000), 0: (0, 0)}}
)


def rows_of(text):
    rows = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_section_on_middles_names_shares_sentinels_and_documents():
    title, told, table = write_middles(MIDDLES)
    assert title == "## Fill-in-the-middle"
    assert "50% of those of the sources below" in told
    psm = (
        "`<|fim_prefix|>` (301) prefix `<|fim_suffix|>` (303) suffix `<|fim_middle|>` (302) middle"
    )
    spm = (
        "`<|fim_prefix|>` (301) `<|fim_suffix|>` (303) suffix `<|fim_middle|>` (302) prefix middle"
    )
    assert f"They stand as {psm}, or 25% of them as {spm}" in told
    assert "between tokens of the whole" in told
    assert rows_of(table) == [["code", "1,024", "2,000", "51.20%"], ["empty", "0", "0", ""]]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            REPEAT,
            "after deduplication: from 2 on twice, from 8 on 5 times, from 1,000 on not at all",
        ),
        (REPEAT, "; below that once."),
        (
            replace(REPEAT, by="size.words\n // 9"),
            "the number that `size.words // 9` gives: from 2",
        ),
        (replace(REPEAT, steps=((1, 3),)), "after deduplication: from 1 on 3 times."),
    ],
)
def test_the_section_on_repetition_says_what_decides_and_how_often(facts, words):
    title, told, table = write_repetition(facts)
    assert title == "## Repetition"
    assert words in told
    assert rows_of(table) == [
        ["web", "not at all", "0", "0"], ["web", "once", "1,200", "34,000"],
        ["web", "5 times", "1", "99"],
    ]  # fmt: skip


def test_a_recipe_that_asks_for_neither_has_no_section():
    assert [*write_middles(None), *write_repetition(None)] == []
