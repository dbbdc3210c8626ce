import pytest

from expectations.metrics import (
    TABLES,
    UNBOUNDED,
    attribute_metrics,
    count_misaligned,
    document_metrics,
    mix_metrics,
)
from transforms.datasets import OutputFile

INGEST = {
    "records": 10,
    "documents": 6,
    "text_bytes": 600,
    "removed.not html": 1,
    "quarantined.cut": 2,
    "quarantined.encrypted": 1,
    "quarantined.too large": 0,
    "checked.rows": 6,
    "checked.duplicate_ids": 0,
    "checked.empty_ids": 0,
    "checked.invalid_utf8": 0,
    "checked.empty_text": 0,
}
MIX = {
    "documents": 4,
    "tokens": 60,
    "wanted_tokens": 62,
    "next_document_tokens": 20,
    "files": 1,
    "rescan.files": 1,
    "rescan.tokens": 60,
    "rescan.documents": 4,
    "rescan.tokens_out_of_range": 0,
    "rescan.inner_eos": 0,
    "rescan.missing_eos": 0,
    "rescan.empty_documents": 0,
    "rescan.misplaced_documents": 0,
    "rescan.stray_tokens": 0,
    "rescan.unlike_parts": 0,
    "rescan.hits": 0,
}


def test_documents_row() -> None:
    assert document_metrics("web", INGEST) == {
        "source": "web",
        "records": 10,
        "documents": 6,
        "accounted_records": 10,
        "checked_rows": 6,
        "duplicate_ids": 0,
        "empty_ids": 0,
        "invalid_utf8": 0,
        "empty_text": 0,
        "quarantined_fraction": 0.3,
        "fewest_documents": 1,
        "quarantined_by_reason": "cut 2, encrypted 1",
        "repeated_id": "",
    }


def test_attributes_row() -> None:
    counts = {
        "rows": 8,
        "checked.values": 24,
        "nan.a": 1,
        "nan.b": 2,
        "null.a": 4,
        "null.c": 4,
        "candidates": 5,
        "largest_cluster": 3,
        "removed": 1,
    }
    row = attribute_metrics(
        "web", "exact", counts, documents=8, misaligned_files=0, removes={"at_most": 0.5}
    )
    assert row == {
        "source": "web",
        "table": "exact",
        "rows": 8,
        "misaligned_files": 0,
        "nan_fraction": 0.25,
        "null_fraction": 0.5,
        "removed_fraction": 0.2,
        "documents": 8,
        "removed_at_least": 0.0,
        "removed_at_most": 0.5,
        "largest_cluster": 3,
        "cluster_at_most": UNBOUNDED,
        "largest_clusters": "",
        "nan_column": "b",
        "null_column": "a",
    }


def test_mixes_row() -> None:
    (row,) = mix_metrics({"web": MIX}, {"web": 1.0})
    assert row == {
        "source": "web",
        "unknown": 0,
        "tokens": 60,
        "documents": 4,
        "files": 1,
        "tokens_short": 2,
        "share_off": 0.0,
        "tokens_out_of_range": 0,
        "missing_eos": 0,
        "inner_eos": 0,
        "empty_documents": 0,
        "misplaced_documents": 0,
        "stray_tokens": 0,
        "unlike_parts": 0,
        "benchmark_hits": 0,
        "document_tokens": 60,
        "listed_documents": 4,
        "listed_files": 1,
        "most_tokens_short": 19,
        "share_tolerance": (20 + 1 + 1.0 * 21) / 62,
        "shares": "share 1.0000, recipe 1.0000",
    }


def test_share_tolerance_admits_sources_that_are_one_document_off_and_no_more() -> None:
    def row(tokens: int) -> dict[str, object]:
        web = MIX | {"rescan.tokens": tokens, "wanted_tokens": 500, "next_document_tokens": 10}
        code = MIX | {"rescan.tokens": 500, "wanted_tokens": 500, "next_document_tokens": 10}
        return mix_metrics({"web": web, "code": code}, {"web": 0.5, "code": 0.5})[1]

    for tokens, within in [(490, True), (510, True), (540, True), (560, False), (440, False)]:
        seen = row(tokens)
        assert (seen["share_off"] <= seen["share_tolerance"]) is within, tokens


def test_rows_of_a_mix_name_sources_that_only_the_recipe_or_only_the_mix_has() -> None:
    rows = mix_metrics({"web": MIX, "stray": MIX}, {"web": 0.6, "lost": 0.4})
    assert [(row["source"], row["unknown"], row["tokens"]) for row in rows] == [
        ("lost", 0, None),
        ("stray", 1, 60),
        ("web", 0, 60),
    ]


@pytest.mark.parametrize(
    "counter", ["records", "documents", *(name for name in INGEST if "checked." in name)]
)
def test_a_lost_counter_of_documents_gives_no_number(counter: str) -> None:
    counts = {name: count for name, count in INGEST.items() if name != counter}
    assert None in document_metrics("web", counts, allow_empty=True).values()


@pytest.mark.parametrize("counter", ["rows", "checked.values", "candidates", "removed"])
def test_a_lost_counter_of_attributes_gives_no_number(counter: str) -> None:
    counts = {"rows": 8, "checked.values": 8, "candidates": 5, "removed": 1}
    del counts[counter]
    row = attribute_metrics("web", "exact", counts, documents=8, misaligned_files=0, removes={})
    assert None in row.values()


@pytest.mark.parametrize("counter", MIX)
def test_a_lost_counter_of_a_mix_gives_no_number(counter: str) -> None:
    counts = {name: count for name, count in MIX.items() if name != counter}
    assert None in mix_metrics({"web": counts}, {"web": 1.0})[0].values()


def test_no_counters_at_all_are_zeros_only_where_nothing_was_to_count() -> None:
    assert document_metrics("web", {}, allow_empty=True)["documents"] == 0
    assert document_metrics("web", {})["documents"] is None
    empty = attribute_metrics("web", "x", {}, documents=0, misaligned_files=0, removes={})
    assert (empty["rows"], empty["removed_fraction"]) == (0, 0.0)
    lost = attribute_metrics("web", "x", {}, documents=3, misaligned_files=0, removes={})
    assert (lost["rows"], lost["removed_fraction"]) == (None, None)


def test_something_removed_of_no_candidates_is_no_fraction() -> None:
    counts = {"rows": 1, "checked.values": 1, "candidates": 0, "removed": 1}
    row = attribute_metrics("web", "x", counts, documents=1, misaligned_files=0, removes={})
    assert row["removed_fraction"] is None


def test_rows_have_exactly_the_columns_of_their_table() -> None:
    rows = {
        "documents": document_metrics("web", INGEST),
        "attributes": attribute_metrics("web", "x", {}, documents=0, misaligned_files=0),
        "mixes": mix_metrics({"web": MIX}, {"web": 1.0})[0],
    }
    assert {kind: set(row) for kind, row in rows.items()} == {
        kind: set(table.columns) for kind, table in TABLES.items()
    }


def file(path: str, rows: int, digest: str) -> OutputFile:
    return OutputFile(path, 1, "sha", rows, digest)


@pytest.mark.parametrize(
    ("tables", "misaligned"),
    [
        ([("0", 5, "x"), ("1", 6, "y")], 0),
        ([("1", 6, "y"), ("0", 5, "x")], 0),
        ([("0", 5, "x"), ("1", 6, "z")], 1),
        ([("0", 4, "x"), ("1", 6, "y")], 1),
        ([("0", 5, "x")], 1),
        ([("0", 5, "x"), ("1", 6, "y"), ("2", 0, "")], 1),
        ([("0", 6, "y"), ("1", 5, "x")], 2),
        ([], 2),
    ],
)
def test_misaligned_files(tables: list[tuple[str, int, str]], misaligned: int) -> None:
    documents = [file("0", 5, "x"), file("1", 6, "y")]
    assert count_misaligned(documents, [file(*table) for table in tables]) == misaligned
