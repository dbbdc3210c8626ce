"""The demo's PDFs: chapters of Python's reference (pydoc's help topics), laid out page by page.

Some pages are images only, as scans are: the page is rendered and its bitmap alone is put into the
document, so that nothing but OCR reads it. Planted: benchmark items (one on such a page), copies,
and files that cannot be read: encrypted, cut off, empty.
"""

from __future__ import annotations

import datetime
import os
import textwrap
import unicodedata
from pydoc_data.topics import topics

import pypdfium2
from fpdf import FPDF
from PIL.Image import Image

from pipelines.demo.planting import HALF_CHANGED, NEAR_CHANGED, Plan, change_words

__all__ = ["MIN_TOPIC_CHARACTERS", "write_pdf_files"]

MIN_TOPIC_CHARACTERS = 2_000  # shorter topics are no PDF of their own
MAX_TOPIC_CHARACTERS = 50_000  # longer ones only repeat chapters that stand alone as well
SCAN_DPI = 200  # pixels per inch of the image pages
LINES_PER_PAGE, CHARACTERS_PER_LINE, LINE_MM = 50, 88, 5
CREATED = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)

# Topics with pages that are images only; pages from 0, None for all of them.
_SCANNED: dict[str, tuple[int, ...] | None] = {
    "class": None,
    "raise": None,
    "debugger": (1, 2),
    "strings": (1,),
    "import": (0,),
    "naming": (0,),
}
_CONTAMINATED = {
    "exceptions": ("exact", ""),
    "assignment": ("reformatted", ""),
    "naming": ("prompt only", "on a page that is an image"),
}
# Topics with a copy: one word in so many is changed, 0 for none.
_COPIED = {"function": 0, "execmodel": NEAR_CHANGED, "customization": HALF_CHANGED}
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})


def write_pdf_files(folder: str, plan: Plan) -> int:
    """Write the PDFs; how many of their pages are images only."""
    os.makedirs(os.path.join(folder, "copies"))
    image_pages = 0
    for topic in sorted(topics):
        if not MIN_TOPIC_CHARACTERS <= len(topics[topic]) <= MAX_TOPIC_CHARACTERS:
            continue
        text = _in_latin_1(topics[topic])
        if topic in _CONTAMINATED:
            how, place = _CONTAMINATED[topic]
            title, _, body = text.partition("\n\n")
            item = plan.contaminate("pdf", f"{topic}.pdf", how, place)
            text = f"{title}\n\n{item}\n\n{body}"
        pages = _lay_out(text)
        scanned = _SCANNED.get(topic, ())
        numbers = range(len(pages)) if scanned is None else [n for n in scanned if n < len(pages)]
        image_pages += len(numbers)
        content = _pdf(topic, pages, frozenset(numbers))
        _write(os.path.join(folder, f"{topic}.pdf"), content)
        if topic in _COPIED:
            copy = change_words(text, _COPIED[topic]) if _COPIED[topic] else text
            name = f"copies/{topic}.pdf"
            plan.duplicate("pdf", f"{topic}.pdf", "pdf", name, (text, copy))
            copied = _pdf(topic, _lay_out(copy), frozenset()) if _COPIED[topic] else content
            _write(os.path.join(folder, "copies", f"{topic}.pdf"), copied)
    text = _in_latin_1(topics["for"])
    whole = _pdf("cut", _lay_out(text), frozenset())
    broken = {
        "encrypted": ("encrypted", _pdf("encrypted", _lay_out(text), frozenset(), "password")),
        "cut": ("cut off", whole[: len(whole) // 3]),
        "empty": ("empty file", b""),
    }
    for name, (what, content) in broken.items():
        _write(os.path.join(folder, f"{name}.pdf"), content)
        plan.reject("pdf", f"{name}.pdf", what)
    return image_pages


def _in_latin_1(text: str) -> str:
    """The text in what the fonts built into every PDF reader can show."""
    plain = unicodedata.normalize("NFKC", text.translate(_QUOTES))
    return plain.encode("latin-1", "replace").decode("latin-1")


def _lay_out(text: str) -> list[list[str]]:
    """The lines of each page."""
    lines: list[str] = []
    for line in text.rstrip().expandtabs().split("\n"):
        lines.extend(textwrap.wrap(line, CHARACTERS_PER_LINE, drop_whitespace=False) or [""])
    return [lines[start : start + LINES_PER_PAGE] for start in range(0, len(lines), LINES_PER_PAGE)]


def _pdf(title: str, pages: list[list[str]], images: frozenset[int], password: str = "") -> bytes:
    """A PDF of text pages; those whose number is in `images` hold a bitmap and no text."""
    document = FPDF(format="A4")
    document.set_creation_date(CREATED)
    document.set_title(title)
    document.set_font("Times", size=11)
    document.set_auto_page_break(False)
    if password:
        document.set_encryption(owner_password=password, user_password=password)
    for number, lines in enumerate(pages):
        document.add_page()
        if number in images:
            document.image(_scan(lines), x=0, y=0, w=document.w, h=document.h)
        else:
            document.multi_cell(0, LINE_MM, "\n".join(lines), align="L")
    return bytes(document.output())


def _scan(lines: list[str]) -> Image:
    """The page as a grey bitmap."""
    rendered = pypdfium2.PdfDocument(_pdf("", [lines], frozenset()))
    return rendered[0].render(scale=SCAN_DPI / 72, grayscale=True).to_pil()  # type: ignore[no-any-return]


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
