"""The lock of a workspace: one run at a time works there, wherever it was started.

On local disks it is a lock of the file system, which ends with the process that holds it. On S3 and
Cloud Storage it is an object, written only if there is none, whose holder renews it every
`BEAT_SECONDS`: one that was not renewed for `LEASE_SECONDS` by the store's own clock is of a run
that was killed, and the next run takes it over. A run that finds its lock taken ends, and one that
could not renew it for `GIVE_UP_SECONDS`: so it has ended its jobs before another may begin.

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

from pipelines.command_line import CommandError
from pipelines.runners.submission import RunFailed
from transforms import gcs, s3, storage

__all__ = ["locked"]

LEASE_SECONDS = 120.0
GIVE_UP_SECONDS = 90.0  # the rest of the lease is for cancelling jobs
BEAT_SECONDS = 20.0  # from one's begin to the next one's: four can fail in a row
# Not SIGINT, which a shell without job control lets background processes ignore, and which stays
# the user's own.
LOST = signal.SIGUSR1


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
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - closed below
    except (FileExistsError, NotADirectoryError):
        raise CommandError(f"the workspace {workspace} is no folder") from None
    except OSError as error:
        told = error.strerror or str(error)
        raise RunFailed(f"the workspace {workspace} cannot be written: {told}") from error
    with file:
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
    holder, asked = _holder(), time.monotonic()
    beat = _Heartbeat(path, holder, _acquire(workspace, path, holder), asked)
    before = signal.signal(LOST, signal.default_int_handler)
    try:
        with beat.going():
            yield
    except KeyboardInterrupt:
        if beat.lost:
            raise RunFailed(
                f"another run may work in {workspace}: this one could not renew its lock {path}"
                f" for {GIVE_UP_SECONDS:.0f} seconds, or found it taken, and ended; when the other"
                " one has ended, run the same command again to go on"
            ) from None
        raise
    finally:
        signal.signal(LOST, before)


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
    """Renews a lock from a thread of its own; interrupts the main thread when it is lost.

    Whether it was renewed in time is seen by another thread: a request that hangs delays nothing.
    """

    def __init__(self, path: str, holder: dict[str, Any], checksum: str, asked: float) -> None:
        self.lost = False
        self._path = path
        self._store = _store(path)
        self._holder = holder
        self._checksum = checksum
        self._asked = asked  # seconds of the monotonic clock, as of the two below
        self._give_up_at = time.monotonic() + GIVE_UP_SECONDS
        self._stop = threading.Event()
        self._losing = threading.Lock()
        self._threads = [
            threading.Thread(target=one, daemon=True) for one in (self._beat, self._watch)
        ]

    @contextmanager
    def going(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        with self._losing:  # no signal comes once this is left
            self._stop.set()
        if self.lost:
            return  # the other thread may hang in a request
        for thread in self._threads:
            thread.join()
        with suppress(Exception):  # it expires by itself; what ended the run counts
            found = self._store.look(self._path, quick=True)
            if found is not None and self._is_ours(found.data):
                self._store.delete_objects([self._path])

    def _is_ours(self, content: bytes) -> bool:
        try:
            return bool(json.loads(content)["token"] == self._holder["token"])
        except (ValueError, KeyError, TypeError):
            return False

    def _watch(self) -> None:
        while not self._stop.wait(max(0.0, self._give_up_at - time.monotonic())):
            if time.monotonic() >= self._give_up_at:
                self._lose()

    def _lose(self) -> None:
        with self._losing:
            if self._stop.is_set():
                return
            self.lost = True
            self._stop.set()
            signal.pthread_kill(threading.main_thread().ident or 0, LOST)

    def _beat(self) -> None:
        beats = 0
        while not self._stop.wait(max(0.0, self._asked + BEAT_SECONDS - time.monotonic())):
            beats += 1
            self._asked = time.monotonic()
            try:
                checksum = self._renew(beats)
            except Exception:  # whatever the library raises, the next beat may get through
                continue
            if checksum is None:  # it is another's, or was deleted
                self._lose()
            else:
                self._checksum, self._give_up_at = checksum, self._asked + GIVE_UP_SECONDS

    def _renew(self, beats: int) -> str | None:
        """The lock's new checksum; None when it is ours no more."""
        content = json.dumps({**self._holder, "beats": beats}).encode()
        checksum = self._store.put_object(self._path, content, replaces=self._checksum, quick=True)
        if checksum is None:
            found = self._store.look(self._path, quick=True)
            if found is not None and self._is_ours(found.data):
                checksum = found.checksum  # an answer was lost
        return None if checksum is None else str(checksum)


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
