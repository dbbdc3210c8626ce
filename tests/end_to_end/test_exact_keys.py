"""Exact deduplication by URL and by words, as a recipe asks for it."""

import json
from pathlib import Path

from small_pool import Pool, compressed, dolma_line, prose, run, vineleaf_here


def line(identifier: str, text: str, url: str | None) -> bytes:
    record = json.loads(dolma_line(identifier, text))
    record["metadata"] = {"url": url}
    return json.dumps(record).encode() + b"\n"


def test_one_stays_of_each_url_and_of_equal_words(pool: Pool, tmp_path: Path) -> None:
    documents = [line(f"story-{k:02d}", prose(k), f"http://a.org/{k}") for k in range(20)]
    documents += [
        line("again", f"{prose(3)} And news.", "https://www.a.org/3/#news"),
        line("shouted", prose(4).upper().replace(".", "!"), "http://b.org/4"),
        line("nowhere", prose(50), None),
    ]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/all.jsonl.gz").write_bytes(compressed(documents, "gz"))
    recipe = pool.recipe_of([f"{tmp_path}/docs/*.gz"])
    recipe["pool"]["dedup"] = {
        "urls": True, "exact": {"by": "words"}, "keep": ["source order", "size.bytes desc"],
    }  # fmt: skip
    outcome = run(recipe, tmp_path / "workspace").good()
    ledger = outcome.answer["ledger"]["docs"]
    assert ledger["balanced"] is True
    assert ledger["removed"]["url-dedup: duplicate"] == 1
    assert ledger["removed"]["exact-dedup: duplicate"] == 1
    stories = {
        name: vineleaf_here("why", name, "-w", str(tmp_path / "workspace"), "--json").good().answer
        for name in ("story-03", "again", "story-04", "shouted", "nowhere")
    }
    # The longer one of a URL stays: `keep` says so.
    assert stories["story-03"]["duplicate_of"] == "again"
    assert stories["story-03"]["similarity"] is None
    assert "same URL" in stories["story-03"]["reasons"][0]["message"]
    assert {stories["story-04"]["duplicate_of"], stories["shouted"]["duplicate_of"]} in (
        {None, "shouted"}, {None, "story-04"}
    )  # fmt: skip
    assert stories["nowhere"]["duplicate_of"] is None
