import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.ingest.page_lines import (
    Line,
    clean_line,
    join_lines,
    running_lines,
    typed_lines,
    words_of,
)


def join(text: str, words: str = "") -> str:
    lines = typed_lines(text)
    return join_lines(lines, words_of(typed_lines(words)))


def test_wrapped_lines_are_joined_and_ended_lines_are_not() -> None:
    text = (
        "This line is as long as its column is wide, and\n"
        "so it goes on here until the paragraph ends.\n"
        "A new one begins; a line with room left,\n"
        "or so\n"
        "it would seem to a reader who looks at the page"
    )
    assert join(text).split("\n") == [
        "This line is as long as its column is wide, and so it goes on here until the paragraph "
        "ends.",
        "A new one begins; a line with room left,",
        "or so",
        "it would seem to a reader who looks at the page",
    ]


def test_a_gap_is_an_empty_line() -> None:
    assert join("First paragraph.\nIts end.\n\n\nSecond paragraph.\nMore of it.") == (
        "First paragraph.\nIts end.\n\nSecond paragraph.\nMore of it."
    )


def test_lists_contents_and_short_labels_keep_their_lines() -> None:
    for text in (
        "- one entry of the list, long enough\n- two entries of the list, so long",
        "1. one entry of the list, long enough\n2. two entries of the list, so long",
        "1.1 What is this about . . . . . . 3\n1.2 What it is not about . . . . . 4",
        "Alpha\nBetas\nGamma\nDelta",
    ):
        assert join(text) == text


def test_lines_of_fixed_pitch_type_keep_their_ends() -> None:
    text = "for (int i = 0; i < a_long_limit; i++) {\nprintf(a_long_format_string, i, limit);"
    lines = [line._replace(fixed_pitch=True) for line in typed_lines(text)]
    assert join_lines(lines, set()) == text


def test_code_keeps_its_indentation() -> None:
    text = "    def f(x):\n        if x:\n            return 1\n\n\n        return 2"
    lines = [line._replace(fixed_pitch=True) for line in typed_lines(text)]
    assert join_lines(lines, set()) == ("def f(x):\n    if x:\n        return 1\n\n    return 2")
    prose = Line("Some prose that stands before the code", 0, 100, -1, 1)
    assert join_lines([prose, *lines], set()).split("\n")[1:3] == ["def f(x):", "    if x:"]


def test_a_first_line_indent_starts_a_paragraph() -> None:
    text = (
        "The paragraph before this one ends at the edge\n"
        "   The next one starts with an indented line of\n"
        "text and goes on below without any indentation"
    )
    assert join(text).split("\n") == [
        "The paragraph before this one ends at the edge",
        "The next one starts with an indented line of text and goes on below without any "
        "indentation",
    ]


@pytest.mark.parametrize(
    ("first", "second", "dictionary", "wanted"),
    [
        ("it is a line of text with a hyphen-", "ated word", "", "a hyphenated word"),
        (
            "it is a line of text that is well-",
            "known to us",
            "a well-known one",
            "is well-known to",
        ),
        ("it is a line of text that is well-", "known to us", "", "is wellknown to"),
        ("it is a line of text of Smith-", "Jones and others", "", "of Smith-Jones and"),
        ("a line of text from the years 1990-", "1995 or so", "", "1990- 1995 or"),
        ("it is a line of text with a soft im\u00ad", "provement", "", "soft improvement"),
    ],
)
def test_a_hyphen_at_a_lines_end_goes_unless_it_belongs_to_the_word(
    first: str, second: str, dictionary: str, wanted: str
) -> None:
    assert wanted in join(f"{first}\n{second}", dictionary)


def test_ideographs_are_joined_without_a_blank() -> None:
    assert (
        join("软件包维护系统独特而且特别健壮\n它由协会开发")
        == "软件包维护系统独特而且特别健壮它由协会开发"
    )


def test_columns_are_not_woven_together() -> None:
    left = [Line("the left column is wrapped here", 0, 100, 10 + 12 * row, 10) for row in range(3)]
    right = [
        Line("the right column is wrapped too", 120, 220, 10 + 12 * row, 10) for row in range(3)
    ]
    assert join_lines(left + right, set()) == "\n".join(
        [" ".join(line.text for line in left), " ".join(line.text for line in right)]
    )


def test_lines_of_another_direction_stand_apart() -> None:
    upright = Line("a line of the page as it stands", 0, 100, 10, 10)
    turned = Line("a note that runs up the margin", 0, 100, 22, 10, turn=1)
    assert join_lines([upright, turned], set()) == f"{upright.text}\n\n{turned.text}"


def page(header: str, number: int, body: int = 4) -> list[Line]:
    text = [header, *(f"line {number} {row} of the body" for row in range(body)), str(number)]
    return typed_lines("\n".join(text))


def test_headers_and_page_numbers_are_found_on_three_pages_and_more() -> None:
    pages = [page("A Running Title, part 7", 10 + index) for index in range(3)]
    assert running_lines(pages) == {(index, row) for index in range(3) for row in (0, 5)}
    assert running_lines(pages[:2]) == set()


def test_lines_that_only_look_like_headers_stay() -> None:
    chapters = [page(header, 1) for header in ("Alpha title", "Beta title", "Gamma title")]
    assert running_lines(chapters) == set()  # other words, and a number that does not grow
    short = [page("The same title", number, body=1) for number in range(3)]
    assert running_lines(short) == set()


def test_clean_line_leaves_what_a_reader_sees() -> None:
    table = {
        "of\ufb01ce \ufb02oor": "office floor",
        "\uf0b7 an entry": "\u2022 an entry",
        "a\u00a0b\tc   d": "a b c d",
        "\x00con\x07trol\ufffd\ue123": "control",
        "sof\u00adt hy\u00ad": "soft hy\u00ad",
        "e\u0301": "\u00e9",
        "a\ud800b\U0010ffff": "ab",
    }
    for written, wanted in table.items():
        assert clean_line(written) == wanted


@given(st.text(st.characters(exclude_categories=[])))
def test_a_clean_line_is_valid_and_clean_again(text: str) -> None:
    cleaned = clean_line(text)
    cleaned.encode()
    assert "\n" not in cleaned
    assert clean_line(cleaned) == cleaned


LINES = st.lists(
    st.builds(
        Line,
        st.text("abc -.\u00ad软", max_size=40).map(clean_line).filter(lambda t: t.strip("\u00ad")),
        st.integers(0, 50),
        st.integers(50, 100),
        st.integers(0, 200),
        st.integers(1, 20),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(LINES)
def test_joining_neither_loses_nor_adds_letters(lines: list[Line]) -> None:
    joined = join_lines(lines, words_of(lines))
    assert [c for c in joined if c.isalpha()] == [
        c for line in lines for c in line.text if c.isalpha()
    ]
    assert joined == joined.strip("\n")
