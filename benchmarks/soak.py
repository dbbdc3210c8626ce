"""`python -m benchmarks.soak --gigabytes 10`: so much text through the default runner, whole road.

JSONL in, every stage but substring deduplication, tokens out, by `vineleaf run` as a user gives it,
in a process of its own. The text is the benchmark corpus, repeated with changes (repeated.py).
Prints wall and CPU seconds, MB of text a second, the most memory that was resident, and the disk
that the workspace takes, also per million documents. What it writes lies below `--folder` and is
deleted; it is some 2.5 times the text.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.assets import make_ranks
from benchmarks.corpus import build_corpus
from benchmarks.ours.contamination import benchmarks
from benchmarks.ours.road import road_recipe
from benchmarks.processes import run_measured
from benchmarks.repeated import write_repeated
from transforms import storage

__all__ = ["main", "measure_soak", "render"]

CORPUS_BYTES = 64_000_000  # of text that is repeated
TOKENS_A_BYTE = 0.01  # that the mix asks for: less than what stays
PARTS = ("documents", "attributes", "mixes", "quarantine", "benchmarks")  # of a workspace


def measure_soak(
    text_bytes: int, folder: str, flags: list[str], corpus_bytes: int = CORPUS_BYTES
) -> dict[str, Any]:
    """Figures of so many bytes of text; `folder` is the caller's to clean."""
    corpus = build_corpus(os.path.join(folder, "corpus"), corpus_bytes)
    make_ranks(folder)
    inputs = os.path.join(folder, "input")
    documents, size = write_repeated(corpus.folder, text_bytes, inputs)
    recipe = os.path.join(folder, "recipe.yaml")
    tokens = max(1000, int(size * TOKENS_A_BYTE))
    made = road_recipe(os.path.join(inputs, "*.jsonl"), benchmarks(corpus.folder, ""), tokens)
    Path(recipe).write_text(json.dumps(made), encoding="utf-8")
    workspace = os.path.join(folder, "workspace")
    command = [sys.executable, "-m", "pipelines", "run", recipe, "--workspace", workspace, "--json"]
    usage = run_measured([*command, "--", *flags], environment={"TIKTOKEN_CACHE_DIR": folder})
    ledger = json.loads(usage.output)["ledger"]
    held = {
        part: sum(one.size_bytes for one in storage.files_below(f"{workspace}/{part}").values())
        for part in PARTS
    }
    return {
        "documents": documents,
        "text_bytes": size,
        "wall_seconds": round(usage.wall_seconds, 1),
        "cpu_seconds": round(usage.cpu_seconds, 1),
        "peak_bytes": usage.peak_bytes,
        "disk_bytes": held,
        "ledger": ledger,
    }


def render(figures: dict[str, Any]) -> str:
    """The figures as Markdown tables."""
    megabytes, millions = figures["text_bytes"] / 1e6, figures["documents"] / 1e6
    wall, cpu = figures["wall_seconds"], figures["cpu_seconds"]
    lines = [
        "| text | documents | wall | CPU | MB/s | MB per CPU second | peak memory |",
        "|---|---|---|---|---|---|---|",
        f"| {megabytes / 1e3:.2f} GB | {figures['documents']:,} | {wall:,.0f} s | {cpu:,.0f} s"
        f" | {megabytes / wall:.1f} | {megabytes / cpu:.1f}"
        f" | {figures['peak_bytes'] / 1e9:.2f} GB |",
        "",
        "| disk | GB | GB per million documents |",
        "|---|---|---|",
    ]
    held = {name: size for name, size in figures["disk_bytes"].items() if size}
    held["all"] = sum(held.values())
    lines += [
        f"| {name} | {size / 1e9:.2f} | {size / 1e9 / millions:.2f} |"
        for name, size in held.items()
    ]
    return "\n".join(lines)


def main(
    gigabytes: Annotated[float, typer.Option(help="GB of text.")] = 10.0,
    folder: Annotated[str, typer.Option(help="Where scratch files go.")] = ".bench/soak",
    flags: Annotated[list[str] | None, typer.Option("--beam", help="An option of Beam's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure the whole road on much text."""
    scratch = os.path.join(os.path.abspath(folder), str(os.getpid()))
    os.makedirs(scratch)
    try:
        figures = measure_soak(int(gigabytes * 1e9), scratch, flags or [])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write((json.dumps(figures) if as_json else render(figures)) + "\n")


if __name__ == "__main__":
    typer.run(main)
