"""The machine and the versions that figures come from."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe_machine", "installed_versions"]

MEASURED = (
    *("vineleaf", "apache-beam", "numba", "numpy", "pyarrow", "bpe-openai", "datasketch"),
    *("datatrove", "fasttext", "rensa", "resiliparse", "rs-bpe", "spacy", "tiktoken", "tokenizers"),
    *("trafilatura",),
)


def describe_machine() -> dict[str, str]:
    """Processor, cores that this process may use, memory, system and Python."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def installed_versions(others: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """Versions of what is measured, by distribution; `others`: (distribution, interpreter of the
    environment that has it)."""
    found = {}
    for name in MEASURED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    for name, python in others:
        command = f"from importlib.metadata import version; print(version({name!r}))"
        done = subprocess.run([python, "-c", command], capture_output=True, text=True)
        found[name] = done.stdout.strip() or "not installed"
    return dict(sorted(found.items()))
