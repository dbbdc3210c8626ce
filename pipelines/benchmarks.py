"""Benchmarks: the n-gram index of the benchmarks that a recipe names, built once and read by all
workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam

from pipelines.inputs import find_inputs
from pipelines.recipe import Decontamination, Recipe
from pipelines.stages import Job, ProcessTasks, Stage
from pipelines.workspace import Workspace
from transforms.datasets import Dataset, OutputFile, TaskRecord
from transforms.decontamination.benchmarks import Benchmark, read_benchmark
from transforms.decontamination.index import (
    INDEX_VERSION,
    IndexParameters,
    NgramIndex,
    build_index,
)
from transforms.storage import escape, sha256_of

__all__ = ["INDEX_FILE", "benchmark_job", "build_benchmark_index", "find_benchmarks"]

INDEX_FILE = "index.arrow"
_TASK = "index"


@dataclass(frozen=True)
class _IndexTask:
    dataset: Dataset
    benchmarks: tuple[Benchmark, ...]
    parameters: IndexParameters
    name: str = _TASK


def find_benchmarks(
    recipe: Recipe, workspace: Workspace
) -> tuple[list[Benchmark], list[list[list[object]]]]:
    """The recipe's benchmarks with their files found, and per benchmark [name, size, digest] of
    each.

    FileNotFoundError where one has no file.
    """
    assert recipe.decontamination is not None
    benchmarks, files = [], []
    for one in recipe.decontamination.benchmarks:
        patterns = [recipe.pattern(path, workspace.uri) for path in one.paths]
        found = find_inputs(workspace, patterns)
        benchmarks.append(replace(one, paths=tuple(escape(one.file.path) for one in found)))
        files.append([[i.file.name, i.file.size_bytes, i.digest] for i in found])
    return benchmarks, files


def build_benchmark_index(
    benchmarks: Sequence[Benchmark], decontamination: Decontamination
) -> NgramIndex:
    """Read all benchmarks whole and index them. BenchmarkError names what cannot be read."""
    return _build(benchmarks, _index_parameters(decontamination))


def _build(benchmarks: Sequence[Benchmark], parameters: IndexParameters) -> NgramIndex:
    items = (item for benchmark in benchmarks for item in read_benchmark(benchmark))
    return build_index(items, parameters)


def _index_parameters(decontamination: Decontamination) -> IndexParameters:
    return IndexParameters(ngram=decontamination.ngram, ignore=decontamination.ignore)


def _write_index(task: _IndexTask) -> str:
    index = _build(task.benchmarks, task.parameters)
    path = task.dataset.path(INDEX_FILE)
    index.save(path)
    digest, size_bytes = sha256_of(path)
    counts = {
        "ngrams": len(index.lookup.keys),
        "items": sum(one.items for one in index.coverage),
        "unmatchable_items": sum(one.unmatchable_items for one in index.coverage),
    }
    task.dataset.write_record(
        TaskRecord(task.name, [OutputFile(INDEX_FILE, size_bytes, digest)], counts)
    )
    return task.name


def _details(stage: Stage, records: Sequence[TaskRecord]) -> dict[str, Any]:
    index = NgramIndex.load(stage.dataset.path(INDEX_FILE))
    return {"index": index.fingerprint, **index.report()}


def benchmark_job(recipe: Recipe, workspace: Workspace) -> Job:
    """The job that builds the index. Its manifest's details hold the fingerprint and the
    coverage.
    """
    decontamination = recipe.decontamination
    assert decontamination is not None
    benchmarks, files = find_benchmarks(recipe, workspace)
    parameters = _index_parameters(decontamination)
    stage = Stage(
        name="benchmarks",
        folder=workspace.benchmarks(recipe.name),
        version=INDEX_VERSION,
        parameters={
            "ngram": parameters.ngram,
            "ignore": list(parameters.ignore),
            "benchmarks": [
                [one.name, one.layout, list(one.fields), one.identifier, its_files]
                for one, its_files in zip(benchmarks, files, strict=True)
            ],
        },
        inputs={},
        tasks=[_TASK],
    )
    task = _IndexTask(stage.dataset, tuple(benchmarks), parameters)

    def build(pipeline: beam.Pipeline, missing: Mapping[str, Sequence[str]]) -> None:
        pipeline | "Benchmarks" >> beam.Create([task]) | ProcessTasks(_write_index, "benchmarks")

    return Job("benchmarks", [stage], build, gate=None, details=_details)
