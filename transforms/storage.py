"""Files on any Beam filesystem: a local folder, S3, GCS.

Everything that reaches a final name is first written aside and then moved there, so a name that
exists holds a whole file, whoever was killed on the way. (S3 shows an object only when it is whole:
there nothing is written aside.) Paths are local paths or URIs (`s3://`, `gs://`).
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import takewhile
from typing import IO, Any, NamedTuple

import pyarrow.parquet as pq

from transforms.quiet_beam import quietly

with quietly():
    from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileSystem
    from apache_beam.io.filesystems import FileSystems

from transforms import gcs, s3

__all__ = [
    "ASIDE",
    "checksum",
    "content_digest",
    "DamagedFile",
    "DiskFull",
    "FileInfo",
    "HashingFile",
    "StoredFile",
    "common_root",
    "delete",
    "escape",
    "exists",
    "files_below",
    "full_disk",
    "join",
    "list_files",
    "names_in",
    "open_parquet",
    "open_read",
    "read_bytes",
    "read_json",
    "remove_asides",
    "remove_empty_aside",
    "sha256_of",
    "share",
    "touch",
    "write_aside",
    "write_bytes",
    "write_json",
]

_COPY_BYTES = 1 << 20
ASIDE = "_aside"  # the folder in which files are written: no source can have this name
# What a system says when nothing more can be written: no room, a quota, a limit of a file's size.
_FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
_WILDCARD = re.compile(r"[*?\[]")
_ESCAPED = re.compile(r"\[[*?[]\]")  # a wildcard that stands for itself


class DamagedFile(RuntimeError):
    """A file of ours does not hold what we wrote."""


class DiskFull(OSError):
    """There is no room to write; the message says where and what is to be done."""

    def __str__(self) -> str:
        return str(self.strerror)


class FileInfo(NamedTuple):
    """A file that a listing found: its path or URI, its size in bytes, and its name.

    The name is the path below the folder that was asked for: it is what ids and metadata may hold,
    since it does not change when that folder moves to another place or machine.
    """

    path: str
    size_bytes: int
    name: str = ""


class StoredFile(NamedTuple):
    """A file's size in bytes, and when it was last written, in nanoseconds; None on object stores,
    whose objects are replaced whole and carry checksums of their own."""

    size_bytes: int
    modified: int | None


def join(base: str, *parts: str) -> str:
    """Join path segments with `/`; works for local paths and URIs alike."""
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


def check_uri(path: str) -> None:
    """BadUri where a URI names no place: a scheme that no file system has."""
    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        scheme = path.partition("://")[0]
        raise s3.BadUri(f"'{path}': no file system is known by '{scheme}://'") from error


def exists(path: str) -> bool:
    """True when a file (or, on local disks, a folder) has this name."""
    if s3.is_s3(path):
        return s3.object_size(path) is not None
    return bool(FileSystems.exists(path))


def list_files(patterns: list[str], root: str | None = None) -> list[FileInfo]:
    """All files that match the glob patterns, sorted by name and path, each once.

    A folder stands for all that is below it (`folder/**`). Names are relative to `root`, by default
    to the folder that all patterns share (`common_root`). A pattern without a match adds nothing.
    """
    root = common_root(patterns) if root is None else root
    found: dict[str, FileInfo] = {}
    for pattern in sorted(set(patterns)):
        for path, size_bytes in _match(pattern):
            name = path[len(root) :].lstrip("/") if path.startswith(root) else path
            found[path] = FileInfo(path, size_bytes, name)
    return sorted(found.values(), key=lambda file: (file.name, file.path))


def files_below(folder: str) -> dict[str, StoredFile]:
    """All files below a folder, by their path below it; none where there is no folder. Each is
    looked at once, which counts where there are hundreds of thousands."""
    if "://" in folder:
        found = list_files([join(escape(folder), "**")], folder)
        return {file.name: StoredFile(file.size_bytes, None) for file in found}
    stored: dict[str, StoredFile] = {}
    below = [""]
    while below:
        parent = below.pop()
        try:
            entries = os.scandir(os.path.join(folder, parent))
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                name = f"{parent}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    below.append(f"{name}/")
                    continue
                with suppress(FileNotFoundError):  # deleted since, or a link to nothing
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode):
                        stored[name] = StoredFile(status.st_size, status.st_mtime_ns)
    return stored


def names_in(folder: str) -> list[str]:
    """Names of what lies in a folder, in no order, of folders on local disks as well; none where
    there is no folder."""
    if "://" in folder:
        return [file.name for file in list_files([join(escape(folder), "*")], folder)]
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def common_root(patterns: list[str]) -> str:
    """The deepest folder above all that the patterns can match, "" where there is none.

    Of one pattern it is what stands before its first wildcard: a folder, or the folder of a file.
    """
    roots = []
    for pattern in patterns:
        folder = _folder(pattern)
        parts = folder.split("/") if folder else _before_wildcards(pattern).split("/")[:-1]
        roots.append(parts)
    shared = takewhile(lambda segments: len(set(segments)) == 1, zip(*roots, strict=False))
    return "/".join(segments[0] for segments in shared)


def escape(path: str) -> str:
    """A glob pattern that matches exactly this path."""
    return _WILDCARD.sub(lambda special: f"[{special.group()}]", path)


def _unescape(pattern: str) -> str:
    return _ESCAPED.sub(lambda escaped: escaped.group()[1], pattern)


def _before_wildcards(pattern: str) -> str:
    """What every match begins with."""
    blind = _ESCAPED.sub("xxx", pattern)  # of the same length, without a wildcard
    wildcard = _WILDCARD.search(blind)
    return _unescape(pattern[: wildcard.start() if wildcard else None])


def _folder(pattern: str) -> str:
    """The folder that a pattern names, "" where it names none."""
    plain = _unescape(pattern).rstrip("/")
    if "://" not in pattern:
        return next((one for one in (pattern.rstrip("/"), plain) if os.path.isdir(one)), "")
    # An object store has no folders, only names that begin with one.
    literal = _before_wildcards(pattern).rstrip("/") == plain
    return plain if literal and (pattern.endswith("/") or not exists(plain)) else ""


def _match(pattern: str) -> Iterator[tuple[str, int]]:
    """(path, size in bytes) of all files that match one pattern."""
    folder = _folder(pattern)
    everything = join(escape(folder), "**") if folder else pattern
    if s3.is_s3(pattern):
        yield from _match_objects(everything)
        return
    if "://" in pattern:
        for metadata in FileSystems.match([everything])[0].metadata_list:
            yield metadata.path, int(metadata.size_in_bytes)
        return
    if folder or (pattern.endswith("/**") and (folder := _folder(pattern[:-3]))):
        paths = _walk(folder)
    else:
        # Beam lists a local disk from the first wildcard down, whatever the pattern asks for.
        paths = glob.iglob(everything, recursive=True, include_hidden=True)
    for path in paths:
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # deleted since, or a link to nothing
        if stat.S_ISREG(status.st_mode):
            yield path, status.st_size


def _match_objects(pattern: str) -> Iterator[tuple[str, int]]:
    """(path, size in bytes) of the objects of S3 that match; wildcards mean what Beam means."""
    if not _WILDCARD.search(_ESCAPED.sub("xxx", pattern)):
        path = _unescape(pattern)
        size_bytes = s3.object_size(path)
        if size_bytes is not None:
            yield path, size_bytes
        return
    matches = re.compile(FileSystem.translate_pattern(pattern)).match
    for path, size_bytes in s3.list_objects(_before_wildcards(pattern)):
        if matches(path):
            yield path, size_bytes


def _walk(folder: str) -> Iterator[str]:
    """All files below a local folder. Links to folders are not followed, since they may lead in
    circles; a folder that cannot be read is an error."""

    def refuse(error: OSError) -> None:
        raise error

    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            yield join(parent, name)


def open_read(path: str) -> IO[bytes]:
    """Open for reading bytes as they are stored (nothing is decompressed); seekable."""
    if s3.is_s3(path):
        return s3.open_object(path)
    if "://" not in path:
        return open(path, "rb")
    with gcs.telling(path) if gcs.is_gcs(path) else nullcontext():
        opened = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return opened  # type: ignore[no-any-return]


def read_bytes(path: str) -> bytes:
    """The whole content of a small file."""
    with open_read(path) as file:
        return file.read()


def read_json(path: str) -> Any:
    """The content of a JSON file. DamagedFile when it is none."""
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise DamagedFile(
            f"{path} is no JSON, it was cut or changed ({error}): delete it and run again"
        ) from error


def open_parquet(path: str) -> pq.ParquetFile:
    """Open a Parquet file; local files are memory-mapped, others are read through Beam."""
    if "://" not in path:
        return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    return pq.ParquetFile(open_read(path), page_checksum_verification=True)


def sha256_of(path: str) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes of a stored file, read in blocks."""
    digest, size_bytes = hashlib.sha256(), 0
    with open_read(path) as file:
        while block := file.read(_COPY_BYTES):
            digest.update(block)
            size_bytes += len(block)
    return digest.hexdigest(), size_bytes


def touch(path: str) -> None:
    """Let a local file count as written now."""
    if "://" not in path:
        os.utime(path)


def content_digest(path: str) -> str:
    """SHA-256 of a file's content, in hex: what tells it from another's, wherever it lies. An
    object of S3 that was stored with its SHA-256 is not read."""
    stored = s3.stored_sha256(path) if s3.is_s3(path) else None
    return stored or sha256_of(path)[0]


def checksum(path: str) -> str:
    """An object store's own checksum of an object: another one whenever its content changes."""
    return s3.checksum(path) if s3.is_s3(path) else str(FileSystems.checksum(path))


class HashingFile:
    """A file open for writing that knows the SHA-256 and the size of what went through it."""

    def __init__(self, file: IO[bytes] | s3.S3Writer) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        block = memoryview(data).cast("B")
        self._file.write(block)
        self._digest.update(block)
        self.size_bytes += len(block)
        return len(block)

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


@contextmanager
def write_aside(path: str) -> Iterator[HashingFile]:
    """Write a file under another name and move it to `path` when the block ends well.

    After an error (a full disk, say) nothing has the final name and the part that was written is
    deleted. A second attempt at the same name replaces the first: both hold the same bytes.
    """
    if s3.is_s3(path):
        with _write_object(path) as file:
            yield file
        return
    folder, slash, name = path.rpartition("/")
    # The token only keeps two attempts apart; it reaches no output.
    aside = f"{folder}{slash}{ASIDE}/{name}.{secrets.token_hex(8)}"
    remedy = "make room there or take a workspace on a larger disk, and run again: it goes on"
    with full_disk(f"while writing {path}", remedy):
        file = HashingFile(
            FileSystems.create(aside, "application/octet-stream", CompressionTypes.UNCOMPRESSED)
        )
        try:
            yield file
            file.close()
        except BaseException:
            _discard(file, aside)
            raise
        _move(aside, path)


@contextmanager
def full_disk(where: str, remedy: str) -> Iterator[None]:
    """Say of a disk without room where that was and what is to be done: an OSError of the same
    number, in one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL or isinstance(error, DiskFull):
            raise
        reason = os.strerror(error.errno)
        raise DiskFull(error.errno, f"{reason} {where}; {remedy}") from error


@contextmanager
def _write_object(path: str) -> Iterator[HashingFile]:
    upload = s3.S3Writer(path)
    try:
        yield HashingFile(upload)
        upload.close()
    except BaseException:
        with suppress(OSError):  # the first error counts; the store drops what was sent in time
            upload.abort()
        raise


def _discard(file: HashingFile, aside: str) -> None:
    with suppress(Exception):  # what could not be flushed is deleted next
        file.close()
    delete([aside])


def _move(source: str, target: str) -> None:
    if "://" not in source:
        os.replace(source, target)
        return
    try:
        FileSystems.rename([source], [target])
    except BeamIOError:
        if not exists(target):
            raise
        FileSystems.delete([target])
        FileSystems.rename([source], [target])


def share(source: str, target: str) -> None:
    """Let `target` be the same content as the file `source`, without writing it again: a link to it
    on local disks that have links; a copy that an object store makes by itself."""
    if s3.is_s3(source) and s3.is_s3(target):
        s3.copy_object(source, target)
        return
    if "://" not in source and "://" not in target:
        folder, slash, name = target.rpartition("/")
        aside = f"{folder}{slash}{ASIDE}/{name}.{secrets.token_hex(8)}"
        os.makedirs(os.path.dirname(aside), exist_ok=True)
        with suppress(OSError):  # another disk, or a file system without links
            os.link(source, aside)
            os.replace(aside, target)
            return
    with open_read(source) as file, write_aside(target) as copy:
        while block := file.read(_COPY_BYTES):
            copy.write(block)


def write_bytes(path: str, data: bytes) -> None:
    """Write a small file, whole or not at all."""
    with write_aside(path) as file:
        file.write(data)


def write_json(path: str, value: Any) -> None:
    """Write JSON with sorted keys, so that equal values are equal bytes."""
    write_bytes(
        path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    )


def delete(paths: list[str]) -> None:
    """Delete files or folders that exist; names that do not exist are no error."""
    s3.delete_objects([path for path in paths if s3.is_s3(path)])
    for path in paths:
        if s3.is_s3(path):
            continue
        if "://" in path:
            if exists(path):
                FileSystems.delete([path])
        elif os.path.isdir(path):  # by the system itself, since Beam takes names for patterns
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):
                os.remove(path)


def remove_asides(folder: str) -> None:
    """Delete what writers that were killed left below a folder, once nobody writes there."""
    if "://" not in folder:
        for parent, names, _ in os.walk(folder):
            if ASIDE in names:
                shutil.rmtree(os.path.join(parent, ASIDE), ignore_errors=True)
                names.remove(ASIDE)
        return
    left = [file.path for file in list_files([join(escape(folder), "**")]) if _is_aside(file.name)]
    delete(left)


def remove_empty_aside(path: str) -> None:
    """Delete the folder beside a local file in which it was written, if nothing else is in it; for
    files that lie alone, once nobody writes there."""
    if "://" not in path:
        with suppress(OSError):
            os.rmdir(os.path.join(os.path.dirname(path), ASIDE))


def _is_aside(name: str) -> bool:
    return ASIDE in name.split("/")[:-1]
