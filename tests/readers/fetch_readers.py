"""Make an environment of the trainers' own readers in the user's cache: `make readers`.

OLMo-core, MosaicML's streaming and Megatron need torch, whose wheel on the package index brings
CUDA's libraries along: some gigabytes, for a test of seconds. So they have an environment of their
own, which CI does not make.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vineleaf"
READERS = CACHE / "readers"
PYTHON = READERS / "bin" / "python"
INSTALLED = READERS / "installed"


def is_made() -> bool:
    """Whether the environment is there, and of these requirements."""
    return INSTALLED.exists() and INSTALLED.read_text() == _digest()


def _digest() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def main() -> None:
    if is_made():
        return
    shutil.rmtree(READERS, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(READERS)], check=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # All are named: what the readers themselves require (clients of every cloud) is not needed.
    subprocess.run([*pip, "--no-deps", "-r", str(REQUIREMENTS)], check=True)
    INSTALLED.write_text(_digest())


if __name__ == "__main__":
    main()
