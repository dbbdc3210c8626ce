"""A tiny pool that the tests make themselves, the command that runs it, and what a workspace holds.

Pool: pages, a WARC, code in a folder and in a zip, PDFs, and Dolma JSONL in four files, with exact
copies, near copies, pages that a rule removes and documents that hold benchmark items. `Planted`
says which is which. `finished` is a workspace after an undisturbed run: read it, copy it, never
change it.
"""

from __future__ import annotations

import copy
import datetime
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
import zstandard
from fpdf import FPDF
from small_tasks import cut_small
from typer.testing import CliRunner

from pipelines.cli import app
from transforms.ingest import reader
from transforms.tokens.training import train_bpe

SMALL_TASKS = Path(__file__).with_name("small_tasks.py")
ROOT = Path(__file__).parents[2]
DATASETS = ("documents", "attributes", "quarantine", "benchmarks", "mixes")
COPIED_URL = "https://example.org/copy"  # of a page that is in the source `web` as well
TIMEOUT_SECONDS = 300  # of one command; a hang is a failure

WORDS = {
    "adjective": """quiet old narrow bright patient heavy distant gentle broken early famous wooden
        careful ordinary northern shallow curious generous silent rapid""",
    "noun": """river garden teacher window harbour machine letter village captain engine library
        forest market bridge doctor island kitchen painter railway mountain student museum farmer
        evening journey station weather neighbour orchestra lantern""",
    "verb": """followed crossed described repaired visited remembered painted measured collected
        discovered watched carried explained borrowed reached""",
    "place": "near beside behind above across after before within",
    "link": "because while although and until when but",
}

ITEMS = (
    (
        "q1",
        "A gardener plants seventeen rows of purple tulips and each row needs four litres of"
        " water on every dry morning in July.",
    ),
    (
        "q2",
        "Which chemical element was first isolated from seaweed ash by a French saltpetre"
        " maker at the beginning of the nineteenth century?",
    ),
    (
        "q3",
        "If three copper kettles boil in eleven minutes, how many kettles would a cook need to"
        " serve ninety guests within one hour?",
    ),
    (
        "q4",
        "Explain why a spinning bicycle wheel resists being tilted even though no visible"
        " force is holding its axle in place.",
    ),
)


def word(choice: random.Random, kind: str) -> str:
    """A word of a kind."""
    return choice.choice(WORDS[kind].split())


def sentence(choice: random.Random) -> str:
    """One English sentence of 21 words."""

    def phrase() -> str:
        return f"the {word(choice, 'adjective')} {word(choice, 'noun')}"

    def clause() -> str:
        start = f"{phrase()} {word(choice, 'verb')} {phrase()}"
        return f"{start} {word(choice, 'place')} the {word(choice, 'noun')}"

    text = f"{clause()} {word(choice, 'link')} {clause()}"
    return text[0].upper() + text[1:] + "."


def prose(seed: object, sentences: int = 14, in_paragraph: int = 4) -> str:
    """Paragraphs of English that the Gopher rules keep; equal seeds give equal texts."""
    choice = random.Random(f"prose {seed}")
    all_of_them = [sentence(choice) for _ in range(sentences)]
    return "\n\n".join(
        " ".join(all_of_them[start : start + in_paragraph])
        for start in range(0, sentences, in_paragraph)
    )


def near_copy(text: str) -> str:
    """The same text with its last word changed: similarity far above 0.9."""
    head, _, _ = text.rstrip(".").rpartition(" ")
    return head + " postscript."


@dataclass
class Planted:
    """What the sources hold on purpose, by id of Dolma documents."""

    documents: list[str] = field(default_factory=list)
    exact: list[set[str]] = field(default_factory=list)
    near: list[set[str]] = field(default_factory=list)
    contaminated: dict[str, str] = field(default_factory=dict)  # id -> benchmark item
    short: list[str] = field(default_factory=list)  # removed by gopher.words


@dataclass
class Pool:
    """Sources on disk and the recipe that names them."""

    folder: Path
    planted: Planted
    lines: list[bytes]  # of the Dolma source, in their order

    def texts(self) -> dict[str, str]:
        """Texts of the Dolma documents by id."""
        records = [json.loads(line) for line in self.lines]
        return {record["id"]: record["text"] for record in records}

    def recipe(self) -> dict[str, Any]:
        """The recipe as a value of its own, to be changed by a test."""
        rules = ["gopher", {"language": {"keep": ["en"], "at_least": 0.5}}]
        at = str(self.folder)
        return {
            "name": "small",
            "pool": {
                "sources": {
                    "web": {"ingest": "html", "paths": [f"{at}/web"], "rules": copy.copy(rules)},
                    "crawl": {"ingest": "warc", "paths": [f"{at}/crawl/*.warc.gz"]},
                    "code": {
                        "ingest": "code",
                        "paths": [f"{at}/code", f"{at}/archives/*.zip"],
                        "rules": ["code"],
                    },
                    "pdf": {
                        "ingest": "pdf",
                        "paths": [f"{at}/pdf/*.pdf"],
                        "ocr": {"engine": "none"},
                    },
                    "docs": {
                        "ingest": "dolma",
                        "paths": [f"{at}/docs/*.gz", f"{at}/docs/*.zst"],
                        "rules": copy.copy(rules),
                    },
                },
                "dedup": {"exact": True, "fuzzy": {"similarity": 0.8}, "keep": ["source order"]},
                "decontaminate": {
                    "benchmarks": [
                        {
                            "name": "exam",
                            "fields": ["question"],
                            "id": "id",
                            "paths": [f"{at}/exam.jsonl"],
                        }
                    ]
                },
            },
            "mix": {
                "tokens": 16_000,
                "tokenizer": f"{at}/tokenizer.json",
                "shares": {"web": 0.2, "crawl": 0.1, "code": 0.1, "pdf": 0.1, "docs": 0.5},
                "max_epochs": {"default": 1, "web": 2},
            },
            "gates": {"removed": {"at_most": 0.9}},
        }

    def recipe_of(self, paths: list[str]) -> dict[str, Any]:
        """Dolma files as the only source, without rules."""
        recipe = self.recipe()
        recipe["pool"]["sources"] = {"docs": {"ingest": "dolma", "paths": paths}}
        mix = {"tokens": 2_000, "shares": {"docs": 1.0}, "max_epochs": 1}
        recipe["mix"] = {**recipe["mix"], **mix}
        return recipe


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def page(title: str, text: str) -> bytes:
    """An HTML page whose main text is `text`."""
    paragraphs = "".join(f"<p>{part}</p>\n" for part in text.split("\n\n"))
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{title}</title></head>"
        f"<body><nav><a href='/'>Home</a></nav><main><article><h1>{title}</h1>\n{paragraphs}"
        "</article></main></body></html>"
    ).encode()


def warc_record(url: str, body: bytes) -> bytes:
    """A WARC response record of an HTML page, as a gzip member."""
    http = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
        + body
    )
    number = hashlib.sha256(url.encode()).hexdigest()
    identifier = "-".join((number[:8], number[8:12], number[12:16], number[16:20], number[20:32]))
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{identifier}>\r\n"
        f"WARC-Target-URI: {url}\r\nWARC-Date: 2024-05-01T00:00:00Z\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + http + b"\r\n\r\n", mtime=0)


def pdf(pages: Iterable[str], password: str | None = None) -> bytes:
    """A PDF with a text layer, one text a page."""
    made = FPDF()
    made.set_creation_date(datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC))
    made.set_font("helvetica", size=11)
    if password is not None:
        made.set_encryption(owner_password=password, user_password=password)
    for text in pages:
        made.add_page()
        made.multi_cell(0, 6, text)
    return bytes(made.output())


def program(number: int) -> str:
    """A Python file with comments, unlike those of other numbers."""
    choice = random.Random(f"program {number}")
    parts = [f'"""Module {number}: {sentence(choice)}"""', ""]
    for index in range(5):
        name = f"{word(choice, 'verb')}_{word(choice, 'noun')}_{index}"
        first, second = choice.sample(WORDS["noun"].split(), 2)
        parts += [
            f"def {name}({first}, {second}):",
            f"    # {sentence(choice)}",
            f"    total = {choice.randrange(100)}",
            f"    for step in range({choice.randrange(2, 90)}):",
            f"        total += {first} * step - {second}",
            "    return total",
            "",
        ]
    return "\n".join(parts)


def dolma_line(identifier: str, text: str) -> bytes:
    """One document in Dolma's format."""
    record = {
        "id": identifier,
        "text": text,
        "source": "stories",
        "added": "2024-01-02T03:04:05.000Z",
        "created": "2023-01-02T03:04:05.000Z",
        "metadata": {"shelf": identifier[-1]},
    }
    return json.dumps(record).encode() + b"\n"


def _dolma_lines(planted: Planted) -> list[bytes]:
    texts = {f"story-{number:02d}": prose(f"story {number}") for number in range(40)}
    for number in range(4):
        texts[f"same-{number}-a"] = texts[f"same-{number}-b"] = prose(f"same {number}")
        planted.exact.append({f"same-{number}-a", f"same-{number}-b"})
        texts[f"near-{number}-a"] = prose(f"near {number}", sentences=24)
        texts[f"near-{number}-b"] = near_copy(texts[f"near-{number}-a"])
        planted.near.append({f"near-{number}-a", f"near-{number}-b"})
    for item, question in ITEMS:
        texts[f"leak-{item}"] = f"{prose(item)}\n\nIt reads: {question}\n\n{prose(item * 2)}"
        planted.contaminated[f"leak-{item}"] = item
    texts["tiny-0"] = "A short note that says little."
    planted.short.append("tiny-0")
    order = sorted(texts, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    planted.documents = order
    return [dolma_line(name, texts[name]) for name in order]


def compressed(lines: Iterable[bytes], kind: str) -> bytes:
    """Lines as `.gz` or `.zst`."""
    content = b"".join(lines)
    if kind == "gz":
        return gzip.compress(content, mtime=0)
    return zstandard.ZstdCompressor(level=3).compress(content)


def make_pool(folder: Path) -> Pool:
    """Write all sources, the benchmark and a tokenizer below `folder`."""
    planted = Planted()
    for number in range(8):
        _write(folder / f"web/page{number}.html", page(f"Page {number}", prose(f"page {number}")))
    _write(folder / "web/stub.html", page("Stub", "Nothing to see here, come back later."))
    _write(
        folder / "web/german.html",
        page("Seite", " ".join(["Der alte Gärtner geht morgens durch den stillen Garten, weil die"
             " Blumen im Sommer viel Wasser brauchen und niemand sonst daran denkt."
             f" Am Abend liest er {count} Briefe." for count in range(9)])),
    )  # fmt: skip
    for archive in range(2):
        records = b"".join(
            warc_record(
                f"https://example.org/{archive}/{number}",
                page(f"Crawled {archive} {number}", prose(f"crawl {archive} {number}")),
            )
            for number in range(4)
        )
        if archive:  # the text of a page of the folder, under another address
            records += warc_record(COPIED_URL, page("Page 3", prose("page 3")))
        _write(folder / f"crawl/part{archive}.warc.gz", records)
    for number in range(6):
        _write(folder / f"code/tool{number}/main.py", program(number).encode())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive_file:
        for number in range(6, 9):
            archive_file.writestr(
                zipfile.ZipInfo(f"project/part{number}.py", (2024, 1, 1, 0, 0, 0)), program(number)
            )
    _write(folder / "archives/project.zip", buffer.getvalue())
    for number in range(3):
        pages = [prose(f"pdf {number} {place}", in_paragraph=14) for place in range(2)]
        _write(folder / f"pdf/paper{number}.pdf", pdf(pages))
    lines = _dolma_lines(planted)
    for part in range(4):
        kind = "gz" if part % 2 else "zst"
        _write(folder / f"docs/part{part}.jsonl.{kind}", compressed(lines[part::4], kind))
    _write(
        folder / "exam.jsonl",
        b"".join(json.dumps({"id": name, "question": text}).encode() + b"\n"
                 for name, text in ITEMS),
    )  # fmt: skip
    texts = [json.loads(line)["text"] for line in lines] + [program(0)]
    train_bpe(iter(texts), 700, str(folder / "tokenizer.json"))
    return Pool(folder, planted, lines)


@dataclass
class Outcome:
    """A finished command."""

    code: int
    answer: dict[str, Any]  # its JSON, {} where it gave none
    stderr: str
    stdout: str = ""

    @property
    def states(self) -> dict[str, str]:
        """State by table and source, as `gopher web`."""
        return {
            " ".join(filter(None, (one["table"] or one["stage"], one["source"]))): one["state"]
            for one in self.answer["stages"]
        }

    def good(self) -> Outcome:
        assert self.code == 0, self.stderr
        assert "leaked" not in self.stderr  # as DuckDB says of its objects at the end of a process
        return self

    def failed(self, code: int) -> str:
        """What was said by a command that must fail with this exit code."""
        assert self.code == code, (self.code, self.stderr)
        assert self.answer.get("ok") is False, self.answer
        return " ".join(self.answer["errors"])


def command_line(*arguments: str, small: bool = False) -> list[str]:
    """The command as a list for subprocess."""
    start = [str(SMALL_TASKS)] if small else ["-m", "pipelines"]
    return [sys.executable, *start, *arguments]


def environment(**changes: str) -> dict[str, str]:
    """Where the project is importable, whatever the current folder is."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def vineleaf(
    *arguments: str, small: bool = False, env: Mapping[str, str] | None = None, **options: Any
) -> Outcome:
    """Run the command as a process of its own."""
    done = subprocess.run(
        command_line(*arguments, small=small),
        capture_output=True,
        text=True,
        env=dict(env or environment()),
        timeout=TIMEOUT_SECONDS,
        **options,
    )
    answer = json.loads(done.stdout or "{}") if "--json" in arguments else {}
    return Outcome(done.returncode, answer, done.stderr, done.stdout)


def vineleaf_here(*arguments: str, small: bool = False) -> Outcome:
    """Run the command in this process: what it says and its exit code are the same, imports and
    compiled kernels are there already."""
    before = reader.group_by_size.__defaults__
    try:
        if small:
            cut_small()
        done = CliRunner().invoke(app, list(arguments))
    finally:
        reader.group_by_size.__defaults__ = before
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    answer = json.loads(done.stdout or "{}") if "--json" in arguments else {}
    return Outcome(done.exit_code, answer, done.stderr, done.stdout)


def write_recipe(path: Path, recipe: Mapping[str, Any]) -> Path:
    """The recipe as YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(recipe), sort_keys=False))
    return path


def run(
    recipe: Mapping[str, Any],
    workspace: Path,
    *,
    options: Iterable[str] = (),
    beam: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    here: bool = True,
    small: bool = True,
) -> Outcome:
    """`vineleaf run` of a recipe that is written beside the workspace; small tasks unless told."""
    path = write_recipe(workspace.with_name(workspace.name + ".yaml"), recipe)
    arguments = ["run", str(path), "--workspace", str(workspace), "--json", *options]
    arguments += ["--", *beam] if beam else []
    if here:
        return vineleaf_here(*arguments, small=small)
    return vineleaf(*arguments, small=small, env=env)


def files_of(workspace: Path, folders: Iterable[str] = DATASETS) -> dict[str, Path]:
    """All files of the datasets by relative path; nothing may be left aside."""
    return {
        str(path.relative_to(workspace)): path
        for name in folders
        for path in sorted((workspace / name).rglob("*"))
        if path.is_file()
    }


def hashes_of(workspace: Path, folders: Iterable[str] = DATASETS) -> dict[str, str]:
    """SHA-256 of all files of the datasets by relative path."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files_of(workspace, folders).items()
    }


def times_of(workspace: Path, folders: Iterable[str] = DATASETS) -> dict[str, tuple[int, int]]:
    """Time of change and inode of all files of the datasets: a file written again shows."""
    return {
        name: (path.stat().st_mtime_ns, path.stat().st_ino)
        for name, path in files_of(workspace, folders).items()
    }


def published(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The published version of a dataset: its folder and its manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return folder / manifest["fingerprint"], manifest


def read_tokens(path: Path) -> np.ndarray[Any, Any]:
    """A token file as anybody reads it."""
    return np.fromfile(path, "<u4")


def mixed_ids(mix: Path) -> dict[str, list[str]]:
    """Ids in a mix by source, each as often as it stands there, sorted."""
    base, manifest = published(mix)
    found: dict[str, list[str]] = {}
    for file in manifest["files"]:
        if file["path"].startswith("tokens/") and file["path"].endswith(".csv.gz"):
            rows = gzip.decompress((base / file["path"]).read_bytes()).decode().splitlines()
            source = file["path"].split("/")[1]
            found.setdefault(source, []).extend(row.split(",")[2] for row in rows)
    return {source: sorted(ids) for source, ids in found.items()}


@dataclass(frozen=True)
class Finished:
    """A workspace after an undisturbed run; `outcome` is what the command answered."""

    workspace: Path
    recipe: dict[str, Any]
    outcome: Outcome

    def copy_to(self, folder: Path) -> Path:
        """A copy of the workspace that a test may change; times of change are kept."""
        shutil.copytree(self.workspace, folder)
        return folder
