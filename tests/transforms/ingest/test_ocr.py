import hashlib
import json
import os
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tesserocr
from fpdf import FPDF

from transforms.ingest.ocr import Ocr, Recognised
from transforms.ingest.page_lines import join_lines, words_of
from transforms.ingest.pdf_pages import Picture, open_pages

TEXT = (
    "The Debian system builds on the ideals of free software first championed by the Free "
    "Software Foundation and in particular by its founder. Its powerful system development "
    "tools, utilities, and applications are also a key part of the Debian system. The project "
    "is a separate entity, however we communicate regularly and cooperate on various tasks."
)
OTHER = "A completely different page: 12 apples, 7 pears (no plums) and 1 kg of flour."
MAX_ERROR_RATE = 0.02  # edits per character on a clean page; measured: 0.000 to 0.009


@cache
def picture(text: str) -> Picture:
    document = FPDF(format=(148, 210))
    document.add_page()
    document.set_font("Times", size=11)
    document.multi_cell(0, 6, text)
    with open_pages(bytes(document.output())) as pages:
        return pages.picture(0, 200)


def read(text: str) -> Recognised:
    engine = Ocr().engine_of_thread()
    assert engine is not None
    return engine.read(*picture(text))


def edits(a: str, b: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def test_a_clean_page_is_read_with_few_errors_and_high_confidence() -> None:
    found = read(TEXT)
    joined = join_lines(found.lines, words_of(found.lines))
    assert edits(joined, TEXT) <= MAX_ERROR_RATE * len(TEXT)
    assert 0.85 <= found.confidence <= 1
    assert found.lines[0].base < found.lines[-1].base < 595  # points of an A5 page
    assert all(0 <= line.left < line.right <= 420 for line in found.lines)


def test_a_page_reads_the_same_whatever_was_read_before_and_in_any_thread() -> None:
    alone: list[Recognised] = []
    thread = threading.Thread(target=lambda: alone.append(read(OTHER)))
    thread.start()
    read(TEXT)
    after = read(OTHER)
    thread.join()
    assert [after] == alone


def test_an_empty_picture_has_no_lines_and_no_confidence() -> None:
    engine = Ocr().engine_of_thread()
    assert engine is not None
    assert engine.read(np.full((300, 300), 255, np.uint8), 200) == Recognised([], 0.0)


def test_engine_none_is_no_engine_and_needs_nothing() -> None:
    off = Ocr(engine="none", languages=("no such language",))
    off.check()
    assert off.engine_of_thread() is None


def test_an_engine_is_made_once_per_thread() -> None:
    assert Ocr().engine_of_thread() is Ocr(languages=["eng"]).engine_of_thread()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "abbyy"}, "ocr.engine must be one of none, tesseract"),
        ({"languages": ()}, "ocr.languages must name at least one language"),
        ({"dots_per_inch": 20}, "ocr.dots_per_inch must be 72 to 600"),
        ({"least_confidence": 60}, "ocr.least_confidence must be 0 to 1"),
    ],
)
def test_wrong_options_are_refused_with_name_and_value(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Ocr(**options)  # type: ignore[arg-type]


def test_a_missing_language_or_folder_is_found_before_the_run(tmp_path: Path) -> None:
    Ocr(languages=("eng", "deu")).check()
    with pytest.raises(ValueError, match=r"names tlh, but .* holds only: deu, eng"):
        Ocr(languages=("eng", "tlh")).check()
    with pytest.raises(ValueError, match="holds only: nothing"):
        Ocr(data=str(tmp_path / "none")).check()


def test_a_missing_package_is_found_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.ingest.ocr.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="tesserocr is not installed"):
        Ocr().check()


def test_the_environment_is_left_as_it_was() -> None:
    before = os.environ.get("OMP_THREAD_LIMIT")
    read(OTHER)
    assert os.environ.get("OMP_THREAD_LIMIT") == before


def test_parameters_tell_what_a_reading_depends_on_and_not_where_it_lies(tmp_path: Path) -> None:
    for place in ("one", "two/deeper"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "xyz.traineddata").write_bytes(b"learnt")
    one, two = (
        Ocr(languages=("xyz",), data=str(tmp_path / place)) for place in ("one", "two/deeper")
    )
    assert one.parameters() == two.parameters()
    version = one.parameters().pop("engine_version")
    assert tesserocr.tesseract_version().startswith(version.split(",")[0])
    assert one.parameters() == {
        "engine": "tesseract",
        "engine_version": version,
        "languages": [["xyz", hashlib.sha256(b"learnt").hexdigest()]],
        "dots_per_inch": 200,
        "least_confidence": 0.6,
    }
    assert str(tmp_path) not in json.dumps(one.parameters())
    (tmp_path / "one" / "xyz.traineddata").write_bytes(b"learnt more")
    assert one.parameters() != two.parameters()


def test_parameters_tell_the_content_of_the_data_that_come_with_the_package() -> None:
    (eng, english), (deu, german) = Ocr(languages=("eng", "deu")).parameters()["languages"]
    assert (eng, deu) == ("eng", "deu")
    assert len(english) == len(german) == 64
    assert english != german
    assert Ocr(languages=("deu", "eng")).parameters() != Ocr(languages=("eng", "deu")).parameters()


def test_without_ocr_parameters_need_no_data() -> None:
    off = Ocr(engine="none", languages=("tlh",), data="/nowhere")
    assert off.parameters() == {"engine": "none"}


def test_a_missing_language_has_no_parameters() -> None:
    with pytest.raises(ValueError, match="names tlh"):
        Ocr(languages=("tlh",)).parameters()
