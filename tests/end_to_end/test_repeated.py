"""A recipe that cuts repeated passages: they stand once in the mix, and every command says so."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tokenizers
from small_pool import (
    Outcome,
    Pool,
    compressed,
    dolma_line,
    environment,
    hashes_of,
    prose,
    published,
    run,
    vineleaf_here,
    write_recipe,
)

NOTICE = prose("notice", sentences=5, in_paragraph=9)
AT_LEAST = 200  # bytes


def lines() -> list[bytes]:
    """Stories, of which every third closes with a notice."""
    return [
        dolma_line(f"story-{k:02d}", prose(k) + (f"\n\n{NOTICE}" if k % 3 == 0 else ""))
        for k in range(30)
    ]


def recipe_in(pool: Pool, folder: Path, parts: int, reverse: bool = False) -> dict[str, Any]:
    """The recipe over the stories in so many files."""
    folder.mkdir(parents=True)
    stories = lines()[::-1] if reverse else lines()
    for part in range(parts):
        content = compressed(stories[part::parts], "zst")
        (folder / f"part{part}.jsonl.zst").write_bytes(content)
    recipe = pool.recipe_of([f"{folder}/*.zst"])
    recipe["pool"]["dedup"]["substring"] = {"at_least": AT_LEAST}
    del recipe["pool"]["decontaminate"]
    recipe["mix"]["tokens"] = 4_000
    return recipe


def read_rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


class Made:
    """A workspace in which repeated passages were cut."""

    def __init__(self, workspace: Path, recipe: dict[str, Any], outcome: Outcome) -> None:
        self.workspace, self.recipe, self.outcome = workspace, recipe, outcome

    def why(self, identifier: str) -> dict[str, Any]:
        answer = vineleaf_here("why", identifier, "-w", str(self.workspace), "--json").good().answer
        return dict(answer)


@pytest.fixture(scope="module")
def made(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("repeated")
    recipe = recipe_in(pool, folder / "stories", parts=2)
    workspace = folder / "workspace"
    outcome = run(recipe, workspace, beam=["--direct_num_workers=1"]).good()
    return Made(workspace, recipe, outcome)


def test_the_passage_stands_once_in_what_is_mixed(made: Made) -> None:
    base, manifest = published(made.workspace / "attributes/tokens/docs")
    tokenizer = tokenizers.Tokenizer.from_file(made.recipe["mix"]["tokenizer"])
    rows = [row for file in manifest["files"] for row in read_rows(base / file["path"])]
    texts = [" ".join(tokenizer.decode(row["tokens"]).split()) for row in rows]
    first = " ".join(NOTICE.split(". ")[0].split())
    assert sum(text.count(first) for text in texts) == 1
    assert len(texts) == 30
    assert all(texts)


def test_why_tells_what_was_cut_and_where_it_stays(made: Made) -> None:
    stories = [made.why(f"story-{k:02d}") for k in range(0, 30, 3)]
    (keeper,) = [story for story in stories if not story["repeated"]]
    for story in stories:
        if story is not keeper:
            (passage,) = story["repeated"]
            assert passage["first_in"] == keeper["id"]
            assert passage["stage"] == "substring-dedup"
            assert passage["end"] - passage["start"] >= len(NOTICE)
    told = vineleaf_here("why", stories[-1]["id"], "-w", str(made.workspace)).good().stdout
    assert keeper["id"] in told or not stories[-1]["repeated"]
    assert made.why("story-01")["repeated"] == []


def test_the_ledger_balances_and_the_funnel_counts_passages(made: Made) -> None:
    assert made.outcome.answer["ledger"]["docs"]["balanced"] is True
    report = json.loads((made.workspace / "reports/small.json").read_text())
    (step,) = [one for one in report["steps"] if one["stage"] == "substring-dedup"]
    assert step["in"] == step["kept"]
    assert step["cut"]["documents"] == step["cut"]["passages"] == 9
    assert step["cut"]["bytes"] >= 9 * len(NOTICE)
    before = next(one for one in report["steps"] if one["stage"] == "fuzzy-dedup")
    assert before["text_bytes"] - step["text_bytes"] == step["cut"]["bytes"]


def test_plan_shows_it(made: Made) -> None:
    path = write_recipe(made.workspace.with_name("plan.yaml"), made.recipe)
    planned = vineleaf_here("plan", str(path), "-w", str(made.workspace)).good().stdout
    assert "substring-dedup" in planned
    assert "9 passages of 9 documents" in planned
    fresh = ["plan", str(path), "-w", str(made.workspace / "none"), "--json"]
    states = vineleaf_here(*fresh).good().states
    assert states["repeated_passages"] == "to do"
    assert "repeated_lines" not in states


def test_other_workers_and_hash_seed_make_the_same(made: Made, tmp_path: Path) -> None:
    env = environment(PYTHONHASHSEED="77")
    # Beside the first, since a mix holds its recipe, whose paths are told from the recipe's folder.
    other = made.workspace.with_name("other")
    run(made.recipe, other, env=env, here=False).good()
    assert hashes_of(other) == hashes_of(made.workspace)


def test_another_split_of_the_input_cuts_the_same(made: Made, pool: Pool, tmp_path: Path) -> None:
    recipe = recipe_in(pool, tmp_path / "stories", parts=5, reverse=True)
    outcome = run(recipe, tmp_path / "workspace").good()
    other = Made(tmp_path / "workspace", recipe, outcome)
    assert outcome.answer["ledger"] == made.outcome.answer["ledger"]
    for k in range(0, 30, 3):
        seen, wanted = other.why(f"story-{k:02d}"), made.why(f"story-{k:02d}")
        assert seen["repeated"] == wanted["repeated"]
        assert seen["copies"] == wanted["copies"]


def test_lines_and_paragraphs_are_stages_of_their_own(made: Made, tmp_path: Path) -> None:
    recipe = json.loads(json.dumps(made.recipe))
    recipe["pool"]["dedup"]["paragraphs"] = True
    recipe["pool"]["dedup"]["lines"] = {"at_least": 3}
    recipe["mix"]["where"] = "repeated_lines.cut_bytes >= 0"
    answer = run(recipe, tmp_path / "workspace").good().answer
    assert answer["ledger"]["docs"]["balanced"] is True
    counts = {one["name"]: one["counts"] for one in answer["stages"]}
    assert counts["paragraph-dedup docs"]["cut.documents"] == 9
    assert counts["line-dedup docs"]["cut.documents"] == 9
    assert counts["tokenize docs"]["cut_bytes"] >= counts["substring-dedup docs"]["cut.bytes"]


def test_changed_numbers_remake_the_stage(made: Made, tmp_path: Path) -> None:
    recipe = json.loads(json.dumps(made.recipe))
    recipe["pool"]["dedup"]["substring"]["at_least"] = 10_000
    path = write_recipe(tmp_path / "recipe.yaml", recipe)
    states = vineleaf_here("plan", str(path), "-w", str(made.workspace), "--json").good().states
    assert states["repeated_passages docs"] == "to do"
    assert states["fuzzy_duplicates docs"] == "up to date"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("substring", {"at_leats": 500}, "at_least"),
        ("substring", {"at_least": "500 bytes"}, "at_least"),
        ("substring", {"at_least": 4}, "at_least"),
        ("substring", {"join": 1.5}, "join"),
        ("lines", {"words": 3}, "at_least"),
        ("paragraphs", 5, "paragraphs"),
    ],
)
def test_wrong_keys_are_told(
    made: Made, tmp_path: Path, key: str, value: Any, sentence: str
) -> None:
    recipe = json.loads(json.dumps(made.recipe))
    recipe["pool"]["dedup"][key] = value
    path = write_recipe(tmp_path / "recipe.yaml", recipe)
    outcome = vineleaf_here("check", str(path), "--json")
    assert outcome.code == 2
    assert sentence in outcome.answer["errors"][0]["message"]
