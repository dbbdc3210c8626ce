"""dolma: its taggers on documents in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.inputs import read_documents
from benchmarks.plain_gopher import repeats_little
from benchmarks.work import Task, Work

__all__ = ["gopher"]


def _tag(
    task: Task,
    tagger: Any,
    decide: Callable[[Any], bool],
    plain: Callable[[str], bool] | None = None,
) -> Work:
    from dolma.core.data_types import Document

    documents = read_documents(task.corpus, task.text_bytes)

    def run(chosen: list[dict[str, Any]]) -> list[Any]:
        return [
            tagger.predict(
                Document(source=one["source"], version=None, id=one["id"], text=one["text"])
            )
            for one in chosen
        ]

    def answer(results: list[Any]) -> dict[str, dict[str, bool]]:
        kept = [decide(result) for result in results]
        ids = [one["id"] for one in documents]
        verdicts = {"own words": dict(zip(ids, kept, strict=True))}
        if plain is not None:
            verdicts["plain reading"] = {one["id"]: plain(one["text"]) for one in documents}
        return verdicts

    size = sum(len(one["text"].encode()) for one in documents)
    return Work(lambda: run(documents), size, lambda: run(documents[:3]), answer)


def gopher(task: Task) -> Work:
    """Tagger gopher_v2 (quality and repetition); the answer is {id: kept} by Gopher's limits
    on repetition, with a plain reading of docs/rules.md beside it."""
    from dolma.taggers.gopher import GopherTaggerV2

    tops = {2: 0.20, 3: 0.18, 4: 0.16}
    duplicates = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}

    def decide(result: Any) -> bool:
        score = {span.type: span.score for span in result.spans}
        return (
            score["fraction_of_duplicate_lines"] <= 0.30
            and score["fraction_of_characters_in_duplicate_lines"] <= 0.20
            and all(
                score.get(f"fraction_of_characters_in_most_common_{n}grams", 0) <= limit
                for n, limit in tops.items()
            )
            and all(
                score.get(f"fraction_of_characters_in_duplicate_{n}grams", 0) <= limit
                for n, limit in duplicates.items()
            )
        )

    return _tag(task, GopherTaggerV2(), decide, repeats_little)
