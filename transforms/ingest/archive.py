"""Members of `.zip` and `.tar[.gz|.bz2|.xz]` archives, one at a time, never unpacked to disk.

In: an archive's name and its open stream. Out: (path inside, bytes) or what was refused and why. A
member is read only up to a limit, so that a bomb costs no more than that. A name that comes again
gets `#2`, `#3` ...: no member takes another's place.
"""

from __future__ import annotations

import lzma
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import IO, NamedTuple

from transforms.ingest.reader import Rejected

__all__ = ["ARCHIVE_SUFFIXES", "Member", "is_archive", "members"]

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DRIVE = re.compile(r"[A-Za-z]:")
_ZIP_ENCRYPTED = 1  # bit of a zip member's flags
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression method that zipfile does not know
    ValueError,
)


class Member(NamedTuple):
    """A file inside an archive."""

    path: str  # inside the archive
    data: bytes


def is_archive(name: str) -> bool:
    """True when the name ends as an archive's does."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def members(name: str, stream: IO[bytes], most_bytes: int) -> Iterator[Member | Rejected]:
    """The files of an archive, in its order. Folders are passed over.

    Rejected, all quarantined: "unsafe name" (absolute, with `..`, a drive, a NUL), "too large"
    (more than `most_bytes` unpacked), "encrypted", "link or device", "broken archive" (the rest of
    the archive is lost with it, except in a zip, whose members stand alone).
    """
    seen: Counter[str] = Counter()
    read = _zip_members if name.lower().endswith(".zip") else _tar_members
    for found in read(name, stream, most_bytes):
        if isinstance(found, Member):
            seen[found.path] += 1
            if seen[found.path] > 1:
                found = found._replace(path=f"{found.path}#{seen[found.path]}")
        yield found


def _is_unsafe(path: str) -> bool:
    parts = path.replace("\\", "/").split("/")
    return (
        not path or parts[0] == "" or ".." in parts or "\0" in path or bool(_DRIVE.match(parts[0]))
    )


def _refused(name: str, path: str, reason: str, detail: str) -> Rejected:
    return Rejected(f"{name}/{path}" if path else name, reason, detail, quarantined=True)


def _zip_members(name: str, stream: IO[bytes], most_bytes: int) -> Iterator[Member | Rejected]:
    try:
        archive = zipfile.ZipFile(stream)
    except _DAMAGED as error:
        yield _refused(name, "", "broken archive", str(error))
        return
    with archive:
        for info in archive.infolist():
            # zipfile cuts a name at NUL; what stands in the file counts.
            path = info.orig_filename
            if info.is_dir():
                continue
            if _is_unsafe(path):
                yield _refused(name, path, "unsafe name", path)
            elif info.flag_bits & _ZIP_ENCRYPTED:
                yield _refused(name, path, "encrypted", "the zip member needs a password")
            else:
                try:
                    with archive.open(info) as member:
                        data = member.read(most_bytes + 1)
                except _DAMAGED as error:
                    yield _refused(name, path, "broken archive", str(error))
                    continue
                yield from _within(name, path, data, most_bytes)


def _tar_members(name: str, stream: IO[bytes], most_bytes: int) -> Iterator[Member | Rejected]:
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for info in archive:
                if info.isdir():
                    continue
                if _is_unsafe(info.name):
                    yield _refused(name, info.name, "unsafe name", info.name)
                elif not info.isfile():
                    yield _refused(name, info.name, "link or device", "only files are read")
                else:
                    member = archive.extractfile(info)
                    assert member is not None  # it is a file
                    data = member.read(most_bytes + 1)
                    yield from _within(name, info.name, data, most_bytes)
                archive.members = []  # type: ignore[attr-defined]  # else it keeps every header
    except _DAMAGED as error:
        yield _refused(name, "", "broken archive", str(error))


def _within(name: str, path: str, data: bytes, most_bytes: int) -> Iterator[Member | Rejected]:
    if len(data) > most_bytes:
        yield _refused(name, path, "too large", f"more than {most_bytes} bytes")
    else:
        yield Member(path, data)
