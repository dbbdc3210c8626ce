"""What a command takes, with all processes that it starts and others that serve it: Linux alone.

CPU seconds are those of the command and its children, and what the others (a cluster's processes,
say) used meanwhile. Memory is the most that all of them together had resident at once, pages that
several share counted once (PSS), by looks every `LOOK_SECONDS`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["CommandFailed", "Usage", "run_measured"]

LOOK_SECONDS = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")


class CommandFailed(RuntimeError):
    """A command that was measured ended with an error; the last line that it wrote tells why."""


@dataclass(frozen=True)
class Usage:
    """What a command took, and what it wrote to standard output."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run_measured(
    command: Sequence[str],
    others: Iterable[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Usage:
    """Run a command to its end. `others`: processes whose trees count as well. CommandFailed."""
    roots = set(others)
    before, began = _cpu_seconds(roots), time.perf_counter()
    process = subprocess.Popen(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    peak, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            peak[0] = max(peak[0], sum(map(_resident_bytes, _tree({process.pid, *roots}))))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    children = _children_seconds()
    output, errors = process.communicate()
    wall = time.perf_counter() - began
    cpu = _children_seconds() - children + _cpu_seconds(roots) - before
    done.set()
    looking.join()
    if process.returncode:
        lines = errors.strip().splitlines() or [f"exit code {process.returncode}"]
        lines = [line for line in lines if line.startswith("error:")] or lines
        raise CommandFailed(f"{' '.join(command[:6])} ...: {lines[-1]}")
    return Usage(wall, cpu, peak[0], output)


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _stat(process: int) -> list[str]:
    """Fields of /proc/N/stat from the third on: state, parent, ...; none of one that has ended."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _tree(roots: Iterable[int]) -> set[int]:
    """The processes and all that descend from them."""
    if sys.platform != "linux":
        raise CommandFailed("processes can be measured on Linux alone")
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found: set[int] = set()
    left = list(roots)
    while left:
        process = left.pop()
        if process not in found:
            found.add(process)
            left.extend(children.get(process, ()))
    return found


def _cpu_seconds(roots: Iterable[int]) -> float:
    """Of the processes, what descends from them, and what of that has ended."""
    ticks = 0
    for process in _tree(roots):
        if fields := _stat(process):
            ticks += sum(map(int, fields[11:15]))  # user and system, its own and its children's
    return ticks / _TICKS


def _resident_bytes(process: int) -> int:
    with suppress(OSError), open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
