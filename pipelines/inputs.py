"""Input files of a source: found by the recipe's globs and identified by their content.

A local file is hashed once and the hash is kept in the workspace for as long as path, size and time
of change stay the same (those of files that are gone or have changed are dropped); files on an
object store are identified by the store's own checksum.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipelines.workspace import Workspace
from transforms import storage
from transforms.ingest.origins import printable
from transforms.storage import FileInfo

__all__ = ["InputFile", "find_inputs"]

HASH_THREADS = 4  # SHA-256 releases the GIL


@dataclass(frozen=True)
class InputFile:
    """An input file and a hash of its content (or the store's own checksum of it)."""

    file: FileInfo
    digest: str


def find_inputs(workspace: Workspace, patterns: Sequence[str]) -> list[InputFile]:
    """All files that match, sorted by name; nothing depends on the order of the patterns.

    A name is the path below the folder that its own pattern starts at, so another pattern beside it
    changes no name. Only where two files would have one name, the end of that folder's path that
    tells them apart stands before it. FileNotFoundError, in one sentence, for a pattern that
    matches nothing.
    """
    found: dict[str, FileInfo] = {}
    for pattern in sorted(set(patterns)):
        matched = storage.list_files([pattern])
        if not matched:
            raise FileNotFoundError(f"no file matches {pattern}")
        for file in matched:
            found.setdefault(file.path, file._replace(name=printable(file.name)))
    named: dict[str, list[FileInfo]] = {}
    for file in found.values():
        named.setdefault(file.name, []).append(file)
    files = [one for its in named.values() for one in (its if len(its) == 1 else _told_apart(its))]
    files.sort(key=lambda file: (file.name, file.path))
    return [
        InputFile(file, digest)
        for file, digest in zip(files, _digests(workspace, files), strict=True)
    ]


def _told_apart(files: Sequence[FileInfo]) -> list[FileInfo]:
    """Files of one name, each with as many folders before it as make the names different."""
    paths = [file.path.split("/") for file in files]
    parts = files[0].name.count("/") + 1
    while len({tuple(path[-parts:]) for path in paths}) < len(paths):
        parts += 1
    return [
        file._replace(name="/".join(path[-parts:])) for file, path in zip(files, paths, strict=True)
    ]


def _digests(workspace: Workspace, files: Sequence[FileInfo]) -> list[str]:
    cache_path = storage.join(workspace.uri, "work", "input_hashes.json")
    cache = _read_cache(cache_path)
    keys = [_key(file) for file in files]
    with ThreadPoolExecutor(HASH_THREADS) as threads:
        digests = list(
            threads.map(
                lambda pair: cache.get(pair[0]) or storage.content_digest(pair[1].path),
                zip(keys, files, strict=True),
            )
        )
    known = {key: digest for key, digest in zip(keys, digests, strict=True) if key}
    if any(cache.get(key) != digest for key, digest in known.items()):
        still = {key: digest for key, digest in cache.items() if _is_current(key)}
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
    """What a local file's hash is kept under; "" for a store's, whose checksum is asked for anew,
    since an object can change and keep its size.
    """
    if "://" in file.path:
        return ""
    return f"{printable(file.path)} {file.size_bytes} {os.stat(file.path).st_mtime_ns}"


def _is_current(key: str) -> bool:
    """Whether the file that a hash is kept of is there, as it was. Recipes share a workspace, so a
    file that this one does not name may be another's."""
    path, size_bytes, modified = key.rsplit(" ", 2)
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (size_bytes, modified) == (str(found.st_size), str(found.st_mtime_ns))
