"""Things that are read once a process and shared by its threads, however many ask at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

__all__ = ["once_per_process"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def once_per_process(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """`functools.cache` whose first call is alone: that one lets threads that ask at the same time
    each make the value, and all of them hold it. What raises is tried again."""
    known, lock = cache(function), threading.Lock()

    @wraps(function)
    def once(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with lock:
            return known(*args, **kwargs)  # type: ignore[arg-type]

    once.cache_clear = known.cache_clear  # type: ignore[attr-defined]
    return once
