"""The demo from end to end, as a newcomer runs it."""

from pathlib import Path

import pytest
from small_pool import ROOT, Outcome, vineleaf, vineleaf_here


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    workspace = tmp_path_factory.mktemp("demo") / "workspace"
    return workspace, vineleaf("demo", "--workspace", str(workspace), "--json")


def test_demo_finds_all_that_it_planted(demo: tuple[Path, Outcome]) -> None:
    planted = demo[1].good().answer["planted"]
    assert len(planted) >= 3
    for finding in planted:
        assert finding["planted"] > 0
        assert (finding["found"], finding["missed"]) == (finding["planted"], []), finding


def test_ledger_of_the_demo_balances(demo: tuple[Path, Outcome]) -> None:
    ledger = demo[1].good().answer["ledger"]
    assert ledger.keys() == {"web", "crawl", "code", "pdf", "docs"}
    for entry in ledger.values():
        gone = sum(entry["removed"].values()) + sum(entry["quarantined"].values())
        assert entry["in"] == entry["kept"] + gone
        assert entry["kept"] > 0


def test_mix_of_the_demo_verifies(demo: tuple[Path, Outcome]) -> None:
    outcome = vineleaf_here("verify", demo[1].good().answer["mix"], "--json")
    assert [check["name"] for check in outcome.answer["checks"] if not check["ok"]] == []
    assert outcome.code == 0


def test_mix_of_the_demo_verifies_with_benchmarks_read_anew(demo: tuple[Path, Outcome]) -> None:
    outcome = vineleaf_here(
        "verify", demo[1].good().answer["mix"], "--recipe", str(ROOT / "mixes/demo.yaml"),
        "--workspace", str(demo[0]), "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.answer


def test_second_demo_run_is_up_to_date(demo: tuple[Path, Outcome]) -> None:
    recipe = str(ROOT / "mixes/demo.yaml")
    outcome = vineleaf_here("run", recipe, "-w", str(demo[0]), "--json").good()
    assert set(outcome.states.values()) == {"up to date"}


def test_changed_share_of_the_demo_can_be_planned(demo: tuple[Path, Outcome]) -> None:
    """What the README lets a newcomer try."""
    outcome = vineleaf_here(
        "plan", str(ROOT / "mixes/demo.yaml"), "-w", str(demo[0]), "--json",
        "--set", "mix.shares.web=0.17", "--set", "mix.shares.code=0.50",
    ).good()  # fmt: skip
    waiting = {name.split(" ")[0] for name, state in outcome.states.items() if state == "to do"}
    assert waiting == {"selection", "mix"}
    for its in outcome.answer["sources"].values():
        assert its["taken_tokens"] > 0


@pytest.mark.parametrize("name", ["dolma3", "dolmino", "longmino"])
def test_a_small_recipe_runs_on_the_demos_sources(demo: tuple[Path, Outcome], name: str) -> None:
    assert demo[1].code == 0
    recipe = str(ROOT / "mixes/small" / f"{name}.yaml")
    outcome = vineleaf_here("run", recipe, "-w", str(demo[0]), "--json").good()
    for entry in outcome.answer["ledger"].values():
        assert entry["balanced"]
    checks = vineleaf_here("verify", outcome.answer["mix"], "--json")
    assert [one["name"] for one in checks.answer["checks"] if not one["ok"]] == []
