"""docs/reasons.md has every reason that the pipeline can give, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.filter import CONTAMINATED
from transforms.mixing.cuts import NOTHING_LEFT
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.rules import rule
from transforms.quality.thresholds import THRESHOLDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reasons.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([\w ]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
# What makes a reason in transforms/ingest -> which of its arguments is the reason.
MAKERS = {"Rejected": 1, "BrokenStream": 0, "UnreadablePdf": 0, "_refused": 2}
WRAPPED = {"_broken": 1}  # parquet's; archive's has other arguments
RETURNING = {"decode_source", "_json_reason"}  # functions that return a reason
# Expressions that hand a reason on that one of the above made.
HANDED_ON = {"reason", "error.reason", "frame.reason", "decoded", "_json_reason(line)"}


def named(section: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)`", SECTIONS[section], re.MULTILINE)


def constants(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


def reasons_of(source: str, module: str) -> tuple[set[str], set[str]]:
    """Reasons that stand in a module, and expressions that this test does not know."""
    makers = {**MAKERS, **(WRAPPED if module == "parquet" else {})}
    found: set[str] = set()
    unknown: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        given: ast.AST | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = makers.get(node.func.id, len(node.args))
            given = node.args[place] if place < len(node.args) else None
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason":
            given = node.value
        elif isinstance(node, ast.FunctionDef) and node.name in RETURNING:
            for one in ast.walk(node):
                if isinstance(one, ast.Return) and one.value is not None:
                    found |= set(constants(one.value))
        if given is not None:
            its = set(constants(given))
            found |= its
            if not its and ast.unparse(given) not in HANDED_ON:
                unknown.add(ast.unparse(given))
    return found, unknown


def test_reasons_are_found_in_each_form_and_unknown_forms_are_told() -> None:
    source = (
        "def decode_source(x):\n    return 'binary' if x else None\n"
        "reason = 'encrypted' if x else 'unreadable PDF'\n"
        "Rejected(a, 'no text', '', False)\nRejected(a, frame.reason, '')\nRejected(a, why(), '')\n"
        "BrokenStream('cut', x)\n"
    )
    found, unknown = reasons_of(source, "x")
    assert found == {"binary", "encrypted", "unreadable PDF", "no text", "cut"}
    assert unknown == {"why()"}


def test_every_reason_of_ingest_is_in_the_table() -> None:
    found: set[str] = set()
    for path in sorted((ROOT / "transforms" / "ingest").glob("*.py")):
        its, unknown = reasons_of(path.read_text("utf-8"), path.stem)
        assert unknown == set(), f"{path.name}: teach this test where the reason comes from"
        found |= its
    assert sorted(named("ingest")) == sorted(found)


def test_every_reason_of_rules_is_in_the_table_in_the_order_asked() -> None:
    lists = {kind: ["x"] for kind in ("domains", "urls", "words", "soft_words", "subwords")}
    built = [rule(name) for name in (*THRESHOLDS, "language")] + [rule("url_lists", lists)]
    assert {one.name for one in built} == RULE_SCHEMAS.keys() - {"classifier"}
    reasons = [condition.reason for one in built for condition in one.conditions]
    assert named("filter") == [*reasons, CONTAMINATED]


@pytest.mark.parametrize("reason", [NOTHING_LEFT, "duplicate"])
def test_reasons_of_later_stages_are_in_the_table(reason: str) -> None:
    assert reason in named("Later stages")


def test_every_reason_of_select_is_in_the_table() -> None:
    counters = re.findall(r'"removed\.([^"]+)"', (ROOT / "pipelines/mixing/select.py").read_text())
    assert len(counters) == 5
    assert set(counters) <= set(named("Later stages"))
