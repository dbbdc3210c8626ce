import pytest

from transforms.ingest.pdf_pages import MAX_PIXELS, UnreadablePdf, open_pages


def raw_pdf(content: bytes, resources: bytes = b"", more: bytes = b"", side: int = 400) -> bytes:
    """A one-page square PDF from its content stream; object 6 is in `more`."""
    objects = [
        b"1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj",
        b"2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj",
        b"3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R"
        b" /Resources <</Font <</F 5 0 R /C 7 0 R>> %s>>>> endobj" % (side, side, resources),
        b"4 0 obj <</Length %d>> stream\n%s\nendstream endobj" % (len(content), content),
        b"5 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Times-Roman>> endobj",
        b"7 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Courier>> endobj",
        more,
        b"trailer <</Root 1 0 R>>",
    ]
    return b"%PDF-1.4\n" + b"\n".join(objects)


def test_lines_have_their_places_in_points_down_the_page() -> None:
    content = b"BT /F 10 Tf 20 TL 30 350 Td (first line) Tj T* /C 10 Tf (x = 1) Tj ET"
    with open_pages(raw_pdf(content)) as pages:
        first, second = pages.text(0).lines
    assert (first.text, second.text) == ("first line", "x = 1")
    assert first.left == pytest.approx(30, abs=1)
    assert (first.base, second.base) == (pytest.approx(-350), pytest.approx(-330))
    assert 8 <= first.height <= 14
    assert second.right == pytest.approx(30 + 5 * 6, abs=1)  # Courier: 0.6 of 10 points each
    assert (first.fixed_pitch, second.fixed_pitch) == (False, True)


def test_a_page_is_blank_when_nothing_is_to_be_seen() -> None:
    table = {
        b"": True,
        b"1 1 1 rg 0 0 400 400 re f": True,  # white on white
        b"0.5 0.7 0.9 rg 0 0 400 400 re f": True,  # coloured paper
        b"0.95 g 100 100 100 100 re f": True,  # a watermark as pale as paper
        b"0 g 100 100 1 1 re f": True,  # dust
        b"0 g 100 100 20 1 re f": False,
        b"BT /F 10 Tf 30 350 Td (ink) Tj ET": False,
        b"BT 3 Tr /F 10 Tf 30 350 Td (invisible) Tj ET": True,
    }
    for content, wanted in table.items():
        with open_pages(raw_pdf(content)) as pages:
            assert pages.is_blank(0) is wanted, content


def test_a_monstrous_page_does_not_blow_the_memory() -> None:
    data = raw_pdf(b"0 0 7200 7200 re f", side=14400)
    with open_pages(data) as pages:
        picture = pages.picture(0, 600)
        assert picture.grey.size <= 1.01 * MAX_PIXELS
        assert picture.dpi == pytest.approx(72 * picture.grey.shape[1] / 14400, rel=0.01)
        assert not pages.is_blank(0)


def test_an_image_too_large_to_decode_fails_its_page() -> None:
    image = (
        b"6 0 obj <</Type /XObject /Subtype /Image /Width 60000 /Height 60000 /ColorSpace"
        b" /DeviceGray /BitsPerComponent 8 /Length 1>> stream\n0\nendstream endobj"
    )
    data = raw_pdf(b"400 0 0 300 0 0 cm /I Do", b"/XObject <</I 6 0 R>>", image)
    with open_pages(data) as pages, pytest.raises(UnreadablePdf, match="60000 x 60000"):
        pages.picture(0, 72)


def test_a_missing_page_is_unreadable_and_the_others_are_not() -> None:
    data = raw_pdf(b"BT /F 10 Tf 30 350 Td (here) Tj ET")
    data = data.replace(b"/Kids [3 0 R] /Count 1", b"/Kids [3 0 R 9 0 R] /Count 2")
    with open_pages(data) as pages:
        assert pages.count == 2
        assert [line.text for line in pages.text(0).lines] == ["here"]
        with pytest.raises(UnreadablePdf, match="unreadable page"):
            pages.text(1)
