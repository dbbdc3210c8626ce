"""The benchmark corpus: documents, pages and a benchmark, with copies and contamination planted.

Made from files that packages carry (`package_texts`), ordered by a keyed hash, so that any first
part of it is a fair sample and the same versions and seed give the same bytes. In a folder:

    documents/<n>.jsonl  documents in Dolma's format, source = kind of text
    pages.jsonl          {"id", "html", "main"}: web pages, and the text that they are about
    items.jsonl          {"id", "question", "answer"}: a benchmark whose items are planted
    truth.json           {"copies": [[id, id, similarity]], "contaminated": [[id, item, mode]]}
    corpus.json          digest, bytes and documents by kind, versions: written last
"""

from __future__ import annotations

import hashlib
import html
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from benchmarks.package_texts import KINDS, Text, package_versions, read_sentences, read_texts
from pipelines.demo.planting import change_words, keyed_share, similarity

__all__ = ["DEFAULT_TEXT_BYTES", "SEED", "Corpus", "build_corpus"]

VERSION = 2  # raised when the same packages give another corpus
DEFAULT_TEXT_BYTES = 64_000_000
SEED = 1
SHARES = {"prose": 0.42, "notes": 0.17, "languages": 0.16, "code": 0.25}  # of the bytes of text
PAGES_SHARE = 0.25  # bytes of HTML, of the bytes of text
SHARDS = 8  # files of documents
EXACT_SHARE = 0.02  # of documents that are copied as they are
NEAR_SHARE = 0.06  # of documents that are copied with some words changed
CHANGED = (15, 40, 120, 400)  # one word in so many
MAX_COPIED_BYTES = 50_000  # of a document that is copied
CONTAMINATED_SHARE = 0.02  # of documents
MODES = ("question", "question and answer")
BYTES_AN_ITEM = 25_000  # of text, for each item of the benchmark
ADDED = "2024-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class Corpus:
    """A corpus that stands in `folder`. `digest`: SHA-256 of all its bytes."""

    folder: str
    digest: str
    text_bytes: int
    html_bytes: int
    documents: dict[str, int]  # by kind
    kind_bytes: dict[str, int]  # of text
    copies: int
    contaminated: int
    items: int
    versions: dict[str, str]


def build_corpus(folder: str, text_bytes: int = DEFAULT_TEXT_BYTES, seed: int = SEED) -> Corpus:
    """The corpus in `folder`, made when it is not there or was made from something else.

    `text_bytes` is what is asked for; kinds of which there is less give what there is.
    """
    made_from = {
        "version": VERSION,
        "text_bytes": text_bytes,
        "seed": seed,
        "packages": package_versions(),
    }
    place = Path(folder)
    report = place / "corpus.json"
    if report.exists():
        try:
            stored = json.loads(report.read_bytes())
            if stored.pop("made_from") == made_from:
                return Corpus(folder=folder, **stored)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # it is not what was written: the corpus is made anew
    shutil.rmtree(place, ignore_errors=True)
    (place / "documents").mkdir(parents=True, exist_ok=True)
    corpus = _Builder(place, text_bytes, str(seed)).build()
    described = asdict(corpus)
    del described["folder"]
    aside = place / "corpus.json.new"
    aside.write_text(json.dumps({**described, "made_from": made_from}, indent=1), encoding="utf-8")
    aside.replace(report)
    return corpus


def _rank(key: str, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8, key=key.encode()).digest()


def _choose(kind: str, seed: str, limit: float) -> list[Text]:
    """Texts of a kind until there are `limit` bytes of them, from files in the order of a keyed
    hash."""
    chosen, total = [], 0
    for text in read_texts(kind, partial(_rank, f"file {seed}")):
        if total >= limit:
            break
        chosen.append(text)
        total += len(text.text.encode())
    return chosen


class _Builder:
    def __init__(self, folder: Path, text_bytes: int, seed: str) -> None:
        self.folder = folder
        self.text_bytes = text_bytes
        self.seed = seed
        self.copies: list[list[Any]] = []
        self.contaminated: list[list[str]] = []
        self.digest = hashlib.sha256()

    def build(self) -> Corpus:
        chosen = {kind: _choose(kind, self.seed, SHARES[kind] * self.text_bytes) for kind in KINDS}
        sentences = read_sentences(partial(_rank, f"file {self.seed}"))
        items = [
            {"id": f"item-{number:04}", "question": question, "answer": answer}
            for number, (question, answer) in enumerate(
                islice(sentences, self.text_bytes // BYTES_AN_ITEM)
            )
        ]
        pages = self._pages(chosen["prose"], chosen["languages"])
        documents = sorted(
            self._plant(items, [text for kind in KINDS for text in chosen[kind]]),
            key=lambda document: _rank(self.seed, f"order {document['id']}"),
        )
        for shard in range(SHARDS):
            first, last = (len(documents) * n // SHARDS for n in (shard, shard + 1))
            self._write(f"documents/{shard}.jsonl", documents[first:last])
        html_bytes = self._write_pages(pages)
        self._write("items.jsonl", items)
        truth = {"copies": self.copies, "contaminated": self.contaminated}
        self._write("truth.json", [truth])
        sizes: dict[str, list[int]] = {kind: [] for kind in KINDS}
        for document in documents:
            sizes[document["source"]].append(len(document["text"].encode()))
        return Corpus(
            folder=str(self.folder),
            digest=self.digest.hexdigest(),
            text_bytes=sum(map(sum, sizes.values())),
            html_bytes=html_bytes,
            documents={kind: len(of_kind) for kind, of_kind in sizes.items()},
            kind_bytes={kind: sum(of_kind) for kind, of_kind in sizes.items()},
            copies=len(self.copies),
            contaminated=len(self.contaminated),
            items=len(items),
            versions=package_versions(),
        )

    def _plant(self, items: list[dict[str, str]], texts: list[Text]) -> Iterator[dict[str, Any]]:
        for text in texts:
            name = f"{text.kind}/{text.name}"
            content = text.text
            if keyed_share(f"contaminate {self.seed}", name) < CONTAMINATED_SHARE and items:
                item = items[len(self.contaminated) % len(items)]
                mode = MODES[len(self.contaminated) % len(MODES)]
                added = item["question"]
                if mode == "question and answer":
                    added += "\n" + item["answer"]
                lines = content.split("\n")
                lines.insert(len(lines) // 2, added)
                content = "\n".join(lines)
                self.contaminated.append([name, item["id"], mode])
            yield _document(name, text.kind, content)
            yield from self._copy(name, text.kind, content)

    def _copy(self, name: str, kind: str, content: str) -> Iterator[dict[str, Any]]:
        drawn = keyed_share(f"copy {self.seed}", name)
        if drawn >= EXACT_SHARE + NEAR_SHARE or len(content.encode()) > MAX_COPIED_BYTES:
            return
        copy, measured = content, 1.0
        if drawn >= EXACT_SHARE:
            place = int((drawn - EXACT_SHARE) / NEAR_SHARE * len(CHANGED))
            copy = change_words(content, CHANGED[place])
            measured = round(similarity(content, copy), 6)
        self.copies.append([name, f"{name}#copy", measured])
        yield _document(f"{name}#copy", kind, copy)

    def _pages(self, prose: list[Text], languages: list[Text]) -> Iterator[dict[str, str]]:
        """Pages of both kinds, one after the other, until there is enough HTML."""
        total = 0
        for pair in zip(prose, languages, strict=False):
            for text in pair:
                if total >= PAGES_SHARE * self.text_bytes:
                    return
                page = _page(text)
                total += len(page.encode())
                yield {"id": f"{text.kind}/{text.name}", "html": page, "main": text.text}

    def _write_pages(self, pages: Iterable[dict[str, str]]) -> int:
        pages = list(pages)
        self._write("pages.jsonl", pages)
        return sum(len(page["html"].encode()) for page in pages)

    def _write(self, name: str, rows: Iterable[Any]) -> None:
        with (self.folder / name).open("wb") as file:
            for row in rows:
                line = orjson.dumps(row) + b"\n"
                self.digest.update(line)
                file.write(line)


def _document(name: str, kind: str, text: str) -> dict[str, Any]:
    return {"id": name, "text": text, "source": kind, "added": ADDED, "metadata": {}}


def _page(text: Text) -> str:
    """A web page about a text, with the navigation, scripts and foot that pages have."""
    title = html.escape(text.name.split(":")[0])
    parts = text.fragments or tuple(f"<p>{html.escape(line)}</p>" for line in text.text.split("\n"))
    links = "".join(
        f'<li><a href="/{number}.html">{word}</a></li>'
        for number, word in enumerate(("Home", "Manual", "Index", "Search", "About", "Contact"))
    )
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{title}</title>'
        "<style>nav {float: left} .foot {color: grey}</style>"
        "<script>window.started = Date.now(); function go(x) { location.href = x }</script>"
        f'</head><body><header><a href="/">Manuals</a></header><nav><ul>{links}</ul></nav>'
        f"<main><article><h1>{title}</h1>\n" + "\n".join(parts) + "\n</article></main>"
        f'<aside><ul>{links}</ul></aside><footer class="foot">All rights reserved.'
        f' <a href="/terms.html">Terms</a></footer></body></html>'
    )
