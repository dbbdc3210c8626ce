"""Members of `.zip`, `.whl` and `.tar[.gz|.bz2|.xz]` archives, one at a time, never unpacked to
disk.

In: an archive's name and its open stream. Out: (path inside, bytes) or what was refused and why. A
member is read only up to a limit, so that a bomb costs no more than that. A name that comes again
gets `#2`, `#3` ...: no member takes another's place.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from transforms.ingest.compression import blames_data
from transforms.ingest.origins import printable
from transforms.ingest.reader import Rejected

__all__ = ["ARCHIVE_SUFFIXES", "Member", "archive_stem", "is_archive", "members"]

ZIP_SUFFIXES = (".zip", ".whl")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVE_SUFFIXES = ZIP_SUFFIXES + TAR_SUFFIXES
_DRIVE = re.compile(r"[A-Za-z]:")
_ZIP_ENCRYPTED = 1  # bit of a zip member's flags
_UNIX_TYPE, _UNIX_LINK = 0o170000, 0o120000  # file type in the upper half of a member's attributes
_TAR_BLOCK = 512  # bytes
# A zip's end record: its mark, and in it the number of members; with many members or bytes another
# record of 64-bit numbers stands before it, and between the two its locator.
_ZIP_END, _ZIP64_END, _ZIP64_LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_ZIP_END_BYTES, _ZIP64_END_BYTES, _ZIP64_LOCATOR_BYTES = 22, 56, 20
_ZIP_COMMENT_BYTES = (1 << 16) - 1  # behind the end record, at most
_ZIP_TAIL_BYTES = _ZIP_COMMENT_BYTES + _ZIP_END_BYTES + _ZIP64_LOCATOR_BYTES + _ZIP64_END_BYTES
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression method that zipfile does not know
    ValueError,
    OverflowError,  # an offset beyond what a file can have
    struct.error,
    OSError,  # see _blames_archive
)


class Member(NamedTuple):
    """A file inside an archive."""

    path: str  # inside the archive; see `transforms.ingest.origins.printable`
    data: bytes


def is_archive(name: str) -> bool:
    """True when the name ends as an archive's does."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def archive_stem(name: str) -> str:
    """The file name of an archive without folders and suffix."""
    last = name.rpartition("/")[2]
    suffix = max((one for one in ARCHIVE_SUFFIXES if last.lower().endswith(one)), key=len)
    return last[: -len(suffix)]


def _everything(path: str) -> bool:
    return True


def members(
    name: str,
    stream: IO[bytes],
    most_bytes: int,
    wanted: Callable[[str], bool] = _everything,
) -> Iterator[Member | Rejected]:
    """The files of an archive, in its order. Folders are passed over.

    A file whose path is not `wanted` is not read and is rejected as "other kind". Rejected and
    quarantined: "unsafe name" (absolute, with `..`, a drive, a NUL), "too large"
    (more than `most_bytes` unpacked), "encrypted", "link or device", "broken archive". That is the
    rest of a tar; of a zip one member, or, where its directory (which stands at its end) cannot be
    read, all of it, or, where the directory lists more or fewer than it says, those missing.
    """
    seen: Counter[str] = Counter()
    read = _zip_members if name.lower().endswith(ZIP_SUFFIXES) else _tar_members
    for found in read(name, stream, most_bytes, wanted):
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
    origin = f"{name}/{printable(path)}" if path else name
    return Rejected(origin, reason, printable(detail), quarantined=True)


def _unwanted(name: str, path: str) -> Rejected:
    return Rejected(f"{name}/{printable(path)}", "other kind", "by its name", quarantined=False)


def _broken(name: str, path: str, error: Exception) -> Rejected:
    if isinstance(error, OSError) and not _blames_archive(error):
        raise error  # the disk or the network, not the archive
    return _refused(name, path, "broken archive", str(error) or type(error).__name__)


def _blames_archive(error: OSError) -> bool:
    """True too for a place before the file's start, which a damaged offset asks for."""
    return error.errno == errno.EINVAL or blames_data(error)


def _zip_members(
    name: str, stream: IO[bytes], most_bytes: int, wanted: Callable[[str], bool]
) -> Iterator[Member | Rejected]:
    try:
        archive = zipfile.ZipFile(stream)
    except _DAMAGED as error:
        yield _broken(name, "", error)
        return
    with archive:
        said, listed = _said_by_end(stream), len(archive.infolist())
        if said not in (listed, listed & 0xFFFF):  # old writers count on from 0 behind 65,535
            detail = f"its end record says {said} members, its directory lists {listed}"
            yield _refused(name, "", "broken archive", detail)
        for info in archive.infolist():
            # zipfile cuts a name at NUL; what stands in the file counts.
            path = info.orig_filename
            if path.endswith("/"):
                if info.file_size or info.CRC:
                    yield _refused(name, path, "broken archive", "a folder that holds bytes")
                continue
            if _is_unsafe(path):
                yield _refused(name, path, "unsafe name", path)
            elif (info.external_attr >> 16) & _UNIX_TYPE == _UNIX_LINK:
                yield _refused(name, path, "link or device", "only files are read")
            elif not wanted(path):
                yield _unwanted(name, path)
            elif info.flag_bits & _ZIP_ENCRYPTED:
                yield _refused(name, path, "encrypted", "the zip member needs a password")
            else:
                try:
                    with archive.open(info) as member:
                        data = member.read(most_bytes + 1)
                except _DAMAGED as error:
                    yield _broken(name, path, error)
                    continue
                yield from _within(name, path, data, most_bytes)


def _said_by_end(stream: IO[bytes]) -> int:
    """The number of members that the end record of a zip (which zipfile has read) tells."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - _ZIP_TAIL_BYTES, 0))
    tail = stream.read()
    end = tail.rfind(_ZIP_END)
    locator = end - _ZIP64_LOCATOR_BYTES
    wide = locator - _ZIP64_END_BYTES
    if wide >= 0 and tail.startswith(_ZIP64_LOCATOR, locator) and tail.startswith(_ZIP64_END, wide):
        return int.from_bytes(tail[wide + 32 : wide + 40], "little")
    return int.from_bytes(tail[end + 10 : end + 12], "little")


class _TarStream:
    """Uncompressed blocks for tarfile, the last of which is remembered."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last = b""
        self._begin = 0  # bytes before the last block

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size and (part := self._stream.read(size)):
            parts.append(part)
            size -= len(part)
        if parts:
            self._begin += len(self._last)
            self._last = b"".join(parts)
            return self._last
        return b""

    def check_end(self, offset: int) -> None:
        """tarfile takes what is no header for the end, which is zero bytes alone. Raises ReadError
        when anything else stands from byte `offset` (where it stopped) on."""
        rest = self._last[offset - self._begin :] if offset >= self._begin else b""
        if len(rest) < _TAR_BLOCK:
            raise tarfile.ReadError("it ends without the mark of its end")
        while rest:
            if rest.strip(b"\0"):
                raise tarfile.ReadError(f"no header at byte {offset}, and not its end")
            offset += len(rest)
            rest = self.read(tarfile.RECORDSIZE)


def _decompressed(stream: IO[bytes]) -> IO[bytes]:
    """tarfile's own streams take a cut file for its end; those of the standard library raise."""
    head = stream.read(6)
    stream.seek(0)
    if head[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]
    if head[:3] == b"BZh":
        return bz2.BZ2File(stream)
    if head == b"\xfd7zXZ\0":
        return lzma.LZMAFile(stream)
    return stream


def _tar_members(
    name: str, stream: IO[bytes], most_bytes: int, wanted: Callable[[str], bool]
) -> Iterator[Member | Rejected]:
    blocks = _TarStream(_decompressed(stream))
    try:
        with tarfile.open(fileobj=blocks, mode="r|") as archive:  # type: ignore[call-overload]
            for info in archive:
                if info.isdir():
                    continue
                if _is_unsafe(info.name):
                    yield _refused(name, info.name, "unsafe name", info.name)
                elif not info.isfile():
                    yield _refused(name, info.name, "link or device", "only files are read")
                elif not wanted(info.name):
                    yield _unwanted(name, info.name)
                else:
                    member = archive.extractfile(info)
                    assert member is not None  # it is a file
                    data = member.read(most_bytes + 1)
                    yield from _within(name, info.name, data, most_bytes)
                archive.members = []  # else it keeps every header
            blocks.check_end(archive.offset)
    except _DAMAGED as error:
        yield _broken(name, "", error)


def _within(name: str, path: str, data: bytes, most_bytes: int) -> Iterator[Member | Rejected]:
    if len(data) > most_bytes:
        yield _refused(name, path, "too large", f"more than {most_bytes} bytes")
    else:
        yield Member(printable(path), data)
