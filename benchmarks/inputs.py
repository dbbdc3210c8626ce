"""The benchmark corpus as a side reads it: its documents, pages, items and truth, in order.

Of the standard library alone: peers read it in environments of their own.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

__all__ = [
    "document_files",
    "find_words",
    "read_documents",
    "read_items",
    "read_pages",
    "read_pairs",
    "read_truth",
    "word_overlap",
    "word_shingles",
]

MAX_PAIRS = 150  # near copies whose similarity is estimated
MIN_PAIR_WORDS = 150  # words of their texts
_WORD = re.compile(r"[^\W_]+")


def document_files(corpus: str) -> list[str]:
    """The files of documents, in order."""
    folder = os.path.join(corpus, "documents")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def _lines(path: str) -> Iterator[Any]:
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def read_documents(corpus: str, text_bytes: int) -> list[dict[str, Any]]:
    """The first documents, whole, until there are `text_bytes` bytes of text (UTF-8)."""
    found: list[dict[str, Any]] = []
    total = 0
    for path in document_files(corpus):
        for document in _lines(path):
            if total >= text_bytes:
                return found
            found.append(document)
            total += len(document["text"].encode())
    return found


def read_pages(corpus: str, html_bytes: int) -> list[dict[str, str]]:
    """The first pages, until there are `html_bytes` bytes of HTML (UTF-8)."""
    found, total = [], 0
    for page in _lines(os.path.join(corpus, "pages.jsonl")):
        if total >= html_bytes:
            break
        found.append(page)
        total += len(page["html"].encode())
    return found


def read_items(corpus: str) -> list[dict[str, str]]:
    """The items of the planted benchmark."""
    return list(_lines(os.path.join(corpus, "items.jsonl")))


def read_truth(corpus: str) -> dict[str, list[list[Any]]]:
    """What was planted; see `benchmarks.corpus`."""
    (truth,) = _lines(os.path.join(corpus, "truth.json"))
    return dict(truth)


def read_pairs(corpus: str) -> list[tuple[str, str, float]]:
    """(text, text, Jaccard similarity of their word 5-grams) of planted near copies of English
    texts, where both have many 5-grams."""
    wanted = {
        one: (other, similarity)
        for one, other, similarity in read_truth(corpus)["copies"]
        if similarity < 1.0 and one.startswith(("prose/", "notes/"))
    }
    ends = {*wanted, *(other for other, _ in wanted.values())}
    texts = {
        document["id"]: document["text"]
        for path in document_files(corpus)
        for document in _lines(path)
        if document["id"] in ends
    }
    pairs = [(texts[one], texts[other], similarity) for one, (other, similarity) in wanted.items()]
    return [pair for pair in pairs if len(pair[0].split()) >= MIN_PAIR_WORDS][:MAX_PAIRS]


def find_words(text: str) -> list[str]:
    """Runs of letters and digits in lower case: the words of planted similarities."""
    return _WORD.findall(text.lower())


def word_shingles(text: str) -> list[str]:
    """The word 5-grams of a text, joined by blanks; its words where it has fewer."""
    words = find_words(text)
    return [
        " ".join(words[start : start + 5])
        for start in range(max(len(words) - 4, min(len(words), 1)))
    ]


def word_overlap(pages: list[dict[str, str]], texts: list[str]) -> dict[str, list[float]]:
    """[precision, recall] by page of the words of `texts`, as bags, against the page's own."""
    overlaps = {}
    for page, text in zip(pages, texts, strict=True):
        found, wanted = Counter(find_words(text)), Counter(find_words(page["main"]))
        both = (found & wanted).total()
        overlaps[page["id"]] = [both / max(found.total(), 1), both / max(wanted.total(), 1)]
    return overlaps
