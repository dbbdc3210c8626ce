"""`python -m benchmarks.scale`: what deduplication takes as the pool grows.

`--documents 1M,10M`: fuzzy deduplication of synthetic signatures with planted clusters
(planted.py), each size in a process of its own: bytes that are exchanged, the most memory that was
resident, CPU seconds, and what that makes for 10 billion documents. `--keys 10G --memory 4G`: so
many bytes of keys through one exchange, where the process may allocate no more than that. Prints
a table, as in docs/scale.md, or JSON; what it writes lies below `--folder` and is deleted.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from typing import Annotated, Any

import apache_beam as beam
import typer
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.child import cpu_time, peak_resident
from benchmarks.keys import exchange_keys
from benchmarks.planted import BANDS, RANKS, SHINGLES, Planted
from pipelines.dedup.components import MOST_NODES, Linking
from pipelines.dedup.graphs import compare_linked
from pipelines.runners.submission import runner_of
from transforms import storage
from transforms.datasets import sum_counts
from transforms.dedup.members import BLOCK_VALUES
from transforms.exchange import Partition

__all__ = ["main", "measure_documents", "measure_keys", "parse_number", "render"]

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
    shuffled: dict[str, int] = {}
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


def measure_documents(
    documents: int, folder: str, flags: list[str], most_nodes: int = MOST_NODES
) -> dict[str, Any]:
    """Figures of the fuzzy deduplication of so many planted documents. `most_nodes`: documents that
    one worker may join; a larger pool is joined in rounds."""
    pool = Planted(documents)
    linking = Linking(pool.shards, folder, BANDS, most_nodes=most_nodes, read=pool.read_bands)

    def run(build: Any) -> None:
        options = PipelineOptions(flags)
        with beam.Pipeline(runner=runner_of(options), options=options) as pipeline:
            build(pipeline)

    def compare(pipeline: beam.Pipeline) -> None:
        blocks = documents * (1 + (SHINGLES + BANDS + RANKS) // BLOCK_VALUES)
        found = compare_linked(linking, pipeline, pool.read_members, blocks, RANKS, 0.8)
        _ = found | beam.Map(_count_found, folder=folder)

    def work() -> dict[str, Any]:
        linking.prepare(run)
        run(compare)
        counts = storage.list_files([f"{storage.escape(folder)}/counts/*.json"])
        seen = sum_counts(storage.read_json(file.path) for file in counts)
        return {"documents": documents, **seen, **pool.count()}

    return _measured(work, folder)


def _count_found(partition: Partition, folder: str) -> None:
    rows = partition.read()
    survives = rows["survivor"] == rows["address"]
    counts = {"found": len(rows), "removed": int((~survives).sum())}
    storage.write_json(storage.join(folder, "counts", f"{partition.name}.json"), counts)


def _per_million(figures: dict[str, Any]) -> dict[str, float]:
    millions = figures["documents"] / 1e6
    exchanged = sum(figures["exchanged_bytes"].values())
    return {
        "exchanged GB": exchanged / 1e9 / millions,
        "CPU seconds": figures["cpu_seconds"] / millions,
    }


def render(runs: list[dict[str, Any]]) -> str:
    """The figures as Markdown tables."""
    lines = [
        "| documents | removed | exchanged | peak memory | CPU | CPU per million |"
        " exchanged per million |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in runs:
        per = _per_million(one)
        lines.append(
            f"| {one['documents']:,} | {one['removed']:,}"
            f" | {sum(one['exchanged_bytes'].values()) / 1e9:.2f} GB"
            f" | {one['peak_bytes'] / 1e9:.2f} GB | {one['cpu_seconds']:,.0f} s"
            f" | {per['CPU seconds']:.1f} s | {per['exchanged GB']:.2f} GB |"
        )
    most = _per_million(runs[-1])
    cpu = most["CPU seconds"] * DOLMA3_DOCUMENTS / 1e6
    lines += [
        "",
        f"At the rates of the last line, {DOLMA3_DOCUMENTS / 1e9:.0f} billion documents exchange"
        f" {most['exchanged GB'] * DOLMA3_DOCUMENTS / 1e6 / 1e3:,.1f} TB and take {cpu / 3600:,.0f}"
        f" CPU hours: {math.ceil(cpu / DAY_SECONDS):,} cores for a day.",
    ]
    return "\n".join(lines)


def main(
    documents: Annotated[str, typer.Option(help="Sizes of planted pools: 1M,10M.")] = "",
    keys: Annotated[str, typer.Option(help="Bytes of keys through one exchange: 10G.")] = "",
    memory: Annotated[
        str, typer.Option(help="Bytes that a process may allocate (RLIMIT_DATA): 4G.")
    ] = "",
    most_nodes: Annotated[
        str, typer.Option(help="Documents that one worker may join; larger pools take rounds.")
    ] = str(MOST_NODES),
    folder: Annotated[str, typer.Option(help="Where scratch files go.")] = ".bench/scale",
    flags: Annotated[list[str] | None, typer.Option("--beam", help="An option of Beam's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure deduplication as it grows."""
    sizes = [parse_number(one) for one in documents.split(",") if one]
    if bool(sizes) == bool(keys):
        raise typer.BadParameter("either --documents or --keys must be given")
    if len(sizes) > 1:
        runs = [_apart(size, memory, most_nodes, folder, flags or []) for size in sizes]
    else:
        runs = [_here(sizes, keys, memory, parse_number(most_nodes), folder, flags or [])]
    if as_json or keys:
        sys.stdout.write(json.dumps(runs if len(runs) > 1 else runs[0]) + "\n")
    else:
        sys.stdout.write(render(runs) + "\n")


def _here(
    sizes: list[int], keys: str, memory: str, most_nodes: int, folder: str, flags: list[str]
) -> dict[str, Any]:
    if memory:
        limit = parse_number(memory)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    scratch = os.path.join(os.path.abspath(folder), str(os.getpid()))
    try:
        if keys:
            return measure_keys(parse_number(keys), scratch, flags)
        return measure_documents(sizes[0], scratch, flags, most_nodes)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _apart(
    size: int, memory: str, most_nodes: str, folder: str, flags: list[str]
) -> dict[str, Any]:
    """One size in a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, "-m", "benchmarks.scale", "--json", f"--documents={size}"]
    command += [f"--most-nodes={most_nodes}", f"--folder={folder}"]
    command += [*([f"--memory={memory}"] if memory else []), *(f"--beam={flag}" for flag in flags)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    return answer


if __name__ == "__main__":
    typer.run(main)
