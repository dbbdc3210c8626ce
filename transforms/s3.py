"""Objects on S3: read, written, listed and deleted through one client for each process.

Beam's own file system makes a client for each call and uploads in parts of 5 MiB, of which S3 takes
10,000 (48.8 GiB). Here an object appears when it is whole, without a copy; parts grow with the
object; an answer that breaks off is asked for again. Region and endpoint come from Beam's options
(`--s3_endpoint_url`, ...), credentials from boto3's chain alone: environment, profile, role.

Paths are `s3://bucket/key`. Errors are an OSError with one sentence: FileNotFoundError for a
missing object (NoBucket for a bucket), PermissionError for credentials that lack or are refused.
"""

from __future__ import annotations

import base64
import io
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any, NamedTuple

import boto3
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, S3Options
from botocore import exceptions as boto
from botocore.config import Config

__all__ = [
    "BadUri",
    "Look",
    "NoBucket",
    "S3Writer",
    "checksum",
    "copy_object",
    "delete_objects",
    "is_s3",
    "list_objects",
    "look",
    "object_size",
    "open_object",
    "part_bytes",
    "put_object",
    "stored_sha256",
]

FIRST_PART_BYTES = 8 << 20
PARTS_OF_ONE_SIZE = 1000  # then parts are twice as large: 10,000, which S3 takes, hold 8 TiB
FIRST_READ_BYTES = 64 << 10  # asked for at a new place; doubled while reading goes on from there
MOST_READ_BYTES = 8 << 20
DELETED_AT_ONCE = 1000  # S3's limit
ATTEMPTS = 8  # at each request, with pauses of up to 20 seconds that grow
CONNECT_SECONDS, READ_SECONDS = 20, 60
MOST_PAUSE_SECONDS = 20.0
QUICK_SECONDS = 10  # to connect to an address, and between bytes, where a lease runs out
CONNECTIONS = 64  # kept open; as many threads ask at once
BROKEN = (  # an answer that began and did not end
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    boto.ReadTimeoutError,
    boto.ConnectionClosedError,
)
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # a thread that is not there may hold it
# By process (one that was forked must not use its parent's connections) and `quick`: Beam's
# options, and the client that was made for them.
_made: dict[tuple[int, bool], tuple[object, Any]] = {}


class BadUri(ValueError):
    """A URI that names no place, whatever is there."""


class NoBucket(FileNotFoundError):
    """There is no bucket of the name."""


def is_s3(path: str) -> bool:
    """Whether a path is one of S3."""
    return path.startswith("s3://")


def part_bytes(number: int) -> int:
    """Size of the part of this number, 1 for the first, in an upload that has more of them."""
    return FIRST_PART_BYTES << (number - 1) // PARTS_OF_ONE_SIZE


def object_size(path: str) -> int | None:
    """Size of an object in bytes; None when there is none."""
    bucket, key = _split(path)
    if not key:
        return None
    with _telling(path):
        try:
            return int(_client().head_object(Bucket=bucket, Key=key)["ContentLength"])
        except boto.ClientError as error:
            if _status(error) != 404:
                raise
            return None


def checksum(path: str) -> str:
    """The store's own checksum of an object's content (its ETag)."""
    bucket, key = _split(path)
    with _telling(path):
        return str(_client().head_object(Bucket=bucket, Key=key)["ETag"])


def stored_sha256(path: str) -> str | None:
    """SHA-256 of an object's whole content in hex, where it was stored with it; else None."""
    bucket, key = _split(path)
    with _telling(path):
        found = _client().head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    # Of parts S3 keeps a checksum of their checksums: "...-12".
    stored = found.get("ChecksumSHA256", "")
    if not stored or "-" in stored or found.get("ChecksumType") == "COMPOSITE":
        return None
    return base64.b64decode(stored).hex()


def list_objects(path: str) -> Iterator[tuple[str, int]]:
    """(path, size in bytes) of all objects whose path begins so, in the store's order."""
    bucket, prefix = _split(path)
    with _telling(path):
        pages = _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for one in page.get("Contents", ()):
                yield f"s3://{bucket}/{one['Key']}", int(one["Size"])


def delete_objects(paths: Sequence[str]) -> None:
    """Delete objects; those that do not exist are no error."""
    keys: dict[str, list[str]] = {}
    for path in paths:
        bucket, key = _split(path)
        keys.setdefault(bucket, []).append(key)
    for bucket, its in keys.items():
        for first in range(0, len(its), DELETED_AT_ONCE):
            asked = [{"Key": key} for key in its[first : first + DELETED_AT_ONCE]]
            with _telling(f"s3://{bucket}/{asked[0]['Key']}"):
                answer = _client().delete_objects(
                    Bucket=bucket, Delete={"Objects": asked, "Quiet": True}
                )
            for one in answer.get("Errors", ()):
                raise OSError(f"s3://{bucket}/{one['Key']} was not deleted: {one.get('Message')}")


def copy_object(source: str, target: str) -> None:
    """Let the store copy an object; in parts where it is large."""
    bucket, key = _split(source)
    its_bucket, its_key = _split(target)
    with _telling(source):
        _client().copy({"Bucket": bucket, "Key": key}, its_bucket, its_key)


def put_object(
    path: str, data: bytes, replaces: str | None = None, quick: bool = False
) -> str | None:
    """Write a small object if none is there, or in the place of the one with the checksum
    `replaces`; gives its checksum, None when the condition does not hold. `quick`: asked once,
    and given up where no address of the store takes it, or no byte comes, for `QUICK_SECONDS`
    each."""
    bucket, key = _split(path)
    condition = {"IfMatch": replaces} if replaces else {"IfNoneMatch": "*"}
    with _telling(path):
        try:
            answer = _client(quick).put_object(Bucket=bucket, Key=key, Body=data, **condition)
        except boto.ClientError as error:
            # 409: another write of it was under way; 404: there is nothing to replace.
            if _status(error) not in {404, 409, 412} or _code(error) == "NoSuchBucket":
                raise
            return None
    return str(answer["ETag"])


class Look(NamedTuple):
    """A small object's content and checksum, and its age in seconds by the store's clock."""

    data: bytes
    checksum: str
    age_seconds: float


def look(path: str, quick: bool = False) -> Look | None:
    """What a small object holds; None when there is none. `quick` as in `put_object`."""
    bucket, key = _split(path)
    with _telling(path):
        try:
            answer = _client(quick).get_object(Bucket=bucket, Key=key)
        except boto.ClientError as error:
            if _status(error) != 404 or _code(error) == "NoSuchBucket":
                raise
            return None
        told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(told) if told else datetime.now(UTC)
        age = max(0.0, (now - answer["LastModified"]).total_seconds())
        return Look(answer["Body"].read(), str(answer["ETag"]), age)


def open_object(path: str) -> IO[bytes]:
    """Open for reading; seekable. Nothing is asked before the first byte is, or the end is sought:
    then FileNotFoundError when there is none."""
    return io.BufferedReader(_Reader(path), buffer_size=FIRST_READ_BYTES)


class _Reader(io.RawIOBase):
    """An object's bytes, by requests for ranges that grow while reading goes on in order. All are
    of the object that was there at the first one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._bucket, self._key = _split(path)
        self._etag = ""
        self._block, self._block_at = b"", 0
        self._at = 0
        self._size = -1  # not known yet
        self._ahead = FIRST_READ_BYTES

    def _fetch(self, start: int, size_bytes: int) -> None:
        asked: dict[str, str] = {"Range": f"bytes={start}-{start + size_bytes - 1}"}
        if self._etag:
            asked["IfMatch"] = self._etag
        with _telling(self._path):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    answer = _client().get_object(Bucket=self._bucket, Key=self._key, **asked)
                    self._block, self._block_at = answer["Body"].read(), start
                    break
                except boto.ClientError as error:
                    if _status(error) == 416 and not self._etag:  # it ends before
                        self._size = 0
                        if start:
                            self._fetch(0, FIRST_READ_BYTES)
                        return
                    if _status(error) == 412:
                        raise OSError(
                            f"{self._path} was replaced while it was read: run again"
                        ) from error
                    raise
                except BROKEN:
                    if attempt == ATTEMPTS:
                        raise
                    time.sleep(min(2.0 ** (attempt - 3), MOST_PAUSE_SECONDS))
        self._etag = answer["ETag"]
        # "bytes 0-99/1234"
        self._size = int(answer.get("ContentRange", f"/{len(self._block)}").rpartition("/")[2])

    def readinto(self, into: Any) -> int:
        if self._size < 0:
            self._fetch(self._at, max(len(into), self._ahead))
        wanted = min(len(into), self._size - self._at)
        if wanted <= 0:
            return 0
        end = self._block_at + len(self._block)
        if not self._block_at <= self._at < end:
            goes_on = self._at == end
            self._ahead = min(2 * self._ahead, MOST_READ_BYTES) if goes_on else FIRST_READ_BYTES
            self._fetch(self._at, max(wanted, self._ahead))
        first = self._at - self._block_at
        found = memoryview(self._block)[first : first + wanted]
        into[: len(found)] = found
        self._at += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END and self._size < 0:
            self._fetch(0, FIRST_READ_BYTES)
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative place in {self._path}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class S3Writer:
    """An object open for writing. It appears, or replaces what was there, when it is closed;
    `abort` leaves everything as it was. Holds one part in memory."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._bucket, self._key = _split(path)
        self._buffer = bytearray()
        self._upload = ""
        self._sent_bytes = 0
        self._parts: list[dict[str, Any]] = []
        self.closed = False

    def write(self, data: Any) -> int:
        self._buffer += data
        while len(self._buffer) >= (size_bytes := part_bytes(len(self._parts) + 1)):
            self._send(size_bytes)
        return len(data)

    def flush(self) -> None:
        """Nothing is visible before the end."""

    def close(self) -> None:
        if self.closed:
            return
        where = {"Bucket": self._bucket, "Key": self._key}
        if self._upload and self._buffer:
            self._send(len(self._buffer))
        with _telling(self._path):
            if self._upload:
                self._complete(where)
            else:
                _client().put_object(**where, Body=bytes(self._buffer))
        self.closed = True

    def _complete(self, where: dict[str, str]) -> None:
        try:
            _client().complete_multipart_upload(
                **where, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
            )
        except boto.ClientError as error:
            # An answer was lost and the same request sent again: the upload is done.
            if _code(error) != "NoSuchUpload" or object_size(self._path) != self._sent_bytes:
                raise

    def abort(self) -> None:
        self.closed = True
        if self._upload:
            with _telling(self._path):
                _client().abort_multipart_upload(
                    Bucket=self._bucket, Key=self._key, UploadId=self._upload
                )

    def _send(self, size_bytes: int) -> None:
        where = {"Bucket": self._bucket, "Key": self._key}
        number = len(self._parts) + 1
        with _telling(self._path):
            if not self._upload:
                self._upload = _client().create_multipart_upload(**where)["UploadId"]
            answer = _client().upload_part(
                **where,
                UploadId=self._upload,
                PartNumber=number,
                Body=bytes(memoryview(self._buffer)[:size_bytes]),
            )
        del self._buffer[:size_bytes]
        self._sent_bytes += size_bytes
        self._parts.append({"ETag": answer["ETag"], "PartNumber": number})


def _client(quick: bool = False) -> Any:
    """The client of this process, made anew where Beam was told other options; threads share it."""
    options = FileSystems.get_filesystem("s3://")._options  # type: ignore[attr-defined]
    with _lock:
        its = os.getpid(), quick
        if its not in _made or _made[its][0] is not options:
            _made[its] = options, _make_client(options, quick)
        return _made[its][1]


def _make_client(options: Any, quick: bool) -> Any:
    if isinstance(options, PipelineOptions):
        options = options.view_as(S3Options).get_all_options()
    options = options or {}
    return boto3.session.Session().client(
        "s3",
        region_name=options.get("s3_region_name"),
        api_version=options.get("s3_api_version"),
        use_ssl=not options.get("s3_disable_ssl"),
        verify=options.get("s3_verify"),
        endpoint_url=options.get("s3_endpoint_url"),
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 1 if quick else ATTEMPTS},
            connect_timeout=QUICK_SECONDS if quick else CONNECT_SECONDS,
            read_timeout=QUICK_SECONDS if quick else READ_SECONDS,
            max_pool_connections=CONNECTIONS,
        ),
    )


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    if not bucket:
        raise BadUri(f"'{path}' names no bucket: write s3://BUCKET/NAME")
    return bucket, key


def _status(error: boto.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: boto.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _telling(path: str) -> Iterator[None]:
    """Turn boto's errors into one sentence, which holds nothing of the credentials."""
    try:
        yield
    except boto.ClientError as error:
        status, code = _status(error), _code(error)
        if code == "NoSuchBucket":
            raise NoBucket(f"{path}: there is no bucket of this name") from error
        if status == 404:
            raise FileNotFoundError(f"no such object: {path}") from error
        if status in {401, 403}:
            raise PermissionError(
                f"S3 refuses access to {path} ({code}): check the credentials that boto3 finds"
                " (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role)"
            ) from error
        told = error.response.get("Error", {}).get("Message", "")
        raise OSError(f"S3 answered {status} {code} for {path}: {told}") from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.ProfileNotFound) as error:
        raise PermissionError(
            f"no credentials for {path} ({error}): set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
        ) from error
    except (boto.BotoCoreError, boto.HTTPClientError) as error:
        raise OSError(f"S3 can not be asked for {path}: {error}") from error
