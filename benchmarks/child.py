"""A process that measures one side: `python -m benchmarks.child MODULE:FUNCTION TASK RESULT`.

TASK is a JSON object of `Task`'s fields; RESULT is the path of the JSON object that is written:
first_seconds (CPU, of the first call, which may compile), cpu_seconds and wall_seconds (least of
the repeats), run_bytes, peak_bytes and peak_before_bytes (resident; before: with inputs read and
the first call done), answer.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from typing import Any

from benchmarks.work import Task

__all__ = ["cpu_time", "measure", "peak_resident"]

REPEATS = 12  # of what is short
ENOUGH_SECONDS = 4.0  # CPU; no further repeat after so much


def cpu_time() -> float:
    """User and system time of this process, its threads and the children it has waited for."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total


def peak_resident() -> int:
    """Most memory that was resident so far in this process."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["VmHWM"].split()[0]) * 1024
    except OSError:  # no Linux; what follows may count the process that started this one
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return kilobytes if sys.platform == "darwin" else kilobytes * 1024


def measure(side: str, task: Task) -> dict[str, Any]:
    """Run a side as the module says."""
    module, _, function = side.partition(":")
    work = getattr(importlib.import_module(module), function)(task)
    before = cpu_time()
    work.warm()
    first_seconds = cpu_time() - before
    peak_before = peak_resident()
    cpu_seconds, wall_seconds, spent = float("inf"), float("inf"), 0.0
    result = None
    for _ in range(REPEATS):
        result = None  # the last one must not count in the peak of the next
        cpu, wall = cpu_time(), time.perf_counter()
        result = work.run()
        cpu, wall = cpu_time() - cpu, time.perf_counter() - wall
        cpu_seconds, wall_seconds = min(cpu_seconds, cpu), min(wall_seconds, wall)
        spent += cpu
        if spent >= ENOUGH_SECONDS:
            break
    peak = peak_resident()
    return {
        "first_seconds": first_seconds,
        "cpu_seconds": cpu_seconds,
        "wall_seconds": wall_seconds,
        "run_bytes": work.run_bytes,
        "peak_bytes": peak,
        "peak_before_bytes": peak_before,
        "answer": work.answer(result),
    }


if __name__ == "__main__":
    side_name, task_json, result_path = sys.argv[1:]
    measured = measure(side_name, Task(**json.loads(task_json)))
    with open(result_path, "w", encoding="utf-8") as output:
        json.dump(measured, output)
