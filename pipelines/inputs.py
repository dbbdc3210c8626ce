"""Input files of a source: found by the recipe's globs and identified by their content.

A file is hashed once and the hash is kept in the workspace: of a local file for as long as path,
size and time of change stay the same, of an object for as long as its store gives the same checksum
for it (those of files that are gone or have changed are dropped). So a file has one name wherever
it lies. `--input_identity=checksum` takes a store's own checksum instead, and reads nothing twice.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.workspace import Workspace
from transforms import storage
from transforms.ingest.origins import printable
from transforms.storage import FileInfo

__all__ = ["InputFile", "InputOptions", "NoInput", "find_inputs"]

HASH_THREADS = 4  # SHA-256 releases the GIL
STORE_THREADS = 32  # most wait for an answer


class InputOptions(PipelineOptions):  # type: ignore[misc]
    """An option of ours among Beam's."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--input_identity",
            choices=["sha256", "checksum"],
            default="sha256",
            help="What tells an input on an object store from another: SHA-256, for which it is"
            " read once, or the store's own checksum.",
        )


class NoInput(ValueError):
    """Files that are asked for are not there: no file matches, or there is no such bucket."""


@dataclass(frozen=True)
class InputFile:
    """An input file and the SHA-256 of its content (or the store's own checksum of it)."""

    file: FileInfo
    digest: str


def find_inputs(
    workspace: Workspace,
    patterns: Sequence[str],
    by_checksum: bool = False,
    allow_empty: bool = False,
) -> list[InputFile]:
    """All files that match, sorted by name; nothing depends on the order of the patterns.
    `by_checksum`: objects of a store are known by its own checksum; `allow_empty`: a pattern may
    match nothing.

    A name is the path below the folder that its own pattern starts at, so another pattern beside it
    changes no name. Only where two files would have one name, the end of that folder's path that
    tells them apart stands before it. NoInput, in one sentence, for a pattern that matches nothing,
    and for a bucket that is not there; OSError for a file that goes away meanwhile.
    """
    found: dict[str, FileInfo] = {}
    for pattern in sorted(set(patterns)):
        matched = _match(pattern)
        if not matched and not allow_empty:
            raise NoInput(f"no file matches {pattern}")
        for file in matched:
            found.setdefault(file.path, file._replace(name=printable(file.name)))
    named: dict[str, list[FileInfo]] = {}
    for file in found.values():
        named.setdefault(file.name, []).append(file)
    files = [one for its in named.values() for one in (its if len(its) == 1 else _told_apart(its))]
    files.sort(key=lambda file: (file.name, file.path))
    return [
        InputFile(file, digest)
        for file, digest in zip(files, _digests(workspace, files, by_checksum), strict=True)
    ]


def _match(pattern: str) -> list[FileInfo]:
    storage.check_uri(pattern)
    try:
        return storage.list_files([pattern])
    except FileNotFoundError as error:
        if "://" not in pattern:  # one went away as we looked
            raise
        raise NoInput(str(error)) from error


def _told_apart(files: Sequence[FileInfo]) -> list[FileInfo]:
    """Files of one name, each with as many folders before it as make the names different."""
    paths = [file.path.split("/") for file in files]
    parts = files[0].name.count("/") + 1
    while len({tuple(path[-parts:]) for path in paths}) < len(paths):
        parts += 1
    return [
        file._replace(name="/".join(path[-parts:])) for file, path in zip(files, paths, strict=True)
    ]


def _digests(workspace: Workspace, files: Sequence[FileInfo], by_checksum: bool) -> list[str]:
    cache_path = storage.join(workspace.uri, "work", "input_hashes.json")
    cache = _read_cache(cache_path)
    known: dict[str, str] = {}

    def digest(file: FileInfo) -> str:
        if by_checksum and "://" in file.path:
            return f"checksum {storage.checksum(file.path)}"
        key = _key(file)
        known[key] = cache.get(key) or storage.content_digest(file.path)
        return known[key]

    stored = any("://" in file.path for file in files)
    with ThreadPoolExecutor(STORE_THREADS if stored else HASH_THREADS) as threads:
        digests = list(threads.map(digest, files))
    if any(cache.get(key) != digest for key, digest in known.items()):
        named = {key.rsplit(" ", 2)[0] for key in known}
        still = {key: one for key, one in cache.items() if _is_current(key, named)}
        storage.write_json(cache_path, {**still, **known})
    return digests


def _read_cache(path: str) -> dict[str, str]:
    """Hashes of an earlier run; none when there are none or the file is damaged."""
    try:
        known = storage.read_json(path) if storage.exists(path) else {}
    except storage.DamagedFile:
        return {}
    return known if isinstance(known, dict) else {}


def _key(file: FileInfo) -> str:
    """What a file's hash is kept under. An object can change and keep its size and, on some stores,
    its time: its checksum is asked for each time."""
    if "://" in file.path:
        told = "".join(storage.checksum(file.path).split())
    else:
        told = str(os.stat(file.path).st_mtime_ns)
    return f"{printable(file.path)} {file.size_bytes} {told}"


def _is_current(key: str, named: Collection[str]) -> bool:
    """Whether the file that a hash is kept of is there, as it was. Recipes share a workspace, so a
    file that this one does not name may be another's; those `named` have been looked at."""
    path, size_bytes, modified = key.rsplit(" ", 2)
    if "://" in path:
        return path not in named
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (size_bytes, modified) == (str(found.st_size), str(found.st_mtime_ns))
