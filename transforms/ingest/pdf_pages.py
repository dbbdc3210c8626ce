"""The pages of a PDF through PDFium: lines of text with their boxes, what is visible, pictures.

PDFium is not thread-safe: every call into it, from opening to closing, holds one lock of this
module, a page at a time, so that pages of several documents take turns while OCR and all other work
run beside them. Sizes are points (1/72 inch); pictures are grey, uint8[height, width].
"""

from __future__ import annotations

import ctypes
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from transforms.ingest.page_lines import SOFT_HYPHEN, Line, clean_line

__all__ = ["PageText", "PdfPages", "Picture", "UnreadablePdf", "open_pages"]

MAX_PIXELS = 40_000_000  # pixels of a picture (40 MB), whatever the page's size; A0 at 150 dpi
MAX_SIDE_PIXELS = 20_000  # of a picture; Tesseract takes 32,767
MAX_IMAGE_PIXELS = 300_000_000  # of an image on a page; larger ones are not decoded
MAX_OBJECTS = 5_000  # objects of a page that are looked at in search of images
MAX_CHARACTERS = 2_000_000  # of a page; more is no page that a person reads
SPARSE_CHARACTERS = 200  # letters and digits; a page of fewer may be a scan with a stamp on it
MAX_FONT_NAME_BYTES = 128  # with a closing zero; longer names are not read
GLANCE_DPI = 72  # of the picture that tells whether a page is blank
BLANK_CONTRAST = 32  # grey levels from the page's ground; less is paper, not ink
BLANK_INK_SHARE = 1 / 20_000  # of the page's pixels (25 of an A4 page at 72 dpi); less is dust

_LINE_END = re.compile("\r\n|[\r\n]|\ufffe")  # U+FFFE: PDFium's mark of a hyphen at a line's end
_FIXED_PITCH_NAME = re.compile(rb"mono|courier|typewriter|consola|menlo|(?:cm|lm|ec)tt")
# pypdfium2 checks what PDFium returns by ValueError and assert as well.
_PAGE_ERRORS = (pdfium.PdfiumError, ValueError, AssertionError)
_FIXED_PITCH = 1  # bit of a font descriptor's flags (PDF 32000-1, table 123)


class UnreadablePdf(Exception):
    """A PDF, or one of its pages, that cannot be read. `reason` is one of a small fixed set."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class PageText(NamedTuple):
    """The text layer of a page."""

    lines: list[Line]
    raw: str  # as PDFium gave it, for measuring
    rotation: int  # degrees clockwise by which the page had to be turned to stand upright
    image_share: (
        float  # of the page's area that its largest image covers; looked up for sparse text
    )


class Picture(NamedTuple):
    """A rendered page."""

    grey: npt.NDArray[np.uint8]  # [height, width], 255 is white
    dpi: float  # dots per inch that it has


_LOCK = threading.Lock()


class PdfPages:
    """An open PDF; see `open_pages`. Its pages are counted from 0."""

    def __init__(self, document: pdfium.PdfDocument) -> None:
        self._document = document
        self.count = len(document)
        self.encrypted = pdfium_c.FPDF_GetSecurityHandlerRevision(document) != -1

    @contextmanager
    def _page(self, index: int) -> Iterator[pdfium.PdfPage]:
        with _LOCK:
            try:
                page = self._document[index]
            except pdfium.PdfiumError as error:
                raise UnreadablePdf("unreadable page", str(error)) from error
            try:
                yield page
            finally:
                page.close()

    def text(self, index: int) -> PageText:
        """The lines of a page's text layer, upright. UnreadablePdf when the page cannot be read."""
        with self._page(index) as page:
            try:
                lines, raw = _read_lines(page)
                rotation = _rotation_to_upright(lines, page.get_rotation())
                if rotation:
                    # Lines of a page that lies on its side come in a wrong order: turn it first.
                    page.set_rotation((page.get_rotation() + rotation) % 360)
                    lines, raw = _read_lines(page)
                sparse = sum(map(str.isalnum, raw)) < SPARSE_CHARACTERS
                share = _largest_image_share(page) if sparse else 0.0
            except _PAGE_ERRORS as error:
                raise UnreadablePdf("unreadable page", str(error)) from error
        return PageText(lines, raw, rotation, share)

    def is_blank(self, index: int) -> bool:
        """True when a reader would see nothing on the page."""
        with self._page(index) as page:
            if pdfium_c.FPDFPage_CountObjects(page) == 0 and not pdfium_c.FPDFPage_GetAnnotCount(
                page
            ):
                return True
        picture = self.picture(index, GLANCE_DPI).grey
        levels = np.bincount(picture.ravel(), minlength=256)
        ground = int(levels.argmax())
        near = levels[max(ground - BLANK_CONTRAST, 0) : ground + BLANK_CONTRAST + 1].sum()
        return bool(picture.size - near < max(BLANK_INK_SHARE * picture.size, 1))

    def picture(self, index: int, dpi: int) -> Picture:
        """The page as seen, grey; of a very large page at fewer dots per inch, see `MAX_PIXELS`."""
        with self._page(index) as page:
            try:
                _check_images(page)
                width, height = page.get_size()
                scale = min(
                    dpi / 72,
                    math.sqrt(MAX_PIXELS / max(width * height, 1e-6)),
                    MAX_SIDE_PIXELS / max(width, height, 1e-6),
                )
                bitmap = page.render(scale=scale, grayscale=True, limit_image_cache=True)
                try:
                    shaped = bitmap.to_numpy().reshape(bitmap.height, -1)[:, : bitmap.width]
                    return Picture(np.array(shaped), scale * 72)
                finally:
                    bitmap.close()
            except _PAGE_ERRORS as error:
                raise UnreadablePdf("unreadable page", str(error)) from error


@contextmanager
def open_pages(data: bytes) -> Iterator[PdfPages]:
    """Open a PDF held in memory. UnreadablePdf: "encrypted" or "unreadable PDF"."""
    with _LOCK:
        try:
            document = pdfium.PdfDocument(data)
        except pdfium.PdfiumError as error:
            needs_password = error.err_code in (
                pdfium_c.FPDF_ERR_PASSWORD,
                pdfium_c.FPDF_ERR_SECURITY,
            )
            reason = "encrypted" if needs_password else "unreadable PDF"
            raise UnreadablePdf(reason, str(error)) from error
    try:
        with _LOCK:
            pages = PdfPages(document)
        if pages.count == 0:
            raise UnreadablePdf("unreadable PDF", "it has no pages")
        yield pages
    finally:
        with _LOCK:
            document.close()


def _read_lines(page: pdfium.PdfPage) -> tuple[list[Line], str]:
    text_page = page.get_textpage()
    try:
        if text_page.count_chars() > MAX_CHARACTERS:
            raise UnreadablePdf("unreadable page", f"more than {MAX_CHARACTERS} characters")
        text = text_page.get_text_range(errors="surrogatepass")
        lines, start, wide = [], 0, not text.isascii() and max(text) > "\uffff"
        shift = 0  # UTF-16 units before `start` beyond the code points
        for end in [*(match.start() for match in _LINE_END.finditer(text)), len(text)]:
            written = text[start:end]
            line = _line(text_page, written, start + shift, wide, text[end : end + 1] == "\ufffe")
            if line is not None:
                lines.append(line)
            if wide:
                shift += sum(character > "\uffff" for character in written)
            start = end + (2 if text[end : end + 2] == "\r\n" else 1)
        return lines, text.replace("\ufffe", SOFT_HYPHEN)
    finally:
        text_page.close()


def _line(
    text_page: pdfium.PdfTextPage, written: str, start: int, wide: bool, hyphen: bool
) -> Line | None:
    cleaned = clean_line(written + (SOFT_HYPHEN if hyphen else ""))
    if not cleaned.strip(SOFT_HYPHEN):
        return None
    lead = len(written) - len(written.lstrip())
    kept = written.strip()
    units = len(kept) + (sum(c > "\uffff" for c in kept) if wide else 0)
    first = pdfium_c.FPDFText_GetCharIndexFromTextIndex(text_page, start + lead)
    last = pdfium_c.FPDFText_GetCharIndexFromTextIndex(text_page, start + lead + max(units, 1) - 1)
    if first < 0 or last < 0:
        return Line(cleaned, 0.0, 0.0, 0.0, 1.0, fixed_pitch=True)
    angle = pdfium_c.FPDFText_GetCharAngle(text_page, first)
    turn = round(math.degrees(angle) / 90) % 4 if angle >= 0 else 0
    a = _turned(text_page.get_charbox(first, loose=True), turn)
    b = _turned(text_page.get_charbox(last, loose=True), turn)
    return Line(
        cleaned,
        left=min(a[0], b[0]),
        right=max(a[2], b[2]),
        base=_base(text_page, first, turn),
        height=max(a[3] - a[1], 1.0),
        fixed_pitch=_is_fixed_pitch(text_page, first),
        turn=turn,
    )


def _base(text_page: pdfium.PdfTextPage, index: int, turn: int) -> float:
    """The baseline of a character, growing from line to line."""
    x, y = ctypes.c_double(), ctypes.c_double()
    if not pdfium_c.FPDFText_GetCharOrigin(text_page, index, x, y):
        return 0.0
    return float((-y.value, -x.value, y.value, x.value)[turn])


def _turned(box: tuple[float, float, float, float], turn: int) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a box (left, bottom, right, top of the page, y upwards) along
    its line."""
    left, bottom, right, top = box
    if turn == 0:
        return left, -top, right, -bottom
    if turn == 1:  # the line runs downwards
        return -top, -right, -bottom, -left
    if turn == 2:
        return -right, bottom, -left, top
    return bottom, left, top, right  # the line runs upwards


def _is_fixed_pitch(text_page: pdfium.PdfTextPage, index: int) -> bool:
    """By the font's flags, or by its name: fonts of TeX and those built into readers set none."""
    flags, name = ctypes.c_int(), ctypes.create_string_buffer(MAX_FONT_NAME_BYTES)
    pdfium_c.FPDFText_GetFontInfo(text_page, index, name, MAX_FONT_NAME_BYTES, flags)
    return bool(flags.value & _FIXED_PITCH or _FIXED_PITCH_NAME.search(name.value.lower()))


def _rotation_to_upright(lines: list[Line], rotation: int) -> int:
    """Degrees clockwise by which most of the page's text must be turned, given how the page is
    turned already."""
    letters = [0, 0, 0, 0]
    for line in lines:
        letters[line.turn] += len(line.text)
    turn = max(range(4), key=lambda quarter: (letters[quarter], -quarter))
    return (-turn * 90 - rotation) % 360 if letters[turn] else 0


def _images(page: pdfium.PdfPage) -> Iterator[pdfium.PdfImage]:
    found = page.get_objects(filter=(pdfium_c.FPDF_PAGEOBJ_IMAGE,), max_depth=3)
    for seen, image in enumerate(found):
        if seen == MAX_OBJECTS:
            return
        yield image


def _largest_image_share(page: pdfium.PdfPage) -> float:
    width, height = page.get_size()
    largest = 0.0
    for image in _images(page):
        left, bottom, right, top = image.get_bounds()
        largest = max(largest, abs(right - left) * abs(top - bottom))
    share: float = min(largest / max(width * height, 1e-6), 1.0)
    return share


def _check_images(page: pdfium.PdfPage) -> None:
    """Refuse a page with an image that would not fit the memory when decoded."""
    for image in _images(page):
        width, height = image.get_px_size()
        if width * height > MAX_IMAGE_PIXELS:
            raise UnreadablePdf("unreadable page", f"an image of {width} x {height} pixels")
