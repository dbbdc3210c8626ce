"""The stages of a run and what they are called: one name each, on every screen.

Progress, plan, funnel, `why`, errors and `--json` take the names from here; docs/stages.md explains
them. A stage makes tables (datasets), one per source: `annotate` one for each annotator, every
other stage the one that `TABLES` names.
"""

from __future__ import annotations

__all__ = [
    "ANNOTATE",
    "BENCHMARKS",
    "EXACT_DEDUP",
    "FILTER",
    "FUZZY_DEDUP",
    "INGEST",
    "KEYS",
    "LINE_DEDUP",
    "MIX",
    "PARAGRAPH_DEDUP",
    "SELECT",
    "STAGES",
    "SUBSTRING_DEDUP",
    "TABLES",
    "TOKENIZE",
    "URL_DEDUP",
    "split_name",
    "stage_of",
]

INGEST = "ingest"
BENCHMARKS = "benchmarks"
ANNOTATE = "annotate"
FILTER = "filter"
URL_DEDUP = "url-dedup"
EXACT_DEDUP = "exact-dedup"
FUZZY_DEDUP = "fuzzy-dedup"
SUBSTRING_DEDUP = "substring-dedup"
LINE_DEDUP = "line-dedup"
PARAGRAPH_DEDUP = "paragraph-dedup"
KEYS = "keys"
TOKENIZE = "tokenize"
SELECT = "select"
MIX = "mix"

# In the order in which they run.
STAGES = (
    INGEST,
    BENCHMARKS,
    ANNOTATE,
    FILTER,
    URL_DEDUP,
    EXACT_DEDUP,
    FUZZY_DEDUP,
    SUBSTRING_DEDUP,
    LINE_DEDUP,
    PARAGRAPH_DEDUP,
    KEYS,
    TOKENIZE,
    SELECT,
    MIX,
)
TABLES = {
    INGEST: "documents",
    BENCHMARKS: "benchmarks",
    FILTER: "candidates",
    URL_DEDUP: "url_duplicates",
    EXACT_DEDUP: "exact_duplicates",
    FUZZY_DEDUP: "fuzzy_duplicates",
    SUBSTRING_DEDUP: "repeated_passages",
    LINE_DEDUP: "repeated_lines",
    PARAGRAPH_DEDUP: "repeated_paragraphs",
    KEYS: "keys",
    TOKENIZE: "tokens",
    SELECT: "selection",
    MIX: "mix",
}
_STAGES_OF_TABLES = {table: stage for stage, table in TABLES.items()}


def stage_of(table: str) -> str:
    """The stage that makes a table. What no other stage makes is an annotator's."""
    return _STAGES_OF_TABLES.get(table, ANNOTATE)


def split_name(dataset: str) -> tuple[str, str]:
    """A dataset's table and source, as `gopher web` has them; the source is "" where the dataset is
    of all sources."""
    table, _, source = dataset.partition(" ")
    return table, source
