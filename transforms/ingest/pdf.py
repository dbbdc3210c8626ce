"""PDFs to documents: the text layer where it is to be believed, OCR where it is not.

In: PDF files, or zip and tar archives of them. Out: one document per PDF, its pages joined by an
empty line. Metadata says for each page which engine read it and where it stands in the text (byte
offsets into the UTF-8, half-open), and what the PDF says about itself (see `PdfStructure.facts`).
A page that cannot be read is left out, counted and named; too many of them reject the PDF. olmOCR,
whose page spans these are, drops a document for more than 1 failed page in 250, which costs every
shorter PDF for one bad page; here the share is a parameter.
"""

from __future__ import annotations

import datetime
import posixpath
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from transforms import storage
from transforms.documents import Document, document_id
from transforms.ingest.archive import is_archive, members
from transforms.ingest.ocr import Ocr, OcrEngine, Recognised
from transforms.ingest.origins import origin_of
from transforms.ingest.page_lines import Line, join_lines, running_lines, typed_lines, words_of
from transforms.ingest.page_text import complaint, measure
from transforms.ingest.pdf_pages import PdfPages, UnreadablePdf, open_pages
from transforms.ingest.reader import MAX_DOCUMENT_BYTES, Rejected, group_by_size
from transforms.storage import FileInfo

if TYPE_CHECKING:
    from transforms.ingest.pdf_structure import PdfStructure

__all__ = ["PdfReader"]

MAX_PDF_TASK_BYTES = 16 << 20  # bytes of PDFs in one task: OCR makes them dear
MAX_PDF_TASK_FILES = 32
SCAN_IMAGE_SHARE = 0.5  # of a page's area under one image: a sparse text layer is then a stamp
EARLIEST_YEAR = 1990  # PDF is of 1993; earlier dates come from clocks that were not set
PDF_MARK = b"%PDF-"
PDF_MARK_WITHIN = 1024  # bytes from the start in which readers look for the mark
PAGE_SEPARATOR = "\n\n"


@dataclass(frozen=True)
class PdfReader:
    """Reads PDFs. Fields are the recipe's options.

    ocr: what reads pages without a usable text layer. most_failed_pages: share of pages (0 to 1,
    inclusive) that may fail before the PDF is rejected. keep_forms: keep PDFs whose form has fields
    to fill in (Dolma 3 leaves them out). strip_running_lines: leave out headers, footers and page
    numbers. most_file_bytes: a larger PDF goes to quarantine unread. most_pages: likewise.
    """

    ocr: Ocr = field(default_factory=Ocr)
    most_failed_pages: float = 0.2
    keep_forms: bool = False
    strip_running_lines: bool = True
    most_file_bytes: int = 256 << 20
    most_pages: int = 20_000

    def __post_init__(self) -> None:
        if not 0 <= self.most_failed_pages <= 1:
            raise ValueError(f"most_failed_pages must be 0 to 1 (got {self.most_failed_pages})")
        if self.most_file_bytes < 1 or self.most_pages < 1:
            raise ValueError("most_file_bytes and most_pages must be at least 1")

    @property
    def version(self) -> int:
        return 2

    @property
    def packages(self) -> tuple[str, ...]:
        return ("pypdf", "pypdfium2", *self.ocr.packages)

    def parameters(self) -> dict[str, Any]:
        return asdict(self) | {"ocr": self.ocr.parameters()}

    def check(self) -> None:
        """Find out before a run whether this machine can do what is asked. ValueError with what to
        do."""
        self.ocr.check()

    def group(self, files: list[FileInfo]) -> list[list[FileInfo]]:
        """Runs of at most 16 MB and 32 files."""
        return [
            run[start : start + MAX_PDF_TASK_FILES]
            for run in group_by_size(files, MAX_PDF_TASK_BYTES)
            for start in range(0, len(run), MAX_PDF_TASK_FILES)
        ]

    def read(self, files: list[FileInfo]) -> Iterator[Document | Rejected]:
        """One document or reject per PDF; members of archives that are no PDFs are rejects too."""
        for file in files:
            origin = origin_of(file)
            if is_archive(file.path):
                yield from self._read_archive(origin, file)
            elif file.size_bytes > self.most_file_bytes:
                detail = f"{file.size_bytes} bytes, at most {self.most_file_bytes}"
                yield Rejected(origin, "too large", detail, quarantined=True)
            else:
                yield self._read_pdf(origin, storage.read_bytes(file.path))

    def _read_archive(self, origin: str, file: FileInfo) -> Iterator[Document | Rejected]:
        with storage.open_read(file.path) as stream:
            for member in members(origin, stream, self.most_file_bytes):
                if isinstance(member, Rejected):
                    yield member
                else:
                    yield self._read_pdf(f"{origin}/{member.path}", member.data)

    def _read_pdf(self, origin: str, data: bytes) -> Document | Rejected:
        if PDF_MARK not in data[:PDF_MARK_WITHIN]:
            if origin.lower().endswith(".pdf"):
                detail = "empty file" if not data else f"starts with {data[:8]!r}"
                return Rejected(origin, "unreadable PDF", detail, quarantined=True)
            return Rejected(origin, "not a PDF", f"starts with {data[:8]!r}", quarantined=False)
        try:
            with open_pages(data) as pages:
                return self._read_pages(origin, data, pages)
        except UnreadablePdf as error:
            return Rejected(origin, error.reason, error.detail, quarantined=True)

    def _read_pages(self, origin: str, data: bytes, pages: PdfPages) -> Document | Rejected:
        if pages.count > self.most_pages:
            detail = f"{pages.count} pages, at most {self.most_pages}"
            return Rejected(origin, "too many pages", detail, quarantined=True)
        # Here, since pypdf takes a fifth of a second to import and most runs read no PDF.
        from transforms.ingest.pdf_structure import PdfStructure

        structure = PdfStructure(data)
        facts = structure.facts(pages.count)
        if facts.get("form_fields") and not self.keep_forms:
            detail = f"{facts['form_fields']} fields"
            return Rejected(origin, "form", detail, quarantined=False)
        read = [_read_page(pages, structure, index, self.ocr) for index in range(pages.count)]
        failed = [
            {"page": number, "reason": page.failure}
            for number, page in enumerate(read, 1)
            if page.failure
        ]
        if len(failed) > self.most_failed_pages * pages.count:
            detail = f"{len(failed)} of {pages.count} pages, the first: {failed[0]['reason']}"
            return Rejected(origin, "too many failed pages", detail, quarantined=True)
        text, spans = _assemble(read, self.strip_running_lines)
        if not text:
            return Rejected(origin, "no text", f"{pages.count} pages", quarantined=False)
        if spans[-1]["end"] > MAX_DOCUMENT_BYTES:
            detail = f"{spans[-1]['end']} bytes of text"
            return Rejected(origin, "too large", detail, quarantined=True)
        metadata = facts | {
            "path": origin,
            "name": posixpath.basename(origin),
            "page_count": pages.count,
            "encrypted": pages.encrypted,
            "pages": spans,
            "failed_pages": failed,
        }
        return Document(
            id=document_id(origin, data),
            text=text,
            added=None,
            created=_created(facts.get("pdf_created")),
            metadata=metadata,
        )


class _Page(NamedTuple):
    lines: list[Line]
    engine: str  # pdfium, pypdf, the OCR engine's name, or none for a page with nothing on it
    confidence: float | None = None  # of OCR, 0 to 1
    rotation: int = 0  # degrees clockwise by which the page had to be turned to stand upright
    failure: str = ""  # why the page was not read


def _read_page(pages: PdfPages, structure: PdfStructure, index: int, ocr: Ocr) -> _Page:
    """One page by the first way that works: PDFium's text, pypdf's text, OCR."""
    try:
        layer = pages.text(index)
        trouble = complaint(measure(layer.raw))
        page = _Page(layer.lines, "pdfium", rotation=layer.rotation)
        if trouble is None and layer.image_share < SCAN_IMAGE_SHARE:
            return page
        if trouble is not None and layer.lines:
            second = structure.page_text(index)
            if complaint(measure(second)) is None:
                return _Page(typed_lines(second), "pypdf")
        if pages.is_blank(index):
            return _Page([], "none")
        engine = ocr.engine_of_thread()
        if engine is None:
            return page if trouble is None else _Page([], "none", failure=trouble)
        seen, rotation = _recognise(pages, index, ocr, engine)
    except UnreadablePdf as error:
        return _Page([], "none", failure=error.reason)
    if trouble is None and (
        seen.confidence < ocr.least_confidence or _letters(seen.lines) <= _letters(layer.lines)
    ):
        return page
    confidence = round(seen.confidence, 4)
    if seen.lines and seen.confidence < ocr.least_confidence:
        return _Page([], ocr.engine, confidence, failure="low confidence")
    return _Page(seen.lines, ocr.engine, confidence, rotation)


def _recognise(pages: PdfPages, index: int, ocr: Ocr, engine: OcrEngine) -> tuple[Recognised, int]:
    """OCR of a page, turned by quarters while it is not sure enough; the surest reading and its
    rotation."""
    picture = pages.picture(index, ocr.dots_per_inch)
    best, turned = Recognised([], 0.0), 0
    for rotation in (0, 90, 270, 180):
        grey = np.rot90(picture.grey, -(rotation // 90))
        seen = engine.read(grey, picture.dpi)
        if seen.confidence > best.confidence:
            best, turned = seen, rotation
        if best.confidence >= ocr.least_confidence:
            break
    return best, turned


def _letters(lines: list[Line]) -> int:
    return sum(sum(map(str.isalnum, line.text)) for line in lines)


def _assemble(read: list[_Page], strip_running_lines: bool) -> tuple[str, list[dict[str, Any]]]:
    """Text of all pages that were read, and a span for each; an empty page has an empty span."""
    words = {word for page in read for word in words_of(page.lines)}
    running = running_lines([page.lines for page in read]) if strip_running_lines else set()
    parts: list[str] = []
    spans: list[dict[str, Any]] = []
    end = 0
    for index, page in enumerate(read):
        if page.failure:
            continue
        lines = [line for row, line in enumerate(page.lines) if (index, row) not in running]
        text = join_lines(lines, words)
        if text and end:
            parts.append(PAGE_SEPARATOR)
            end += len(PAGE_SEPARATOR)
        start, end = end, end + len(text.encode())
        parts.append(text)
        span: dict[str, Any] = {"page": index + 1, "start": start, "end": end}
        span["engine"] = page.engine
        if page.confidence is not None:
            span["confidence"] = page.confidence
        if page.rotation:
            span["rotation"] = page.rotation
        spans.append(span)
    return "".join(parts), spans


def _created(written: str | None) -> datetime.datetime | None:
    if written is None:
        return None
    moment = datetime.datetime.fromisoformat(written)
    return moment if moment.year >= EARLIEST_YEAR else None
