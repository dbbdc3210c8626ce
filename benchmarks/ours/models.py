"""fastText models: the language of whole documents, and a quality model of 100 dimensions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from benchmarks.ours.batches import Tables, annotate_all
from benchmarks.work import Task, Work
from transforms.annotators import RuleFile
from transforms.quality.classifier import Classifier
from transforms.quality.language import Language

__all__ = ["language", "quality"]

WHOLE = 1 << 30  # bytes of each text that are read: all


def language(task: Task) -> Work:
    """The most likely language; the answer is {id: [label, probability]}."""
    return annotate_all(task, [Language(max_text_bytes=WHOLE)], _scored("language"))


def quality(task: Task) -> Work:
    """The quality model at `options["model"]`; the answer is {id: [label, probability]}."""
    path = task.options["model"]
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    model = RuleFile(path, "quality.bin", digest)
    return annotate_all(
        task, [Classifier("quality_model", model, ("hq",))], _scored("quality_model")
    )


def _scored(name: str) -> Callable[[Tables, pa.Array], dict[str, list[object]]]:
    def answer(tables: Tables, ids: pa.Array) -> dict[str, list[object]]:
        labels = [one for t in tables for one in t[name].column("label").to_pylist()]
        scores = [one for t in tables for one in t[name].column("score").to_pylist()]
        return {i: [a, b] for i, a, b in zip(ids.to_pylist(), labels, scores, strict=True)}

    return answer
