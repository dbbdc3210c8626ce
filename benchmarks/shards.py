"""`python -m benchmarks.shards --shards 200K`: what so many shards cost the workflow itself.

A synthetic stage of one table, a shard a task. Its tasks are done by another process, as on a
cluster: each writes its file and its record. Measured are this process's CPU seconds and memory:
planning the tasks, running the stage (watching its records, judging, publishing), looking at it
again when it is up to date, and going on after a run of which half of the records are left. What it
writes, some 8 KB a shard, lies below `--folder` and is deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.child import peak_resident
from benchmarks.scale import parse_number
from pipelines.stages import Job, Stage, run_job
from pipelines.tables import TableTask, table_gate, table_job, table_stages, with_tables
from transforms import storage
from transforms.datasets import Dataset, Manifest, OutputFile, TaskRecord
from transforms.dedup.pool import PoolShard
from transforms.stored_lists import StoredList

__all__ = ["main", "measure_shards", "render"]

ROWS = 1000  # of each shard
OPTIONS = PipelineOptions(["--direct_num_workers=1"])
TIMES = (  # what is measured, as a table tells it
    ("planning the tasks", "plan"),
    ("running the stage", "run"),
    ("looking again, all up to date", "up_to_date"),
    ("going on, half of it done", "resume"),
)


def _files(count: int) -> list[OutputFile]:
    return [
        OutputFile(f"shards/{one:08d}.parquet", 4, f"{one:064x}", ROWS, f"{one:032x}", 5 * ROWS)
        for one in range(count)
    ]


def _stage(shards: Sequence[PoolShard], folder: str) -> dict[str, Stage]:
    inputs = {"web": {"documents web": "0" * 16}}
    place = storage.join(folder, "scores")
    return table_stages("scores", lambda source: place, 1, shards, {"web": {}}, inputs)


def _shards(count: int) -> list[PoolShard]:
    return [
        PoolShard(number, "web", f"documents/web/{file.path}", file, {})
        for number, file in enumerate(_files(count))
    ]


def write_all(count: int, folder: str, step: int) -> None:
    """Do the tasks: all of them, or every `step`-th."""
    shards = _shards(count)
    dataset = _stage(shards, folder)["web"].dataset
    counts = {"rows": ROWS, "checked.values": 9 * ROWS, "nan.words": 0, "text_bytes": 5 * ROWS}
    counts |= {f"over.{one}": ROWS for one in ("words", "lines", "symbols", "share")}
    for shard in shards[::step]:
        with storage.write_aside(dataset.path(shard.file.path)) as file:
            file.write(b"PAR1")
        written = replace(shard.file, size_bytes=file.size_bytes, sha256=file.sha256)
        dataset.write_record(TaskRecord(shard.task, [written], counts))


def measure_shards(count: int, folder: str) -> dict[str, Any]:
    """CPU seconds of each step, and the most memory that was resident before and after all."""
    figures: dict[str, Any] = {"shards": count, "start_bytes": peak_resident()}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        answer = work()
        figures[f"{name}_seconds"] = round(time.process_time() - began, 2)
        return answer

    files = _files(count)
    counts = {"documents": count * ROWS}
    documents = Manifest("documents web", "0" * 16, 1, {}, {}, files, counts, {}, {}, "")

    def job_of(step: int) -> Job:
        shards = [
            PoolShard(number, "web", f"documents/web/{file.path}", file, {})
            for number, file in enumerate(files)
        ]
        shards = with_tables(shards, "candidates", {"web": Dataset("candidates/web", "1" * 16)})
        stages = _stage(shards, folder)
        tasks = [TableTask(shard, stages["web"].dataset) for shard in shards]
        StoredList.write(tasks, storage.join(folder, "lists"))
        gate = table_gate({"web": documents}, {})
        job = table_job("scores", stages, shards, lambda task: task.name, gate)
        return replace(job, build=None, before=lambda run: _elsewhere(count, folder, step))

    job = timed("plan", lambda: job_of(1))
    made = timed("run", lambda: run_job(job, OPTIONS))
    again = timed("up_to_date", lambda: run_job(job_of(1), OPTIONS))
    if again.manifests != made.manifests or not again.up_to_date:
        raise RuntimeError("the stage was not up to date")
    del made, again
    dataset = job.stages[0].dataset
    dataset.withdraw()
    for place, task in enumerate(job.stages[0].tasks):
        if place % 2:
            storage.delete([dataset.record_path(task)])
    timed("resume", lambda: run_job(job, OPTIONS))
    return {**figures, "peak_bytes": peak_resident()}


def _elsewhere(count: int, folder: str, step: int) -> None:
    arguments = [f"--shards={count}", f"--folder={folder}", f"--do-every={step}"]
    subprocess.run([sys.executable, "-m", "benchmarks.shards", *arguments], check=True)


def render(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [f"| {figures['shards']:,} shards | CPU seconds |", "|---|---|"]
    lines += [f"| {title} | {figures[f'{name}_seconds']:.1f} |" for title, name in TIMES]
    peak, start = figures["peak_bytes"] / 1e9, figures["start_bytes"] / 1e9
    return "\n".join([*lines, "", f"At most {peak:.2f} GB were resident, {start:.2f} GB before."])


def main(
    shards: Annotated[str, typer.Option(help="How many: 20K, 200K.")] = "20K",
    folder: Annotated[str, typer.Option(help="Where scratch files go.")] = ".bench/shards",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    do_every: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Measure what shards cost the workflow."""
    count = parse_number(shards)
    if do_every:
        write_all(count, folder, do_every)
        return
    scratch = os.path.join(os.path.abspath(folder), str(os.getpid()))
    try:
        figures = measure_shards(count, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write((json.dumps(figures) if as_json else render(figures)) + "\n")


if __name__ == "__main__":
    typer.run(main)
