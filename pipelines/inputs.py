"""Input files of a source: found by the recipe's globs and identified by their content.

A local file is hashed once and the hash is kept in the workspace for as long as path, size and time
of change stay the same; files on an object store are identified by the store's own checksum.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from apache_beam.io.filesystems import FileSystems

from pipelines.workspace import Workspace
from transforms import storage
from transforms.storage import FileInfo

__all__ = ["InputFile", "find_inputs"]

HASH_THREADS = 4  # SHA-256 releases the GIL


@dataclass(frozen=True)
class InputFile:
    """An input file and a hash of its content (or the store's own checksum of it)."""

    file: FileInfo
    digest: str


def find_inputs(workspace: Workspace, patterns: Sequence[str]) -> list[InputFile]:
    """All files that match, sorted by name. Their order and number do not depend on the patterns'
    order.

    FileNotFoundError, with one sentence, for a pattern that matches nothing.
    """
    found: dict[str, FileInfo] = {}
    for pattern in sorted(set(patterns)):
        matched = storage.list_files([pattern])
        if not matched:
            raise FileNotFoundError(f"no file matches {pattern}")
        for file in matched:
            found.setdefault(file.path, file)
    files = sorted(found.values(), key=lambda file: (file.name, file.path))
    return [
        InputFile(file, digest)
        for file, digest in zip(files, _digests(workspace, files), strict=True)
    ]


def _digests(workspace: Workspace, files: Sequence[FileInfo]) -> list[str]:
    cache_path = storage.join(workspace.uri, "work", "input_hashes.json")
    cache: dict[str, str] = storage.read_json(cache_path) if storage.exists(cache_path) else {}
    keys = [_key(file) for file in files]
    with ThreadPoolExecutor(HASH_THREADS) as threads:
        digests = list(
            threads.map(
                lambda pair: cache.get(pair[0]) or _digest(pair[1]), zip(keys, files, strict=True)
            )
        )
    known = dict(zip(keys, digests, strict=True))
    if any(cache.get(key) != digest for key, digest in known.items()):
        storage.write_json(cache_path, {**cache, **known})
    return digests


def _key(file: FileInfo) -> str:
    changed = "" if "://" in file.path else str(os.stat(file.path).st_mtime_ns)
    return f"{file.path} {file.size_bytes} {changed}"


def _digest(file: FileInfo) -> str:
    if "://" in file.path:
        return f"checksum {FileSystems.checksum(file.path)}"
    return storage.sha256_of(file.path)[0]
