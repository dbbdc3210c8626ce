"""HTML to main text: Resiliparse's main content, and what a page says of itself.

In: the bytes of a page (and the charset that its server declared). Out: text, encoding, language
(`lang` of the html element), title and canonical URL; `HtmlReader` makes documents of folders of
pages. Dolma 3 and DCLM take Resiliparse's text too.

U+00A0 becomes a blank (`ordinary_blanks`), in text and title. Pages write `&nbsp;` for layout, some
of them for every blank, which classifiers and tokenizers then read as rare words. Other kinds of
input, and other spaces (U+202F of French, U+3000 of Chinese), stay as they are.

Metadata of a document: path (below the folder that was asked for), url (of `link rel=canonical` or
`og:url`, else null), encoding, language, title.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from transforms.documents import Document, document_id
from transforms.ingest.origins import origin_of
from transforms.ingest.reader import Rejected, group_by_size
from transforms.storage import FileInfo, open_read

__all__ = [
    "EXTRACTION",
    "MAX_HTML_BYTES",
    "HtmlReader",
    "NestingError",
    "NulError",
    "Page",
    "decode",
    "extract_page",
    "ordinary_blanks",
]

HTML_SUFFIXES = (".html", ".htm", ".xhtml", ".shtml")  # in any case: a page by its name
MARKUP_HEAD_BYTES = 1_024  # of another file, in which it must show that it is a page
MAX_HTML_BYTES = 16 << 20  # of one page; its parse tree takes some 30 times as much memory
# Tags times depth of nesting of one page. Resiliparse's time grows with it: some 10 s at this
# bound, days for a megabyte of "<div>".
MAX_NESTING = 100_000_000
MAX_TITLE_CHARACTERS = 1_000  # the rest is cut off
MAX_LANGUAGE_CHARACTERS = 35  # of a language tag (RFC 5646, 4.4.1); a longer one is none
MAX_URL_CHARACTERS = 8_192  # a longer one is none
# Options of resiliparse.extract.html2text.extract_plain_text.
EXTRACTION: dict[str, Any] = {
    "main_content": True,  # leave out navigation, footers, side bars ...
    "preserve_formatting": True,  # line breaks, paragraphs, lists, indentation of <pre>
    "list_bullets": True,  # "• " and "1. " before list items
    "alt_texts": False,  # descriptions of images are no running text
    "links": False,  # addresses of links
    "form_fields": False,
    "noscript": False,
    "comments": True,  # readers' comments below an article
    "post_meta": True,  # author and date lines of an article
}
NO_BREAK_SPACE = "\u00a0"
_BLANK_LINES = re.compile(r"\n[ \u00a0\n]*\n")
_MARKUP = re.compile(rb"<!doctype\s+html|<(?:html|head|body)(?![\w-])", re.IGNORECASE)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with that of UTF-16-LE
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# A tag at the start of a page in wide characters without a byte order mark.
_WIDE_TAGS = (
    (re.compile(rb"(?:[\t\n\r ]\0{3})*<\0{3}[!-~]\0{3}"), "utf-32-le"),
    (re.compile(rb"(?:\0{3}[\t\n\r ])*\0{3}<\0{3}[!-~]"), "utf-32-be"),
    (re.compile(rb"(?:[\t\n\r ]\0)*<\0[!-~]\0"), "utf-16-le"),
    (re.compile(rb"(?:\0[\t\n\r ])*\0<\0[!-~]"), "utf-16-be"),
)
# Elements that hold nothing, or that the next of their kind ends, do not nest by themselves.
_TAG = re.compile(
    r"<(/?)(?!(?:area|base|br|col|dd|dt|embed|hr|img|input|li|link|meta|option|p|param|source|td|th"
    r"|tr|track|wbr)\b)[a-z][^<>]*?(/?)>",
    re.IGNORECASE,
)


class NestingError(ValueError):
    """A page whose elements are nested too deep to be read in bearable time."""


class NulError(ValueError):
    """Markup that holds NUL, which no page does whose encoding is known."""


class Page(NamedTuple):
    """What was read from one page; None where the page does not say. `text` may be empty."""

    text: str
    encoding: str
    language: str | None
    title: str | None
    canonical: str | None  # absolute http(s) URL


def decode(content: bytes, declared: str | None) -> tuple[str, str]:
    """The text of HTML bytes and the encoding that read it.

    In the order of the WHATWG: byte order mark, charset of the server (`declared`), meta element or
    detection (Resiliparse); behind the mark, a tag in UTF-16 or UTF-32 at the page's start. The
    first that reads all bytes wins, then UTF-8, then Windows-1252; where none does, the first one
    is used and what it cannot read becomes U+FFFD. Windows-1252 reads almost anything and is what
    pages say that know no better, so UTF-8 is tried before it.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace"), encoding
    for tag, encoding in _WIDE_TAGS:
        if tag.match(content):
            return content.decode(encoding, "replace"), encoding
    candidates = [detect_encoding(content, from_html_meta=True), "utf-8", "cp1252"]
    if declared:
        candidates.insert(0, map_encoding_to_html5(declared.strip("\"' "), fallback_utf8=False))
    encodings: list[str] = []
    for one in candidates:
        # Markup in UTF-16 has a zero byte per ASCII character; a page without any is none.
        if one and (b"\0" in content or not one.startswith("utf-16")):
            encodings += ["utf-8", one] if one == "cp1252" else [one]
    for encoding in encodings:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return content.decode(encodings[0], "replace"), encodings[0]


def extract_page(content: bytes, declared: str | None = None) -> Page:
    """Parse a page and extract its main text; see `Page` and `EXTRACTION`. NestingError beyond
    MAX_NESTING, NulError where the markup holds NUL."""
    markup, encoding = decode(content, declared)
    if "\0" in markup:
        raise NulError(f"as {encoding} it has {markup.count(chr(0))} NUL characters")
    _check_nesting(markup)
    tree = HTMLTree.parse(markup)
    document = tree.document
    language = title = canonical = None
    if document is not None:
        root = document.query_selector("html")
        if root is not None:
            language = (root.getattr("lang") or root.getattr("xml:lang") or "").strip()
            if not 0 < len(language) <= MAX_LANGUAGE_CHARACTERS:
                language = None
        title = (tree.title or "").replace(NO_BREAK_SPACE, " ").strip()[
            :MAX_TITLE_CHARACTERS
        ] or None
        for selector, attribute in (
            ("link[rel=canonical]", "href"),
            ("meta[property='og:url']", "content"),
        ):
            element = document.query_selector(selector)
            if element is not None and canonical is None:
                canonical = _web_address(element.getattr(attribute) or "")
    text = ordinary_blanks(extract_plain_text(tree, **EXTRACTION))
    return Page(text, encoding, language, title, canonical)


def ordinary_blanks(text: str) -> str:
    """Text with a blank for each U+00A0, so that columns and indentation written with it stay.

    Where such a blank would show nothing it goes: at the text's ends and at a line's end. Lines of
    nothing else, which are how pages make distance, become one empty line with those around them.
    Text without U+00A0 is left alone.
    """
    if NO_BREAK_SPACE not in text:
        return text
    blanks = f" \n{NO_BREAK_SPACE}"
    text = text.rstrip(blanks)
    start = len(text) - len(text.lstrip(blanks))
    if NO_BREAK_SPACE in text[:start]:
        text = text[start:]
    text = _BLANK_LINES.sub(lambda found: "\n\n" if NO_BREAK_SPACE in found[0] else found[0], text)
    lines = (line.rstrip(blanks) if NO_BREAK_SPACE in line else line for line in text.split("\n"))
    return "\n".join(lines).replace(NO_BREAK_SPACE, " ")


def _check_nesting(markup: str) -> None:
    tags = markup.count("<")
    if tags * tags <= MAX_NESTING:
        return
    steps = np.fromiter(
        (-1 if closes else not empty for closes, empty in _TAG.findall(markup)), np.int64
    )
    levels = np.concatenate([np.zeros(1, np.int64), np.cumsum(steps)])
    depth = int((levels - np.minimum.accumulate(levels)).max())
    if tags * depth > MAX_NESTING:
        raise NestingError(f"{tags} tags, some of them {depth} deep")


def _web_address(value: str) -> str | None:
    value = value.strip()
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    known = parts.scheme in ("http", "https") and parts.netloc != ""
    return value if known and len(value) <= MAX_URL_CHARACTERS else None


@dataclass(frozen=True)
class HtmlReader:
    """Reads files that hold one HTML page each.

    An id is made of the file's name below its folder and its bytes. Removed: "no text" (read, but
    nothing is left of it), "empty file", "not HTML" (a file without one of HTML_SUFFIXES whose
    first 1,024 bytes hold no doctype, html, head or body: the style sheets, scripts and pictures of
    a site). Quarantined: "too large", "nested too deep", "NUL byte" (in the decoded page).
    """

    @property
    def version(self) -> int:
        return 4

    @property
    def packages(self) -> tuple[str, ...]:
        return ("resiliparse",)

    def parameters(self) -> dict[str, Any]:
        return {"extraction": EXTRACTION}

    def group(self, files: list[FileInfo]) -> list[list[FileInfo]]:
        return group_by_size(files)

    def read(self, files: list[FileInfo]) -> Iterator[Document | Rejected]:
        for file in files:
            yield _read_page(file)


def _shows_markup(content: bytes) -> bool:
    """True when a file begins as a page does, in any encoding (UTF-16 has zero bytes between)."""
    return _MARKUP.search(content[:MARKUP_HEAD_BYTES].replace(b"\0", b"")) is not None


def _read_page(file: FileInfo) -> Document | Rejected:
    origin = origin_of(file)
    with open_read(file.path) as stream:
        content = stream.read(MAX_HTML_BYTES + 1)
    if not content:
        return Rejected(origin, "empty file", "", False)
    if not (origin.lower().endswith(HTML_SUFFIXES) or _shows_markup(content)):
        return Rejected(origin, "not HTML", "neither by its name nor by its first bytes", False)
    if len(content) > MAX_HTML_BYTES:
        return Rejected(origin, "too large", f"more than {MAX_HTML_BYTES} bytes", True)
    try:
        page = extract_page(content)
    except NestingError as error:
        return Rejected(origin, "nested too deep", str(error), True)
    except NulError as error:
        return Rejected(origin, "NUL byte", str(error), True)
    if not page.text or page.text.isspace():
        return Rejected(origin, "no text", "", False)
    metadata = {
        "path": origin,
        "url": page.canonical,
        "encoding": page.encoding,
        "language": page.language,
        "title": page.title,
    }
    return Document(document_id(origin, content), page.text, None, None, metadata)
