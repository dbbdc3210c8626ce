"""The files in which Numba keeps compiled code: each under a seal, and none of them needed.

Numba trusts its own index and data files: one that is cut or damaged ends the program each time, a
bit that flipped in machine code is run, and two processes that write at once can leave an index
that gives one signature the code of another. Here each signature has a file of its own, which holds
the SHA-256 of all else in it and what it is the code of; any other counts as not there, and is
written anew. Where nothing can be written, code is compiled by each process, and a line says so.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba.core import dispatcher
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    NullCache,
    UserProvidedCacheLocator,
)

__all__ = ["attach", "could_write"]

_SEAL_BYTES = 32
_log = logging.getLogger(__name__)
_unwritten: list[str] = []  # folders, one for each time


class _SealedFiles(IndexDataCacheFile):
    """What is compiled of one function, a file for each signature."""

    def save(self, key: Any, data: Any) -> None:
        packed: bytes = self._dump((key, data))
        with self._open_for_write(self._path(key)) as file:
            file.write(hashlib.sha256(packed).digest() + packed)

    def load(self, key: Any) -> Any:
        """The code of `key`; None where there is none that is whole."""
        path = self._path(key)
        try:
            content = Path(path).read_bytes()
        except OSError:
            return None
        seal, packed = content[:_SEAL_BYTES], content[_SEAL_BYTES:]
        if hashlib.sha256(packed).digest() != seal:
            _log.warning("%s is damaged: it is compiled anew", path)
            return None
        try:
            kept, data = pickle.loads(packed)
        except Exception:  # a class that it names has moved, say
            return None
        return data if kept == key else None

    def _path(self, key: Any) -> str:
        of = repr((self._version, self._source_stamp, key))
        name = self._index_name.removesuffix(".nbi")
        return str(Path(self._cache_path) / f"{name}.{_digest(of)}.code")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _FolderAlone(CompileResultCacheImpl):
    # Beside the modules, where Numba would look next, files are not told apart by what they call.
    _locator_classes = [UserProvidedCacheLocator]  # noqa: RUF012 - Numba's


class _KernelCache(FunctionCache):
    _impl_class = _FolderAlone

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        index = self._cache_file
        self._cache_file = _SealedFiles(
            index._cache_path, self._impl.filename_base, index._source_stamp
        )

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)
        except OSError as error:
            _tell_unwritten(str(Path(self.cache_path).parent), error.strerror or str(error))


def attach(folder: Path | None) -> None:
    """Have all functions that are compiled with `cache=True` from now on use these files. `folder`:
    where Numba was told to keep them; None for nowhere."""

    def choose(function: Callable[..., Any]) -> Any:
        if folder is None:
            return NullCache()
        try:
            return _KernelCache(function)
        except (OSError, RuntimeError):  # the latter is Numba's, for a folder that is not written
            _tell_unwritten(str(folder), "it cannot be written")
            return NullCache()

    # Numba lets folders be chosen, not the form of files.
    dispatcher.FunctionCache = choose  # type: ignore[attr-defined]


def could_write() -> bool:
    """False when some code of this process was not kept."""
    return not _unwritten


@cache  # told once a process
def _tell_unwritten(folder: str, why: str) -> None:
    _unwritten.append(folder)
    _log.error(
        "Compiled kernels cannot be kept in %s (%s): each process compiles them again; make room"
        " there or name another folder in NUMBA_CACHE_DIR.",
        folder,
        why,
    )
