"""Markdown: tables line up, and what others wrote is no markup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.reports.markdown import plain, table

WORDS = st.text(st.characters(codec="ascii", exclude_categories=("C",)), max_size=12).map(plain)


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5))
def test_columns_line_up_and_hold_their_cells(rows):
    lines = table(("name", "n", "also"), rows, ("name",)).splitlines()
    assert len(lines) == 2 + len(rows)
    assert len({len(line) for line in lines}) == 1
    assert lines[1].count(":") == 2  # of numbers
    for line, row in zip(lines[2:], rows, strict=True):
        unescaped = line.replace("\\|", "  ")
        assert unescaped.count("|") == 4
        left, right, _ = (len(part) for part in unescaped[1:-1].split("|"))
        cells = line[1 : 1 + left], line[2 + left : 2 + left + right]
        assert cells == (f" {row[0].ljust(left - 2)} ", f" {row[1].rjust(right - 2)} ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("MIT", "MIT"),
        ("a | b", "a \\| b"),
        ("a\n\n# b", "a # b"),
        ("[x](y) <b>*`", "\\[x\\](y) \\<b\\>\\*\\`"),
    ],
)
def test_what_others_wrote_stays_one_line_of_text(text, shown):
    assert plain(text) == shown
