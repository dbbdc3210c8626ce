"""pipelines/demo/sources.py: the input as it lies on disk, read without this project's readers."""

import getpass
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
import zstandard
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text

from pipelines.demo import sources
from pipelines.demo.sources import KINDS, SourcesReport, make_sources

MOST_IMAGE_PAGES = 10  # OCR takes some seconds a page
PROGRAM = """
import sys
from pipelines.demo.sources import make_sources
make_sources(sys.argv[1])
"""
Read = Callable[[str, str], str]  # source, document


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> SourcesReport:
    return make_sources(str(tmp_path_factory.mktemp("demo") / "input"))


@pytest.fixture(scope="module")
def planted(report: SourcesReport) -> dict[str, list[dict[str, str]]]:
    return json.loads(Path(report.planted_path).read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def read(report: SourcesReport) -> Read:
    """The text of a document as `planted.json` names it."""
    folder = Path(report.folder)
    texts: dict[str, str] = {}
    with open(folder / "crawl/library.warc.gz", "rb") as stream:
        for record in ArchiveIterator(stream, WarcRecordType.response, parse_http=True):
            body = record.reader.read()
            texts[record.headers["WARC-Target-URI"]] = body.decode(errors="replace")
    packed = (folder / "docs/modules.jsonl.zst").read_bytes()
    for line in zstandard.ZstdDecompressor().stream_reader(packed).readall().splitlines():
        if b'"text"' in line and line.endswith(b"}"):
            row = json.loads(line)
            texts[row["id"]] = row["text"]

    def text_of(source: str, document: str) -> str:
        path = folder / source / document
        if source in {"web", "crawl"}:
            page = texts[document] if source == "crawl" else path.read_text()
            return str(extract_plain_text(page, main_content=True))
        if source == "pdf":
            pages = pypdfium2.PdfDocument(path)
            return "\n".join(page.get_textpage().get_text_range() for page in pages)
        if document.startswith("packages.zip/"):
            member = document.removeprefix("packages.zip/")
            return zipfile.ZipFile(folder / "code/packages.zip").read(member).decode()
        return texts[document] if source == "docs" else path.read_text()

    return text_of


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _shingles(text: str, size: int) -> set[tuple[str, ...]]:
    words = _words(text)
    return set(zip(*(words[start:] for start in range(size)), strict=False))


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_another_folder_hash_seed_and_user_give_the_same_bytes(
    report: SourcesReport, tmp_path: Path
) -> None:
    folder = tmp_path / "quite another" / "place"
    environment = {
        "PYTHONHASHSEED": "12345",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "HOME": str(tmp_path),
        "USER": "somebody",
        "TZ": "Asia/Tokyo",
    }
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], cwd=tmp_path, env=environment, check=True
    )
    assert _digests(folder) == _digests(Path(report.folder))


def test_nothing_tells_about_this_machine(report: SourcesReport) -> None:
    words = {sys.prefix, sys.base_prefix, os.getcwd(), report.folder, os.path.expanduser("~")}
    needles = [word for word in words if len(word) > 1] + [f"/{getpass.getuser()}/"]
    for path in sorted(Path(report.folder).glob("web/**/*.html")):
        page = path.read_text()
        assert not [needle for needle in needles if needle in page], path
        assert not re.search(r"at(?:&nbsp;| )0x[0-9a-f]{9,}", page), path


def test_every_kind_is_there_and_small_enough_for_a_demo(report: SourcesReport) -> None:
    assert set(report.kinds) == set(KINDS)
    assert all(count.files and count.size_bytes for count in report.kinds.values())
    assert report.kinds["web"].files > 100
    assert sum(count.size_bytes for count in report.kinds.values()) < 30_000_000


def test_a_second_call_takes_what_is_there(report: SourcesReport) -> None:
    before = _digests(Path(report.folder))
    again = make_sources(report.folder)
    assert again.reused
    assert not report.reused
    assert again.kinds == report.kinds
    assert _digests(Path(report.folder)) == before


def test_a_folder_with_other_content_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds other files"):
        make_sources(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_error_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: str) -> None:
        Path(folder, "pages").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sources, "write_documentation", fail)
    with pytest.raises(OSError, match="No space left"):
        make_sources(str(tmp_path / "input"))
    assert list(tmp_path.iterdir()) == []


def test_every_contaminated_document_holds_its_item(
    report: SourcesReport, planted: dict[str, list[dict[str, str]]], read: Read
) -> None:
    items = {}
    packed = Path(report.folder, "benchmarks/HumanEval.jsonl.gz").read_bytes()
    for line in gzip.decompress(packed).splitlines():
        row = json.loads(line)
        items[row["task_id"]] = row["prompt"]
    assert len(planted["contaminated"]) == report.contaminated >= 15
    assert {entry["source"] for entry in planted["contaminated"]} == set(KINDS) - {"benchmarks"}
    for entry in planted["contaminated"]:
        wanted = _shingles(items[entry["item"]], 8)
        assert wanted, entry
        held = wanted & _shingles(read(entry["source"], entry["document"]), 8)
        if "image" in entry["how"]:
            assert not held, entry  # only OCR can read it
        else:
            assert held == wanted, entry


def test_every_copy_is_as_similar_as_the_plan_says(
    planted: dict[str, list[dict[str, str]]], read: Read
) -> None:
    kinds = {"same": 0, "near": 0, "half": 0}
    for entry in planted["duplicates"]:
        one = _shingles(read(entry["source"], entry["original"]), 5)
        other = _shingles(read(entry["copy_source"], entry["copy"]), 5)
        told = float(entry["similarity"])
        assert len(one & other) / len(one | other) == pytest.approx(told, abs=0.01), entry
        assert told >= 0.9 or 0.4 < told < 0.6, entry
        kinds["same" if told == 1 else "near" if told >= 0.9 else "half"] += 1
    assert min(kinds.values()) >= 3, kinds


def test_pages_that_are_images_hold_no_text_and_are_few(report: SourcesReport) -> None:
    silent = 0
    for path in sorted(Path(report.folder, "pdf").rglob("*.pdf")):
        if path.stem not in {"encrypted", "cut", "empty"}:
            pages = pypdfium2.PdfDocument(path)
            silent += sum(not page.get_textpage().get_text_range().strip() for page in pages)
    assert silent == report.image_pages
    assert 5 <= silent <= MOST_IMAGE_PAGES


def test_what_should_not_be_readable_is_not(
    report: SourcesReport, planted: dict[str, list[dict[str, str]]]
) -> None:
    folder = Path(report.folder)
    assert len(planted["rejected"]) == report.rejected
    for name in ("docs/cut.jsonl.gz", "code/broken.tar.gz", "crawl/library.warc.gz"):
        with pytest.raises(EOFError):
            gzip.decompress((folder / name).read_bytes())
    for name in ("encrypted", "cut", "empty"):
        with pytest.raises(pypdfium2.PdfiumError):
            pypdfium2.PdfDocument(folder / f"pdf/{name}.pdf")
    with pytest.raises(UnicodeDecodeError):
        (folder / "code/library/latin_1.py").read_text(encoding="utf-8")
    assert "../outside.py" in zipfile.ZipFile(folder / "code/packages.zip").namelist()


def test_archives_hold_the_library_with_one_time_for_all_files(report: SourcesReport) -> None:
    folder = Path(report.folder)
    with zipfile.ZipFile(folder / "code/packages.zip") as packages:
        assert "json/decoder.py" in packages.namelist()
        assert {entry.date_time for entry in packages.infolist()} == {(2024, 1, 1, 0, 0, 0)}
    packed = io.BytesIO((folder / "code/generated.tar.gz").read_bytes())
    with tarfile.open(fileobj=packed) as generated:
        assert {member.mtime for member in generated.getmembers()} == {1_704_067_200}
        assert "encodings/cp1252.py" in generated.getnames()
