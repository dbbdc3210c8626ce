import json
import math
import os
import subprocess
import sys

import pytest

from expectations.gate import Verdict, run_gates
from expectations.metrics import TABLES, Metrics
from expectations.suites import load_suite

GOOD: dict[str, Metrics] = {
    "documents": {
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
        "quarantined_by_reason": "cut 3",
    },
    "attributes": {
        "source": "web",
        "table": "exact",
        "rows": 6,
        "misaligned_files": 0,
        "nan_fraction": 0.0,
        "null_fraction": 0.0,
        "removed_fraction": 0.25,
        "documents": 6,
        "removed_at_least": 0.1,
        "removed_at_most": 0.5,
        "largest_cluster": 7,
        "cluster_at_most": 7,
        "largest_clusters": "7 like 'a', which begins 'x'",
        "nan_column": "",
        "null_column": "",
    },
    "mixes": {
        "source": "web",
        "unknown": 0,
        "tokens": 60,
        "documents": 4,
        "files": 1,
        "tokens_short": 2,
        "share_off": 0.01,
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
        "share_tolerance": 0.03,
        "shares": "share 0.5100, recipe 0.5000",
    },
}
KINDS = list(TABLES)
# Each breaks one expectation: (kind, column, value, sentence).
BROKEN = [
    ("documents", "fewest_documents", 7, "documents of S is 6, wanted at least 7, its fewest_doc"),
    ("documents", "accounted_records", 9, "records of S is 10, wanted 9, its accounted_records ("),
    ("documents", "accounted_records", 11, "records of S is 10, wanted 11, its accounted_records"),
    (
        "documents",
        "quarantined_fraction",
        0.51,
        "quarantined_fraction of S is 0.51, wanted 0 to 0.5",
    ),
    ("documents", "quarantined_fraction", -0.1, "quarantined_fraction of S is -0.1, wanted 0 to"),
    ("documents", "checked_rows", 5, "checked_rows of S is 5, wanted 6, its documents (all doc"),
    ("documents", "duplicate_ids", 3, "duplicate_ids of S is 3, wanted 0 (ids are unique in"),
    ("documents", "empty_ids", 1, "empty_ids of S is 1, wanted 0 ("),
    ("documents", "invalid_utf8", 1, "invalid_utf8 of S is 1, wanted 0 ("),
    ("documents", "empty_text", 1, "empty_text of S is 1, wanted 0 ("),
    ("attributes", "rows", 5, "rows of S/exact is 5, wanted 6, its documents ("),
    ("attributes", "misaligned_files", 1, "misaligned_files of S/exact is 1, wanted 0 ("),
    ("attributes", "nan_fraction", 0.001, "nan_fraction of S/exact is 0.001, wanted 0 ("),
    ("attributes", "null_fraction", 0.001, "null_fraction of S/exact is 0.001, wanted 0 ("),
    (
        "attributes",
        "removed_fraction",
        0.09,
        "removed_fraction of S/exact is 0.09, wanted at least",
    ),
    (
        "attributes",
        "largest_cluster",
        8,
        "largest_cluster of S/exact is 8, wanted at most 7, its cluster_at_most (no document stands"
        " for more near duplicates than the recipe's gates say: 7 like 'a', which begins 'x')",
    ),
    ("attributes", "removed_fraction", 0.51, "removed_fraction of S/exact is 0.51, wanted at most"),
    ("mixes", "unknown", 1, "unknown of S is 1, wanted 0 ("),
    ("mixes", "tokens", 61, "tokens of S is 61, wanted 60, its document_tokens ("),
    ("mixes", "documents", 3, "documents of S is 3, wanted 4, its listed_documents ("),
    ("mixes", "files", 0, "files of S is 0, wanted 1, its listed_files ("),
    ("mixes", "tokens_short", -1, "tokens_short of S is -1, wanted at least 0 ("),
    ("mixes", "tokens_short", 20, "tokens_short of S is 20, wanted at most 19, its most_tokens_sh"),
    ("mixes", "share_off", 0.031, "share_off of S is 0.031, wanted at most 0.03, its share_tol"),
    ("mixes", "tokens_out_of_range", 1, "tokens_out_of_range of S is 1, wanted 0 ("),
    ("mixes", "missing_eos", 1, "missing_eos of S is 1, wanted 0 ("),
    ("mixes", "inner_eos", 1, "inner_eos of S is 1, wanted 0 ("),
    ("mixes", "empty_documents", 1, "empty_documents of S is 1, wanted 0 ("),
    ("mixes", "misplaced_documents", 1, "misplaced_documents of S is 1, wanted 0 ("),
    ("mixes", "stray_tokens", 1, "stray_tokens of S is 1, wanted 0 ("),
    ("mixes", "unlike_parts", 1, "unlike_parts of S is 1, wanted 0 ("),
    ("mixes", "benchmark_hits", 1, "benchmark_hits of S is 1, wanted 0 ("),
]
# Each is at a bound, which is inside: (kind, column, value).
BOUNDS = [
    ("documents", "fewest_documents", 6),
    ("documents", "quarantined_fraction", 0.5),
    ("documents", "quarantined_fraction", 0),
    ("attributes", "removed_fraction", 0.1),
    ("attributes", "removed_fraction", 0.5),
    ("mixes", "tokens_short", 19),
    ("mixes", "tokens_short", 0),
    ("mixes", "share_off", 0.03),
]


def run_gate(kind: str, rows: list[Metrics], recipe: dict[str, object]) -> Verdict:
    (verdict,) = run_gates(kind, [rows], recipe)
    return verdict


def broken_alone() -> set[tuple[str, int]]:
    """(kind, number of an expectation) of those that a row of BROKEN breaks, and it alone."""
    alone = set()
    for kind in KINDS:
        cases = [case for case in BROKEN if case[0] == kind]
        rows = [
            GOOD[kind] | {"source": f"s{n}", column: value}
            for n, (_, column, value, _) in enumerate(cases)
        ]
        results = run_gate(kind, rows, {}).results
        for n in range(len(rows)):
            failed = [i for i, result in enumerate(results[n :: len(rows)]) if not result.ok]
            assert len(failed) == 1, (cases[n], failed)
            alone.add((kind, failed[0]))
    return alone


def test_each_expectation_of_each_suite_can_fail_alone() -> None:
    assert broken_alone() == {
        (kind, number) for kind in KINDS for number in range(len(load_suite(kind).expectations))
    }


@pytest.mark.parametrize("kind", KINDS)
def test_good_metrics_pass(kind: str) -> None:
    verdict = run_gate(kind, [GOOD[kind], GOOD[kind] | {"source": "code"}], {})
    assert verdict.ok
    assert verdict.failures() == []
    assert len(verdict.results) == 2 * len(load_suite(kind).expectations)


@pytest.mark.parametrize(("kind", "column", "value", "sentence"), BROKEN)
def test_a_failure_tells_what_was_seen_of_whom_and_what_was_wanted(
    kind: str, column: str, value: float, sentence: str
) -> None:
    verdict = run_gate(kind, [GOOD[kind], GOOD[kind] | {"source": "S", column: value}], {})
    assert not verdict.ok
    (failure,) = verdict.failures()
    assert failure.startswith(f"gate {kind}: {sentence}")


@pytest.mark.parametrize(("kind", "column", "value"), BOUNDS)
def test_bounds_are_inclusive(kind: str, column: str, value: float) -> None:
    assert run_gate(kind, [GOOD[kind] | {column: value}], {}).ok


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lacking", [None, math.nan, math.inf, -math.inf, "absent"])
def test_a_number_that_is_missing_or_not_finite_fails_all_that_is_said_of_it(
    kind: str, lacking: object
) -> None:
    suite = load_suite(kind)
    columns = [*TABLES[kind].measured, *TABLES[kind].allowed]
    rows = [GOOD[kind] | {"source": "good"}]
    for column in columns:
        row = GOOD[kind] | {"source": column, column: lacking}
        if lacking == "absent":
            del row[column]
        rows.append(row)
    results = run_gate(kind, rows, {}).results
    for n, row in enumerate(rows):
        failed = {i for i, result in enumerate(results[n :: len(rows)]) if not result.ok}
        about = {i for i, one in enumerate(suite.expectations) if row["source"] in one.columns}
        assert failed == about, row["source"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_subject_without_any_number_fails_everything(kind: str) -> None:
    row = {name: GOOD[kind][name] for name in TABLES[kind].subject}
    verdict = run_gate(kind, [row], {})
    assert verdict.results
    assert not any(result.ok for result in verdict.results)


@pytest.mark.parametrize("value", ["0", [0]])
def test_what_cannot_be_compared_fails(value: object) -> None:
    verdict = run_gate("documents", [GOOD["documents"] | {"duplicate_ids": value}], {})
    assert [result.column for result in verdict.results if not result.ok] == ["duplicate_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_tables_judged_together_have_the_verdicts_that_each_has_alone(kind: str) -> None:
    broken = [
        GOOD[kind] | {"source": f"s{n}", column: value}
        for n, (of, column, value, _) in enumerate(BROKEN)
        if of == kind
    ]
    tables = [[GOOD[kind]], broken, [], [GOOD[kind] | {"source": "code"}, broken[0]]]
    assert run_gates(kind, tables, {}) == [run_gate(kind, table, {}) for table in tables]
    assert run_gates(kind, [], {}) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_without_rows_fails(kind: str) -> None:
    verdict = run_gate(kind, [], {})
    assert not verdict.ok
    assert verdict.failures() == [
        f"gate {kind}: rows of the metric table is 0, wanted at least 1 "
        "(a gate has something to judge)"
    ]


def test_the_recipe_sets_the_bound_of_quarantine() -> None:
    row = GOOD["documents"] | {"quarantined_fraction": 0.02}
    assert run_gate("documents", [row], {"gates": {"quarantined": {"at_most": 0.02}}}).ok
    verdict = run_gate("documents", [row], {"gates": {"quarantined": {"at_most": 0.01}}})
    assert verdict.failures() == [
        "gate documents: quarantined_fraction of web is 0.02, wanted 0 to 0.01 (most records could "
        "be read; gates.quarantined in the recipe sets the bound: cut 3)"
    ]


def test_numbers_beyond_64_bits_and_beyond_doubles_are_compared_exactly() -> None:
    for tokens in (2**53 + 1, 2**70):
        row = GOOD["mixes"] | {"tokens": tokens, "document_tokens": tokens}
        assert run_gate("mixes", [row], {}).ok
        row["document_tokens"] = tokens - 1
        assert [one.split()[2] for one in run_gate("mixes", [row], {}).failures()] == ["tokens"]


def test_two_rows_of_one_subject_and_unknown_columns_are_refused() -> None:
    good = GOOD["documents"]
    with pytest.raises(ValueError, match="two rows of 'web'"):
        run_gate("documents", [good, good], {})
    with pytest.raises(ValueError, match="no column 'duplicates'"):
        run_gate("documents", [good | {"duplicates": 1}], {})


PROGRAM = """
import json, sys
from expectations.gate import run_gates
from expectations.suites import check_suites
check_suites({})
assert "great_expectations" not in sys.modules, "imported before a gate runs"
print("imported", file=sys.stderr)
print(json.dumps(run_gates("documents", [json.loads(sys.argv[1])], {})[0].to_json()))
"""


def test_a_verdict_is_the_same_in_every_process_and_great_expectations_stays_silent() -> None:
    rows = [GOOD["documents"], GOOD["documents"] | {"source": "code", "empty_ids": 1}]
    here = [run_gate("documents", rows, {}).to_json() for _ in range(2)]
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(rows)],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    # What Beam says of missing extras when it is imported is not the gate's.
    assert there.stderr.partition("imported\n")[2] == ""
    assert [json.loads(there.stdout)] * 2 == here
    assert json.loads(json.dumps(here[0], allow_nan=False)) == here[0]
