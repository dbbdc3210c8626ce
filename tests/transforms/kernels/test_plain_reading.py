"""Plain reading: what marks are read as, that length and lines stay, and that windows suffice."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.plain_reading import MOST_TAG_BYTES, find_windows, read_plain
from transforms.kernels.words import hash_words

PIECES = (
    "a", "B", "é", "漢", "1", " ", "\n", "<b>", "</b>", "<a href='x y'\n>", "<", ">", "&nbsp;", "&",
    "&#65;", "&#x2014;", "&amp;", "nbsp;", "&shy;", ";", "\\", "\\n", "\\u0041", "\\xa0", "%20",
    "%41", "%", "ⓑ", "⒜", "🄲", "🅰", "\x7f", "\x00", "\x1b", "’", "😀", "n", "u00ad",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
INVISIBLE = {0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF}
MARKS = re.compile(
    r"(?P<tag><[A-Za-z/!?][^<>]*>)"
    r"|(?P<entity>&(?:(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{0,30});"
    r"(?:(?<=amp;)(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{0,30});)*))"
    r"|(?P<percent>%[0-9a-fA-F]{2})"
    r"|(?P<escape>\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[ntrfv]))"
    r"|(?P<letter>[\u249c-\u24e9\U0001f110-\U0001f129\U0001f130-\U0001f149"
    r"\U0001f150-\U0001f169\U0001f170-\U0001f189])"
    r"|(?P<control>[\x00-\x08\x0e-\x1b\x7f])"
)


def meaning(code: int) -> str | None:
    """A letter, "" for nothing, None for blanks."""
    if code < 0x80 and chr(code).isalnum():
        return chr(code)
    return "" if code in INVISIBLE else None


def meaning_of(found: re.Match[str]) -> str | None:
    text = found.group()
    if found.lastgroup == "tag":
        return None
    if found.lastgroup == "control":
        return ""
    if found.lastgroup == "letter":
        code = ord(text)
        first = 0x249C if code < 0x10000 else 0x1F110
        return chr(97 + ((code - first) % 26 if code < 0x10000 else (code - first) % 32))
    if found.lastgroup == "percent":
        return meaning(int(text[1:], 16))
    if found.lastgroup == "escape":
        return meaning(int(text[2:], 16)) if len(text) > 2 else None
    name = text[1:-1].split(";")[-1]
    if name.startswith("#"):
        digits = name[1:]
        return meaning(int(digits[1:], 16) if digits[0] in "xX" else int(digits))
    return "" if name in ("shy", "zwj", "zwnj") else None


def plain_twin(text: str) -> str:
    """What the kernel should give, built from a regular expression."""
    out, owed, at = "", 0, 0
    for found in [*MARKS.finditer(text), None]:
        between = text[at : found.start() if found else len(text)]
        for char in between:
            if ord(char) < 0x80 and not char.isalnum():
                out, owed = out + " " * owed, 0
            out += char
        if found is None:
            break
        size, means = len(found.group().encode()), meaning_of(found)
        if means is None:
            blanks = "".join("\n" if b == 10 else " " for b in found.group().encode())
            out, owed = out + " " * owed + blanks, 0
        else:
            out, owed = out + means, owed + size - len(means)
        at = found.end()
    return out + " " * owed


def buffers(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [text.encode() for text in texts]
    return (
        np.frombuffer(b"".join(encoded), np.uint8),
        np.cumsum([0, *map(len, encoded)]).astype(np.int64),
    )


def plain(text: str) -> str:
    data, offsets = buffers([text])
    return read_plain(data, offsets[:-1], offsets[1:])[0].tobytes().decode()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("fish&nbsp;and&#160;chips&#xA0;!", "fish      and      chips      !"),
        ("a &amp;nbsp; b &amp;amp;#32; c", "a            b               c"),
        ("<td class='x'>one</td><td>two</td>", "              one         two     "),
        ("one\\ntwo\\u00a0three\\x20four", "one  two      three    four"),
        ("to%20be%2C%20or", "to   be      or"),
        ("ⓗⓔllo ⒲orld 🅰!", "hello     world   a   !"),
        ("con\x7fta\x00mi&shy;na\u200bted.", "contamina\u200bted       ."),
        ("&#72;i&#x21;", "Hi          "),
        ("a < b && c > d; 5% of \\alpha &c.", "a < b && c > d; 5% of \\alpha &c."),
        ("<!-- no\nword --> yes", "       \n         yes"),
    ],
)
def test_marks_are_read_as_a_reader_does(text: str, read: str) -> None:
    assert plain(text) == read
    assert len(text.encode()) == len(read.encode())


def test_a_tag_ends_somewhere() -> None:
    longest = "<a " + "x" * (MOST_TAG_BYTES - 4) + ">"
    assert plain(longest).isspace()
    assert plain(longest.replace("a ", "a  ")) == longest.replace("a ", "a  ")


@settings(deadline=None)
@given(TEXTS | st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_regular_expression_reads_the_same(text: str) -> None:
    assert plain(text) == plain_twin(text)


@settings(deadline=None)
@given(TEXTS)
def test_lines_stay_where_they_are(text: str) -> None:
    read = plain(text).encode()
    assert len(read) == len(text.encode())
    assert [k for k, b in enumerate(read) if b == 10] == [
        k for k, b in enumerate(text.encode()) if b == 10
    ]


def runs(text: str, words: int) -> set[tuple[int, ...]]:
    hashes = hash_words(text).tolist()
    return {tuple(hashes[k : k + n]) for n in range(1, words + 1) for k in range(len(hashes))}


@settings(deadline=None)
@given(
    st.lists(TEXTS | st.just("one two three four " * 40), min_size=1, max_size=3), st.integers(2, 4)
)
def test_what_only_the_plain_reading_holds_is_in_a_window(texts: list[str], words: int) -> None:
    data, offsets = buffers(texts)
    windows = find_windows(data, offsets, np.arange(len(texts)), words)
    assert (windows[1:, 1] >= windows[:-1, 2]).all()
    for row, text in enumerate(texts):
        own = windows[windows[:, 0] == row]
        pieces, bounds = read_plain(data, own[:, 1].copy(), own[:, 2].copy())
        seen = runs(text, words)
        for first, last in pairwise(bounds):
            seen |= runs(pieces[first:last].tobytes().decode(), words)
        assert runs(plain(text), words) <= seen


def test_only_the_rows_asked_for_are_looked_at() -> None:
    data, offsets = buffers(["a&nbsp;b", "c&nbsp;d", "e f"])
    found = find_windows(data, offsets, np.array([1, 2]), 8)
    assert found.tolist() == [[1, int(offsets[1]), int(offsets[2])]]
    assert len(find_windows(data, offsets, np.arange(0), 8)) == 0
