"""Verify: prove a published mix from nothing but its files (and benchmarks given anew, if wanted).

Each check says what was seen and what was wanted. Nothing that the pipeline counted is believed:
hashes are computed again, tokens counted, documents decoded, shares computed, and the text scanned
for benchmark n-grams. What the files must hold stands in the manifest's parameters, which its
fingerprint covers; its details are compared with them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.mixing.about import INDEX_FILE, RECIPE_FILE, stored_tokenizer
from pipelines.mixing.outputs import (
    OUTPUTS,
    csv_of,
    difference,
    is_token_file,
    other_outputs,
    part_of,
    source_of,
)
from pipelines.mixing.published_mixes import open_mix
from pipelines.mixing.rescan import by_source, is_sound, scan_tokens
from pipelines.recipes.mix_part import Mix, read_mix
from pipelines.stages import Stage
from pipelines.verification.about import check_about
from pipelines.verification.check import Check
from pipelines.verification.order import OrderSeen
from pipelines.verification.records import check_records
from transforms import storage
from transforms.datasets import README, Dataset, Manifest, OutputFile, sum_counts
from transforms.decontamination.index import NgramIndex, load_index
from transforms.mixing.budget import BudgetError
from transforms.mixing.identity import document_digests, hash_tokens, sum_digests
from transforms.mixing.sequences import token_part
from transforms.mixing.shortage import settle
from transforms.tokens.mds import mds_index
from transforms.tokens.token_files import (
    DocumentBounds,
    read_document_bounds,
    read_token_file,
)
from transforms.tokens.tokenizer import Tokenizer

__all__ = ["verify_mix"]

# What lies in a mix's folder: versions, the manifest and the page of the published one.
_BESIDE = re.compile(rf"[0-9a-f]{{16}}|manifest\.json|{re.escape(README)}|{storage.ASIDE}")
_RECORD = re.compile(r"records/[^/]+\.json")  # what remains of the run beside the mix's files


def verify_mix(mix: str, index: NgramIndex | None = None) -> list[Check]:
    """All checks of a mix. CommandError when there is no mix at `mix`.

    `index`: benchmark n-grams to scan for; None takes the index that the mix holds itself.
    """
    try:
        dataset, manifest = open_mix(mix)
    except storage.DamagedFile:
        told = "cut or changed: fetch the mix anew, or run its recipe again"
        return [Check("manifest.json is a manifest", False, told, "")]
    outside = sorted(file.path for file in manifest.files if not _is_inside(file.path))
    if outside:  # nothing that lies elsewhere is read
        return [Check("files lie in the mix's folder", False, outside[:10], [])]
    checks = [_check_manifest(dataset, manifest), *_check_files(dataset, manifest)]
    broken = {check.name.removeprefix("hash of ") for check in checks if not check.ok}
    paths = [file.path for file in manifest.files if is_token_file(file.path)]
    readable = [path for path in paths if not {path, csv_of(path)} & broken]
    try:
        tokenizer = stored_tokenizer(dataset, manifest)
        index = index or _index(dataset, manifest)
        asked = _asked(dataset)
        checks += _check_identity(dataset, manifest, tokenizer, index)
        selected = _selected(manifest)
        checks += _check_details(manifest, selected)
        checks.append(check_records(dataset, manifest))
        checks += check_about(dataset, manifest, selected)
    except (KeyError, TypeError, AttributeError, ValueError, OSError, storage.DamagedFile) as error:
        name = "tokenizer, benchmark index and recipe load"
        reason = f"{type(error).__name__}: {error}"
        return [*checks, Check(name, False, reason, "loaded")]
    others = other_outputs(asked.outputs, asked.sequence)
    unlike: dict[str, list[str]] = {one: [] for one in others}
    order = OrderSeen(manifest, asked) if asked.order == "shuffled" else None
    counts: dict[str, dict[str, int]] = {}
    digests: dict[str, int] = {}
    scanned = Counter[str]()  # token files by folder
    texts_bad = 0
    for path in readable:
        try:
            tokens = read_token_file(dataset.path(path))
            bounds = read_document_bounds(dataset.path(csv_of(path)))
        except (ValueError, OSError) as error:
            checks.append(Check(f"{path} and its bounds are read", False, str(error), "read"))
            continue
        sound = True
        scanned[source_of(path)] += 1
        for source, its_tokens, its_bounds in by_source(path, tokens, bounds):
            found = scan_tokens(its_tokens, its_bounds, tokenizer, index)
            sound = sound and is_sound(found)
            if not found["rescan.misplaced_documents"]:
                digest = _digest(its_tokens, its_bounds)
                digests[source] = digests.get(source, 0) + digest
                if order is not None:
                    order.count(path, source, len(its_tokens), len(its_bounds.ids), digest)
                if not found["rescan.tokens_out_of_range"]:
                    texts_bad += _undecodable(its_tokens, its_bounds, tokenizer)
            counts[source] = sum_counts([counts.get(source, {}), found])
        for output, its in unlike.items():
            why: str | None = f"{path} is not sound"
            if sound:
                why = difference(dataset, path, output, tokens, bounds, tokenizer, asked.sequence)
            its += [why.replace(f"{dataset.base}/", "")] if why else []
        if order is not None:
            order.see(path, bounds)
    if order is not None:
        checks += order.checks()
    there = Counter(source_of(path) for path in paths)
    checks.append(Check("files per source", scanned == there, dict(scanned), dict(there)))
    checks += _check_counts(selected, counts, texts_bad, index is not None)
    checks += _check_shares(manifest, asked, selected, counts)
    checks += _check_outputs(dataset, manifest, paths, unlike, asked)
    wanted = {source: its["digest"] for source, its in sorted(selected.items())}
    seen = {source: f"{digests.get(source, 0) % (1 << 64):016x}" for source in wanted}
    checks.append(Check("documents are those selected", seen == wanted, seen, wanted))
    return checks


def _is_inside(path: str) -> bool:
    """Whether a path is a relative one that stays below its folder."""
    return "://" not in path and "\\" not in path and not {"", ".", ".."} & {*path.split("/")}


def _check_manifest(dataset: Dataset, manifest: Manifest) -> Check:
    """The version's own manifest, and the copy of it that readers see, are one."""
    own = dataset.manifest()
    seen = "same" if own == manifest else "other" if own else "none, or it was cut or changed"
    name = f"{dataset.fingerprint}/manifest.json is the one that readers see"
    return Check(name, own == manifest, seen, "same")


def _selected(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """What must be in the mix, by source: see `pipelines.mixing.mix.selected_counts`."""
    names = ("wanted_tokens", "next_document_tokens", "tokens", "documents", "digest")
    selected = manifest.parameters["selected"]
    return {
        source: {**{name: its[name] for name in names}, "most_tokens": its.get("most_tokens", 0)}
        for source, its in selected.items()
    }


def _digest(tokens: np.ndarray[Any, Any], bounds: DocumentBounds) -> int:
    hashes = hash_tokens(tokens, bounds.starts, np.maximum(bounds.ends - 1, bounds.starts))
    digests = document_digests(pa.array(bounds.ids, pa.large_string()), hashes)
    return sum_digests(digests, np.ones(len(digests), np.uint32))


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
    names = [file.path for file in manifest.files]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    yield Check("files that the manifest lists twice", not twice, twice[:10], [])
    listed = {*names, "manifest.json"}
    folder = dataset.folder
    stray = []
    for there in storage.list_files([storage.join(storage.escape(folder), "**")], folder):
        version, _, name = there.name.partition("/")
        if version == dataset.fingerprint:
            is_known = name in listed or _RECORD.fullmatch(name)
        else:
            is_known = _BESIDE.fullmatch(version)
        if not is_known:
            stray.append(name if version == dataset.fingerprint else there.name)
    yield Check("files that the manifest does not list", not stray, stray[:10], [])


def _check_identity(
    dataset: Dataset, manifest: Manifest, tokenizer: Tokenizer, index: NgramIndex | None
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
    named = manifest.parameters["tokenizer"]
    told = manifest.details["tokenizer"]["fingerprint"]
    yield Check(
        "tokenizer is the one named",
        tokenizer.identity.fingerprint == named == told,
        tokenizer.identity.fingerprint,
        named if named == told else [named, told],
    )
    recipe = storage.read_json(dataset.path(RECIPE_FILE))
    same = manifest.parameters.get("recipe") == recipe
    yield Check("recipe is the one the mix was made of", same, "same" if same else "other", "same")
    if recipe["pool"].get("decontaminate"):
        wanted = manifest.parameters.get("index")
        stored = manifest.details["benchmarks"] or {}
        good = index is not None and wanted == stored.get("fingerprint") is not None
        yield Check("benchmark index is the one named", good, stored.get("fingerprint"), wanted)


def _index(dataset: Dataset, manifest: Manifest) -> NgramIndex | None:
    stored = manifest.details["benchmarks"]
    if not stored:
        return None
    return load_index(dataset.path(INDEX_FILE), stored["fingerprint"])


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
    selected: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, Mapping[str, int]],
    texts_bad: int,
    scanned: bool,
) -> Iterator[Check]:
    total = Counter[str]()
    for one in counts.values():
        total.update(one)
    sources = sorted({*selected, *counts})
    for name in ("tokens", "documents"):
        wanted = {source: selected.get(source, {}).get(name) for source in sources}
        seen = {source: counts.get(source, {}).get(f"rescan.{name}", 0) for source in sources}
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
    if scanned:
        hits = total["rescan.hits"]
        yield Check("benchmark n-grams in the decoded tokens", hits == 0, hits, 0)
    else:
        yield Check("benchmark n-grams: the recipe names no benchmark", True, None, None)


def _check_outputs(
    dataset: Dataset,
    manifest: Manifest,
    paths: list[str],
    unlike: Mapping[str, list[str]],
    asked: Mix,
) -> Iterator[Check]:
    """Each other format has the parts of the token files, with the same documents."""
    for output, differences in unlike.items():
        wanted = sorted(part_of(path, output) for path in paths)
        named = asked.sequence if output == "sequences" else None
        suffix = OUTPUTS[output]
        parts = [one for one in manifest.files if one.path.startswith(f"{output}/")]
        seen = sorted(
            {
                token_part(one.path, named) if named else one.path
                for one in parts
                if one.path.endswith(suffix)
            }
        )
        yield Check(f"{output}: a part for each token file", seen == wanted, len(seen), len(wanted))
        good = not differences
        yield Check(f"{output}: the documents of the token files", good, differences[:10], [])
    if "mds" in unlike:
        shards: dict[str, list[OutputFile]] = {}
        for one in manifest.files:
            if one.path.endswith(".mds"):
                shards.setdefault(source_of(one.path), []).append(one)
        stale = [
            source
            for source, its in sorted(shards.items())
            if not _holds(dataset.path(f"mds/{source}/index.json"), mds_index(its))
        ]
        yield Check("mds: index.json lists all shards of its source", not stale, stale, [])


def _holds(path: str, content: bytes) -> bool:
    return storage.exists(path) and storage.read_bytes(path) == content


def _asked(dataset: Dataset) -> Mix:
    """What the recipe beside the mix asks."""
    return read_mix(storage.read_json(dataset.path(RECIPE_FILE))["mix"])


def _check_details(
    manifest: Manifest, selected: Mapping[str, Mapping[str, Any]]
) -> Iterator[Check]:
    """What the manifest tells its readers is what its fingerprint covers."""
    names = ("tokens", "documents", "wanted_tokens")
    told = manifest.details["sources"]
    seen = {source: {name: its.get(name) for name in names} for source, its in told.items()}
    wanted = {source: {name: its[name] for name in names} for source, its in selected.items()}
    yield Check("counts in the manifest are those selected", seen == wanted, seen, wanted)


def _check_shares(
    manifest: Manifest,
    asked: Mix,
    selected: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, Mapping[str, int]],
) -> Iterator[Check]:
    """Each source holds what its share of the recipe asks, but for less than its next document.

    That document is not in the mix; its length stands in the parameters, and so does what a source
    can give, by which the recipe's rule of shortage is followed again.
    """
    told, shares = manifest.details.get("shares"), asked.proportions
    yield Check("shares in the manifest are the recipe's", told == shares, told, shares)
    most = {source: selected.get(source, {}).get("most_tokens", 0) for source in shares}
    try:
        tokens = settle(asked.tokens, shares, most, asked.shortage)
    except BudgetError as error:
        yield Check("tokens that the recipe asks for are there", False, str(error), "there")
        return
    for source in sorted({*tokens, *counts}):
        seen = counts.get(source, {}).get("rescan.tokens", 0)
        wanted = tokens.get(source, 0)
        following = selected.get(source, {}).get("next_document_tokens", 0)
        yield Check(
            f"share of {source}",
            0 <= wanted - seen < max(following, 1),
            f"{seen:,} tokens",
            f"{wanted:,} tokens or less, by less than the {following:,} of its next document",
        )
