"""Scratch folders of passes over the pool, and what is left of those whose maker was killed.

`plan` and `run` count what is stored in folders of their own, since a plan may look while a run or
another plan does the same. Each removes its own; what a killed one left is removed by the next. On
local disks the maker holds a lock of the file system on `<folder>/lock`, so a folder whose lock is
free is left. Object stores have no such locks: there one is left when it is older than any pass
takes. Not on file systems that have neither (hdfs://).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import IO, Literal, get_args
from uuid import uuid4

from pipelines.runners.submission import RunFailed
from pipelines.workspace import Workspace
from transforms import gcs, s3, storage
from transforms.exchange import remove_runs

__all__ = ["remove_left", "scratch"]

LEFT_SECONDS = 2 * 86_400.0  # of a folder of a store, by the store's clock: passes take hours
LOCK = "lock"
Pass = Literal["budget", "window", "what-if"]


@contextmanager
def scratch(workspace: Workspace, name: Pass) -> Iterator[str]:
    """A folder for one pass, removed with all that is in it when the block ends. RunFailed where
    nothing can be written."""
    try:
        folder, lock = _make(workspace, name)
    except OSError as error:
        told = error.strerror or str(error)
        raise RunFailed(f"the workspace {workspace.uri} cannot be written: {told}") from error
    with lock or nullcontext():
        try:
            yield folder
        finally:
            remove_runs(folder)


def remove_left(workspace: Workspace) -> None:
    """Remove the folders of passes that no process works in. One that cannot be removed stays."""
    for name in get_args(Pass):
        folder = workspace.work(name, "")
        with suppress(OSError):
            if "://" not in folder:
                _remove_folders(folder)
            elif s3.is_s3(folder) or gcs.is_gcs(folder):
                _remove_objects(folder)


def _make(workspace: Workspace, name: Pass) -> tuple[str, IO[str] | None]:
    """A new folder, and on local disks its lock, which is held until it is closed."""
    while True:
        folder = workspace.work(name, uuid4().hex)
        path = storage.join(folder, LOCK)
        if "://" in folder:
            if s3.is_s3(folder) or gcs.is_gcs(folder):
                storage.write_bytes(path, b"")
            return folder, None
        os.makedirs(folder)
        with suppress(FileNotFoundError, BlockingIOError):  # somebody took it for one that is left
            file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by the caller
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_nlink:
                    return folder, file
            except BaseException:
                file.close()
                raise
            file.close()


def _remove_folders(parent: str) -> None:
    for folder in sorted(one.path for one in os.scandir(parent) if one.is_dir()):
        # Where there is no lock yet (of before there were locks, or just being made) it is made
        # here, so that a maker that comes to it finds it held, or gone, and makes another folder.
        with suppress(OSError), open(os.path.join(folder, LOCK), "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: one works there
            shutil.rmtree(folder, ignore_errors=True)


def _remove_objects(parent: str) -> None:
    store = s3 if s3.is_s3(parent) else gcs
    for lock in storage.list_files([storage.join(storage.escape(parent), "*", LOCK)]):
        found = store.look(lock.path)
        if found is not None and found.age_seconds > LEFT_SECONDS:
            remove_runs(lock.path.removesuffix(f"/{LOCK}"))
