"""Paths of a published recipe: however they are spelled, equal places are equal text."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.recipes.paths import spelled_alike
from pipelines.recipes.recipe import load_recipe


def tree_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """The published tree of a recipe in `folder` with these spellings."""
    paths = {
        "docs": "data/docs/*.gz", "list": "lists/domains.txt", "model": "models/q.bin",
        "items": "items.jsonl", "tokenizer": "tok/tokenizer.json", **changes,
    }  # fmt: skip
    recipe = {
        "name": "spelled",
        "pool": {
            "sources": {
                "web": {
                    "ingest": "dolma",
                    "paths": [paths["docs"]],
                    "rules": [
                        "gopher",
                        {"url_lists": {"domains": [paths["list"]]}},
                        {"classifier": {"name": "q", "model": paths["model"], "labels": ["a"]}},
                    ],
                }
            },
            "decontaminate": {
                "benchmarks": [{"name": "b", "paths": [paths["items"]], "fields": ["question"]}]
            },
        },
        "mix": {"tokens": 1000, "tokenizer": paths["tokenizer"], "shares": {"web": 1}},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return spelled_alike(load_recipe(str(path)), str(folder / "workspace"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok/tokenizer.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("docs", "data/docs/*.gz"),
        ("list", "lists/domains.txt"),
        ("model", "models/q.bin"),
        ("items", "items.jsonl"),
        ("tokenizer", "tok/tokenizer.json"),
    ],
)
def test_relative_absolute_and_roundabout_paths_are_one(folder: Path, name: str, path: str) -> None:
    wanted = tree_of(folder)
    assert path in str(wanted)
    for spelled in (f"./{path}", f"{folder}/{path}", f"{folder}/x/..//{path}", f"x/../{path}"):
        assert tree_of(folder, **{name: spelled}) == wanted


def test_keys_are_found_from_the_recipe_and_publishing_them_makes_no_other_mix(
    folder: Path,
) -> None:
    tree_of(folder)
    path = folder / "recipe.yaml"
    recipe = yaml.safe_load(path.read_text())
    trees = []
    for against, keys in (("old/keys/a", True), (f"{folder}/x/../old/keys/a/", False)):
        recipe["pool"]["dedup"] = {"against": [against], "keys": keys}
        path.write_text(yaml.safe_dump(recipe))
        trees.append(spelled_alike(load_recipe(str(path)), str(folder / "workspace")))
    assert trees[0] == trees[1]
    assert trees[0]["pool"]["dedup"] == {"against": ["old/keys/a"]}


@pytest.mark.parametrize(
    "path", ["other/*.gz", "../data/docs/*.gz", "/else/docs/*.gz", "s3://b/./c"]
)
def test_other_places_stay_other_paths(folder: Path, path: str) -> None:
    tree = tree_of(folder, docs=path)
    assert tree["pool"]["sources"]["web"]["paths"] == [path]


def test_a_hubs_name_is_no_path(folder: Path) -> None:
    assert tree_of(folder, tokenizer="some/./model")["mix"]["tokenizer"] == "some/./model"
