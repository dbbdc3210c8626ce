"""Python environments of peers whose pinned dependencies conflict with this package's own.

Each has a file of pinned requirements in `benchmarks/requirements`, all of them named, so that pip
has nothing to search for. Made beside the corpus when first asked for, and again when the file has
changed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["InstallError", "environment_python"]

REQUIREMENTS = Path(__file__).parent / "requirements"
INSTALL_TIMEOUT_SECONDS = 1200
PIP_OPTIONS = ("--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--no-deps")


class InstallError(RuntimeError):
    """A peer that could not be installed here; the last line of pip's answer."""


def environment_python(name: str, folder: str) -> str:
    """The interpreter of the environment `name` (this process's own for ""), below `folder`."""
    if not name:
        return sys.executable
    requirements = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    place = Path(folder) / name
    python, installed = place / "bin" / "python", place / "installed"
    if installed.exists() and installed.read_text(encoding="utf-8") == digest:
        return str(python)
    shutil.rmtree(place, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", *PIP_OPTIONS, "-r", str(requirements)],
    ):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise InstallError(f"pip took more than {INSTALL_TIMEOUT_SECONDS} s") from None
        if done.returncode:
            answer = done.stderr.strip().splitlines() or ["no answer"]
            raise InstallError(answer[-1])
    installed.write_text(digest, encoding="utf-8")
    return str(python)
