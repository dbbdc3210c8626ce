"""`python -m benchmarks`: make the corpus, measure stages beside peers, write RESULTS.md and chart.

`make bench` runs it with all stages. One stage: `python -m benchmarks --stage bpe --json`.
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import asdict, replace
from glob import escape, glob
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.assets import make_quality_model, make_ranks, make_tokenizer
from benchmarks.chart import draw_chart
from benchmarks.corpus import DEFAULT_TEXT_BYTES, Corpus, build_corpus
from benchmarks.environments import InstallError, environment_python
from benchmarks.machine import describe_machine, installed_versions
from benchmarks.measure import Measurement, measure_side
from benchmarks.ours.contamination import benchmarks
from benchmarks.processors import measure_gain
from benchmarks.report import Results, StageResult, compare, render_markdown, to_json
from benchmarks.stages import STAGES, Context
from benchmarks.work import Task
from pipelines.train_classifier import TrainingError
from transforms.decontamination.benchmarks import read_benchmark
from transforms.quality.language import model_path

__all__ = ["main", "run_stages"]

SMALL_TEXT_BYTES = 2_000_000
LEAST_MEGABYTES = 0.1  # of text: all that is measured is in it
# Distributions in environments of their own -> the environment.
APART = {"dolma": "dolma", "text-dedup": "text-dedup", "fasttext-predict": "fasttext-predict"}


def run_stages(
    names: list[str], context: Context, folder: str, progress: Progress
) -> list[StageResult]:
    """Measure stages in order; environments of peers and scratch files go below `folder`."""
    environments, scratch = os.path.join(folder, "environments"), os.path.join(folder, "scratch")
    os.makedirs(scratch, exist_ok=True)
    task = Task(context.corpus, context.text_bytes, scratch)
    bar = progress.add_task("", total=sum(1 + len(STAGES[name].peers) for name in names))
    measured: dict[object, Measurement] = {}  # a side that two stages have is measured once
    results = []
    for name in names:
        stage = STAGES[name]
        sides = [stage.ours, *(peer.side for peer in stage.peers)]
        found = []
        for side in sides:
            progress.update(bar, description=f"{name}: {side.name}")
            key = (side.function, side.environment, side.text_bytes, side.options)
            if key not in measured:
                measured[key] = measure_side(context.options(side), task, environments)
            found.append(replace(measured[key], side=side.name))
            progress.advance(bar)
        peers = (
            compare(found[0], theirs, peer, peer.check(context, peer.side))
            for theirs, peer in zip(found[1:], stage.peers, strict=True)
        )
        results.append(StageResult(name, found[0], tuple(peers)))
    return results


def _corpus_facts(corpus: Corpus, sets: str) -> dict[str, object]:
    """What is known of a corpus, and how many items of each benchmark are looked for in it."""
    facts = asdict(corpus)
    del facts["folder"]
    facts["looked_for"] = {
        one.name: len({item.item_id for item in read_benchmark(one)})
        for one in benchmarks(corpus.folder, sets)
    }
    return facts


def _versions(names: list[str], folder: str) -> dict[str, str]:
    used = {peer.side.environment for name in names for peer in STAGES[name].peers}
    others = []
    for name, environment in APART.items():
        if environment in used:
            try:
                python = environment_python(environment, os.path.join(folder, "environments"))
            except InstallError:
                continue
            others.append((name, python))
    return installed_versions(others)


def main(
    stage: Annotated[
        list[str] | None, typer.Option(help=f"Stages to measure: {', '.join(STAGES)}; all if none.")
    ] = None,
    folder: Annotated[
        str, typer.Option(help="Where the corpus, models and environments of peers are made.")
    ] = ".bench",
    megabytes: Annotated[float, typer.Option(help="MB of text of the corpus.")] = DEFAULT_TEXT_BYTES
    / 1e6,
    small: Annotated[
        bool, typer.Option("--small", help="A corpus of 2 MB, to try things.")
    ] = False,
    benchmark_sets: Annotated[
        str, typer.Option(help="Folder of further benchmarks to look for, <name>.jsonl.gz.")
    ] = "",
    output: Annotated[
        str, typer.Option(help="Where RESULTS.md, results.svg and results.json go, if anywhere.")
    ] = "",
    date: Annotated[str, typer.Option(help="A date to print; none if left out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Measure stages beside peers."""
    console = Console(stderr=True)
    names = stage or list(STAGES)
    unknown = sorted(set(names) - set(STAGES))
    if unknown:
        console.print(f"error: no stage {unknown[0]!r} (there are {', '.join(STAGES)})")
        raise typer.Exit(2)
    if not LEAST_MEGABYTES <= megabytes < math.inf:  # which no NaN is
        console.print(f"error: --megabytes must be {LEAST_MEGABYTES} or more (got {megabytes:g})")
        raise typer.Exit(2)
    if benchmark_sets and not glob(os.path.join(escape(benchmark_sets), "*.jsonl.gz")):
        console.print(f"error: --benchmark-sets {benchmark_sets} holds no file *.jsonl.gz")
        raise typer.Exit(2)
    folder = os.path.abspath(folder)
    text_bytes = SMALL_TEXT_BYTES if small else int(megabytes * 1e6)
    assets = os.path.join(folder, "assets")
    try:
        if output:
            os.makedirs(output, exist_ok=True)
        os.makedirs(assets, exist_ok=True)
        with console.status("Making the corpus from what packages carry"):
            corpus = build_corpus(os.path.join(folder, "small" if small else "corpus"), text_bytes)
            make_ranks(assets)
            tokenizer = make_tokenizer(assets)
            quality_model = make_quality_model(corpus) if "quality" in names else ""
    except OSError as error:
        console.print(
            f"error: {error.filename or folder}: {error.strerror or error}: make room there or name"
            " another folder with --folder or --output",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(2) from None
    except TrainingError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    context = Context(
        corpus=corpus.folder,
        text_bytes=corpus.text_bytes,
        ranks=assets,
        tokenizer=tokenizer,
        language_model=model_path(),
        quality_model=quality_model,
        sets=os.path.abspath(benchmark_sets) if benchmark_sets else "",
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        measured = run_stages(names, context, folder, progress)
    machine = describe_machine()
    if "cores" in names:
        with console.status("Measuring what two processes do at once"):
            machine |= {"two processes at once": f"{measure_gain():.2f} times the work of one"}
    results = Results(
        _corpus_facts(corpus, context.sets), machine, _versions(names, folder), measured, date
    )
    if output:
        place = Path(output)
        (place / "RESULTS.md").write_text(render_markdown(results), encoding="utf-8")
        draw_chart(results, str(place / "results.svg"))
        content = json.dumps(to_json(results), indent=1, ensure_ascii=False)
        (place / "results.json").write_text(content + "\n", encoding="utf-8")
    if as_json:
        sys.stdout.write(json.dumps(to_json(results), indent=1, ensure_ascii=False) + "\n")
    elif not output:
        sys.stdout.write(render_markdown(results))


if __name__ == "__main__":
    typer.run(main)
