"""Estimates of work: by measured rates, which are those that benchmarks/ has written down."""

import json
from pathlib import Path

import pytest

from pipelines.planning.work_estimates import (
    ANNOTATORS,
    MEASURED,
    START_SECONDS,
    ToDo,
    estimate_work,
)
from pipelines.planning.work_estimates import STAGES as RATES
from pipelines.stage_names import ANNOTATE, INGEST, MIX, STAGES, TOKENIZE

ROOT = Path(__file__).parents[3]
# Names of MEASURED that stand otherwise in results.json.
NAMES = {name: f"rule-{name}" for name in ("gopher", "c4", "fineweb", "madlad", "dolma3_lines")}


def test_rates_are_those_of_the_benchmarks_to_within_a_factor_of_two():
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    rates = {
        one["name"].replace(" ", "-"): one["ours"]["run_bytes"] / one["ours"]["cpu_seconds"] / 1e6
        for one in results["stages"]
        if one["ours"]["cpu_seconds"]
    }
    for name, rate in MEASURED.items():
        (found,) = [one for one in (NAMES.get(name, name), name) if one in rates][:1]
        assert 0.5 < rate / rates[found] < 2, name


def test_every_stage_but_annotate_has_a_rate():
    assert set(RATES) == set(STAGES) - {ANNOTATE}


def test_annotators_share_a_read_and_add_their_seconds():
    todo = [
        ToDo(ANNOTATE, "gopher", "web", 10**9),
        ToDo(ANNOTATE, "minhash", "web", 10**9),
        ToDo(ANNOTATE, "gopher", "code", 10**8),
    ]
    (work,) = estimate_work(todo)
    assert work.text_bytes == 11 * 10**8
    seconds = START_SECONDS + 1100 / ANNOTATORS["gopher"] + 1000 / ANNOTATORS["minhash"]
    assert work.core_seconds == pytest.approx(seconds, abs=0.001)


def test_a_classifier_has_the_rate_of_the_one_that_was_measured():
    (work,) = estimate_work([ToDo(ANNOTATE, "my_quality", "web", 10**6)])
    assert work.core_seconds == pytest.approx(START_SECONDS + 1 / MEASURED["quality"], abs=0.001)


def test_pages_take_longer_to_read_than_lines():
    pages, lines = (
        estimate_work([ToDo(INGEST, "documents", "web", 10**9, kind)])[0].core_seconds
        for kind in ("warc", "dolma")
    )
    assert pages > lines


def test_what_is_not_known_is_not_guessed():
    work = estimate_work([ToDo(TOKENIZE, "tokens", "a", 5), ToDo(MIX, "mix", "a", None)])
    assert [one.stage for one in work] == [TOKENIZE, MIX]
    assert work[1].core_seconds is None
