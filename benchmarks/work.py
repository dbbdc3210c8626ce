"""What is measured: a task, which names inputs, and the work that a side makes of it.

A side is a function from `Task` to `Work`, named "module:function". It runs in a process of its
own, maybe in an environment without this package: so this module, `child`, `inputs` and `peers`
import nothing but the standard library and the library that is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Task", "Work"]


@dataclass(frozen=True)
class Task:
    """What to work on: a corpus' folder, how much of it, a scratch folder, and more by name."""

    corpus: str
    text_bytes: int
    scratch: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Work(NamedTuple):
    """Work made ready. `run` is what is measured, over `run_bytes` bytes of input; `warm` is run
    once before, on less; `answer` turns what `run` gave into what a check compares (JSON), and is
    not measured."""

    run: Callable[[], Any]
    run_bytes: int
    warm: Callable[[], Any]
    answer: Callable[[Any], Any]
