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

from pipelines.mix import (
    LARGEST,
    RECIPE_FILE,
    TOKENIZER_FILE,
    csv_of,
    scan_tokens,
    source_of,
)
from pipelines.recipe import Mix, read_mix
from pipelines.stages import Stage
from transforms import storage
from transforms.datasets import Dataset, Manifest, sum_counts
from transforms.decontamination.index import NgramIndex, load_index
from transforms.mixing.budget import divide_tokens
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
        asked = _asked(dataset)
    except (KeyError, ValueError, OSError, storage.DamagedFile) as error:
        name = "tokenizer, benchmark index and recipe load"
        return [*checks, Check(name, False, str(error), "loaded")]
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
        found[LARGEST] = int((bounds.ends - bounds.starts).max(initial=0))
        source = source_of(path)
        counts[source] = sum_counts([counts.get(source, {}), found])
    checks += _check_identity(dataset, manifest, index)
    checks += _check_counts(manifest, asked, counts, texts_bad, index is not None)
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
        if f"tokens/{file.name}" not in listed and "aside" not in file.name.split("/")[:-1]
    ]
    yield Check("token files that the manifest does not list", not stray, len(stray), 0)


def _check_identity(
    dataset: Dataset, manifest: Manifest, index: NgramIndex | None
) -> Iterator[Check]:
    """The manifest is of the recipe, the inputs and the index that its fingerprint was made of."""
    stage = Stage(
        manifest.stage, "", manifest.version, manifest.parameters, manifest.inputs, tasks=()
    )
    yield Check(
        "fingerprint of the manifest",
        stage.fingerprint == manifest.fingerprint,
        stage.fingerprint,
        manifest.fingerprint,
    )
    recipe = storage.read_json(dataset.path(RECIPE_FILE))
    same = manifest.parameters.get("recipe") == recipe
    yield Check("recipe is the one the mix was made of", same, "same" if same else "other", "same")
    if recipe["pool"].get("decontaminate"):
        wanted = manifest.parameters.get("index")
        stored = manifest.details["benchmarks"] or {}
        good = index is not None and wanted == stored.get("fingerprint") is not None
        yield Check("benchmark index is the one named", good, stored.get("fingerprint"), wanted)


def _tokenizer(dataset: Dataset, manifest: Manifest) -> Tokenizer:
    spec = dict(manifest.details["tokenizer"]["spec"])
    if spec["name"] == TOKENIZER_FILE:  # its file, else a name that is the same everywhere
        spec["name"] = dataset.path(TOKENIZER_FILE)
        if not storage.exists(spec["name"]):
            raise FileNotFoundError(f"the mix lacks its {TOKENIZER_FILE}")
    spec["special_tokens"] = tuple((name, number) for name, number in spec["special_tokens"])
    return load_tokenizer(TokenizerSpec(**spec))


def _index(dataset: Dataset, manifest: Manifest) -> NgramIndex | None:
    stored = manifest.details["benchmarks"]
    if not stored:
        return None
    return load_index(dataset.path(stored["file"]), stored["fingerprint"])


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
    manifest: Manifest,
    asked: Mix,
    counts: dict[str, dict[str, int]],
    texts_bad: int,
    scanned: bool,
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
    yield from _check_shares(manifest, asked, counts)
    if scanned:
        hits = total["rescan.hits"]
        yield Check("benchmark n-grams in the decoded tokens", hits == 0, hits, 0)
    else:
        yield Check("benchmark n-grams: the recipe names no benchmark", True, None, None)


def _asked(dataset: Dataset) -> Mix:
    """What the recipe beside the mix asks."""
    return read_mix(storage.read_json(dataset.path(RECIPE_FILE))["mix"])


def _check_shares(
    manifest: Manifest, asked: Mix, counts: dict[str, dict[str, int]]
) -> Iterator[Check]:
    """Each source holds what its share of the recipe asks, but for less than its next document.

    That document is not in the mix. Where less is missing than the longest that is there, nobody
    needs to be believed; else the manifest's word is taken, and the check says so.
    """
    listed = manifest.details["sources"]
    told, shares = manifest.details["shares"], asked.proportions
    yield Check("shares in the manifest are the recipe's", told == shares, told, shares)
    tokens = divide_tokens(asked.tokens, shares)
    for source in sorted({*tokens, *counts}):
        seen = counts.get(source, {}).get("rescan.tokens", 0)
        longest = counts.get(source, {}).get(LARGEST, 0)
        wanted = tokens.get(source, 0)
        most, which = longest, "the longest document here"
        if wanted - seen > longest:
            most = listed.get(source, {}).get(LARGEST, 0)
            which = "the next document by the manifest"
        yield Check(
            f"share of {source}",
            0 <= wanted - seen <= most,
            f"{seen:,} tokens",
            f"{wanted:,} tokens or up to {most:,} less ({which})",
        )
