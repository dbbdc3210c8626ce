import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.documents import Document
from transforms.ingest import html
from transforms.ingest.html import (
    HtmlReader,
    NestingError,
    NulError,
    decode,
    extract_page,
    ordinary_blanks,
)
from transforms.ingest.reader import Rejected
from transforms.storage import list_files

PROSE = "<p>Vines need a trellis, and a trellis needs a vine. </p>" * 5


def read(folder: Path) -> list[Document | Rejected]:
    reader = HtmlReader()
    events = []
    for task in reader.group(list_files([str(folder)])):
        events += list(reader.read(task))
    return events


def test_main_text_is_kept_and_the_page_around_it_is_not() -> None:
    page = extract_page(
        b"<html lang=' de-AT '><head><title> A\n title </title></head><body>"
        b"<nav><a href=/>Home</a> <a href=/x>Elsewhere</a></nav><main>"
        + PROSE.encode()
        + b"<img alt='A picture' src=x><pre>def f():\n    return 1</pre></main>"
        b"<script>var hidden = 1</script><footer>Imprint</footer></body></html>"
    )
    assert page.text.startswith("Vines need a trellis")
    assert "def f():\n    return 1" in page.text
    for absent in ("Elsewhere", "hidden", "Imprint", "picture"):
        assert absent not in page.text
    assert (page.language, page.title, page.encoding) == ("de-AT", "A title", "utf-8")


@pytest.mark.parametrize(
    ("head", "url"),
    [
        ("<link rel=canonical href=' https://a.org/x '>", "https://a.org/x"),
        ("<meta property='og:url' content='http://a.org/y'>", "http://a.org/y"),
        (
            "<meta property='og:url' content='http://a.org/y'><link rel=canonical href=http://z.org>",
            "http://z.org",
        ),
        ("<link rel=canonical href=/relative>", None),
        ("<link rel=canonical href='javascript:alert(1)'>", None),
        ("<link rel=canonical href='http://[broken'>", None),
        ("", None),
    ],
)
def test_the_address_is_the_one_that_the_page_gives_itself(head: str, url: str | None) -> None:
    assert extract_page(f"<html><head>{head}</head><body>x".encode()).canonical == url


@pytest.mark.parametrize(
    ("content", "declared", "text", "encoding"),
    [
        ("é".encode(), None, "é", "utf-8"),
        (b"caf\xe9", "ISO-8859-1", "café", "cp1252"),
        (b"caf\xe9", '"latin1"', "café", "cp1252"),
        (b"<meta charset=iso-8859-2>\xb1", None, "<meta charset=iso-8859-2>ą", "iso8859-2"),
        (b"<meta charset=utf-16>plain", None, "<meta charset=utf-16>plain", "utf-8"),
        (codecs.BOM_UTF8 + "é".encode(), "latin1", "é", "utf-8"),
        (codecs.BOM_UTF16_LE + "é".encode("utf-16-le"), None, "é", "utf-16-le"),
        (codecs.BOM_UTF16_BE + "é".encode("utf-16-be"), "utf-8", "é", "utf-16-be"),
        ("naïve".encode(), "iso-8859-1", "naïve", "utf-8"),  # says Latin-1 and is UTF-8
        ("日本語".encode(), "shift_jis-nonsense", "日本語", "utf-8"),
        (b"<p>\xff\xfe\xe9 declared wrong", "utf-8", "<p>ÿþé declared wrong", "cp1252"),
    ],
)
def test_encodings_are_found_in_the_order_of_the_standard(
    content: bytes, declared: str | None, text: str, encoding: str
) -> None:
    found, name = decode(content, declared)
    assert found == text
    assert codecs.lookup(name) == codecs.lookup(encoding)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("declared", [None, "utf-8", "latin1"])
@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "\r\n <p>天"])
def test_wide_characters_are_found_with_and_without_a_mark(
    encoding: str, mark: str, declared: str | None, start: str
) -> None:
    markup = f"{start}<title>天</title>{PROSE}"
    content = (mark + markup).encode(encoding)
    assert decode(content, declared) == (markup, encoding)
    assert extract_page(content, declared).title == "天"


def test_a_page_with_nul_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(PROSE.encode() + b"\0" + PROSE.encode())
    (tmp_path / "b.html").write_bytes("Vines".encode("utf-16-le"))
    assert [event[:2] for event in read(tmp_path)] == [
        ("a.html", "NUL byte"),
        ("b.html", "NUL byte"),
    ]


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "utf-16", "gbk", "none", ""]))
def test_any_bytes_become_valid_text_or_are_refused_for_nul(
    content: bytes, declared: str | None
) -> None:
    try:
        page = extract_page(content, declared)
    except NulError:
        assert b"\0" in content
        return
    assert "\0" not in page.text
    page.text.encode()
    (page.title or "").encode()
    (page.language or "").encode()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=100))
def test_character_references_cannot_smuggle_surrogates_or_nul(text: str) -> None:
    markup = f"<title>&#xD800;</title><p>&#0;&#xDFFF;{text}".encode("utf-8", "replace")
    page = extract_page(markup)
    page.text.encode()
    assert "\0" not in page.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", "a b"),
        ("a__ b", "a   b"),
        ("if x:\n____return_1", "if x:\n    return 1"),  # indentation stays
        ("_\nTitle\n_", "Title"),
        ("_ _Title", "Title"),
        ("a_ \nb", "a\nb"),
        ("a\n_\nb", "a\n\nb"),
        ("a\n\n_\n\n_ _\n\nb", "a\n\nb"),
        ("a\n\n_\n__b", "a\n\n  b"),
        ("  a\n\n\nb \nc_d", "  a\n\n\nb \nc d"),  # only what U+00A0 has to do with changes
        ("a\u202f! \u3000b_c", "a\u202f! \u3000b c"),
        ("_", ""),
        ("_\n \n_", ""),
        ("", ""),
        ("_" * 300_000 + "a" + "_" * 300_000 + "b", "a" + " " * 300_000 + "b"),
        ("a" + "\n_" * 300_000 + "b", "a\n\n b"),
    ],
)
def test_no_break_spaces_become_blanks_where_they_show(text: str, expected: str) -> None:
    assert ordinary_blanks(text.replace("_", "\u00a0")) == expected


@given(st.text(st.sampled_from(" \n\u00a0\u202fab"), max_size=60))
def test_blanks_change_and_nothing_else(text: str) -> None:
    found = ordinary_blanks(text)
    assert "\u00a0" not in found
    assert found.split() == text.split()
    assert ordinary_blanks(found) == found
    if "\u00a0" not in text:
        assert found == text


def test_a_page_laid_out_with_no_break_spaces_reads_as_one_without() -> None:
    page = extract_page(
        b"<title>A&nbsp;title</title><p>&nbsp;</p><p>Vines&nbsp;need&#160;a trellis.</p>"
        b"<p>&nbsp;</p><tt>def&nbsp;f():<br>&nbsp;&nbsp;return&nbsp;1<br>&nbsp;<br>f()</tt>"
    )
    assert page.text == "Vines need a trellis.\n\ndef f():\n  return 1\n\nf()"
    assert page.title == "A title"


def test_a_page_of_no_break_spaces_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>&nbsp;</p><p>&nbsp;&nbsp;</p>")
    assert read(tmp_path) == [Rejected("a.html", "no text", "", False)]


def test_language_and_title_are_bounded() -> None:
    page = extract_page(f"<html lang={'x' * 36}><title>{'t' * 2000}</title>".encode())
    assert page.language is None
    assert page.title == "t" * 1000


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 100_000,
        "<div>" * 100_000 + "</div>" * 100_000,
        "<a><b><i>" * 40_000,
        "<DIV class='a'>" * 100_000,
    ],
)
def test_a_page_nested_without_end_is_refused_at_once(markup: str) -> None:
    with pytest.raises(NestingError):
        extract_page(f"{markup}x".encode())


@pytest.mark.parametrize(
    "markup", ["<p>a<br>" * 20_000, "<div>a</div>" * 20_000, "<svg><path d=x /></svg>" * 20_000]
)
def test_a_long_flat_page_is_no_nested_page(markup: str) -> None:
    assert extract_page(f"{markup}<p>end</p>".encode()).text.rstrip().endswith("end")


def test_pages_of_a_folder_become_documents_named_relative_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.html").write_text(PROSE)
    (folder / "empty.html").write_text("")
    (folder / "nothing.html").write_text("<script>x</script>")
    (folder / "sub" / "a.html").write_text(PROSE)
    events = {
        event.metadata["path"] if isinstance(event, Document) else event.origin: event
        for event in read(folder)
    }
    assert list(events) == ["a.html", "empty.html", "nothing.html", "sub/a.html"]
    first, second = events["a.html"], events["sub/a.html"]
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert first.text == second.text
    assert first.id != second.id
    assert first.metadata == {
        "path": "a.html",
        "url": None,
        "encoding": "utf-8",
        "language": None,
        "title": None,
    }
    assert events["empty.html"] == Rejected("empty.html", "empty file", "", False)
    assert events["nothing.html"] == Rejected("nothing.html", "no text", "", False)


@pytest.mark.parametrize(
    ("name", "content", "is_page"),
    [
        ("s.css", b"p { color: red }", False),
        ("a.js", b"document.write('<p>x</p>')", False),
        ("x.png", b"\x89PNG\r\n\x1a\n" + bytes(2000), False),
        ("feed.xml", b"<?xml version='1.0'?><rss><header>x</header></rss>", False),
        ("header.tpl", b"<header>x</header><body-part>x</body-part>", False),
        ("notes", b"plain words", False),
        ("late", b" " * 1024 + b"<html><p>x", False),
        ("page", b" " * 1019 + b"<html><p>x", True),
        ("page", b"<!DOCTYPE  html><p>x", True),
        ("index.php", b"<?xml version='1.0'?><HTML lang=en><p>x", True),
        ("index.php", b"<!-- x --><Head><title>t</title></Head>x", True),
        ("index.php", b"\r\n<body\nclass=a>x", True),
        ("wide", codecs.BOM_UTF16_LE + "<html><p>x".encode("utf-16-le"), True),
        ("a.HTM", b"<p>x", True),
        ("a.xhtml", b"x", True),
        ("a.shtml", b"x", True),
        ("a.html", b"x", True),
    ],
)
def test_other_files_of_a_site_are_no_pages(
    tmp_path: Path, name: str, content: bytes, is_page: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    (event,) = read(tmp_path)
    if is_page:
        assert isinstance(event, Document)
        assert event.text.strip() == "x"
    else:
        assert isinstance(event, Rejected)
        assert (event.origin, event.reason, event.quarantined) == (name, "not HTML", False)


def test_a_large_file_that_is_no_page_is_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "MAX_HTML_BYTES", 100)
    (tmp_path / "film.mp4").write_bytes(bytes(101))
    (event,) = read(tmp_path)
    assert isinstance(event, Rejected)
    assert (event.reason, event.quarantined) == ("not HTML", False)


def test_a_copy_of_a_folder_gives_the_same_documents(tmp_path: Path) -> None:
    for place in ("one", "two/deeper"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "a.html").write_text(PROSE)
    assert read(tmp_path / "one") == read(tmp_path / "two/deeper")


def test_invalid_utf8_is_replaced_where_no_encoding_reads_it(tmp_path: Path) -> None:
    bad = b"<meta charset=utf-8>" + PROSE.encode() + b"<p>bad \x81\xff byte</p>"
    (tmp_path / "a.html").write_bytes(bad)
    (event,) = read(tmp_path)
    assert isinstance(event, Document)
    assert "\ufffd" in event.text


def test_a_page_larger_than_the_limit_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "MAX_HTML_BYTES", 100)
    (tmp_path / "a.html").write_text("x" * 100)
    (tmp_path / "b.html").write_text("x" * 101)
    fits, large = read(tmp_path)
    assert isinstance(fits, Document)
    assert isinstance(large, Rejected)
    assert (large.reason, large.quarantined) == ("too large", True)


def test_no_files_no_tasks() -> None:
    assert HtmlReader().group([]) == []
    assert list(HtmlReader().read([])) == []
