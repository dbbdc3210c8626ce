"""dolma: its taggers on documents in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.inputs import read_documents
from benchmarks.plain_c4 import DOLMA, c4_marks
from benchmarks.plain_gopher import repeats_little
from benchmarks.work import Task, Work

__all__ = ["c4", "gopher"]


def _tag(
    task: Task,
    tagger: Any,
    decide: Callable[[Any], Any],
    readings: Mapping[str, Callable[[str], Any]],
) -> Work:
    """The work of a tagger; the answer is {id: what `decide` makes of its result}, and beside it
    what each reading makes of the texts."""
    from dolma.core.data_types import Document

    documents = read_documents(task.corpus, task.text_bytes)

    def run(chosen: list[dict[str, Any]]) -> list[Any]:
        return [
            tagger.predict(
                Document(source=one["source"], version=None, id=one["id"], text=one["text"])
            )
            for one in chosen
        ]

    def answer(results: list[Any]) -> dict[str, dict[str, Any]]:
        ids = [one["id"] for one in documents]
        found = {"own words": dict(zip(ids, map(decide, results), strict=True))}
        for name, read in readings.items():
            found[name] = {one["id"]: read(one["text"]) for one in documents}
        return found

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

    return _tag(task, GopherTaggerV2(), decide, {"plain reading": repeats_little})


def c4(task: Task) -> Work:
    """Tagger c4_v2; the answer is {id: marks of `benchmarks.plain_c4`}, with a plain reading of
    docs/rules.md beside it, and the same with Dolma's definitions."""
    from dolma.taggers.c4 import MIN_WORDS_PER_LINE, FasterC4Tagger

    def decide(result: Any) -> dict[str, int]:
        spans: dict[str, list[Any]] = {}
        for span in result.spans:
            spans.setdefault(span.type, []).append(span)
        unended = spans.get("lines_with_no_ending_punctuation", [])
        short = spans.get("lines_with_too_few_words", [])
        (lines,) = (int(span.score) for span in spans["line_count"])
        return {
            "lines": lines,
            "kept_lines": lines - len({(span.start, span.end) for span in (*unended, *short)}),
            "no_end_mark_lines": len(unended),
            "few_words_lines": len(short),
            "javascript": int("has_javascript" in spans),
            "lorem_ipsum": int("has_lorem_ipsum" in spans),
            "curly_bracket": int("has_curly_brace" in spans),
        }

    readings = {
        "plain reading": lambda text: c4_marks(text, MIN_WORDS_PER_LINE),
        "their definitions": lambda text: c4_marks(text, MIN_WORDS_PER_LINE, DOLMA),
    }
    return _tag(task, FasterC4Tagger(), decide, readings)
