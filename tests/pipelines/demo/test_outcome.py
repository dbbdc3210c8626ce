"""pipelines/demo/outcome.py: what counts as found, and what is reported as missed."""

from typing import Any

import pytest

from pipelines.demo import outcome
from pipelines.demo.outcome import Finding, check_planted
from pipelines.workspace import Workspace

PLANTED: dict[str, list[dict[str, Any]]] = {
    "contaminated": [{"source": "web", "document": "a", "item": "HumanEval/1", "how": "exact"}],
    "duplicates": [
        {"source": "web", "original": "b", "copy_source": "docs", "copy": "c", "similarity": 0.95},
        {"source": "web", "original": "b", "copy_source": "web", "copy": "d", "similarity": 0.5},
    ],
    "rejected": [
        {"source": "pdf", "document": "cut.pdf", "what": "cut", "ends_in": "quarantine"},
        {"source": "pdf", "document": "e.png", "what": "binary", "ends_in": "passed over"},
        {"source": "web", "document": "f", "what": "vendored", "ends_in": "rules"},
    ],
}
GOOD: dict[tuple[str, str], dict[str, Any]] = {
    ("web", "a"): {"items": frozenset({"HumanEval/1"}), "reason": "contaminated", "address": 1},
    ("web", "b"): {"address": 2, "copies": 1},
    ("docs", "c"): {"address": 3, "duplicate_of": 2},
    ("web", "d"): {"address": 4, "copies": 1},
    ("web", "f"): {"address": 5, "reason": "code.vendored"},
}
REJECTS = [("cut.pdf", True), ("e.png", False)]


def _findings(
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[tuple[str, str], dict[str, Any]],
    rejects: list[tuple[str, bool]] = REJECTS,
) -> list[Finding]:
    blank = {"items": frozenset(), "reason": None, "duplicate_of": None, "copies": 0}
    pool = {
        key: outcome._Document(**{**blank, **fields, **changes.get(key, {})})
        for key, fields in GOOD.items()
    }
    monkeypatch.setattr(outcome, "_read_pool", lambda workspace, recipe: pool)
    monkeypatch.setattr(outcome, "_read_rejects", lambda workspace, source: iter(rejects))
    return check_planted(Workspace("unused"), PLANTED, "demo", 0.8)


def test_a_good_run_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = _findings(monkeypatch, {})
    assert [(finding.planted, finding.found) for finding in findings] == [
        (1, 1),
        (1, 1),
        (1, 1),
        (3, 3),
    ]


@pytest.mark.parametrize(
    ("key", "change", "kind", "missed"),
    [
        (("web", "a"), {"copies": 1}, 0, "HumanEval/1 in a"),  # contaminated, yet in the mix
        (("web", "a"), {"items": frozenset({"HumanEval/2"})}, 0, "HumanEval/1 in a"),  # misnamed
        (("docs", "c"), {"duplicate_of": None}, 1, "c of b"),  # both copies survive
        (("docs", "c"), {"duplicate_of": 4}, 1, "c of b"),  # joined to something else
        (("web", "d"), {"duplicate_of": 2}, 2, "d of b"),  # joined although only half alike
        (("web", "f"), {"reason": None}, 3, "f (vendored)"),
    ],
)
def test_each_fault_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch,
    key: tuple[str, str],
    change: dict[str, Any],
    kind: int,
    missed: str,
) -> None:
    findings = _findings(monkeypatch, {key: change})
    assert findings[kind].missed == [missed]


def test_copies_are_joined_through_a_chain_of_survivors(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = _findings(
        monkeypatch, {("docs", "c"): {"duplicate_of": 5}, ("web", "f"): {"duplicate_of": 2}}
    )
    assert findings[1].missed == []


def test_a_reject_of_the_wrong_kind_or_none_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = _findings(monkeypatch, {}, [("cut.pdf", False)])
    assert findings[3].missed == ["cut.pdf (cut)", "e.png (binary)"]
