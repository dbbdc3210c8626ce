"""Stages and jobs: what is made, from what, and how it is run, gated and published.

A *stage* is one dataset version: a folder, a version number, parameters and input manifests, whose
fingerprint names it. A *job* is one Beam pipeline, or a few, that make one or more stages in one
read of their input. Running a job skips stages that are finished, hands the pipeline only the tasks
that have no record yet, and publishes a stage after its gate has passed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version as package_version
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from expectations.gate import Verdict
from pipelines.runners.beam_options import PlannedExchange
from pipelines.runners.submission import RunFailed, run_pipeline
from transforms import storage
from transforms.datasets import Dataset, Manifest, TaskRecord, fingerprint_of, sum_counts

__all__ = [
    "GateFailed",
    "Finished",
    "Job",
    "JobResult",
    "Missing",
    "ProcessTasks",
    "RunFailed",
    "Stage",
    "run_job",
]

_log = logging.getLogger(__name__)
POLL_SECONDS = 0.5  # between two looks for new records, at least
STORE_POLL_SECONDS = 5.0  # the same on an object store, where each look costs money
MOST_REASONS = 5  # that a failed gate tells
POLLS_SHARE = 0.02  # of the time, at most, that looking takes: there may be many, or a slow store


class GateFailed(Exception):
    """A stage's output did not pass its gate; it was not published."""

    def __init__(
        self, stage: str, sentences: list[str], report: str, counts: Mapping[str, int]
    ) -> None:
        told = [*sentences, *_left_out(stage, counts)]
        super().__init__(f"{stage}: " + "; ".join(told) + f" (report: {report})")
        self.stage = stage
        self.sentences = told
        self.report = report


def _left_out(stage: str, counts: Mapping[str, int]) -> Iterator[str]:
    """What a stage removed and set aside, the most frequent reasons first."""
    found = [
        (-number, f"{number:,} {kind} ({reason})")
        for name, number in counts.items()
        for kind, _, reason in [name.partition(".")]
        if kind in ("removed", "quarantined") and reason and number
    ]
    if found:
        rest = f" and {len(found) - MOST_REASONS} other reasons" if found[MOST_REASONS:] else ""
        yield f"{stage}: {', '.join(one for _, one in sorted(found)[:MOST_REASONS])}{rest}"


@dataclass(frozen=True)
class Stage:
    """One dataset version to be made. `tasks` are its task names in the order of its files."""

    name: str
    folder: str
    version: int
    parameters: dict[str, Any]
    inputs: Mapping[str, str]  # name -> fingerprint
    tasks: Sequence[str]

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint_of(
            {
                "stage": self.name,
                "version": self.version,
                "parameters": self.parameters,
                "inputs": dict(self.inputs),
            }
        )

    @property
    def dataset(self) -> Dataset:
        return Dataset(self.folder, self.fingerprint)


Missing = Mapping[str, Sequence[str]]  # names of the tasks without a record, by stage name


class Finished(NamedTuple):
    """A stage all of whose tasks are done, with their records in the order of tasks."""

    stage: Stage
    records: Sequence[TaskRecord]


@dataclass(frozen=True)
class Job:
    """One pipeline, or several, or none. `build(pipeline, missing)`, of the last, gets, per stage
    name, the tasks without a record; None where `before` does all that there is to do."""

    title: str
    stages: Sequence[Stage]
    build: Callable[[beam.Pipeline, Missing], None] | None
    gate: Callable[[Sequence[Finished]], Sequence[Verdict]] | None  # a verdict for each
    details: Callable[[Stage, Sequence[TaskRecord]], dict[str, Any]] = lambda stage, records: {}
    # Small files, by path, that tell of all that was made: written when the gate has passed, before
    # the manifest, which lists them behind those of the tasks.
    describe: Callable[[Stage, Sequence[TaskRecord]], Mapping[str, bytes]] = lambda stage, its: {}
    cleanup: Callable[[], None] = lambda: None
    # What is done before `build` is called: by itself, or by pipelines, each handed to what runs it
    # to its end. They leave what they made in `scratch`, and do nothing where it is there.
    before: Callable[[Callable[[Callable[[beam.Pipeline], object]], None]], None] = lambda run: None
    exchanges: Mapping[str, PlannedExchange] = field(default_factory=dict)  # by name
    step: Callable[[], str] = lambda: ""  # what it is doing just now, where it has several steps
    scratch: Sequence[str] = ()  # folders besides the stages' in which its work shows
    bounds: Mapping[str, Any] = field(default_factory=dict)  # of the recipe, that the gate applies
    # Tasks that read back what others wrote. Where a job has them, a run that goes on from an
    # earlier one does them again and hashes the files that it finds.
    proofs: Sequence[str] = ()


@dataclass(frozen=True)
class JobResult:
    """A job's stages by name, and which of them were up to date before."""

    manifests: Mapping[str, Manifest]
    up_to_date: frozenset[str] = field(default_factory=frozenset)


class _Process(beam.DoFn):  # type: ignore[misc]
    def __init__(self, function: Callable[[Any], Any], label: str) -> None:
        self._function = function
        self._label = label

    def process(self, task: Any) -> Iterator[Any]:
        try:
            yield self._function(task)
        except Exception as error:
            message = f"{self._label}, task {_name_of(task)}: {type(error).__name__}: {error}"
            raise RuntimeError(f"task failed: {message}") from error


class ProcessTasks(beam.PTransform):  # type: ignore[misc,type-arg]
    """Run a function on each task, spread over all workers; gives what the function returns.

    A task is small (names and numbers) and so is its result: bulk data goes through files. The
    function must give the same files when it is called again for the same task.
    """

    def __init__(self, function: Callable[[Any], Any], label: str) -> None:
        super().__init__()
        self._function = function
        self._label = label

    def expand(self, tasks: Any) -> Any:
        return (
            tasks
            | "Spread tasks" >> beam.Reshuffle()
            | "Process task" >> beam.ParDo(_Process(self._function, self._label))
        )


def _name_of(task: Any) -> str:
    return str(getattr(task, "name", getattr(task, "task", task)))


def run_job(
    job: Job,
    options: PipelineOptions,
    observe: Callable[[Stage, TaskRecord], None] = lambda stage, record: None,
    watch: Callable[[Job, Missing], AbstractContextManager[None]] = lambda job, todo: nullcontext(),
) -> JobResult:
    """Bring all stages of a job up to date and publish them.

    `watch` is around the work, and knows which tasks have no record yet; `observe` is called for
    each record as it appears (in another thread). Raises GateFailed and RunFailed.
    """
    manifests: dict[str, Manifest] = {}
    judged_anew = []
    # By stage and task: each record is read once, whoever needs it first.
    records: dict[str, dict[str, TaskRecord]] = {}
    for stage in job.stages:
        manifest = stage.dataset.manifest()
        if manifest is not None and not stage.dataset.holds(manifest.files):
            stage.dataset.withdraw()  # files were lost, cut or changed since: they are made again
            manifest = None
        if manifest is not None and manifest.bounds != job.bounds:
            # The recipe's bounds have changed since: the gate judges the same data again, or what
            # is left of it with the others.
            whole = stage.dataset.whole_records()
            if whole.keys() >= set(stage.tasks):
                judged_anew.append(stage)
                records[stage.name] = whole
        elif manifest is not None:
            stage.dataset.show(manifest)
            manifests[stage.name] = manifest
    manifests |= _finish(job, judged_anew, records)
    up_to_date = frozenset(manifests)
    unfinished = [stage for stage in job.stages if stage.name not in manifests]
    if not unfinished:
        job.cleanup()  # of a run that was killed before it could
        return JobResult(manifests, up_to_date)

    missing = {}
    for stage in unfinished:
        done = records[stage.name] = stage.dataset.whole_records(job.proofs)
        missing[stage.name] = [task for task in stage.tasks if task not in done]
    with watch(job, missing):
        if any(missing.values()):
            with _Watch(unfinished, records, observe):
                _work(job, unfinished, missing, options)
        manifests |= _finish(job, unfinished, records)
    job.cleanup()
    return JobResult(manifests, up_to_date)


def _work(
    job: Job,
    unfinished: Sequence[Stage],
    missing: Missing,
    options: PipelineOptions,
) -> None:
    folders = [*(stage.dataset.base for stage in unfinished), *job.scratch]

    def run(build: Callable[[beam.Pipeline], object]) -> None:
        run_pipeline(job.title, build, options, folders)

    try:
        job.before(run)
    except OSError as error:
        raise RunFailed(f"{job.title}: {error}") from error
    build = job.build
    if build is not None:
        run(lambda pipeline: build(pipeline, missing))


def _finish(
    job: Job, stages: Sequence[Stage], known: Mapping[str, Mapping[str, TaskRecord]]
) -> dict[str, Manifest]:
    """Judge stages by their gate and publish them, in order, up to the first that does not pass.
    `known`: records that were read before, by stage and task."""
    finished = [Finished(stage, _records_of(stage, known.get(stage.name, {}))) for stage in stages]
    if job.gate is None or not finished:
        return {stage.name: _publish(job, stage, records, {}) for stage, records in finished}
    manifests = {}
    for (stage, records), verdict in zip(finished, job.gate(finished), strict=True):
        report = stage.dataset.path("gate.json")
        if not verdict.ok:
            counts = sum_counts(record.counts for record in records)
            stage.dataset.withdraw()  # it may have passed on other bounds
            storage.write_json(report, {"gate": verdict.to_json(), "counts": counts})
            raise GateFailed(stage.name, verdict.failures(), report, counts)
        storage.delete([report])  # of a gate that failed before, on other bounds
        manifests[stage.name] = _publish(job, stage, records, verdict.to_json())
    return manifests


def _records_of(stage: Stage, known: Mapping[str, TaskRecord]) -> list[TaskRecord]:
    """The records of all tasks; those that are not known are read."""
    unread = set(stage.tasks) - known.keys()
    lacking = unread - stage.dataset.finished_tasks() if unread else ()
    if lacking:
        raise RunFailed(f"{stage.name}: the pipeline ended but {len(lacking)} tasks have no record")
    return [known.get(task) or stage.dataset.read_record(task) for task in stage.tasks]


def _publish(
    job: Job, stage: Stage, records: Sequence[TaskRecord], verdict: dict[str, Any]
) -> Manifest:
    told = [
        stage.dataset.write(path, content) for path, content in job.describe(stage, records).items()
    ]
    manifest = Manifest(
        stage=stage.name,
        fingerprint=stage.fingerprint,
        version=stage.version,
        parameters=stage.parameters,
        inputs=dict(stage.inputs),
        files=[*(file for record in records for file in record.files), *told],
        counts=sum_counts(record.counts for record in records),
        gate=verdict,
        bounds=dict(job.bounds),
        code=package_version("vineleaf"),
        details=job.details(stage, records),
    )
    stage.dataset.publish(manifest)
    storage.remove_asides(stage.dataset.base)
    return manifest


class _Watch:
    """Reads and reports records as they appear, in a thread of its own, until the block ends.

    `records`, by stage and task, holds those that were there before, and grows.
    """

    def __init__(
        self,
        stages: Iterable[Stage],
        records: Mapping[str, dict[str, TaskRecord]],
        observe: Callable[[Stage, TaskRecord], None],
    ) -> None:
        self._wanted = [(stage, set(stage.tasks), records[stage.name]) for stage in stages]
        self._observe = observe
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read_new(self) -> None:
        for stage, tasks, records in self._wanted:
            for task in sorted((stage.dataset.finished_tasks() & tasks) - records.keys()):
                records[task] = stage.dataset.read_record(task)
                self._observe(stage, records[task])

    def _look(self) -> None:
        last = False
        stored = any("://" in stage.folder for stage, _, _ in self._wanted)
        least = STORE_POLL_SECONDS if stored else POLL_SECONDS
        pause = least
        while not last:
            last = self._stop.wait(pause)
            began = time.monotonic()
            try:
                self._read_new()
            except Exception as error:  # a store that does not answer, say: the next look may tell
                _log.error("progress can not be told just now: %s", error, exc_info=error)
            pause = max(least, (time.monotonic() - began) / POLLS_SHARE)
