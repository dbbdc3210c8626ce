import io
from typing import Any

import pytest
from fpdf import FPDF
from pypdf import PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, TextStringObject

from transforms.ingest.pdf_structure import MAX_OUTLINE_LEVEL, PdfStructure


def writer(pages: int = 1) -> PdfWriter:
    document = FPDF()
    for _ in range(pages):
        document.add_page()
    return PdfWriter(clone_from=io.BytesIO(bytes(document.output())))


def facts(made: PdfWriter, pages: int = 1) -> dict[str, Any]:
    out = io.BytesIO()
    made.write(out)
    return PdfStructure(out.getvalue()).facts(pages)


def test_labels_are_told_where_they_differ_from_numbers() -> None:
    made = writer(3)
    made.set_page_label(0, 0, style="/r")
    made.set_page_label(1, 2, style="/D", start=1)
    assert facts(made, 3)["page_labels"] == ["i", "1", "2"]
    made = writer(2)
    made.set_page_label(0, 1, style="/D", start=1)
    assert "page_labels" not in facts(made, 2)


def test_attachments_are_named_in_order() -> None:
    made = writer()
    made.add_attachment("b.csv", b"1,2")
    made.add_attachment("a.csv", b"3,4")
    assert facts(made)["attachments"] == ["a.csv", "b.csv"]


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("D:20240506070809+02'00'", "2024-05-06T05:08:09+00:00"),
        ("D:20240506070809Z", "2024-05-06T07:08:09+00:00"),
        ("D:20240506", "2024-05-06T00:00:00+00:00"),
        ("D:00000000", None),
        ("next week", None),
    ],
)
def test_dates_are_utc_and_what_is_no_date_is_named(written: str, wanted: str | None) -> None:
    made = writer()
    made.add_metadata({"/CreationDate": written, "/Title": "T"})
    found = facts(made)
    assert found.get("pdf_created") == wanted
    assert ("created date" in found.get("unreadable", [])) is (wanted is None)
    assert found["title"] == "T"


def test_strings_are_valid_and_of_bounded_length() -> None:
    made = writer()
    made.add_metadata({"/Title": "a\x00b\r\n c", "/Author": "x" * 100_000, "/Subject": ""})
    found = facts(made)
    assert found["title"] == "a b c"
    assert len(found["author"]) == 1000
    assert "subject" not in found


def nested_outline(made: PdfWriter, levels: int) -> None:
    reference = None
    for level in range(levels, 0, -1):
        item = DictionaryObject({NameObject("/Title"): TextStringObject(str(level))})
        if reference is not None:
            item[NameObject("/First")] = reference
        reference = made._add_object(item)
    assert reference is not None
    outline = DictionaryObject({NameObject("/First"): reference})
    made.root_object[NameObject("/Outlines")] = made._add_object(outline)


def test_an_outline_is_read_to_a_bounded_depth() -> None:
    made = writer()
    nested_outline(made, 3)
    assert facts(made)["outline"] == [{"level": n, "title": str(n)} for n in (1, 2, 3)]
    made = writer()
    nested_outline(made, 3000)
    assert len(facts(made)["outline"]) == MAX_OUTLINE_LEVEL


def test_a_name_tree_that_runs_in_a_circle_ends() -> None:
    made = writer()
    made.add_attachment("a.csv", b"1")
    names = made.root_object["/Names"]["/EmbeddedFiles"].get_object()  # type: ignore[index]
    reference = made._add_object(names)
    names[NameObject("/Kids")] = ArrayObject([reference, reference])
    made.root_object["/Names"][NameObject("/EmbeddedFiles")] = reference  # type: ignore[index]
    assert facts(made)["attachments"] == ["a.csv"]


def test_what_is_no_pdf_is_unreadable_and_has_no_text() -> None:
    structure = PdfStructure(b"no PDF")
    assert structure.facts(1) == {"unreadable": ["file"]}
    assert structure.page_text(0) == ""
