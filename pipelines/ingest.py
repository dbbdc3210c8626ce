"""Ingest: the raw files of one source become document shards; what cannot be read goes to
quarantine.

After the shards are written they are read back and checked over all rows: valid UTF-8, text and ids
that are not empty, and (through an exchange of hashed ids) no id twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np

from expectations.gate import Verdict, run_gates
from expectations.metrics import Metrics, document_metrics
from pipelines.inputs import InputFile
from pipelines.recipes.pool_part import Source
from pipelines.stage_names import INGEST
from pipelines.stages import Finished, Job, ProcessTasks, Stage
from pipelines.workspace import Workspace
from transforms import storage
from transforms.checks.documents import (
    LARGEST_DUPLICATE,
    check_documents,
    count_duplicates,
    id_hashes,
)
from transforms.datasets import Dataset, TaskRecord, sum_counts
from transforms.documents import read_batches
from transforms.environment import environment
from transforms.exchange import Exchange, Partition, count_buckets, remove_runs
from transforms.ingest.code import CodeReader
from transforms.ingest.dolma import DolmaReader
from transforms.ingest.html import HtmlReader
from transforms.ingest.ocr import Ocr
from transforms.ingest.origins import origin_of
from transforms.ingest.parquet import ParquetReader
from transforms.ingest.pdf import PdfReader
from transforms.ingest.reader import Reader
from transforms.ingest.warc import WarcReader
from transforms.ingest.writer import WRITER_VERSION, write_documents
from transforms.rows import Rows
from transforms.storage import FileInfo
from transforms.stored_lists import Listed

__all__ = ["ingest_job", "ingest_task", "make_reader"]

CHECKS = "checks"  # task that reads everything back
ID_ROW = np.dtype([("key", "<u8"), ("payload", "<u8")])
BYTES_PER_DOCUMENT = 64  # of input, at least, for planning the exchange of ids
ID_REMEDY = "give each record an id of its own, or leave 'id' out and one is made of its content"
MOST_PLACES = 3  # of a repeated id that are told
_NOTHING_CHECKED = {
    f"checked.{name}": 0
    for name in ("rows", "duplicate_ids", "empty_ids", "invalid_utf8", "empty_text")
}


@dataclass(frozen=True)
class IngestTask:
    """Some input files that one worker turns into shards."""

    name: str
    source: str
    files: tuple[FileInfo, ...]
    reader: Reader
    dataset: Dataset
    quarantine: Dataset


def ingest_task(task: IngestTask) -> IngestTask:
    """Write the shards, the quarantine table and the record of a task, unless they exist; its
    name.
    """
    if not storage.exists(task.dataset.record_path(task.name)):
        record = write_documents(
            task.dataset,
            task.quarantine,
            task.name,
            task.source,
            task.reader.read(list(task.files)),
        )
        task.dataset.write_record(record)
    return task


def _check_task(task: IngestTask) -> dict[str, int]:
    record = task.dataset.read_record(task.name)
    return sum_counts(
        check_documents(batch)
        for file in record.files
        for batch in read_batches(task.dataset.path(file.path))
    )


def _id_rows(task: IngestTask) -> Iterator[Rows]:
    record = task.dataset.read_record(task.name)
    for file in record.files:
        for batch in read_batches(task.dataset.path(file.path), ["id"]):
            rows = np.empty(batch.num_rows, ID_ROW)
            rows["key"], rows["payload"] = id_hashes(batch.column("id"))
            yield rows


def _named(task: IngestTask) -> tuple[str, IngestTask]:
    return task.name, task


def _count_partition(partition: Partition) -> dict[str, int]:
    return count_duplicates(partition.read())


def _find_duplicate(
    dataset: Dataset,
    records: Sequence[TaskRecord],
    counts: Mapping[str, int],
    origins: Mapping[str, Sequence[str]],
) -> str:
    """An id that stands twice, where, and what to do; "" when there is none. Reads ids shard by
    shard. `origins`: the input files of each task."""
    if LARGEST_DUPLICATE not in counts:
        return ""
    wanted = np.uint64(counts[LARGEST_DUPLICATE])
    places: list[str] = []
    found: str | None = None
    for task, file in ((record.task, file) for record in records for file in record.files):
        first = 1
        its = origins.get(task, ())
        inputs = " or ".join([*its[:MOST_PLACES], *(["others"] if its[MOST_PLACES:] else [])])
        for batch in read_batches(dataset.path(file.path), ["id"]):
            for row in np.flatnonzero(id_hashes(batch.column("id"))[0] == wanted).tolist():
                found = batch.column("id")[row].as_py()
                places.append(f"{inputs} ({file.path} row {first + row})")
            first += batch.num_rows
    shown = ", ".join(places[:MOST_PLACES]) + (", ..." if len(places) > MOST_PLACES else "")
    return f"{found!r}, for one, stands in {shown}; {ID_REMEDY}"


def _write_checks(counts: Mapping[str, int], dataset: Dataset) -> None:
    nothing_read = {"records": 0, "documents": 0, "text_bytes": 0}  # where there is no input at all
    dataset.write_record(TaskRecord(CHECKS, [], {**nothing_read, **counts}))


class _SumCounts(beam.CombineFn):  # type: ignore[misc]
    def create_accumulator(self) -> dict[str, int]:
        return dict(_NOTHING_CHECKED)

    def add_input(self, total: dict[str, int], counts: dict[str, int]) -> dict[str, int]:
        return sum_counts([total, counts])

    def merge_accumulators(self, totals: Any) -> dict[str, int]:
        return sum_counts(totals)

    def extract_output(self, total: dict[str, int]) -> dict[str, int]:
        return total


def make_reader(source: Source) -> Reader:
    """The reader of a source's kind of input. ValueError, in one sentence, when a part is
    missing.
    """
    match source.ingest:
        case "warc":
            return WarcReader()
        case "html":
            return HtmlReader()
        case "code":
            return CodeReader()
        case "dolma":
            return DolmaReader()
        case "parquet":
            return ParquetReader()
        case "pdf":
            reader = PdfReader(ocr=Ocr(**source.ocr), **source.pdf)
            reader.check()
            return reader
    raise ValueError(f"no reader for ingest: {source.ingest}")


def ingest_job(
    workspace: Workspace,
    source: Source,
    reader: Reader,
    inputs: Sequence[InputFile],
    recipe: Mapping[str, Any],
) -> Job:
    """The job that turns the input files of a source into its documents dataset."""
    groups = reader.group([one.file for one in inputs])
    names = [f"{index:05d}" for index in range(len(groups))]
    stage = Stage(
        name=f"documents {source.name}",
        folder=workspace.documents(source.name),
        version=reader.version,
        parameters={
            "ingest": source.ingest,
            "writer": WRITER_VERSION,
            "source": source.name,
            **reader.parameters(),
            "environment": environment(reader.packages),
            "files": [[one.file.name, one.file.size_bytes, one.digest] for one in inputs],
        },
        inputs={},
        tasks=[*names, CHECKS],
    )
    quarantine = Dataset(workspace.quarantine(source.name), stage.fingerprint)
    tasks = [
        IngestTask(name, source.name, tuple(group), reader, stage.dataset, quarantine)
        for name, group in zip(names, groups, strict=True)
    ]
    origins = {task.name: [origin_of(file) for file in task.files] for task in tasks}
    work = workspace.work(f"documents-{source.name}", stage.fingerprint)
    input_bytes = sum(one.file.size_bytes for one in inputs)
    title = f"{INGEST} {source.name}"
    buckets = count_buckets(input_bytes // BYTES_PER_DOCUMENT, ID_ROW.itemsize)

    def build(pipeline: beam.Pipeline, missing: Mapping[str, Sequence[str]]) -> None:
        written = (
            pipeline
            | "Input files" >> Listed(tasks, storage.join(work, "tasks"))
            | "Ingest" >> ProcessTasks(ingest_task, title)
        )
        checked = written | "Check rows" >> ProcessTasks(_check_task, f"{title}, checking rows")
        duplicates = (
            written
            | "Name writer" >> beam.Map(_named)
            | "Exchange ids" >> Exchange(work, ID_ROW, _id_rows, buckets)
            | "Count duplicate ids" >> beam.Map(_count_partition)
        )
        (
            (checked, duplicates)
            | "All counts" >> beam.Flatten()
            | "Sum" >> beam.CombineGlobally(_SumCounts())
            | "Write checks" >> beam.Map(partial(_write_checks, dataset=stage.dataset))
        )

    def gate(finished: Sequence[Finished]) -> list[Verdict]:
        return run_gates("documents", [[metrics(one.records)] for one in finished], recipe)

    def metrics(records: Sequence[TaskRecord]) -> Metrics:
        counts = sum_counts(record.counts for record in records)
        return document_metrics(
            source.name,
            counts,
            allow_empty=source.allow_empty,
            repeated_id=_find_duplicate(stage.dataset, records, counts, origins),
        )

    return Job(
        title, [stage], build, gate, cleanup=partial(_clear, work, quarantine.base), scratch=[work]
    )


def _clear(work: str, quarantine: str) -> None:
    remove_runs(work)
    storage.remove_asides(quarantine)
