"""`python -m benchmarks.scale`: what deduplication takes as the pool grows.

`--documents 1M,10M`: fuzzy deduplication of synthetic signatures with planted clusters
(planted.py), each size in a process of its own: bytes that are exchanged, the most memory that was
resident, CPU seconds, and what that makes for 10 billion documents. `--keys 10G --memory 4G`: so
many bytes of keys through one exchange, where the process may allocate no more than that. Prints
the figures as JSON or as a table for docs/scale.md; all it writes lies below `--folder` and is
deleted.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import time
from typing import Annotated, Any

import typer

from benchmarks.child import cpu_time, peak_resident
from benchmarks.keys import exchange_keys
from transforms import storage

__all__ = ["main", "measure_keys", "parse_number"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}
DOLMA3_DOCUMENTS = 10e9
DAY_SECONDS = 86_400


def parse_number(text: str) -> int:
    """`10M` -> 10,000,000. typer.BadParameter when it is no such number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGB]?)", text.strip().upper())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no number such as 500K, 10M, 4G")
    return int(float(match[1]) * _UNITS[match[2]])


def measure_keys(total_bytes: int, folder: str, flags: list[str]) -> dict[str, Any]:
    """Figures of so many bytes of keys through one exchange."""
    return _measured(lambda: exchange_keys(total_bytes, folder, flags), folder)


def _measured(work: Any, folder: str) -> dict[str, Any]:
    cpu, wall = cpu_time(), time.perf_counter()
    answer = work()
    cpu, wall = cpu_time() - cpu, time.perf_counter() - wall
    shuffled = {}
    for file in storage.list_files([f"{storage.escape(folder)}/**"]):
        if file.path.endswith(".run"):
            exchange = os.path.basename(os.path.dirname(file.path))
            shuffled[exchange] = shuffled.get(exchange, 0) + file.size_bytes
    return {
        **answer,
        "cpu_seconds": round(cpu, 1),
        "wall_seconds": round(wall, 1),
        "peak_bytes": peak_resident(),
        "exchanged_bytes": shuffled,
    }


def main(
    keys: Annotated[str, typer.Option(help="Bytes of keys through one exchange: 10G.")] = "",
    memory: Annotated[
        str, typer.Option(help="Bytes that the process may allocate (RLIMIT_DATA): 4G.")
    ] = "",
    folder: Annotated[str, typer.Option(help="Where scratch files go.")] = ".bench/scale",
    beam: Annotated[list[str] | None, typer.Option(help="Options of Beam's.")] = None,
) -> None:
    """Measure deduplication as it grows."""
    if memory:
        limit = parse_number(memory)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    shutil.rmtree(folder, ignore_errors=True)
    try:
        print(
            json.dumps(measure_keys(parse_number(keys), os.path.abspath(folder), list(beam or [])))
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
