"""Where Numba keeps the compiled kernels: in a folder named by a digest of their sources.

Numba itself looks only at the file of the function that it compiled, so a change in a module that a
kernel calls into would leave the old code in use, under the new version's name. The folder lies
beside the modules, or in the user's cache where that cannot be written or is full; NUMBA_CACHE_DIR
names another place. Folders of other sources beside the modules are deleted.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from numba.core import config

from transforms.kernels.kept_code import attach, could_write

__all__ = ["cache_folder", "is_compiled", "keep_compiled", "note_compiled"]

PREFIX = "kernels-"
_COMPILED = "compiled"
_ROOM = 32 << 20  # bytes; all kernels have 8 MB
_TRANSFORMS = Path(__file__).parents[1]
_KERNELS = Path(__file__).parent
_BESIDE = _KERNELS / "__pycache__"
_log = logging.getLogger(__name__)


@cache
def cache_folder() -> Path | None:
    """The folder of the kernels as they are now; made when it is not there. None where no place can
    be written: then each process compiles for itself."""
    name = PREFIX + _digest()
    full = []
    for place in _places():
        folder = place / name
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True)
            has_room = _has_room(folder)
        except OSError:
            continue
        if not os.access(folder, os.W_OK) or (place == _temporary() and not _is_ours(place)):
            continue
        if has_room:
            break
        full.append(str(place))
    else:
        try:
            folder = Path(tempfile.mkdtemp(prefix="vineleaf-"))  # for this process alone
        except OSError:
            return None
    if full:
        _log.error(
            "There is no room for compiled kernels in %s: they are kept in %s.",
            " and ".join(full),
            folder.parent,
        )
    if folder.parent == _BESIDE:
        for other in _BESIDE.glob(PREFIX + "*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    return folder


def _places() -> Iterator[Path]:
    """Where the folder can lie, best first."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        yield Path(named)
    yield _BESIDE
    user = os.environ.get("XDG_CACHE_HOME")
    with suppress(RuntimeError):  # of a user of whom the system knows no home
        yield (Path(user) if user else Path.home() / ".cache") / "vineleaf"
    temporary = _temporary()
    if temporary is not None:
        yield temporary


def _temporary() -> Path | None:
    try:
        return Path(tempfile.gettempdir()) / f"vineleaf-{os.getuid()}"
    except FileNotFoundError:  # no folder for temporary files can be written
        return None


def _has_room(folder: Path) -> bool:
    """Whether all kernels fit, or are there."""
    if (folder / _COMPILED).exists():
        return True
    usage = shutil.disk_usage(folder)
    return usage.free >= _ROOM or not usage.total  # some file systems do not say


def _digest() -> str:
    """Of all kernels, and the other modules that hold compiled functions."""
    digest = hashlib.sha256()
    for path in sorted(_TRANSFORMS.rglob("*.py")):
        source = path.read_bytes()
        if path.parent == _KERNELS or b"njit" in source:
            digest.update(path.relative_to(_TRANSFORMS).as_posix().encode() + b"\0" + source)
    return digest.hexdigest()[:16]


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can put code there, where everybody can make folders: kernels that are
    read are run."""
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def keep_compiled() -> None:
    """Let Numba use the folder; called before the first kernel is defined."""
    folder = cache_folder()
    if folder is not None:
        config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    attach(folder)


def is_compiled() -> bool:
    """True when a run has come to its end with these kernels: what it used is compiled."""
    folder = cache_folder()
    return folder is not None and (folder / _COMPILED).exists()


def note_compiled() -> None:
    """A run has come to its end; see `is_compiled`."""
    folder = cache_folder()
    if folder is None or not could_write():
        return
    with suppress(OSError):  # where nothing can be written the next run compiles again, and says so
        (folder / _COMPILED).touch()
