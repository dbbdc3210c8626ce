"""The demo's Dolma source: docstrings of the standard library and short help topics, as JSON lines.

Two shards, one per compression that Dolma uses (`.jsonl.zst`, `.jsonl.gz`); ids are `docs/<module>`
and `topics/<topic>`. Planted: benchmark items, copies, lines that are no document, and a gzip that
was cut off.
"""

from __future__ import annotations

import gzip
import json
import os
from pydoc_data.topics import topics

import zstandard

from pipelines.demo.pdf_files import MIN_TOPIC_CHARACTERS
from pipelines.demo.planting import HALF_CHANGED, NEAR_CHANGED, Plan, change_words

__all__ = ["write_dolma_documents"]

MIN_CHARACTERS = 300  # shorter docstrings and topics are left out
ADDED, CREATED = "2024-01-02T00:00:00.000Z", "2024-01-01T00:00:00.000Z"
VERSION = "v0"

_CONTAMINATED = {
    "collections": "exact",
    "datetime": "prompt only",
    "itertools": "reformatted",
    "decimal": "prompt and solution apart",
}
# Modules whose text gets a copy: one word in so many is changed, 0 for none.
_COPIED = {"inspect": 0, "logging": NEAR_CHANGED, "typing": NEAR_CHANGED, "socket": HALF_CHANGED}


def write_dolma_documents(texts: str, folder: str, plan: Plan) -> None:
    """Write both shards; `texts` is where the docstrings of each module are."""
    os.makedirs(folder)
    modules: list[bytes] = []
    for file_name in sorted(os.listdir(texts)):
        name = file_name.removesuffix(".txt")
        with open(os.path.join(texts, file_name), encoding="utf-8") as file:
            text = file.read()
        if len(text) < MIN_CHARACTERS:
            continue
        identifier = f"docs/{name}"
        if name in _CONTAMINATED:
            how = _CONTAMINATED[name]
            text = f"{text}\n\n{plan.contaminate('docs', identifier, how)}\n"
        modules.append(_line(identifier, text))
        if name in _COPIED:
            copy = change_words(text, _COPIED[name]) if _COPIED[name] else text
            plan.duplicate("docs", identifier, "docs", f"{identifier}-copy", (text, copy))
            modules.append(_line(f"{identifier}-copy", copy))
    modules.append(b'{"id": "docs/no-end", "text": "This line is not closed\n')
    plan.reject("docs", "modules.jsonl.zst", "a line that is no JSON")
    modules.append(b'{"id": "docs/no-text", "source": "docs"}\n')
    plan.reject("docs", "modules.jsonl.zst", "a line without text")
    short = [
        _line(f"topics/{topic}", text)
        for topic, text in sorted(topics.items())
        if MIN_CHARACTERS <= len(text) < MIN_TOPIC_CHARACTERS
    ]
    compressor = zstandard.ZstdCompressor(level=3)
    _write(os.path.join(folder, "modules.jsonl.zst"), compressor.compress(b"".join(modules)))
    whole = gzip.compress(b"".join(short), compresslevel=6, mtime=0)
    _write(os.path.join(folder, "topics.jsonl.gz"), whole)
    lost = b"".join(_line(f"lost/{number}", "A line that is lost. " * 40) for number in range(3))
    cut = gzip.compress(lost, compresslevel=6, mtime=0)
    _write(os.path.join(folder, "cut.jsonl.gz"), cut[: len(cut) // 2])
    plan.reject("docs", "cut.jsonl.gz", "truncated gzip")


def _line(identifier: str, text: str) -> bytes:
    """One document in Dolma's format."""
    row = {
        "id": identifier,
        "text": text,
        "source": "docs",
        "added": ADDED,
        "created": CREATED,
        "version": VERSION,
        "metadata": {"name": identifier.partition("/")[2]},
    }
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
