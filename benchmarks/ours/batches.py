"""Documents of the corpus as batches, as a stage reads them from a shard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from benchmarks.inputs import read_documents
from benchmarks.work import Task, Work
from transforms.annotators import Annotator
from transforms.documents import ROW_GROUP_TEXT_BYTES, SCHEMA, DocumentBatch

__all__ = ["annotate_all", "batch", "read_record_batches", "text_bytes"]

Tables = list[dict[str, pa.RecordBatch]]  # per batch: annotator's name -> its table


def batch(documents: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Documents as one record batch."""
    rows = [
        {
            "id": document["id"],
            "text": document["text"],
            "source": document["source"],
            "added": None,
            "created": None,
            "metadata": "{}",
        }
        for document in documents
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def text_bytes(batches: Sequence[pa.RecordBatch]) -> int:
    """Bytes of text in all batches."""
    return sum(int(DocumentBatch(one).text[1][-1]) for one in batches)


def read_record_batches(task: Task) -> list[pa.RecordBatch]:
    """The task's documents in batches of a row group's size."""
    groups: list[list[dict[str, Any]]] = [[]]
    held = 0
    for document in read_documents(task.corpus, task.text_bytes):
        if held >= ROW_GROUP_TEXT_BYTES:
            groups.append([])
            held = 0
        groups[-1].append(document)
        held += len(document["text"].encode())
    return [batch(group) for group in groups]


def annotate_all(
    task: Task, annotators: Sequence[Annotator], answer: Callable[[Any, pa.Array], Any]
) -> Work:
    """The work of running annotators over all batches, which share what is found once. `answer`
    gets what `run` gave, the tables, and all ids."""
    batches = read_record_batches(task)

    def run(chosen: Sequence[pa.RecordBatch]) -> Tables:
        tables = []
        for one in chosen:
            documents = DocumentBatch(one)  # anew: words found before must not be at hand
            tables.append({each.name: each.annotate(documents) for each in annotators})
        return tables

    ids = pa.chunked_array([one.column("id") for one in batches]).combine_chunks()
    return Work(
        run=lambda: run(batches),
        run_bytes=text_bytes(batches),
        warm=lambda: run([batches[0].slice(0, 50)]),
        answer=lambda tables: answer(tables, ids),
    )
