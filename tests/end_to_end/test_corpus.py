"""A corpus with planted contamination and measured pairs: what share of each is found.

The corpus and the benchmark sets lie beside the project and are no part of it.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_pool import ROOT, Outcome, Pool, published, run, vineleaf_here

CORPUS = ROOT.parent / "shared/corpus"
BENCHMARKS = ROOT.parent / "shared/benchmark_sets"
NAMES = ("gsm8k", "mmlu", "humaneval", "bbh", "agieval")
SIMILARITY = 0.8  # Jaccard, from which a pair counts
LEAST_PAIR_RECALL, LEAST_PRECISION = 0.995, 0.97

pytestmark = pytest.mark.skipif(
    not (CORPUS / "truth.json.gz").exists() or not (BENCHMARKS / "mmlu.jsonl.gz").exists(),
    reason="corpus: the planted corpus and its benchmark sets do not lie beside the project",
)


class Run:
    """A finished run over the corpus: by id, what became of each document."""

    def __init__(self, workspace: Path, outcome: Outcome) -> None:
        self.workspace, self.outcome = workspace, outcome
        ids = list(self._rows(workspace / "documents/all", ["id"]))
        names = {(shard, row): its["id"] for shard, row, its in ids}
        self.stories: dict[str, dict[str, Any]] = {name: {} for name in names.values()}
        tables = ("candidates", "exact_duplicates", "fuzzy_duplicates", "contamination")
        for table in tables:
            for shard, row, its in self._rows(workspace / "attributes" / table / "all"):
                if its.get("duplicate_of") is not None:
                    address = its["duplicate_of"]
                    survivor = names[address >> 32, address & 0xFFFFFFFF]
                    self.stories[names[shard, row]]["survivor"] = survivor
                self.stories[names[shard, row]][table] = its

    @staticmethod
    def _rows(
        folder: Path, columns: list[str] | None = None
    ) -> Iterator[tuple[int, int, dict[str, Any]]]:
        base, manifest = published(folder)
        for shard, file in enumerate(manifest["files"]):
            rows = pq.read_table(base / file["path"], columns=columns).to_pylist()
            for row, its in enumerate(rows):
                yield shard, row, its

    def removed_as_duplicate(self, identifier: str) -> bool:
        return "survivor" in self.stories[identifier]

    def candidate(self, identifier: str) -> bool:
        return bool(self.stories[identifier]["candidates"]["candidate"])


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return dict(json.loads(gzip.decompress((CORPUS / "truth.json.gz").read_bytes())))


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    lines = gzip.decompress((CORPUS / "pairs.tsv.gz").read_bytes()).decode().splitlines()
    rows = [line.split("\t") for line in lines]
    return [(first, second) for first, second, score in rows if float(score) >= SIMILARITY]


@pytest.fixture(scope="module")
def corpus_run(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Run:
    workspace = tmp_path_factory.mktemp("corpus") / "workspace"
    recipe: dict[str, Any] = {
        "name": "corpus",
        "pool": {
            "sources": {"all": {"ingest": "dolma", "paths": [f"{CORPUS}/part-*.jsonl.zst"]}},
            "dedup": {"exact": True, "fuzzy": {"similarity": SIMILARITY}},
            "decontaminate": {
                "benchmarks": [
                    {"name": name, "layout": "decon", "paths": [f"{BENCHMARKS}/{name}.jsonl.gz"]}
                    for name in NAMES
                ]
            },
        },
        "mix": {
            "tokens": "1M",
            "tokenizer": f"{pool.folder}/tokenizer.json",
            "shares": {"all": 1},
        },
    }
    return Run(workspace, run(recipe, workspace, small=False).good())


def test_every_planted_contamination_is_removed_and_named(
    corpus_run: Run, truth: dict[str, Any]
) -> None:
    assert truth["contaminated"]
    missed = []
    for identifier, benchmark, *_ in truth["contaminated"]:
        story = corpus_run.stories[identifier]
        named = {match["benchmark"] for match in story["contamination"]["matches"] or []}
        if corpus_run.candidate(identifier) or benchmark not in named:
            missed.append(identifier)
    assert missed == []


def test_recall_of_pairs(corpus_run: Run, pairs: list[tuple[str, str]]) -> None:
    sought = [(a, b) for a, b in pairs if corpus_run.candidate(a) and corpus_run.candidate(b)]
    assert len(sought) > 1000
    gone = sum(
        corpus_run.removed_as_duplicate(a) or corpus_run.removed_as_duplicate(b) for a, b in sought
    )
    assert gone / len(sought) >= LEAST_PAIR_RECALL


def test_precision_of_removals(
    corpus_run: Run, pairs: list[tuple[str, str]], truth: dict[str, Any]
) -> None:
    known = {one for pair in pairs for one in pair}
    known |= {one for group in truth["exact"] for one in group}
    removed = [one for one in corpus_run.stories if corpus_run.removed_as_duplicate(one)]
    assert len(removed) > 500
    assert sum(one in known for one in removed) / len(removed) >= LEAST_PRECISION


def test_why_explains_a_planted_item(corpus_run: Run, truth: dict[str, Any]) -> None:
    identifier, benchmark, *_ = truth["contaminated"][0]
    outcome = vineleaf_here("why", identifier, "-w", str(corpus_run.workspace), "--json").good()
    assert outcome.answer["kept"] is False
    assert benchmark in {match["benchmark"] for match in outcome.answer["contamination"]}
    assert "contaminated" in str(outcome.answer["reasons"])


def test_why_explains_a_planted_pair(corpus_run: Run, pairs: list[tuple[str, str]]) -> None:
    identifier = next(
        a
        for a, _ in pairs
        if corpus_run.candidate(a)
        and corpus_run.stories[a]["fuzzy_duplicates"]["duplicate_of"] is not None
    )
    outcome = vineleaf_here("why", identifier, "-w", str(corpus_run.workspace), "--json").good()
    assert outcome.answer["kept"] is False
    assert outcome.answer["duplicate_of"] == corpus_run.stories[identifier]["survivor"]
    assert SIMILARITY <= outcome.answer["similarity"] <= 1.0
    assert outcome.answer["cluster_size"] >= 2


def test_ledger_and_mix_of_the_corpus(corpus_run: Run) -> None:
    entry = corpus_run.outcome.answer["ledger"]["all"]
    gone = sum(entry["removed"].values()) + sum(entry["quarantined"].values())
    assert entry["in"] == entry["kept"] + gone == len(corpus_run.stories)
    assert vineleaf_here("verify", corpus_run.outcome.answer["mix"], "--json").code == 0
