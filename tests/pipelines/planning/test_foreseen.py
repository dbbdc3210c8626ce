"""Foreseen: changes whose effect stored scores can tell, and all others."""

import copy
from typing import Any

import pytest

from pipelines.planning.foreseen import unforeseen

TREE: dict[str, Any] = {
    "name": "one",
    "pool": {
        "sources": {
            "web": {"ingest": "dolma", "paths": ["a"], "rules": [{"gopher": {}}, "pii"]},
        },
        "dedup": {"fuzzy": {"similarity": 0.8}, "keep": ["source order"]},
        "decontaminate": {"remove": "document", "benchmarks": []},
    },
    "mix": {"tokens": 1000, "tokenizer": "a.json", "shares": {"web": 1.0}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    tree = copy.deepcopy(TREE)
    holder: Any = tree
    *parts, last = path.split(".")
    for part in parts:
        holder = holder.setdefault(part, {})
    holder[last] = value
    return tree


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "other"),
        ("gates.removed.at_most", 0.5),
        ("mix.tokens", 5),
        ("mix.shares", {"web": 0.5, "code": 0.5}),
        ("mix.where", "size.bytes > 5"),
        ("mix.max_epochs.default", 3),
        ("mix.quality.discard", 0.2),
        ("mix.window.web.keep", [0.1, 0.9]),
        ("mix.seed", 3),
        ("pool.sources.web.rules", [{"gopher": {"words": {"at_least": 3}}}, "pii"]),
        ("pool.sources.web.rules", ["gopher", "pii", "madlad"]),
    ],
)
def test_what_stored_tables_answer_is_foreseen(path: str, value: Any) -> None:
    assert unforeseen(TREE, changed(path, value)) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mix.tokenizer", "b.json"),
        ("mix.fill_in_middle.rate", 0.5),
        ("mix.repeat.times", {2: 2}),
        ("mix.quality.bins", 5),
        ("mix.key_of_tomorrow", 5),
        ("pool.dedup.keep", ["newest"]),
        ("pool.dedup.exact", False),
        ("pool.dedup.fuzzy.similarity", 0.7),
        ("pool.dedup.substring.at_least", 100),
        ("pool.dedup.lines.at_least", 3),
        ("pool.dedup.paragraphs.at_least", 3),
        ("pool.dedup.against", ["keys"]),
        ("pool.decontaminate.remove", "passage"),
        ("pool.decontaminate.ngram", 13),
        ("pool.sources.web.paths", ["b"]),
        ("pool.sources.code.paths", ["b"]),
    ],
)
def test_what_only_a_run_can_tell_is_not_foreseen(path: str, value: Any) -> None:
    assert unforeseen(TREE, changed(path, value)).startswith(path)


def test_a_rule_that_cuts_other_text_is_not_foreseen() -> None:
    cuts = changed("pool.sources.web.rules", [{"gopher": {"cut_newlines": False}}, "pii"])
    assert unforeseen(TREE, cuts) == "pool.sources.web.rules.gopher"


def test_a_seed_that_chooses_what_is_rearranged_is_not_foreseen() -> None:
    one = changed("mix.fill_in_middle.rate", 0.5)
    other = copy.deepcopy(one)
    other["mix"]["seed"] = 3
    assert unforeseen(one, other) == "mix.seed"


def test_other_paths_of_the_same_documents_are_foreseen() -> None:
    assert unforeseen(TREE, changed("pool.sources.web.paths", ["b"]), same_documents=True) == ""
