"""How well near duplicates are found and how much is removed that is none, by similarity.

    python -m benchmarks.dedup_quality [--corpus DIR] [--text-bytes N] [--tools vineleaf,rensa]

Without `--corpus` on a corpus of its own: texts that packages carry and, for most, a copy with
words changed so that similarities spread evenly over 0.5 to 1; the true similarity of all pairs is
then found by an exact join. With it on a folder of `.jsonl.zst` documents whose `pairs.tsv.gz`
holds the true pairs (id, id, similarity). Tools are those of `dedup_tools`; Markdown is printed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from benchmarks.dedup_tools import SIMILARITY, TOOLS, Removed
from benchmarks.inputs import word_shingles
from benchmarks.package_texts import read_texts
from pipelines.demo.planting import change_words, keyed_share
from transforms.dedup.minhash import BANDS, ROWS

__all__ = ["Pairs", "Quality", "measure", "plant_copies", "true_pairs"]

PEER_BANDS = (26, 11)  # of Dolma 3: what all tools are given
BINS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)  # the last one: up to 1, inclusive
TEXT_BYTES = 8_000_000  # of the planted corpus, copies apart
SHORTEST, LONGEST = 800, 30_000  # characters of a text that is copied
COPIED = 0.7  # share of texts with a copy
BLOCK = 512  # documents whose shared shingles are counted at once


@dataclass(frozen=True)
class Pairs:
    """True pairs by document number, int64[pairs, 2] with the less first, and their similarity."""

    ends: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """What a tool did: `found`, by bin, the share of pairs of which one is removed (None without a
    pair); `recall` the same of all pairs at SIMILARITY or more; `precision`, of what is removed,
    the share with such a partner anywhere; `to_survivor`, the share that is so similar to its own
    survivor (None where it is not told)."""

    found: list[float | None]
    removed: int
    recall: float
    precision: float
    to_survivor: float | None


def plant_copies(text_bytes: int, seed: int) -> list[str]:
    """Texts of packages in the order of a keyed hash, most followed by a changed copy."""
    texts: list[str] = []
    total = 0
    for kind in ("prose", "notes", "code"):
        limit = total + text_bytes // 3

        def order(path: str, kind: str = kind) -> bytes:
            return hashlib.blake2b(f"{seed} {kind} {path}".encode(), digest_size=8).digest()

        for one in read_texts(kind, order):
            if total >= limit:
                break
            if not SHORTEST <= len(one.text) <= LONGEST:
                continue
            texts.append(one.text)
            total += len(one.text.encode())
            drawn = keyed_share(f"copy {seed}", f"{kind} {one.name}")
            if drawn < COPIED:
                texts.append(change_words(one.text, _every(0.5 + 0.5 * drawn / COPIED)))
    return texts


def _every(similarity: float) -> int:
    """One word in how many must change for such a similarity of word 5-grams."""
    kept: float = 2 * similarity / (1 + similarity)
    return max(2, round(1 / max(1 - float(kept**0.2), 1e-4)))


def true_pairs(texts: Sequence[str], at_least: float = BINS[0]) -> Pairs:
    """All pairs of so similar texts, by the exact number of word 5-grams that they share."""
    from scipy.sparse import csr_array

    numbers: dict[str, int] = {}
    sets = [
        sorted({numbers.setdefault(one, len(numbers)) for one in word_shingles(text)})
        for text in texts
    ]
    sizes = np.array([len(one) for one in sets], np.int64)
    columns = np.array([number for one in sets for number in one], np.int64)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    matrix = csr_array(
        (np.ones(len(columns), np.float32), columns, bounds), (len(sets), len(numbers))
    )
    ends, similarities = [], []
    for first in range(0, len(texts), BLOCK):
        shared = (matrix[first : first + BLOCK] @ matrix.T).tocoo()
        left, right = shared.row + first, shared.col
        similarity = shared.data / (sizes[left] + sizes[right] - shared.data)
        good = np.asarray((left < right) & (similarity >= at_least))
        ends.append(np.stack([left[good], right[good]], axis=1).astype(np.int64))
        similarities.append(similarity[good].astype(np.float64))
    return Pairs(np.concatenate(ends), np.concatenate(similarities))


def measure(texts: Sequence[str], pairs: Pairs, done: Removed) -> Quality:
    """Hold what a tool did against the true pairs."""
    gone: npt.NDArray[np.bool_] = np.asarray(done.removed[pairs.ends].any(axis=1), np.bool_)
    good = pairs.similarity >= SIMILARITY
    has_partner = np.zeros(len(done.removed), np.bool_)
    has_partner[pairs.ends[good].ravel()] = True
    removed = np.flatnonzero(done.removed)
    to_survivor = None
    if done.survivor is not None and len(removed):
        alike = [_similarity(texts[one], texts[done.survivor[one]]) for one in removed.tolist()]
        to_survivor = sum(one >= SIMILARITY for one in alike) / len(alike)
    return Quality(
        found=[float(gone[one].mean()) if one.any() else None for one in _in_bins(pairs)],
        removed=len(removed),
        recall=float(gone[good].mean()) if good.any() else 1.0,
        precision=float(has_partner[removed].mean()) if len(removed) else 1.0,
        to_survivor=to_survivor,
    )


def _similarity(one: str, other: str) -> float:
    """Jaccard similarity of the word 5-grams."""
    left, right = set(word_shingles(one)), set(word_shingles(other))
    return len(left & right) / max(len(left | right), 1)


def _in_bins(pairs: Pairs) -> list[npt.NDArray[np.bool_]]:
    last = BINS[-2]
    return [
        (pairs.similarity >= low) & ((pairs.similarity < high) | (low == last))
        for low, high in pairwise(BINS)
    ]


def read_corpus(folder: str) -> tuple[list[str], Pairs]:
    """Texts and true pairs of a folder of `.jsonl.zst` and `pairs.tsv.gz`."""
    ids, texts = [], []
    for path in sorted(Path(folder).glob("*.jsonl.zst")):
        with path.open("rb") as file:
            for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file)):
                document = orjson.loads(line)
                ids.append(document["id"])
                texts.append(document["text"])
    number = {name: place for place, name in enumerate(ids)}
    with gzip.open(Path(folder) / "pairs.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    ends = np.array([sorted((number[a], number[b])) for a, b, _ in rows], np.int64).reshape(-1, 2)
    return texts, Pairs(ends, np.array([float(s) for *_, s in rows]))


def _table(texts: Sequence[str], pairs: Pairs, tools: Sequence[str]) -> Iterator[str]:
    size = sum(len(text.encode()) for text in texts)
    good = int((pairs.similarity >= SIMILARITY).sum())
    yield (
        f"{len(texts):,} documents, {size / 1e6:.1f} MB, {len(pairs.ends):,} pairs of which"
        f" {good:,} at {SIMILARITY} or more."
    )
    runs = [(name, *PEER_BANDS) for name in tools]
    if "vineleaf" in tools:
        runs.insert(0, ("vineleaf", BANDS, ROWS))
    counts = [int(one.sum()) for one in _in_bins(pairs)]
    bins = [
        f"{low:g} to {high:g} ({n:,})"
        for (low, high), n in zip(pairwise(BINS), counts, strict=True)
    ]
    columns = ["tool", *bins, "removed", "recall", "precision", "to survivor", "CPU s"]
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for name, bands, rows in runs:
        if name == "vineleaf":
            TOOLS[name](texts[:2], bands, rows)  # compiled before it is measured
        began = time.process_time()
        done = TOOLS[name](texts, bands, rows)
        seconds = time.process_time() - began
        quality = measure(texts, pairs, done)
        cells = [f"{name}, {bands} x {rows}"]
        cells += ["" if one is None else f"{one:.3f}" for one in quality.found]
        cells += [f"{quality.removed:,}", f"{quality.recall:.4f}", f"{quality.precision:.4f}"]
        cells += [
            "" if quality.to_survivor is None else f"{quality.to_survivor:.4f}",
            f"{seconds:.1f}",
        ]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", help="folder of .jsonl.zst and pairs.tsv.gz; default: planted")
    parser.add_argument("--text-bytes", type=int, default=TEXT_BYTES, help="of the planted corpus")
    parser.add_argument("--seed", type=int, default=1, help="of the planted corpus")
    parser.add_argument("--tools", default=",".join(TOOLS), help="which, with commas between them")
    options = parser.parse_args()
    tools = options.tools.split(",")
    unknown = sorted(set(tools) - set(TOOLS))
    if unknown:
        parser.error(f"no tool is called {unknown[0]!r}; there are {', '.join(TOOLS)}")
    if options.corpus:
        texts, pairs = read_corpus(options.corpus)
    else:
        texts = plant_copies(options.text_bytes, options.seed)
        pairs = true_pairs(texts)
    for line in _table(texts, pairs, tools):
        print(line, flush=True)


if __name__ == "__main__":
    main()
