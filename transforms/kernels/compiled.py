"""Where Numba keeps the compiled kernels: in a folder named by a digest of their sources.

Numba itself looks only at the file of the function that it compiled, so a change in a module that a
kernel calls into would leave the old code in use, under the new version's name. The folder lies
beside the modules, or in the user's cache where that cannot be written; NUMBA_CACHE_DIR names
another place. Folders of other sources beside the modules are deleted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from numba.core import config

__all__ = ["cache_folder", "is_compiled", "keep_compiled", "note_compiled"]

PREFIX = "kernels-"
_COMPILED = "compiled"
_TRANSFORMS = Path(__file__).parents[1]
_KERNELS = Path(__file__).parent
_BESIDE = _KERNELS / "__pycache__"


@cache
def cache_folder() -> Path:
    """The folder of the kernels as they are now; made when it is not there."""
    name = PREFIX + _digest()
    temporary = Path(tempfile.gettempdir()) / f"vineleaf-{os.getuid()}"
    places = [
        _BESIDE,
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vineleaf",
        temporary,
    ]
    if os.environ.get("NUMBA_CACHE_DIR"):
        places.insert(0, Path(os.environ["NUMBA_CACHE_DIR"]))
    for place in places:
        folder = place / name
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and (place != temporary or _is_ours(place)):
            break
    else:
        return Path(tempfile.mkdtemp(prefix="vineleaf-"))  # for this process alone
    if folder.parent == _BESIDE:
        for other in _BESIDE.glob(PREFIX + "*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    return folder


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
    config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]


def is_compiled() -> bool:
    """True when a run has come to its end with these kernels: what it used is compiled."""
    return (cache_folder() / _COMPILED).exists()


def note_compiled() -> None:
    """A run has come to its end; see `is_compiled`."""
    with suppress(OSError):  # where nothing can be written the next run compiles again, and says so
        (cache_folder() / _COMPILED).touch()
