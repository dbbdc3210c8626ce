"""Metric tables: what a gate judges, one row per subject, made from counters over all rows.

In: the additive counters of a stage (`transforms.datasets.TaskRecord.counts`, summed) and the
recipe's numbers. Out: rows (column -> number or string) of the three tables in `TABLES`. A counter
that is missing gives None, which no expectation passes; nothing here invents a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transforms.datasets import OutputFile

__all__ = [
    "TABLES",
    "UNBOUNDED",
    "Metrics",
    "MetricTable",
    "attribute_metrics",
    "count_misaligned",
    "document_metrics",
    "mix_metrics",
]

UNBOUNDED = 1 << 53  # documents: what no cluster has
Metrics = dict[str, object]
Counts = Mapping[str, int]


@dataclass(frozen=True)
class MetricTable:
    """Columns of one kind of metric table; each but the subject's with what it says.

    `subject`: columns that name the row. `measured`: numbers that were counted. `allowed`: numbers
    that the measured ones are held against. `notes`: words that a failure shows beside its number.
    """

    subject: tuple[str, ...]
    measured: Mapping[str, str]
    allowed: Mapping[str, str]
    notes: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.subject, *self.measured, *self.allowed, *self.notes)


TABLES: Mapping[str, MetricTable] = {
    "documents": MetricTable(
        subject=("source",),
        measured={
            "records": "records that the reader saw",
            "documents": "documents that were written",
            "accounted_records": "documents + removed + quarantined",
            "checked_rows": "rows that were read back and checked",
            "duplicate_ids": "rows minus distinct ids",
            "empty_ids": "ids that are null or empty",
            "invalid_utf8": "values of string columns that are no valid UTF-8",
            "empty_text": "texts that are null or hold only white space",
            "quarantined_fraction": "quarantined / records, 0..1",
        },
        allowed={"fewest_documents": "1, or 0 where the source may be empty"},
        notes={
            "quarantined_by_reason": "quarantined records per reason",
            "repeated_id": "an id that stands more than once, and where",
        },
    ),
    "attributes": MetricTable(
        subject=("source", "table"),
        measured={
            "rows": "rows of the table",
            "misaligned_files": "files that do not speak of the documents' rows",
            "nan_fraction": "NaN and infinities / rows, the worst column, 0..1",
            "null_fraction": "nulls where the schema promises values / rows, the worst column",
            "removed_fraction": "removed / candidates, 0..1; 0 for a table that only scores",
            "largest_cluster": "candidates in the largest cluster of duplicates; 0 without any",
        },
        allowed={
            "documents": "rows of the documents",
            "removed_at_least": "least removed fraction, by the recipe, inclusive",
            "removed_at_most": "largest removed fraction, by the recipe, inclusive",
            "cluster_at_most": "candidates in a cluster, by the recipe, inclusive",
        },
        notes={
            "nan_column": "column with most NaN and infinities",
            "null_column": "column with most nulls",
            "largest_clusters": "the largest clusters: size, survivor, how it begins",
        },
    ),
    "mixes": MetricTable(
        subject=("source",),
        measured={
            "unknown": "1 when the recipe gives the source no share, else 0",
            "tokens": "tokens in the token files",
            "documents": "documents in the token files",
            "files": "token files found",
            "tokens_short": "wanted tokens less tokens",
            "share_off": "distance of the share of all tokens from the recipe's, 0..1",
            "tokens_out_of_range": "tokens that are not in the vocabulary",
            "missing_eos": "documents that do not close with EOS",
            "inner_eos": "EOS inside documents",
            "empty_documents": "documents without a token beside EOS",
            "misplaced_documents": "documents that leave their file or overlap",
            "stray_tokens": "tokens in no document",
            "unlike_parts": "parts of other formats that differ from their token file",
            "benchmark_hits": "benchmark n-grams found in the final tokens",
        },
        allowed={
            "document_tokens": "sum of the tokens of its documents, EOS included",
            "listed_documents": "documents that the mix lists",
            "listed_files": "token files that the mix lists",
            "most_tokens_short": "less than its next document, which is not in the mix, has tokens",
            "share_tolerance": "share that one document of each source can make, 0..1",
        },
        notes={"shares": "share seen and share of the recipe"},
    ),
}


def document_metrics(
    source: str, counts: Counts, *, allow_empty: bool = False, repeated_id: str = ""
) -> Metrics:
    """The documents row of a source.

    Counters: `records`, `documents`, `removed.<reason>`, `quarantined.<reason>` (absent reasons
    are 0) from ingest, and `checked.*` from `transforms.checks.documents`. A source that may be
    empty and had no task at all has no counters; it counts as 0 everywhere.
    """
    if allow_empty and not counts:
        counts = dict.fromkeys(_DOCUMENT_COUNTERS, 0)
    quarantined = _by_reason(counts, "quarantined.")
    removed = sum(_by_reason(counts, "removed.").values())
    documents = counts.get("documents")
    rejects = removed + sum(quarantined.values())
    return {
        "source": source,
        "records": counts.get("records"),
        "documents": documents,
        "accounted_records": None if documents is None else documents + rejects,
        "checked_rows": counts.get("checked.rows"),
        "duplicate_ids": counts.get("checked.duplicate_ids"),
        "empty_ids": counts.get("checked.empty_ids"),
        "invalid_utf8": counts.get("checked.invalid_utf8"),
        "empty_text": counts.get("checked.empty_text"),
        "quarantined_fraction": _fraction(sum(quarantined.values()), counts.get("records")),
        "fewest_documents": 0 if allow_empty else 1,
        "quarantined_by_reason": _listing(quarantined),
        "repeated_id": repeated_id,
    }


_DOCUMENT_COUNTERS = (
    "records",
    "documents",
    "checked.rows",
    "checked.duplicate_ids",
    "checked.empty_ids",
    "checked.invalid_utf8",
    "checked.empty_text",
)


def attribute_metrics(
    source: str,
    table: str,
    counts: Counts,
    *,
    documents: int,
    misaligned_files: int,
    removes: Mapping[str, float] | None = None,
) -> Metrics:
    """The attributes row of one table of a source.

    Counters: `rows`, `checked.values`, `nan.<column>`, `null.<column>` from
    `transforms.checks.attributes`; for a table that removes documents also `candidates` and
    `removed`. `documents`: rows of the source's documents. `misaligned_files`: see
    `count_misaligned`. `removes`: the recipe's bounds `{"at_least": 0..1, "at_most": 0..1}`,
    inclusive, each optional; None for a table that only scores. The largest cluster is bounded by
    whoever knows its bound. A source without documents has no
    counters; it counts as 0 rows.
    """
    if documents == 0 and not counts:
        counts = {"rows": 0, "checked.values": 0, "candidates": 0, "removed": 0}
    rows = counts.get("rows")
    checked = rows if "checked.values" in counts else None
    nan_column, nan_most = _largest(counts, "nan.")
    null_column, null_most = _largest(counts, "null.")
    bounds = removes or {}
    removed_fraction: float | None = 0.0
    if removes is not None:
        removed_fraction = _fraction(counts.get("removed"), counts.get("candidates"))
    return {
        "source": source,
        "table": table,
        "rows": rows,
        "misaligned_files": misaligned_files,
        "nan_fraction": _fraction(nan_most, checked),
        "null_fraction": _fraction(null_most, checked),
        "removed_fraction": removed_fraction,
        "documents": documents,
        "removed_at_least": bounds.get("at_least", 0.0),
        "removed_at_most": bounds.get("at_most", 1.0),
        "largest_cluster": counts.get("largest_cluster", 0),
        "cluster_at_most": UNBOUNDED,
        "nan_column": nan_column,
        "null_column": null_column,
        "largest_clusters": "",
    }


def count_misaligned(documents: Sequence[OutputFile], tables: Sequence[OutputFile]) -> int:
    """Files of an attribute table that do not align with their shard of documents.

    A file aligns when both have the same path, number of rows and digest of ids. A shard without a
    table and a table without a shard count as well.
    """
    shards = {file.path: (file.rows, file.rows_digest) for file in documents}
    aligned = {file.path: (file.rows, file.rows_digest) for file in tables}
    return sum(shards.get(path) != aligned.get(path) for path in {*shards, *aligned})


def mix_metrics(counts: Mapping[str, Counts], wanted_shares: Mapping[str, float]) -> list[Metrics]:
    """The mixes rows: one per source that the recipe or the mix names, in order of their names.

    `counts`, per source: `wanted_tokens`, and of what the mix lists `documents`, `tokens` (EOS
    included), `files`, `next_document_tokens` (of the next document, which is not in the mix);
    of what a rescan of the files finds `rescan.*` (`transforms.checks.tokens`) and `rescan.hits`
    (benchmark n-grams). `wanted_shares`: the recipe's shares after exclusions, in 0..1.

    `share_tolerance` is how far a share can be off when each source is within its next
    document (and a token of rounding) of its wanted tokens: (own + share * sum of all) / all
    wanted tokens.
    """
    total = sum(one.get("rescan.tokens", 0) for one in counts.values())
    all_wanted = sum(one.get("wanted_tokens", 0) for one in counts.values())
    all_steps = sum(one.get("next_document_tokens", 0) + 1 for one in counts.values())
    rows = []
    for source in sorted({*counts, *wanted_shares}):
        one = counts.get(source, {})
        tokens = one.get("rescan.tokens")
        wanted = one.get("wanted_tokens")
        following = one.get("next_document_tokens")
        share = _fraction(tokens, total)
        wanted_share = wanted_shares.get(source, 0.0)
        tolerance = None
        if share is not None and following is not None:
            tolerance = _fraction(following + 1 + share * all_steps, all_wanted)
        row: Metrics = {
            "source": source,
            "unknown": 0 if source in wanted_shares else 1,
            "tokens": tokens,
            "documents": one.get("rescan.documents"),
            "files": one.get("rescan.files"),
            "tokens_short": None if tokens is None or wanted is None else wanted - tokens,
            "share_off": None if share is None else abs(share - wanted_share),
            "document_tokens": one.get("tokens"),
            "listed_documents": one.get("documents"),
            "listed_files": one.get("files"),
            "most_tokens_short": None if following is None else max(following - 1, 0),
            "share_tolerance": tolerance,
            "benchmark_hits": one.get("rescan.hits"),
            "shares": "" if share is None else f"share {share:.4f}, recipe {wanted_share:.4f}",
        }
        for name in _RESCANNED:
            row[name] = one.get(f"rescan.{name}")
        rows.append(row)
    return rows


_RESCANNED = (
    "tokens_out_of_range",
    "missing_eos",
    "inner_eos",
    "empty_documents",
    "misplaced_documents",
    "stray_tokens",
    "unlike_parts",
)


def _by_reason(counts: Counts, prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): counts[name]
        for name in sorted(counts)
        if name.startswith(prefix)
    }


def _listing(by_reason: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in by_reason.items() if count)


def _largest(counts: Counts, prefix: str) -> tuple[str, int]:
    """(column, count) of the column with the largest count, the first by name; ("", 0) for none."""
    by_column = _by_reason(counts, prefix)
    if not any(by_column.values()):
        return "", 0
    column = max(by_column, key=lambda name: by_column[name])
    return column, by_column[column]


def _fraction(part: float | None, whole: float | None) -> float | None:
    """part / whole; 0 of nothing is 0.0, something of nothing or an unknown number is None."""
    if part is None or whole is None:
        return None
    if whole == 0:
        return 0.0 if part == 0 else None
    return part / whole
