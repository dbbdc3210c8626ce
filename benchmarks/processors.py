"""How much more the processors of a machine do together than one of them does alone.

Two processors of a virtual machine can be two threads of one core: then two processes at once, each
with work of its own and nothing in common, do not twice the work of one. No program on it can gain
more from a second processor, so the gain of threads is read beside this. `python -m
benchmarks.processors` is one such process: it gets ready, waits for a line, works, and prints the
seconds that it took.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.ours.batches import batch
from transforms.documents import DocumentBatch
from transforms.quality.gopher import Gopher

__all__ = ["measure_gain"]

DOCUMENTS = 2_000  # of some 4 KB
REPEATS = 12  # a second or so


def measure_gain(processes: int = 2) -> float:
    """The work of so many processes at once in the time that one takes alone for 1: at best
    `processes`."""
    alone = max(_run(1))
    return processes * alone / max(_run(processes))


def _run(processes: int) -> list[float]:
    """Wall seconds of each."""
    command = [sys.executable, "-m", "benchmarks.processors"]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for one in running:
        assert one.stdout is not None
        one.stdout.readline()  # it is ready
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    return [float(one.communicate()[0]) for one in running]


def _work() -> None:
    texts = [
        " ".join(f"word{(number * 7919 + k * k) % 9973}" for k in range(450))
        for number in range(DOCUMENTS)
    ]
    documents = batch(
        [{"id": f"{n}", "text": text, "source": "made"} for n, text in enumerate(texts)]
    )
    rule = Gopher()
    rule.annotate(DocumentBatch(documents))
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    for _ in range(REPEATS):
        rule.annotate(DocumentBatch(documents))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    _work()
