import json
from dataclasses import replace

import pytest

from benchmarks.checks import same_tokens
from benchmarks.measure import Measurement
from benchmarks.report import Results, StageResult, compare, render_markdown, to_json
from benchmarks.stages import STAGES

CORPUS = {
    "digest": "abc123",
    "text_bytes": 2_000_000,
    "html_bytes": 500_000,
    "documents": {"prose": 3, "code": 1},
    "kind_bytes": {"prose": 1_500_000, "code": 500_000},
    "copies": 1,
    "contaminated": 2,
    "items": 7,
    "looked_for": {"planted": 7, "humaneval": 1640},
    "versions": {"numpy": "2.4"},
}
OURS = Measurement("vineleaf", "", 0.1, 0.2, 1.5, 2_000_000, 90_000_000, 80_000_000, ["a", "b"])
THEIRS = Measurement("tiktoken", "", 1.0, 1.0, 0.0, 1_000_000, 50_000_000, 50_000_000, ["a"])
MISSING = Measurement("dolma", problem="does not install here: no wheel")
PEER = STAGES["bpe"].peers[0]


def results(*peers, ours=OURS):
    compared = tuple(compare(ours, theirs, PEER, same_tokens) for theirs in peers)
    return Results(CORPUS, {"cores": "2"}, {"numba": "0.68"}, [StageResult("bpe", ours, compared)])


def rows(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_a_ratio_is_of_rates_per_cpu_second():
    found = compare(OURS, THEIRS, PEER, same_tokens)
    assert found.check.ok
    assert found.ratio == pytest.approx(20.0 / 1.0)


def test_throughputs_are_compared_by_wall_where_cores_are():
    found = compare(OURS, THEIRS, replace(PEER, by_wall=True), same_tokens)
    assert found.ratio == pytest.approx(10.0)


def test_rate_and_ratio_stand_in_the_tables():
    text = render_markdown(results(THEIRS))
    (own, beside) = rows(text, f"| {STAGES['bpe'].title} |")
    assert "| 20 | 60, missed |" in own
    assert "| tiktoken | 1 | 20 times | 6, reached | tokens of 1 of 1 documents equal |" in beside


def test_a_failed_check_stands_in_place_of_the_ratio():
    text = render_markdown(results(replace(THEIRS, answer=["other"])))
    assert "not the same work" in text
    assert "tokens of 0 of 1 documents equal" in text
    assert "20 times" not in text
    assert "6, not known" in text


def test_an_answer_that_cannot_be_compared_is_a_failed_check():
    found = compare(OURS, replace(THEIRS, answer=None), PEER, same_tokens)
    assert found.ratio is None
    assert "cannot be compared" in found.check.sentence


@pytest.mark.parametrize("peers", [(), (MISSING,), (THEIRS, MISSING)])
def test_a_missing_peer_is_told_with_its_reason(peers):
    text = render_markdown(results(*peers))
    assert ("does not install here: no wheel" in text) == (MISSING in peers)
    assert "abc123" in text


def test_a_missing_side_of_ours_is_told_and_nothing_is_compared():
    text = render_markdown(results(THEIRS, ours=replace(OURS, problem="failed: no model")))
    assert "failed: no model" in text
    assert "20 times" not in text


def test_all_tables_have_as_many_cells_as_columns():
    text = render_markdown(results(THEIRS, MISSING, replace(THEIRS, answer=["other"])))
    tables = [table.splitlines() for table in text.split("\n\n") if table.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table}) == 1


def test_the_same_results_give_the_same_text_and_a_date_only_when_given():
    one = results(THEIRS)
    assert render_markdown(one) == render_markdown(one)
    assert "Date:" not in render_markdown(one)
    assert "Date: 2026-01-02" in render_markdown(replace(one, date="2026-01-02"))


def test_json_holds_all_figures_and_no_answer():
    value = json.loads(json.dumps(to_json(results(THEIRS, MISSING))))
    (stage,) = value["stages"]
    assert "answer" not in stage["ours"]
    assert stage["peers"][0]["ratio"] == pytest.approx(20.0)
    assert stage["peers"][1]["check"] == {"ok": False, "sentence": MISSING.problem}


def test_the_chart_is_drawn_with_peers_missing_and_is_the_same_twice(tmp_path):
    pytest.importorskip("matplotlib", reason="could not import matplotlib")
    from benchmarks.chart import draw_chart

    paths = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in paths:
        draw_chart(results(THEIRS, MISSING), str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert "tiktoken" in paths[0].read_text(encoding="utf-8")
    assert "dolma" not in paths[0].read_text(encoding="utf-8")


def test_what_a_run_costs_at_least_is_told_apart_from_what_text_costs():
    start = replace(OURS, cpu_seconds=4.0, run_bytes=1_000_000)
    road = replace(OURS, cpu_seconds=10.0, run_bytes=61_000_000)
    stages = [StageResult("road", road, ()), StageResult("road-start", start, ())]
    both = render_markdown(Results(CORPUS, {"cores": "2"}, {"numba": "0.68"}, stages))
    assert "takes 4 CPU s for 1.0 MB" in both
    assert "0.100 for each further MB: 10 MB per CPU s" in both
    alone = render_markdown(Results(CORPUS, {"cores": "2"}, {"numba": "0.68"}, stages[:1]))
    assert "further MB" not in alone
