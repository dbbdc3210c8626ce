"""`python -m benchmarks.runners`: the same recipes on each runner that is here, bytes and cost.

Two recipes: the demo's, and the whole road over `--megabytes` of the benchmark corpus. Runners: the
one in this process with one thread and with one for each core, with a process for each core; Prism
where `make prism` has built it; Flink where `make runners` has fetched it: a cluster of two
TaskManagers on loopback, with one slot and with two. The first run of a recipe is not measured: it
compiles. Prints the table of docs/runners.md; what it writes lies below `--folder` and is deleted.

CPU and memory of Flink hold the cluster's and Beam's job server's.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.assets import make_ranks
from benchmarks.corpus import build_corpus
from benchmarks.ours.contamination import benchmarks
from benchmarks.ours.road import road_recipe
from benchmarks.processes import run_measured
from pipelines.demo.sources import make_sources
from transforms import storage

__all__ = ["RunnerRun", "main", "measure_runners", "published_digests", "render"]

ROOT = Path(__file__).parents[1]
TOKENS_A_BYTE = 0.005  # of the corpus, that the road's mix asks for: less than what stays
DATASETS = ("documents", "attributes", "quarantine", "benchmarks", "mixes")


@dataclass(frozen=True)
class RunnerRun:
    """One recipe on one runner. `equal`: its bytes are those of the first runner, None for that
    one itself."""

    recipe: str
    runner: str
    workers: str
    equal: bool | None
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class _Runner:
    name: str
    workers: str
    flags: tuple[str, ...]
    processes: tuple[int, ...] = ()  # that serve it


def published_digests(workspace: str) -> dict[str, str]:
    """SHA-256 of every file of the workspace's datasets, records and manifests too, by its path."""
    return {
        f"{part}/{name}": storage.sha256_of(f"{workspace}/{part}/{name}")[0]
        for part in DATASETS
        for name in sorted(storage.files_below(f"{workspace}/{part}"))
    }


def _local_runners() -> list[_Runner]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    counts = sorted({1, cores or 1})
    found = [
        _Runner(
            "FnApiRunner",
            f"{count} thread{'s' if count > 1 else ''}",
            ("--runner=DirectRunner", "--", f"--direct_num_workers={count}"),
        )
        for count in counts
    ]
    processes = ["--direct_running_mode=multi_processing", f"--direct_num_workers={counts[-1]}"]
    found.append(
        _Runner(
            "FnApiRunner",
            f"{counts[-1]} processes",
            ("--runner=DirectRunner", "--", *processes),
        )
    )
    prism = _fetched("fetch_prism").PRISM
    if prism.exists():
        flags = ("--runner=PrismRunner", "--", f"--prism_location={prism}")
        found.append(_Runner("PrismRunner", "1 process", flags))
    return found


def _fetched(module: str) -> Any:
    """A module of the tests of runners, which know where `make runners` puts things."""
    place = str(ROOT / "tests/runners")
    if place not in sys.path:
        sys.path.append(place)
    return __import__(module)


@contextmanager
def _all_runners(folder: str) -> Iterator[list[_Runner]]:
    fetched = _fetched("fetch_flink")
    here = shutil.which("java") and fetched.JOB_SERVER.exists() and fetched.LIBRARIES.exists()
    if not here:
        yield _local_runners()
        return
    with _fetched("flink_cluster").flink_cluster(Path(folder, "flink")) as cluster:
        processes = tuple(process.pid for process in cluster.processes.values())
        flink = [
            _Runner(
                "FlinkRunner",
                f"{slots} TaskManager slot{'s' if slots > 1 else ''}",
                ("--runner=FlinkRunner", "--", *cluster.beam_options(parallelism=slots)),
                processes,
            )
            for slots in (1, 2)
        ]
        yield [*_local_runners(), *flink]


def measure_runners(
    recipes: Sequence[tuple[str, str, str]], runners: Sequence[_Runner], folder: str
) -> list[RunnerRun]:
    """Run each recipe (name, its path, its input, "" where it names that itself) on each runner."""
    runs = []
    for recipe, path, inputs in recipes:
        workspaces = Path(folder, recipe)
        wanted: dict[str, str] | None = None
        for number, runner in enumerate([runners[0], *runners]):
            workspace = workspaces / str(number)
            workspace.mkdir(parents=True)
            if inputs:
                (workspace / "input").symlink_to(inputs)
            command = [sys.executable, "-m", "pipelines", "run", path, "-w", str(workspace)]
            usage = run_measured([*command, "--json", *runner.flags], runner.processes)
            if number == 0:  # kernels are compiled now
                shutil.rmtree(workspace)
                continue
            found = published_digests(str(workspace))
            equal = None if wanted is None else found == wanted
            wanted = wanted or found
            shutil.rmtree(workspace)
            runs.append(
                RunnerRun(
                    recipe,
                    runner.name,
                    runner.workers,
                    equal,
                    round(usage.wall_seconds, 1),
                    round(usage.cpu_seconds, 1),
                    usage.peak_bytes,
                )
            )
            sys.stderr.write(f"{render(runs[-1:]).splitlines()[-1]}\n")
    return runs


def render(runs: Sequence[RunnerRun]) -> str:
    """The figures as a Markdown table."""
    equal = {None: "(compared with)", True: "yes", False: "NO"}
    return "\n".join(
        [
            "| recipe | runner | workers | bytes equal | wall | CPU | peak memory |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {one.recipe} | {one.runner} | {one.workers} | {equal[one.equal]}"
                f" | {one.wall_seconds:.0f} s | {one.cpu_seconds:.0f} s"
                f" | {one.peak_bytes / 1e9:.1f} GB |"
                for one in runs
            ),
        ]
    )


def _recipes(folder: str, text_bytes: int) -> list[tuple[str, str, str]]:
    inputs = os.path.join(folder, "demo-input")
    make_sources(inputs)
    corpus = build_corpus(os.path.join(folder, "corpus"), text_bytes)
    documents = os.path.join(corpus.folder, "documents", "*.jsonl")
    tokens = int(corpus.text_bytes * TOKENS_A_BYTE)
    make_ranks(folder)
    os.environ["TIKTOKEN_CACHE_DIR"] = folder  # of the cluster's workers, too
    road = os.path.join(folder, "road.yaml")
    made = road_recipe(documents, benchmarks(corpus.folder, ""), tokens)
    Path(road).write_text(json.dumps(made), encoding="utf-8")
    size = f"{corpus.text_bytes / 1e6:.0f} MB"
    return [("demo", str(ROOT / "mixes/demo.yaml"), inputs), (f"whole road, {size}", road, "")]


def main(
    megabytes: Annotated[float, typer.Option(help="MB of text of the road.")] = 64.0,
    folder: Annotated[str, typer.Option(help="Where scratch files go.")] = ".bench/runners",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Run the same recipes on each runner that is here."""
    scratch = os.path.join(os.path.abspath(folder), str(os.getpid()))
    os.makedirs(scratch)
    try:
        recipes = _recipes(scratch, int(megabytes * 1e6))
        with _all_runners(scratch) as runners:
            runs = measure_runners(recipes, runners, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write(
        (json.dumps([asdict(one) for one in runs]) if as_json else render(runs)) + "\n"
    )
    if any(one.equal is False for one in runs):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
