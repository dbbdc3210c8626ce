"""Our side of a stage does its work on a little text and answers what the stage's check reads."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.child import measure
from benchmarks.stages import STAGES
from benchmarks.work import Task

for package in ("gramps", "spacy", "trafilatura"):
    pytest.importorskip(package, reason=f"could not import {package}, part of the benchmarks")

TEXT_BYTES = 400_000


@dataclass(frozen=True)
class Small:
    folder: Path
    text_bytes: int


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    from benchmarks.corpus import build_corpus  # of texts in packages that may be missing

    folder = tmp_path_factory.mktemp("corpus")
    return Small(folder, build_corpus(str(folder), TEXT_BYTES).text_bytes)


@pytest.mark.parametrize(
    "name", ["rules", "minhash", "exact", "substring", "decontaminate", "language"]
)
def test_a_stage_is_measured_on_its_own(name: str, small: Small, tmp_path: Path) -> None:
    side = STAGES[name].ours
    task = Task(str(small.folder), small.text_bytes, str(tmp_path), dict(side.options))
    measured = measure(side.function, task)
    assert 0 < measured["run_bytes"] <= small.text_bytes
    assert measured["cpu_seconds"] > 0
    assert measured["answer"]
