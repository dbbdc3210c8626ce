"""Benchmarks: the n-gram index of the benchmarks that a recipe names, built once and read by all
workers.

A benchmark that cannot be read whole, or of which nothing can be looked for, would let a mix pass
as clean. So whoever makes the job reads and indexes all benchmarks first, unless an index of the
same files is there already, and the job stores that index: it has no pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipelines.inputs import NoInput, find_inputs
from pipelines.recipes.pool_part import Decontamination
from pipelines.recipes.recipe import Problem, Recipe, RecipeError
from pipelines.stage_names import BENCHMARKS
from pipelines.stages import Job, Stage
from pipelines.workspace import Workspace
from transforms.datasets import Dataset, OutputFile, TaskRecord
from transforms.decontamination.benchmarks import (
    Benchmark,
    BenchmarkError,
    Item,
    read_benchmark,
)
from transforms.decontamination.index import (
    INDEX_VERSION,
    WHOLE_JOINED_WORDS,
    IndexParameters,
    NgramIndex,
    build_index,
)
from transforms.environment import environment
from transforms.storage import escape, list_files, sha256_of

__all__ = [
    "INDEX_FILE",
    "benchmark_job",
    "build_benchmark_index",
    "check_benchmarks",
    "find_benchmarks",
]

INDEX_FILE = "index.arrow"
_TASK = "index"


def find_benchmarks(
    recipe: Recipe, workspace: Workspace
) -> tuple[list[Benchmark], list[list[list[object]]]]:
    """The recipe's benchmarks with their files found, and per benchmark [name, size, digest] of
    each.

    RecipeError where one has no file or a file that cannot be read.
    """
    assert recipe.decontamination is not None
    benchmarks, files, problems = [], [], []
    for number, one in enumerate(recipe.decontamination.benchmarks):
        try:
            found = find_inputs(workspace, _patterns(recipe, one, workspace))
        except NoInput as error:
            problems.append(_problem(recipe, number, str(error)))
            continue
        except PermissionError as error:
            message = f"{error.filename} cannot be read: {error.strerror}"
            problems.append(_problem(recipe, number, message))
            continue
        benchmarks.append(replace(one, paths=tuple(escape(one.file.path) for one in found)))
        files.append([[i.file.name, i.file.size_bytes, i.digest] for i in found])
    if problems:
        raise RecipeError(problems)
    return benchmarks, files


def check_benchmarks(recipe: Recipe, workspace: Workspace) -> None:
    """Read the benchmarks of which there are files and index them, to find out whether that can be
    done; RecipeError says what is wrong with each. Writes nothing.
    """
    assert recipe.decontamination is not None
    named = [
        replace(one, paths=tuple(_patterns(recipe, one, workspace)))
        for one in recipe.decontamination.benchmarks
    ]
    _index(recipe, [one for one in named if list_files(list(one.paths))])


def _index(recipe: Recipe, benchmarks: Sequence[Benchmark]) -> NgramIndex:
    """Index some of the recipe's benchmarks, whose files are found; RecipeError says what is wrong
    with each.
    """
    assert recipe.decontamination is not None
    parameters = _index_parameters(recipe.decontamination)
    try:
        parameters.check_ignore()
    except ValueError as error:
        place = ("pool", "decontaminate", "ignore")
        raise RecipeError([recipe.problem(place, str(error))]) from error
    numbers = {one.name: n for n, one in enumerate(recipe.decontamination.benchmarks)}
    problems = []
    items: list[Item] = []
    for one in benchmarks:
        try:
            items += list(read_benchmark(one))
        except BenchmarkError as error:
            problems.append(_problem(recipe, numbers[one.name], str(error)))
    index = build_index(items, parameters)
    problems += [
        _problem(recipe, numbers[name], sentence) for name, sentence in _hopeless(index).items()
    ]
    if problems:
        raise RecipeError(sorted(problems, key=lambda one: one.line))
    return index


def _patterns(recipe: Recipe, benchmark: Benchmark, workspace: Workspace) -> list[str]:
    return [recipe.pattern(path, workspace.uri) for path in benchmark.paths]


def _problem(recipe: Recipe, number: int, message: str) -> Problem:
    return recipe.problem(("pool", "decontaminate", "benchmarks", number), message)


def build_benchmark_index(
    benchmarks: Sequence[Benchmark], decontamination: Decontamination
) -> NgramIndex:
    """Read all benchmarks whole and index them. BenchmarkError names what cannot be read, or a
    benchmark of which no item can be looked for."""
    items = (item for benchmark in benchmarks for item in read_benchmark(benchmark))
    index = build_index(items, _index_parameters(decontamination))
    for sentence in _hopeless(index).values():
        raise BenchmarkError(sentence)
    return index


def _hopeless(index: NgramIndex) -> dict[str, str]:
    """Benchmarks of which nothing can be looked for, each with a sentence that says why."""
    fewest = min(index.parameters.ngram, WHOLE_JOINED_WORDS)
    return {
        one.benchmark: f"benchmark {one.benchmark!r}: none of its {one.items:,} items can be looked"
        f" for, as none has {fewest} words that are not in an 'ignore' phrase: name the fields"
        " that hold its texts, or leave it out"
        for one in index.coverage
        if one.items == one.unmatchable_items
    }


def _index_parameters(decontamination: Decontamination) -> IndexParameters:
    return IndexParameters(ngram=decontamination.ngram, ignore=decontamination.ignore)


def _write_index(index: NgramIndex, dataset: Dataset) -> None:
    path = dataset.path(INDEX_FILE)
    index.save(path)
    digest, size_bytes = sha256_of(path)
    counts = {
        "ngrams": len(index.lookup.keys),
        "items": sum(one.items for one in index.coverage),
        "unmatchable_items": sum(one.unmatchable_items for one in index.coverage),
    }
    dataset.write_record(TaskRecord(_TASK, [OutputFile(INDEX_FILE, size_bytes, digest)], counts))


def benchmark_job(recipe: Recipe, workspace: Workspace) -> Job:
    """The job that builds the index. Its manifest's details hold the fingerprint and the
    coverage. RecipeError for benchmarks that cannot be indexed.
    """
    decontamination = recipe.decontamination
    assert decontamination is not None
    benchmarks, files = find_benchmarks(recipe, workspace)
    parameters = _index_parameters(decontamination)
    stage = Stage(
        name="benchmarks",
        folder=workspace.benchmarks,
        version=INDEX_VERSION,
        parameters={
            "environment": environment(),
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
    # Made to find out what is wrong, before any work; the job stores it.
    index = _index(recipe, benchmarks) if stage.dataset.manifest() is None else None

    def details(stage: Stage, records: Sequence[TaskRecord]) -> dict[str, Any]:
        made = index or NgramIndex.load(stage.dataset.path(INDEX_FILE))
        return {"index": made.fingerprint, **made.report()}

    return Job(
        BENCHMARKS,
        [stage],
        build=None,
        gate=None,
        details=details,
        before=lambda run: _write_index(index or _index(recipe, benchmarks), stage.dataset),
    )
