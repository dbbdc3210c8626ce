"""The lock of a workspace: one run at a time works there, wherever it was started.

On local disks it is a lock of the file system, which ends with the process that holds it. On S3 and
Cloud Storage it is an object, written only if there is none, whose holder renews it every
`BEAT_SECONDS`: one that was not renewed for `LEASE_SECONDS` by the store's own clock is of a run
that was killed, and the next run takes it over. A run that finds its lock taken, or could not renew
it in time, ends.

The lock tells who holds it: host, process, and since when. Nothing of it reaches an output.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from pipelines.submission import RunFailed
from transforms import gcs, s3, storage

__all__ = ["locked"]

LEASE_SECONDS = 120.0
BEAT_SECONDS = 20.0  # five can fail in a row


@contextmanager
def locked(workspace: str) -> Iterator[None]:
    """Let no other run work in a workspace (folder or URI) meanwhile; RunFailed when one does, or
    when another took the lock over. Not on file systems without conditional writes (hdfs://)."""
    path = storage.join(workspace, "work", "lock")
    if s3.is_s3(workspace) or gcs.is_gcs(workspace):
        with _lease(workspace, path):
            yield
    elif "://" in workspace:
        yield
    else:
        with _file_lock(workspace, path):
            yield


@contextmanager
def _file_lock(workspace: str, path: str) -> Iterator[None]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunFailed(
                f"another run works in {workspace} ({_who(file.read())}): wait for its end"
            ) from None
        file.truncate(0)
        file.write(json.dumps(_holder()))
        file.flush()
        yield


@contextmanager
def _lease(workspace: str, path: str) -> Iterator[None]:
    holder = _holder()
    beat = _Heartbeat(path, holder, _acquire(workspace, path, holder))
    beat.start()
    try:
        yield
    except KeyboardInterrupt:
        if beat.lost:
            raise RunFailed(
                f"another run may work in {workspace}: this one could not renew its lock {path}"
                f" for {LEASE_SECONDS:.0f} seconds, or found it taken, and ended; when the other"
                " one has ended, run the same command again to go on"
            ) from None
        raise
    finally:
        beat.stop()


def _store(path: str) -> ModuleType:
    """What puts and looks at objects there."""
    return s3 if s3.is_s3(path) else gcs


def _acquire(workspace: str, path: str, holder: dict[str, Any]) -> str:
    """Write the lock, or take over one that has expired; gives its checksum."""
    store = _store(path)
    content = json.dumps(holder).encode()
    if checksum := store.put_object(path, content):
        return str(checksum)
    found = store.look(path)
    if found is not None:
        if found.data == content:  # an answer was lost, and the same request sent again
            return str(found.checksum)
        if found.age_seconds < LEASE_SECONDS:
            rest = LEASE_SECONDS - found.age_seconds
            raise RunFailed(
                f"another run works in {workspace} ({_who(found.data.decode(errors='replace'))},"
                f" last sign of life {found.age_seconds:.0f} seconds ago): wait for its end; if it"
                f" was killed, run again in {rest:.0f} seconds, or delete {path} to take over now"
            )
    if checksum := store.put_object(path, content, replaces=found.checksum if found else None):
        return str(checksum)
    raise RunFailed(f"another run has just begun in {workspace}: wait for its end")


class _Heartbeat:
    """Renews a lock from a thread of its own; interrupts the main thread when it is lost."""

    def __init__(self, path: str, holder: dict[str, Any], checksum: str) -> None:
        self.lost = False
        self._path = path
        self._store = _store(path)
        self._holder = holder
        self._checksum = checksum
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(OSError):  # it expires by itself; what ended the run counts
            found = None if self.lost else self._store.look(self._path, quick=True)
            if found is not None and self._is_ours(found.data):
                self._store.delete_objects([self._path])

    def _is_ours(self, content: bytes) -> bool:
        try:
            return bool(json.loads(content)["token"] == self._holder["token"])
        except (ValueError, KeyError, TypeError):
            return False

    def _beat(self) -> None:
        renewed, beats = time.monotonic(), 0
        while not self._stop.wait(BEAT_SECONDS):
            beats += 1
            content = json.dumps({**self._holder, "beats": beats}).encode()
            asked = time.monotonic()
            checksum = None
            with suppress(OSError):  # the next beat may get through
                checksum = self._store.put_object(
                    self._path, content, replaces=self._checksum, quick=True
                )
                found = None if checksum else self._store.look(self._path, quick=True)
                if found is not None and self._is_ours(found.data):
                    checksum = found.checksum  # an answer was lost
                if checksum is None:
                    renewed = asked - LEASE_SECONDS  # it is another's, or was deleted
            if checksum:
                self._checksum, renewed = checksum, asked
            elif time.monotonic() - renewed >= LEASE_SECONDS - BEAT_SECONDS:
                self.lost = True
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return


def _holder() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "token": secrets.token_hex(8),  # tells two runs apart
    }


def _who(content: str) -> str:
    try:
        holder = json.loads(content)
        return f"process {holder['process']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "which does not tell of itself"
