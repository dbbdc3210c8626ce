"""A rerun does only what the recipe's change asks for, and every document is accounted for."""

import itertools
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

from small_pool import (
    Finished,
    Pool,
    compressed,
    dolma_line,
    hashes_of,
    prose,
    run,
    times_of,
    vineleaf_here,
    write_recipe,
)


def done(states: dict[str, str]) -> set[str]:
    """What was done anew, without the sources' names."""
    return {name.split(" ")[0] for name, state in states.items() if state != "up to date"}


def test_second_run_does_nothing(finished: Finished, pool: Pool, tmp_path: Path) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    before = times_of(workspace)
    outcome = run(pool.recipe(), workspace).good()
    assert set(outcome.states.values()) == {"up to date"}
    assert outcome.states.keys() == finished.outcome.states.keys()
    assert outcome.answer["ledger"] == finished.outcome.answer["ledger"]
    assert times_of(workspace) == before


def test_first_run_does_everything(finished: Finished) -> None:
    assert set(finished.outcome.states.values()) == {"done"}
    assert set(finished.outcome.answer) == {"stages", "mix", "ledger", "notes"}
    assert done(finished.outcome.states) >= {
        "documents", "benchmarks", "gopher", "language", "minhash", "contamination", "candidates",
        "exact_duplicates", "fuzzy_duplicates", "tokens", "selection", "mix",
    }  # fmt: skip


def test_no_output_of_another_python_is_taken_for_one_of_this(finished: Finished) -> None:
    """Each dataset's fingerprint holds the version of Unicode's tables, which each series of Python
    has another one of, or is made of a dataset whose fingerprint does."""
    manifests = {
        manifest["fingerprint"]: manifest
        for path in finished.workspace.glob("**/manifest.json")
        for manifest in [json.loads(path.read_text())]
    }

    def tells(fingerprint: str) -> bool:
        told = manifests[fingerprint]["parameters"].get("environment", {})
        if told:
            assert told["unicode"] == unicodedata.unidata_version
        its = manifests[fingerprint]["inputs"].values()
        return bool(told) or any(tells(one) for one in its if one in manifests)

    assert {one["stage"] for one in manifests.values()} == finished.outcome.states.keys()
    assert [one["stage"] for one in manifests.values() if not tells(one["fingerprint"])] == []


def test_changed_share_runs_selection_and_mix_alone(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["mix"]["shares"].update(web=0.1, docs=0.6)
    before = times_of(workspace)
    planned = vineleaf_here(
        "plan", str(write_recipe(tmp_path / "plan.yaml", recipe)), "-w", str(workspace), "--json"
    ).good()
    assert done(planned.states) == {"selection", "mix"}
    assert planned.answer["sources"]["docs"]["wanted_tokens"] == 9600
    assert times_of(workspace) == before

    outcome = run(recipe, workspace).good()
    assert done(outcome.states) == {"selection", "mix"}
    kept = {name: times for name, times in before.items() if "selection-small/" not in name}
    after = times_of(workspace)
    unchanged = {name for name in kept if not name.startswith("mixes/")}
    assert {name for name in unchanged if after[name] != before[name]} == set()
    for name, sums in planned.answer["sources"].items():
        (counts,) = [
            stage["counts"]
            for stage in outcome.answer["stages"]
            if stage["name"] == f"select {name}"
        ]
        assert counts["tokens"] == sums["taken_tokens"]


def test_going_back_to_the_first_recipe_does_nothing_anew(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    """Both versions lie side by side; going back only shows the earlier one again."""
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["mix"]["shares"].update(web=0.15, docs=0.55)
    assert done(run(recipe, workspace).good().states) == {"selection", "mix"}
    assert done(run(pool.recipe(), workspace).good().states) == set()
    wanted, seen = hashes_of(finished.workspace), hashes_of(workspace)
    assert [name for name in wanted if seen.get(name) != wanted[name]] == []


def test_changed_threshold_judges_anew_without_reading_text(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["pool"]["sources"]["docs"]["rules"][0] = {"gopher": {"words": {"at_least": 250}}}
    states = run(recipe, workspace).good().states
    made = done(states)
    assert "candidates docs" in {name for name, state in states.items() if state == "done"}
    assert made >= {"candidates", "exact_duplicates", "fuzzy_duplicates", "selection", "mix"}
    assert not made & {
        "documents", "benchmarks", "size", "exact", "minhash", "gopher", "language", "code",
        "contamination",
    }  # fmt: skip
    assert states["candidates web"] == "up to date"


def test_changed_input_file_reads_its_source_anew(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    """One document more in one file: its source is read again, the other sources are not."""
    workspace = finished.copy_to(tmp_path / "workspace")
    path = next(iter((pool.folder / "docs").glob("*.gz")))
    content, stat = path.read_bytes(), path.stat()
    try:
        path.write_bytes(content + compressed([dolma_line("new", prose("new"))], "gz"))
        outcome = run(pool.recipe(), workspace).good()
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert outcome.answer["ledger"]["docs"]["in"] == len(pool.lines) + 1
    assert outcome.states["documents docs"] == outcome.states["gopher docs"] == "done"
    for source in ("web", "crawl", "code", "pdf"):
        for table in ("documents", "minhash", "contamination", "candidates"):
            assert outcome.states[f"{table} {source}"] == "up to date"
    story = vineleaf_here("why", "new", "-w", str(workspace), "--json").good().answer
    assert story["source"] == "docs"


def test_new_rule_computes_its_own_scores_alone(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["pool"]["sources"]["docs"]["rules"].append("c4")
    states = run(recipe, workspace).good().states
    assert {name for name in states if name.startswith("c4")} == {"c4 docs"}
    annotated = {
        name
        for name, state in states.items()
        if state == "done"
        and name.split(" ")[0]
        not in {"candidates", "exact_duplicates", "fuzzy_duplicates", "tokens", "selection", "mix"}
    }
    assert annotated == {"c4 docs"}


def _steps(report: dict[str, Any], source: str) -> list[dict[str, Any]]:
    return [step for step in report["steps"] if step["source"] == source]


def test_ledger_balances_for_each_source(finished: Finished, pool: Pool) -> None:
    ledger = finished.outcome.answer["ledger"]
    assert ledger.keys() == pool.recipe()["pool"]["sources"].keys()
    for source, entry in ledger.items():
        gone = sum(entry["removed"].values()) + sum(entry["quarantined"].values())
        assert entry["in"] == entry["kept"] + gone, source
        assert entry["balanced"] is True
    assert {source: entry["in"] for source, entry in ledger.items()} == {
        "web": 10, "crawl": 9, "code": 9, "pdf": 3, "docs": len(pool.lines),
    }  # fmt: skip


def test_rows_of_the_funnel_chain(finished: Finished) -> None:
    """What a stage kept is what the next one sees, and no row loses a document."""
    report = json.loads((finished.workspace / "reports/small.json").read_text())
    assert report["sources"] == finished.outcome.answer["ledger"]
    for source, entry in report["sources"].items():
        steps = _steps(report, source)
        assert [step["stage"] for step in steps] == [
            "ingest", "filter", "exact-dedup", "fuzzy-dedup", "tokenize", "select",
        ]  # fmt: skip
        for step in steps:
            gone = sum(step["removed"].values()) + sum(step["quarantined"].values())
            assert step["in"] == step["kept"] + gone
        for one, following in itertools.pairwise(steps):
            assert one["kept"] == following["in"]
        assert (steps[0]["in"], steps[-1]["kept"]) == (entry["in"], entry["kept"])


def test_excluded_source_leaves_the_others_their_proportions(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    recipe = pool.recipe()
    recipe["mix"].update(tokens=6_000, exclude=["docs"])
    planned = vineleaf_here(
        "plan", str(write_recipe(tmp_path / "plan.yaml", recipe)), "-w", str(finished.workspace),
        "--json",
    ).good()  # fmt: skip
    wanted = {name: its["wanted_tokens"] for name, its in planned.answer["sources"].items()}
    assert wanted == {"web": 2400, "crawl": 1200, "code": 1200, "pdf": 1200}
    assert done(planned.states) == {"selection", "mix"}
