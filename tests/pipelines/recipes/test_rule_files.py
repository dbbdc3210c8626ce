"""Files that rules name are found beside the recipe, in the workspace or anywhere, or told of."""

import gzip

import pytest
import yaml

from pipelines.recipes.recipe import RecipeError, load_recipe
from pipelines.recipes.rule_files import find_rule_files
from pipelines.workspace import Workspace

RECIPE = """
name: x
pool:
  sources:
    web:
      ingest: dolma
      paths: [docs.jsonl]
      rules:
        - gopher
        - url_lists:
            domains:
              - lists/hosts.txt
              - "{workspace}/more.txt"
mix: {tokens: 1, tokenizer: t, shares: {web: 1}}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def found(recipe, tmp_path):
    located = find_rule_files(load_recipe(str(recipe)), Workspace(str(tmp_path / "w")))
    gopher, urls = located.source("web").rules
    return gopher.annotators[0], urls.annotators[0]


def write(tmp_path, hosts="a.org"):
    (tmp_path / "lists").mkdir(exist_ok=True)
    (tmp_path / "w").mkdir(exist_ok=True)
    (tmp_path / "lists/hosts.txt").write_text(hosts)
    (tmp_path / "w/more.txt").write_text("b.org")


def test_paths_are_resolved_as_others_of_a_recipe(recipe, tmp_path):
    write(tmp_path)
    gopher, urls = found(recipe, tmp_path)
    assert gopher.name == "gopher"
    assert [file.path for file in urls.files] == [
        str(tmp_path / "lists/hosts.txt"),
        str(tmp_path / "w/more.txt"),
    ]
    assert [file.name for file in urls.files] == ["hosts.txt", "more.txt"]


def test_changed_content_changes_the_parameters_and_another_place_does_not(
    recipe, tmp_path, tmp_path_factory
):
    write(tmp_path)
    before = found(recipe, tmp_path)[1].parameters()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "recipe.yaml").write_text(RECIPE)
    write(elsewhere)
    assert found(elsewhere / "recipe.yaml", elsewhere)[1].parameters() == before
    write(tmp_path, "c.org")
    assert found(recipe, tmp_path)[1].parameters() != before


def test_each_missing_file_is_told_with_file_and_line(recipe, tmp_path):
    with pytest.raises(RecipeError) as error:
        found(recipe, tmp_path)
    lines = {problem.line: problem.message for problem in error.value.problems}
    assert {number: "hosts.txt" in text for number, text in lines.items()} == {12: True, 13: False}
    assert all(message.startswith("no file matches ") for message in lines.values())
    assert {problem.file for problem in error.value.problems} == {str(recipe)}


def test_a_name_of_several_files_is_told(recipe, tmp_path):
    write(tmp_path)
    (tmp_path / "lists/hosts2.txt").write_text("d.org")
    recipe.write_text(RECIPE.replace("lists/hosts.txt", "lists/*.txt"))
    with pytest.raises(
        RecipeError, match=r"recipe.yaml:12:\d+: .* must name one file \(it matches 2\)"
    ):
        found(recipe, tmp_path)


def test_a_file_that_its_annotator_refuses_is_told(recipe, tmp_path, monkeypatch):
    def refuse(self, files):
        raise ValueError(f"{files[0].name} is no list")

    write(tmp_path)
    monkeypatch.setattr("transforms.quality.url_lists.UrlLists.with_files", refuse)
    with pytest.raises(RecipeError, match=r"recipe.yaml:12:\d+: hosts.txt is no list"):
        found(recipe, tmp_path)


def test_a_rule_without_a_list_is_told(recipe, tmp_path):
    tree = yaml.safe_load(RECIPE)
    tree["pool"]["sources"]["web"]["rules"] = ["url_lists"]
    recipe.write_text(yaml.safe_dump(tree))
    with pytest.raises(RecipeError, match=r"rule 'url_lists' needs an option at least .*domains"):
        load_recipe(str(recipe))


def test_a_recipe_without_such_rules_stays_as_it_is(recipe, tmp_path):
    tree = yaml.safe_load(RECIPE)
    tree["pool"]["sources"]["web"]["rules"] = ["gopher"]
    recipe.write_text(yaml.safe_dump(tree))
    loaded = load_recipe(str(recipe))
    assert find_rule_files(loaded, Workspace(str(tmp_path / "w"))) == loaded


def test_a_damaged_list_is_told_before_any_work(recipe, tmp_path):
    write(tmp_path)
    whole = gzip.compress(b"a.org\n" * 1000 + bytes(range(256)), mtime=0)
    (tmp_path / "lists/hosts.txt").write_bytes(whole[:-12])
    with pytest.raises(
        RecipeError, match=r"recipe.yaml:12:\d+: .*hosts.txt cannot be decompressed"
    ):
        found(recipe, tmp_path)


def test_a_file_is_read_to_its_end_once(recipe, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        "transforms.quality.url_lists.UrlLists.check_files",
        lambda self: read.append([one.digest for one in self.files]),
    )
    write(tmp_path)
    for content, times in (("b.org", 1), ("b.org", 1), ("c.org", 2)):
        write(tmp_path, content)
        found(recipe, tmp_path)
        assert len(read) == times
    (checked,) = tmp_path.rglob("work/checked_rule_files.json")
    checked.write_text("{")
    found(recipe, tmp_path)
    assert len(read) == 3
