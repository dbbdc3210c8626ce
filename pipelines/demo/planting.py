"""What the demo plants on purpose, and the plan that says so: `planted.json`.

Three kinds: benchmark items inside documents (the run must remove and name them), copies of
documents with a known similarity (0.9 and above must be found, about 0.5 must stay), and input that
nobody wants in a mix (must end in quarantine, be passed over or be removed). A document goes by the
name that its reader gives it (`document_name`): the path below its source's folder, with the path
inside an archive after it, the URL in a crawl, the id in Dolma's format; what could not be read by
the file that it is in.

Similarity is Jaccard's on sets of word 5-grams: words are runs of letters and digits, in lower
case. Nothing here draws a random number: what is changed follows from counters and keyed hashes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "HALF_CHANGED",
    "NEAR_CHANGED",
    "BenchmarkItem",
    "Contaminated",
    "Duplicate",
    "Plan",
    "Unwanted",
    "change_words",
    "document_name",
    "keyed_share",
    "read_items",
    "similarity",
    "word_shingles",
]

SHINGLE_WORDS = 5  # as in the fuzzy deduplication of Dolma 3
NEAR_CHANGED = 200  # one word in so many is changed: similarity about 0.95
HALF_CHANGED = 15  # one word in so many is changed: similarity about 0.5
BENCHMARK = "HumanEval"
MIN_PROMPT_WORDS = 40  # words in the prompt of an item that is planted, at least

_WORD = re.compile(r"[^\W_]+")
_HTML_MARKUP = re.compile(r"(<[^>]*>|&#?\w+;)")


@dataclass(frozen=True)
class BenchmarkItem:
    """One HumanEval item: what is asked (prompt) and the reference solution, both Python code."""

    name: str  # as in the benchmark: HumanEval/7
    prompt: str
    solution: str

    def variants(self) -> dict[str, str]:
        """How an item may stand in a document, by name."""
        words = re.sub(r"\s+", " ", self.prompt).strip()
        return {
            "exact": self.prompt + self.solution,
            "prompt only": self.prompt,
            "reformatted": "\n".join(
                " ".join(words.upper().split(" ")[start : start + 7])
                for start in range(0, words.count(" ") + 1, 7)
            ),
            "prompt and solution apart": f"{self.prompt}\n\nOne way to do it:\n\n{self.solution}",
        }


@dataclass(frozen=True)
class Contaminated:
    """A document that holds a benchmark item, and how it holds it."""

    source: str
    document: str
    benchmark: str
    item: str
    how: str


@dataclass(frozen=True)
class Duplicate:
    """A document and its planted copy; their similarity is measured when planting."""

    source: str
    original: str
    copy_source: str
    copy: str
    similarity: float


@dataclass(frozen=True)
class Unwanted:
    """Input that must not get into a mix: what is wrong with it, and where it must end:
    `quarantine`, `passed over` (it is of another kind) or `rules`."""

    source: str
    document: str
    what: str
    ends_in: str


@dataclass
class Plan:
    """All that was planted, in the order of planting."""

    items: list[BenchmarkItem]
    contaminated: list[Contaminated] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    rejected: list[Unwanted] = field(default_factory=list)

    def contaminate(self, source: str, document: str, how: str, place: str = "") -> str:
        """The text to put into a document: the next unused item in the variant `how`.

        `place` is told in the plan where it matters for reading the item, as on a scanned page.
        """
        if len(self.contaminated) >= len(self.items):
            raise ValueError(f"the benchmark has only {len(self.items)} items that can be planted")
        item = self.items[len(self.contaminated)]
        told = f"{how}, {place}" if place else how
        self.contaminated.append(Contaminated(source, document, BENCHMARK, item.name, told))
        return item.variants()[how]

    def duplicate(
        self, source: str, original: str, copy_source: str, copy: str, texts: tuple[str, str]
    ) -> None:
        """Note a copy; `texts` are those of the original and of the copy."""
        measured = round(similarity(*texts), 4)
        self.duplicates.append(Duplicate(source, original, copy_source, copy, measured))

    def reject(self, source: str, document: str, what: str, ends_in: str = "quarantine") -> None:
        """Note input that must not get into a mix; see `Unwanted`."""
        self.rejected.append(Unwanted(source, document, what, ends_in))

    def to_json(self) -> dict[str, list[dict[str, object]]]:
        """The content of `planted.json`."""
        return {
            "contaminated": [asdict(entry) for entry in self.contaminated],
            "duplicates": [asdict(entry) for entry in self.duplicates],
            "rejected": [asdict(entry) for entry in self.rejected],
        }


def read_items(human_eval: str) -> list[BenchmarkItem]:
    """Items of a HumanEval file (`.jsonl.gz`) that are worth planting: long enough, ASCII; in the
    order of a keyed hash, so that neighbours of the benchmark do not end up together."""
    items: list[BenchmarkItem] = []
    with gzip.open(human_eval, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            long_enough = len(_WORD.findall(row["prompt"])) >= MIN_PROMPT_WORDS
            if long_enough and (row["prompt"] + row["canonical_solution"]).isascii():
                items.append(
                    BenchmarkItem(row["task_id"], row["prompt"], row["canonical_solution"])
                )
    return sorted(items, key=lambda item: keyed_share("item", item.name))


def document_name(identifier: str, metadata: Mapping[str, Any]) -> str:
    """The name by which `planted.json` knows a document that a reader has made."""
    if metadata.get("url"):
        return str(metadata["url"])
    if metadata.get("path"):
        return "/".join(filter(None, [metadata.get("archive"), metadata["path"]]))
    return identifier


def keyed_share(key: str, name: str) -> float:
    """A number in [0, 1) that depends on key and name alone, evenly spread over names."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=key.encode()).digest()
    return int.from_bytes(digest, "big") / 2**64


def word_shingles(text: str) -> set[tuple[str, ...]]:
    """The set of word 5-grams of a text; empty where it has fewer words."""
    words = _WORD.findall(text.lower())
    return {
        tuple(words[start : start + SHINGLE_WORDS])
        for start in range(len(words) - SHINGLE_WORDS + 1)
    }


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the word 5-grams of two texts, 0..1; 1 for two texts without any."""
    left, right = word_shingles(one), word_shingles(other)
    return len(left & right) / len(left | right) if left or right else 1.0


def change_words(text: str, every: int, html: bool = False) -> str:
    """The text with one word in `every` changed (its letters turned round), the rest as it was.

    Markup and character references of HTML keep their place when `html` is set.
    """
    seen = 0

    def change(match: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        word = match.group()
        return f"re{word[::-1]}" if seen % every == 0 else word

    if not html:
        return _WORD.sub(change, text)
    return _outside_markup(text, lambda part: _WORD.sub(change, part))


def _outside_markup(page: str, change: Callable[[str], str]) -> str:
    parts = _HTML_MARKUP.split(page)  # odd places hold the markup
    return "".join(part if place % 2 else change(part) for place, part in enumerate(parts))
