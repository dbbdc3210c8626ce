"""Whether compiled code of the kernels is at hand.

Numba keeps it beside the modules, or in the user's cache folder where that is read-only.
"""

from __future__ import annotations

from pathlib import Path

from numba.core.caching import FunctionCache

from transforms.kernels.words import roll_ngrams

__all__ = ["is_compiled"]


def is_compiled() -> bool:
    """True when an earlier process has compiled kernels on this machine."""
    folder = Path(FunctionCache(roll_ngrams.py_func).cache_path)
    return any(folder.glob("words.*.nbi"))
