"""Estimates of work: what a run would compute anew, and about how many core-hours that takes.

In: the stages that are to do and the bytes of text that they read, as far as these are known. Out:
per stage its bytes and core-seconds. Rates are those that benchmarks/ measures on one core
(RESULTS.md, MB of text per CPU second); those that it does not measure alone are marked. Expect a
factor of two: texts and machines differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.stage_names import (
    ANNOTATE,
    BENCHMARKS,
    EXACT_DEDUP,
    FILTER,
    FUZZY_DEDUP,
    INGEST,
    KEYS,
    LINE_DEDUP,
    MIX,
    PARAGRAPH_DEDUP,
    SELECT,
    SUBSTRING_DEDUP,
    TOKENIZE,
    URL_DEDUP,
)

__all__ = ["ANNOTATORS", "MEASURED", "STAGES", "StageWork", "ToDo", "estimate_work"]

MB = 1e6
START_SECONDS = 1.0  # of building and starting a stage's pipelines
# Stage of benchmarks/ -> MB of text per CPU second in benchmarks/results.json.
MEASURED = {
    "html": 29.8,
    "gopher": 79.3,
    "c4": 408.0,
    "fineweb": 250.0,
    "madlad": 183.0,
    "dolma3_lines": 199.0,
    "language": 80.8,
    "quality": 65.9,
    "minhash": 239.0,
    "exact": 860.0,
    "decontaminate": 230.0,
    "bpe": 113.0,
    "substring": 25.1,
}
OTHER_ANNOTATOR = 100.0  # of code, pii, pdf_quality, url_lists: not measured alone
# Annotator -> rate; any other name is a classifier's.
ANNOTATORS = {
    **{name: MEASURED[name] for name in ("gopher", "c4", "fineweb", "madlad", "dolma3_lines")},
    "language": MEASURED["language"],
    "minhash": MEASURED["minhash"],
    "exact": MEASURED["exact"],
    "contamination": MEASURED["decontaminate"],
    "size": 1000.0,
    "url": 1000.0,
    **dict.fromkeys(("code", "pii", "pdf_quality", "url_lists"), OTHER_ANNOTATOR),
}
# Stage -> rate. Of those that are not in benchmarks/ alone, what the whole road takes beside them.
STAGES = {
    INGEST: 60.0,
    BENCHMARKS: 10.0,
    FILTER: 400.0,
    URL_DEDUP: 400.0,
    EXACT_DEDUP: 400.0,
    FUZZY_DEDUP: 100.0,
    SUBSTRING_DEDUP: MEASURED["substring"],
    LINE_DEDUP: MEASURED["substring"],
    PARAGRAPH_DEDUP: MEASURED["substring"],
    KEYS: 30.0,
    TOKENIZE: MEASURED["bpe"],
    SELECT: 400.0,
    MIX: 40.0,
}
PAGES = ("html", "warc")  # kinds of input whose ingest extracts main text


@dataclass(frozen=True)
class ToDo:
    """A table that is to be made: its stage, its name and source, the bytes that are read (None:
    not known), and the kind of input, of ingest."""

    stage: str
    table: str
    source: str
    text_bytes: int | None
    kind: str = ""


@dataclass(frozen=True)
class StageWork:
    """What a stage would do: bytes of text that it reads (None: not known) and core-seconds."""

    stage: str
    text_bytes: int | None
    core_seconds: float | None


def estimate_work(todo: Iterable[ToDo]) -> list[StageWork]:
    """One entry for each stage that has something to do, in the order given."""
    by_stage: dict[str, list[ToDo]] = {}
    for one in todo:
        by_stage.setdefault(one.stage, []).append(one)
    return [_stage_work(stage, its) for stage, its in by_stage.items()]


def _stage_work(stage: str, its: list[ToDo]) -> StageWork:
    if any(one.text_bytes is None for one in its):
        return StageWork(stage, None, None)
    seconds = START_SECONDS
    for one in its:
        assert one.text_bytes is not None
        seconds += one.text_bytes / MB / _rate_of(one)
    read = {one.source: one.text_bytes or 0 for one in its}  # annotators share one read
    return StageWork(stage, sum(read.values()), round(seconds, 3))


def _rate_of(one: ToDo) -> float:
    if one.stage == ANNOTATE:
        return ANNOTATORS.get(one.table, MEASURED["quality"])
    if one.stage == INGEST and one.kind in PAGES:
        return MEASURED["html"]
    return STAGES[one.stage]
