"""Verify: prove a published mix from nothing but its files (and benchmarks given anew, if wanted).

Each check says what was seen and what was wanted. Nothing that the pipeline counted is believed:
hashes are computed again, tokens counted, documents decoded, shares computed, and the text scanned
for benchmark n-grams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines.mix import LARGEST, csv_of, scan_tokens, source_of
from transforms import storage
from transforms.datasets import Dataset, Manifest, sum_counts
from transforms.decontamination.index import NgramIndex
from transforms.tokens.token_files import DocumentBounds, read_document_bounds, read_token_file
from transforms.tokens.tokenizer import Tokenizer, TokenizerSpec, load_tokenizer

__all__ = ["Check", "verify_mix"]


@dataclass(frozen=True)
class Check:
    """One thing that must hold of a mix."""

    name: str
    ok: bool
    seen: object
    wanted: object

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def verify_mix(mix: str, index: NgramIndex | None = None) -> list[Check]:
    """All checks of a mix. FileNotFoundError when there is no mix at `mix`.

    `index`: benchmark n-grams to scan for; None takes the index that the mix holds itself.
    """
    dataset, manifest = Dataset.published(mix)
    checks = list(_check_files(dataset, manifest))
    broken = {check.name.removeprefix("hash of ") for check in checks if not check.ok}
    paths = [file.path for file in manifest.files if file.path.endswith(".npy")]
    readable = [path for path in paths if not {path, csv_of(path)} & broken]
    try:
        tokenizer = _tokenizer(dataset, manifest)
        index = index or _index(dataset, manifest)
    except (ValueError, OSError) as error:
        return [*checks, Check("tokenizer and benchmark index load", False, str(error), "loaded")]
    fingerprint = manifest.details["tokenizer"]["fingerprint"]
    checks.append(
        Check(
            "tokenizer is the one named",
            tokenizer.fingerprint == fingerprint,
            tokenizer.fingerprint,
            fingerprint,
        )
    )
    counts: dict[str, dict[str, int]] = {}
    texts_bad = 0
    for path in readable:
        tokens = read_token_file(dataset.path(path))
        bounds = read_document_bounds(dataset.path(csv_of(path)))
        found = scan_tokens(tokens, bounds, tokenizer, index)
        if not found["rescan.tokens_out_of_range"] and not found["rescan.misplaced_documents"]:
            texts_bad += _undecodable(tokens, bounds, tokenizer)
        source = source_of(path)
        counts[source] = sum_counts([counts.get(source, {}), found])
    checks += _check_counts(manifest, counts, texts_bad, index is not None)
    return checks


def _check_files(dataset: Dataset, manifest: Manifest) -> Iterator[Check]:
    good = 0
    for file in manifest.files:
        path = dataset.path(file.path)
        if not storage.exists(path):
            yield Check(f"hash of {file.path}", False, "no such file", file.sha256)
            continue
        seen, size_bytes = storage.sha256_of(path)
        if seen == file.sha256 and size_bytes == file.size_bytes:
            good += 1
        else:
            yield Check(f"hash of {file.path}", False, seen, file.sha256)
    yield Check("files with the right hash", good == len(manifest.files), good, len(manifest.files))
    listed = {file.path for file in manifest.files}
    stray = [
        file.name
        for file in storage.list_files([storage.join(storage.escape(dataset.base), "tokens/**")])
        if f"tokens/{file.name}" not in listed
    ]
    yield Check("token files that the manifest does not list", not stray, len(stray), 0)


def _tokenizer(dataset: Dataset, manifest: Manifest) -> Tokenizer:
    spec = dict(manifest.details["tokenizer"]["spec"])
    if storage.exists(dataset.path(spec["name"])):
        spec["name"] = dataset.path(spec["name"])
    spec["special_tokens"] = tuple((name, number) for name, number in spec["special_tokens"])
    return load_tokenizer(TokenizerSpec(**spec))


def _index(dataset: Dataset, manifest: Manifest) -> NgramIndex | None:
    stored = manifest.details["benchmarks"]
    return NgramIndex.load(dataset.path(stored["file"])) if stored else None


def _undecodable(tokens: np.ndarray[Any, Any], bounds: DocumentBounds, tokenizer: Tokenizer) -> int:
    """Documents whose bytes, without EOS, are no valid UTF-8."""
    bad = 0
    for start, end in zip(bounds.starts.tolist(), bounds.ends.tolist(), strict=True):
        try:
            tokenizer.decode(np.asarray(tokens[start : end - 1])).decode("utf-8")
        except UnicodeDecodeError:
            bad += 1
    return bad


def _check_counts(
    manifest: Manifest, counts: dict[str, dict[str, int]], texts_bad: int, scanned: bool
) -> Iterator[Check]:
    total = Counter[str]()
    for one in counts.values():
        total.update(one)
    listed = manifest.details["sources"]
    for name in ("tokens", "documents", "files"):
        wanted = {source: its.get(name, 0) for source, its in sorted(listed.items())}
        seen = {source: counts.get(source, {}).get(f"rescan.{name}", 0) for source in wanted}
        yield Check(f"{name} per source", seen == wanted, seen, wanted)
    for name, meaning in (
        ("tokens_out_of_range", "tokens outside the vocabulary"),
        ("missing_eos", "documents that do not close with EOS"),
        ("inner_eos", "EOS inside documents"),
        ("empty_documents", "documents without a token"),
        ("misplaced_documents", "documents that leave their file or overlap"),
        ("stray_tokens", "tokens in no document"),
    ):
        yield Check(meaning, total[f"rescan.{name}"] == 0, total[f"rescan.{name}"], 0)
    yield Check("documents that decode to no valid UTF-8", texts_bad == 0, texts_bad, 0)
    yield from _check_shares(manifest, counts)
    if scanned:
        hits = total["rescan.hits"]
        yield Check("benchmark n-grams in the decoded tokens", hits == 0, hits, 0)
    else:
        yield Check("benchmark n-grams: the recipe names no benchmark", True, None, None)


def _check_shares(manifest: Manifest, counts: dict[str, dict[str, int]]) -> Iterator[Check]:
    """Each source's tokens are within its longest document of what the recipe's share makes of
    all.
    """
    listed, shares = manifest.details["sources"], manifest.details["shares"]
    wanted_total = sum(its["wanted_tokens"] for its in listed.values())
    for source, share in sorted(shares.items()):
        seen = counts.get(source, {}).get("rescan.tokens", 0)
        largest = listed[source][LARGEST]
        wanted = share * wanted_total
        yield Check(
            f"share of {source}",
            abs(seen - wanted) <= largest + 1,
            f"{seen:,} tokens",
            f"{wanted:,.0f} tokens, a document of {largest:,} more or less",
        )
