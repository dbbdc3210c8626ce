"""dolma: its taggers on documents in memory."""

from __future__ import annotations

from typing import Any

from benchmarks.inputs import read_documents
from benchmarks.work import Task, Work

__all__ = ["c4", "gopher"]


def _tag(task: Task, tagger: Any, decide: Any) -> Work:
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
        return {"own words": dict(zip(ids, kept, strict=True))}

    size = sum(len(one["text"].encode()) for one in documents)
    return Work(lambda: run(documents), size, lambda: run(documents[:3]), answer)


def gopher(task: Task) -> Work:
    """Tagger gopher_v2 (quality and repetition); the answer is {id: kept} by Gopher's limits."""
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

    return _tag(task, GopherTaggerV2(), decide)


def c4(task: Task) -> Work:
    """Tagger c4_v2, which gives spans of lines and leaves verdicts to its user: no answer to
    compare but the lines without an end mark."""
    from dolma.taggers.c4 import FasterC4Tagger

    def decide(result: Any) -> bool:
        return not any(span.type in ("has_curly_brace", "has_lorem_ipsum") for span in result.spans)

    return _tag(task, FasterC4Tagger(), decide)
