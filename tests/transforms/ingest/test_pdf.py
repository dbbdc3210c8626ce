import datetime
import io
import tarfile
import textwrap
import threading
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from fpdf import FPDF
from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject
from reportlab.pdfgen.canvas import Canvas

from transforms.documents import Document, document_id
from transforms.ingest.ocr import Ocr
from transforms.ingest.page_lines import typed_lines
from transforms.ingest.pdf import PdfReader
from transforms.ingest.pdf_pages import PageText, PdfPages, open_pages
from transforms.ingest.reader import Rejected
from transforms.storage import FileInfo

TEXT = (
    "Free software is a matter of liberty, not of price. The users of a program have the freedom "
    "to run it, to study it, to change it and to hand it on to their neighbours and friends. "
    "Access to the source code is a precondition for this, and so is a licence that says so."
)
NO_OCR = PdfReader(ocr=Ocr(engine="none"))
CREATED = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)


def fpdf() -> FPDF:
    document = FPDF(format="A4")
    document.set_creation_date(CREATED)
    document.set_font("Times", size=12)
    return document


def text_pdf(*pages: str, password: str | None = None) -> bytes:
    document = fpdf()
    if password is not None:
        document.set_encryption(owner_password="owner", user_password=password)
    for page in pages:
        document.add_page()
        document.multi_cell(0, 6, page, align="L")
    return bytes(document.output())


@cache
def scan(text: str) -> npt.NDArray[np.uint8]:
    with open_pages(text_pdf(text)) as pages:
        return pages.picture(0, 200).grey


def scan_pdf(*pages: str | npt.NDArray[np.uint8], stamp: str = "") -> bytes:
    """Pages that are pictures of text; `stamp` is text laid over each."""
    document = fpdf()
    for page in pages:
        document.add_page()
        picture = scan(page) if isinstance(page, str) else page
        document.image(Image.fromarray(picture), x=0, y=0, w=document.w, h=document.h)
        if stamp:
            document.text(20, 285, stamp)
    return bytes(document.output())


def raw_pdf(
    content: bytes, font: bytes = b"", more: bytes = b"", box: str = "0 0 400 300"
) -> bytes:
    """A one-page PDF from its content stream; objects 6 and up are in `more`."""
    objects = [
        b"1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj",
        b"2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj",
        b"3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [%s] /Contents 4 0 R"
        b" /Resources <</Font <</F 5 0 R>>>>>> endobj" % box.encode(),
        b"4 0 obj <</Length %d>> stream\n%s\nendstream endobj" % (len(content), content),
        b"5 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Times-Roman %s>> endobj" % font,
        more,
        b"trailer <</Root 1 0 R>>",
    ]
    return b"%PDF-1.4\n" + b"\n".join(objects)


def read_all(reader: PdfReader, tmp_path: Path, **files: bytes) -> list[Document | Rejected]:
    found = []
    for name, data in files.items():
        path = tmp_path / name.replace("__", ".")
        path.write_bytes(data)
        found.append(FileInfo(str(path), len(data), path.name))
    return list(reader.read(found))


def read(data: bytes, tmp_path: Path, reader: PdfReader = NO_OCR) -> Document:
    (document,) = read_all(reader, tmp_path, a__pdf=data)
    assert isinstance(document, Document), document
    return document


def reject(data: bytes, tmp_path: Path, reader: PdfReader = NO_OCR) -> Rejected:
    (rejected,) = read_all(reader, tmp_path, a__pdf=data)
    assert isinstance(rejected, Rejected), rejected
    assert rejected.origin == "a.pdf"
    return rejected


def pages_of(document: Document) -> list[str]:
    """The text of each page by its span of bytes."""
    data = document.text.encode()
    return [data[p["start"] : p["end"]].decode() for p in document.metadata["pages"]]


def test_a_document_holds_its_pages_text_and_what_the_pdf_says(tmp_path: Path) -> None:
    builder = fpdf()
    builder.set_title("A title")
    builder.set_author("Zoë")
    for chapter in ("One", "Two"):
        builder.add_page()
        builder.start_section(chapter)
        builder.multi_cell(0, 6, f"{chapter} café. {TEXT}", align="L")
    data = bytes(builder.output())
    document = read(data, tmp_path)
    assert document.id == document_id("a.pdf", data)
    assert document.text == f"One café. {TEXT}\n\nTwo café. {TEXT}"
    assert document.created == CREATED
    assert document.added is None
    metadata = document.metadata
    first = len(f"One café. {TEXT}".encode())
    assert metadata["pages"] == [
        {"page": 1, "start": 0, "end": first, "engine": "pdfium"},
        {"page": 2, "start": first + 2, "end": 2 * first + 2, "engine": "pdfium"},
    ]
    assert metadata["outline"] == [{"level": 1, "title": "One"}, {"level": 1, "title": "Two"}]
    wanted = {"path": "a.pdf", "title": "A title", "author": "Zoë", "page_count": 2,
              "encrypted": False, "failed_pages": []}  # fmt: skip
    assert {key: metadata[key] for key in wanted} == wanted
    assert metadata["pdf_created"] == "2024-05-06T07:08:09+00:00"
    assert not {"page_labels", "form_fields", "xfa", "attachments", "unreadable"} & set(metadata)


def form() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, invariant=True)
    canvas.drawString(72, 700, "Please fill in your name:")
    canvas.acroForm.textfield(name="name", x=72, y=650)
    canvas.save()
    return out.getvalue()


def test_forms_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    rejected = reject(form(), tmp_path)
    assert (rejected.reason, rejected.quarantined) == ("form", False)
    kept = read(form(), tmp_path, PdfReader(ocr=Ocr(engine="none"), keep_forms=True))
    assert kept.text == "Please fill in your name:"
    assert kept.metadata["form_fields"] == 1


def test_a_signature_field_makes_no_form(tmp_path: Path) -> None:
    signed = form().replace(b"/FT /Tx", b"/FT /Sig")
    assert "form_fields" not in read(signed, tmp_path).metadata


@cache
def ocr_document() -> bytes:
    return scan_pdf(TEXT)


def test_a_page_that_is_a_picture_is_read_by_ocr(tmp_path: Path) -> None:
    document = read(text_pdf("The first page."), tmp_path, PdfReader())
    assert document.metadata["pages"][0]["engine"] == "pdfium"
    document = read(ocr_document(), tmp_path, PdfReader())
    (page,) = document.metadata["pages"]
    assert page["engine"] == "tesseract"
    assert 0.85 < page["confidence"] <= 1
    assert "rotation" not in page
    assert document.text.split() == TEXT.split()


def test_a_picture_on_its_side_is_turned_and_the_turn_is_told(tmp_path: Path) -> None:
    document = read(scan_pdf(np.rot90(scan(TEXT))), tmp_path, PdfReader())
    (page,) = document.metadata["pages"]
    assert page["rotation"] == 90
    assert document.text.split() == TEXT.split()


def test_a_stamp_does_not_hide_the_scan_under_it(tmp_path: Path) -> None:
    document = read(scan_pdf(TEXT, stamp="Downloaded yesterday"), tmp_path, PdfReader())
    assert document.metadata["pages"][0]["engine"] == "tesseract"
    assert "matter of liberty" in document.text
    document = read(scan_pdf(TEXT, stamp="Downloaded yesterday"), tmp_path, NO_OCR)
    assert document.text == "Downloaded yesterday"


def test_an_unsure_reading_fails_its_page_and_the_share_decides(tmp_path: Path) -> None:
    mixed = PdfWriter(clone_from=io.BytesIO(text_pdf("One.", "Two.", "Three.", "Four.")))
    mixed.append(io.BytesIO(scan_pdf("A word.")))
    out = io.BytesIO()
    mixed.write(out)
    never_sure = Ocr(least_confidence=1.0)
    kept = read(out.getvalue(), tmp_path, PdfReader(ocr=never_sure, most_failed_pages=0.2))
    assert kept.metadata["failed_pages"] == [{"page": 5, "reason": "low confidence"}]
    assert pages_of(kept) == ["One.", "Two.", "Three.", "Four."]
    rejected = reject(out.getvalue(), tmp_path, PdfReader(ocr=never_sure, most_failed_pages=0.19))
    assert (rejected.reason, rejected.quarantined) == ("too many failed pages", True)


def test_without_ocr_pictures_fail_and_too_many_reject_the_pdf(tmp_path: Path) -> None:
    rejected = reject(ocr_document(), tmp_path)
    assert (rejected.reason, rejected.quarantined) == ("too many failed pages", True)
    assert rejected.detail == "1 of 1 pages, the first: no text"
    document = fpdf()
    for number in range(5):
        document.add_page()
        if number == 2:
            document.image(Image.fromarray(scan(TEXT)), x=0, y=0, w=document.w, h=document.h)
        else:
            document.multi_cell(0, 6, f"Page {number}.")
    kept = read(bytes(document.output()), tmp_path)
    assert pages_of(kept) == ["Page 0.", "Page 1.", "Page 3.", "Page 4."]
    assert kept.metadata["failed_pages"] == [{"page": 3, "reason": "no text"}]
    assert [page["page"] for page in kept.metadata["pages"]] == [1, 2, 4, 5]


def test_blank_pages_are_fine_and_have_empty_spans(tmp_path: Path) -> None:
    document = read(text_pdf("", "One.", "", "Two.", ""), tmp_path)
    assert pages_of(document) == ["", "One.", "", "Two.", ""]
    assert document.text == "One.\n\nTwo."
    assert document.metadata["failed_pages"] == []
    white = np.full((100, 70), 250, np.uint8)
    rejected = reject(scan_pdf(white, white), tmp_path)
    assert (rejected.reason, rejected.quarantined) == ("no text", False)


def with_wrong_unicode() -> bytes:
    """A page that looks right and whose text layer is shifted by one letter of the alphabet."""
    shift = b"".join(b"<%02x> <%04x>\n" % (c, c - 29) for c in range(0x41, 0x7B))
    cmap = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff>"
        b" endcodespacerange 58 beginbfchar\n%sendbfchar endcmap end" % shift
    )
    lines = b"".join(b"(%s) Tj T*\n" % line.encode() for line in textwrap.wrap(TEXT, 60))
    return raw_pdf(
        b"BT /F 12 Tf 16 TL 30 250 Td\n" + lines + b"ET",
        b"/ToUnicode 6 0 R",
        b"6 0 obj <</Length %d>> stream\n%s\nendstream endobj" % (len(cmap), cmap),
    )


def test_a_lying_text_layer_is_not_believed(tmp_path: Path) -> None:
    assert reject(with_wrong_unicode(), tmp_path).detail.endswith("wrong letters")
    document = read(with_wrong_unicode(), tmp_path, PdfReader())
    assert document.metadata["pages"][0]["engine"] == "tesseract"
    assert document.text.split() == TEXT.split()


def test_a_page_on_its_side_is_read_in_order(tmp_path: Path) -> None:
    writer = PdfWriter(clone_from=io.BytesIO(text_pdf(TEXT)))
    writer.pages[0].rotate(90)
    out = io.BytesIO()
    writer.write(out)
    document = read(out.getvalue(), tmp_path)
    assert document.text == TEXT
    assert document.metadata["pages"][0]["rotation"] == 270


def test_lines_that_run_upwards_are_joined_like_others(tmp_path: Path) -> None:
    lines = textwrap.wrap(TEXT, 50)
    shown = b"".join(b"(%s) Tj T*\n" % line.encode() for line in lines)
    data = raw_pdf(b"BT /F 10 Tf 14 TL 0 1 -1 0 60 20 Tm\n" + shown + b"ET")
    document = read(data, tmp_path)
    assert document.text.split() == TEXT.split()
    assert document.metadata["pages"][0]["rotation"] == 90


def test_ligatures_hyphens_and_layout_become_plain_text(tmp_path: Path) -> None:
    content = (
        b"BT /F 12 Tf 14 TL 30 250 Td\n(The of\\256ce on the \\257oor below is of a size that is"
        b" re-) Tj T*\n(markable. It holds one table, which is as large as) Tj T*\n(a boat.) Tj ET"
    )
    document = read(raw_pdf(content, b"/Encoding /StandardEncoding"), tmp_path)
    assert document.text == (
        "The office on the floor below is of a size that is remarkable. It holds one table, which "
        "is as large as a boat."
    )


def test_running_headers_go_unless_they_are_asked_for(tmp_path: Path) -> None:
    pages = [f"My Running Title\n\n{TEXT}\n\n{number}" for number in range(7, 11)]
    document = read(text_pdf(*pages), tmp_path)
    assert pages_of(document) == [TEXT] * 4
    whole = PdfReader(ocr=Ocr(engine="none"), strip_running_lines=False)
    assert read(text_pdf(*pages), tmp_path, whole).text.count("My Running Title") == 4


def test_characters_outside_the_first_plane_count_by_their_bytes(tmp_path: Path) -> None:
    cmap = (
        b"begincmap 1 begincodespacerange <00> <ff> endcodespacerange 2 beginbfchar\n"
        b"<41> <d835dd38>\n<62> <0062>\nendbfchar endcmap"
    )
    more = b"6 0 obj <</Length %d>> stream\n%s\nendstream endobj" % (len(cmap), cmap)
    content = b"BT /F 12 Tf 14 TL 30 250 Td (A bA) Tj T* (b A) Tj ET"
    document = read(raw_pdf(content, b"/ToUnicode 6 0 R", more), tmp_path)
    assert document.text == "𝔸 b𝔸\nb 𝔸"
    assert document.metadata["pages"][0]["end"] == len(document.text.encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (text_pdf(TEXT, password="secret"), "encrypted"),
        (b"", "unreadable PDF"),
        (b"<html>404</html>", "unreadable PDF"),
        (b"%PDF-1.7\n", "unreadable PDF"),
        (text_pdf(TEXT)[:600], "unreadable PDF"),
        (raw_pdf(b"").replace(b"[3 0 R] /Count 1", b"[] /Count 0"), "unreadable PDF"),
        (raw_pdf(b"").replace(b"/Root 1 0 R", b"/Root 9 0 R"), "unreadable PDF"),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_its_reason(
    data: bytes, reason: str, tmp_path: Path
) -> None:
    rejected = reject(data, tmp_path)
    assert (rejected.reason, rejected.quarantined) == (reason, True)


def test_a_pdf_cut_at_any_place_is_a_document_or_a_reject(tmp_path: Path) -> None:
    whole = text_pdf(TEXT, TEXT)
    files = {f"cut{at}__pdf": whole[:at] for at in range(0, len(whole), len(whole) // 40)}
    for found in read_all(NO_OCR, tmp_path, **files):
        if isinstance(found, Document):
            assert set(pages_of(found)) <= {TEXT, ""}
        else:
            assert found.quarantined or found.reason == "no text"


def test_encryption_without_a_password_is_no_obstacle(tmp_path: Path) -> None:
    document = read(text_pdf(TEXT, password=""), tmp_path)
    assert document.text == TEXT
    assert document.metadata["encrypted"] is True


def test_a_damaged_structure_costs_itself_and_not_the_text(tmp_path: Path) -> None:
    writer = PdfWriter(clone_from=io.BytesIO(text_pdf(TEXT)))
    item = DictionaryObject({NameObject("/Title"): TextStringObject("Round")})
    reference = writer._add_object(item)
    item[NameObject("/Next")] = item[NameObject("/First")] = reference
    outline = DictionaryObject({NameObject("/First"): reference})
    writer.root_object[NameObject("/Outlines")] = writer._add_object(outline)
    writer.add_metadata({"/CreationDate": "D:yesterday"})
    out = io.BytesIO()
    writer.write(out)
    document = read(out.getvalue(), tmp_path)
    assert document.text == TEXT
    assert document.metadata["outline"] == [{"level": 1, "title": "Round"}]
    assert document.metadata["unreadable"] == ["created date"]
    assert document.created is None


def test_limits_are_inclusive_and_what_exceeds_them_is_quarantined(tmp_path: Path) -> None:
    data = text_pdf("One.", "Two.")
    for reader, reason in [
        (PdfReader(ocr=Ocr(engine="none"), most_pages=1), "too many pages"),
        (PdfReader(ocr=Ocr(engine="none"), most_file_bytes=len(data) - 1), "too large"),
    ]:
        rejected = reject(data, tmp_path, reader)
        assert (rejected.reason, rejected.quarantined) == (reason, True)
    exact = PdfReader(ocr=Ocr(engine="none"), most_pages=2, most_file_bytes=len(data))
    assert read(data, tmp_path, exact).text == "One.\n\nTwo."


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_give_a_document_per_pdf_and_none_takes_anothers_place(tmp_path: Path) -> None:
    one, two = text_pdf("One."), text_pdf("Two.")
    files = [("a/x.pdf", one), ("b/x.pdf", one), ("b/x.pdf", two), ("notes.txt", b"hello"),
             ("../x.pdf", one), ("broken.pdf", one[:300])]  # fmt: skip
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    found = read_all(NO_OCR, tmp_path, a__zip=zipped.getvalue(), b__tar__gz=tarred.getvalue())
    seen = [
        f.text if isinstance(f, Document) else (f.origin, f.reason, f.quarantined) for f in found
    ]
    assert seen == [
        wanted
        for name in ("a.zip", "b.tar.gz")
        for wanted in (
            "One.",
            "One.",
            "Two.",
            (f"{name}/notes.txt", "not a PDF", False),
            (f"{name}/../x.pdf", "unsafe name", True),
            (f"{name}/broken.pdf", "unreadable PDF", True),
        )
    ]
    ids = [f.id for f in found if isinstance(f, Document)]
    assert len(set(ids)) == len(ids) == 6


def test_threads_read_the_same_as_one(tmp_path: Path) -> None:
    data = text_pdf(*(f"Page {number}. {TEXT}" for number in range(30)))
    alone = read(data, tmp_path)
    path = str(tmp_path / "a.pdf")
    found: list[Document | Rejected] = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(NO_OCR.read([FileInfo(path, len(data), "a.pdf")] * 3))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 12


def test_tasks_hold_at_most_32_files_and_16_megabytes() -> None:
    small = [FileInfo(f"{n:03}.pdf", 1000) for n in range(70)]
    assert [len(task) for task in PdfReader().group(small)] == [32, 32, 6]
    large = [FileInfo(f"{n}.pdf", 9 << 20) for n in range(3)]
    assert PdfReader().group(large) == [[file] for file in large]
    assert [file for task in PdfReader().group(small) for file in task] == small


def test_parameters_tell_all_options_and_wrong_ones_are_refused() -> None:
    assert PdfReader().parameters() == {
        "ocr": Ocr().parameters(),
        "most_failed_pages": 0.2,
        "keep_forms": False,
        "strip_running_lines": True,
        "most_file_bytes": 256 << 20,
        "most_pages": 20_000,
    }
    with pytest.raises(ValueError, match=r"most_failed_pages must be 0 to 1 \(got 5\)"):
        PdfReader(most_failed_pages=5)
    with pytest.raises(ValueError, match="names tlh"):
        PdfReader(ocr=Ocr(languages=("tlh",))).check()


def test_the_second_engine_is_asked_where_the_first_loses_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glued = TEXT.replace(" ", "")
    layer = PageText(typed_lines(glued), glued, rotation=0, image_share=0.0)
    monkeypatch.setattr(PdfPages, "text", lambda self, index: layer)
    document = read(text_pdf(TEXT), tmp_path, PdfReader())
    assert document.metadata["pages"][0]["engine"] == "pypdf"
    assert document.text == TEXT
