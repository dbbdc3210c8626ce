"""fastText: the package fasttext, and fasttext-predict, which can only predict.

Line feeds and other white space become blanks, as fastText wants; each answer is {id: [label,
probability]}.
"""

from __future__ import annotations

from typing import Any

from benchmarks.inputs import read_documents
from benchmarks.work import Task, Work

__all__ = ["predict"]


def predict(task: Task) -> Work:
    """The most likely label of each document by the model at `options["model"]`."""
    import fasttext

    model = fasttext.load_model(task.options["model"]).f
    documents = read_documents(task.corpus, task.text_bytes)

    def run(chosen: list[dict[str, Any]]) -> list[Any]:
        # The C++ object: the wrapper of `fasttext` fails under numpy 2.
        return [
            model.predict(" ".join(one["text"].split()) + "\n", 1, 0.0, "strict") for one in chosen
        ]

    def answer(results: list[Any]) -> dict[str, list[object]]:
        found = {}
        for one, result in zip(documents, results, strict=True):
            probability, label = result[0] if result else (0.0, None)
            name = label.removeprefix("__label__") if label else None
            found[one["id"]] = [name, float(probability)]
        return found

    size = sum(len(one["text"].encode()) for one in documents)
    return Work(lambda: run(documents), size, lambda: run(documents[:3]), answer)
