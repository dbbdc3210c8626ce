"""Recipes that extend others: what is merged, what is deleted, and where a mistake stands."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.recipes.files import read_recipe_tree
from pipelines.recipes.recipe import RecipeError, load_recipe

BASE = """\
name: base
pool:
  sources:
    web:
      ingest: html
      paths: [in/web]
      rules:
        - gopher: {words: {at_least: 60}, symbols: {at_most: 0.2}}
        - c4
    code: {ingest: code, paths: [in/code]}
    wiki: {ingest: dolma, paths: [in/wiki]}
  dedup:
    fuzzy: {ngram: 5}
mix:
  tokens: 1000
  tokenizer: tok.json
  shares: {web: 0.5, code: 0.3, wiki: 0.2}
  where: size.words > 1
gates:
  removed: {at_most: 0.5}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(BASE)
    return tmp_path


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return path


def tree_of(text: str, *overrides: str) -> Any:
    return load_recipe(write("r.yaml", text), overrides).tree


def problems_of(path: str, *overrides: str) -> list[tuple[str, int, str]]:
    with pytest.raises(RecipeError) as raised:
        load_recipe(path, overrides)
    return [(os.path.normpath(one.file), one.line, one.message) for one in raised.value.problems]


ABLATION = "extends: base.yaml\nname: no-wiki\nmix: {exclude: [wiki]}\n"


def test_an_ablation_is_three_lines(files: Path) -> None:
    base = load_recipe("base.yaml")
    recipe = load_recipe(write("r.yaml", ABLATION))
    assert recipe.name == "no-wiki"
    assert recipe.mix.proportions == pytest.approx({"web": 0.625, "code": 0.375})
    assert [one.name for one in recipe.sources] == [one.name for one in base.sources]
    assert recipe.tree["pool"] == base.tree["pool"]
    assert "extends" not in recipe.tree


def test_mappings_are_merged_and_other_values_replaced(files: Path) -> None:
    tree = tree_of(
        "extends: base.yaml\nname: x\npool: {sources: {web: {paths: [a, b]}}, dedup: {exact: true}}"
    )
    assert tree["pool"]["sources"]["web"]["paths"] == ["a", "b"]
    assert tree["pool"]["sources"]["web"]["ingest"] == "html"
    assert tree["pool"]["dedup"] == {"fuzzy": {"ngram": 5}, "exact": True}
    assert list(tree["pool"]["sources"]) == ["web", "code", "wiki"]


def test_null_deletes(files: Path) -> None:
    tree = tree_of("extends: base.yaml\nname: x\ngates: null\nmix: {where: null}\n")
    assert "gates" not in tree
    assert "where" not in tree["mix"]
    assert "where" not in tree_of(ABLATION, "mix.where=null")["mix"]


@pytest.mark.parametrize(
    ("rules", "merged"),
    [
        (
            "{gopher: {words: {at_least: 99}}}",
            [{"gopher": {"words": {"at_least": 99}, "symbols": {"at_most": 0.2}}}, "c4"],
        ),
        ("{gopher: null}", ["c4"]),
        ("{gopher: null, c4: {word_length: 9}}", [{"c4": {"word_length": 9}}]),
        ("{gopher: {symbols: null}, madlad: {}}", [
            {"gopher": {"words": {"at_least": 60}}}, "c4", {"madlad": {}},
        ]),
        ("[madlad]", ["madlad"]),
    ],
)  # fmt: skip
def test_rules_are_changed_by_name_or_replaced_whole(
    files: Path, rules: str, merged: list[Any]
) -> None:
    layer = f"extends: base.yaml\nname: x\npool: {{sources: {{web: {{rules: {rules}}}}}}}\n"
    assert tree_of(layer)["pool"]["sources"]["web"]["rules"] == merged


def test_a_rule_can_be_set_by_name(files: Path) -> None:
    set_ = ("pool.sources.web.rules.gopher.words.at_least=7", "pool.sources.web.rules.c4=null")
    rules = tree_of(ABLATION, *set_)["pool"]["sources"]["web"]["rules"]
    assert rules == [{"gopher": {"words": {"at_least": 7}, "symbols": {"at_most": 0.2}}}]


@pytest.mark.parametrize(
    ("layer", "overrides", "shares"),
    [
        ("shares: {web: 0.75}", [], {"web": 0.75, "code": 0.15, "wiki": 0.1}),
        ("shares: {wiki: null}", [], {"web": 0.625, "code": 0.375}),
        ("tokens: 5", ["mix.shares.web=0.75"], {"web": 0.75, "code": 0.15, "wiki": 0.1}),
        (
            "tokens: 5",
            ["mix.shares.web=0.6", "mix.shares.code=0.3"],
            {"web": 0.6, "code": 0.3, "wiki": 0.1},
        ),
        ("shares: {web: 0.5, code: 0.2, wiki: 0.3}", [], {"web": 0.5, "code": 0.2, "wiki": 0.3}),
    ],
)
def test_shares_that_are_left_alone_fill_the_rest(
    files: Path, layer: str, overrides: list[str], shares: dict[str, float]
) -> None:
    tree = tree_of(f"extends: base.yaml\nname: x\nmix: {{{layer}}}\n", *overrides)
    assert tree["mix"]["shares"] == pytest.approx(shares)


def test_shares_that_sum_to_one_keep_their_every_bit(files: Path) -> None:
    tree = tree_of(ABLATION, "mix.shares.web=0.5", "mix.shares.code=0.3")
    assert tree["mix"]["shares"] == {"web": 0.5, "code": 0.3, "wiki": 0.2}


def test_layers_may_be_many_and_the_last_counts(files: Path) -> None:
    write("middle.yaml", "extends: base.yaml\nname: m\nmix: {tokens: 7, seed: 3}\n")
    tree = tree_of("extends: middle.yaml\nname: x\nmix: {tokens: 8}\n", "mix.max_epochs=2")
    assert (tree["mix"]["tokens"], tree["mix"]["seed"], tree["mix"]["max_epochs"]) == (8, 3, 2)


def test_relative_paths_lead_to_the_same_files_from_another_folder(files: Path) -> None:
    path = write("below/r.yaml", "extends: ../base.yaml\nname: x\n")
    recipe = load_recipe(path)
    assert recipe.pattern(recipe.source("web").paths[0], "w") == f"{files}/in/web"
    assert recipe.tree["mix"]["tokenizer"] == "../tok.json"


def test_a_pool_named_as_a_file_stands_for_itself(files: Path) -> None:
    write("pool.yaml", "sources: {math: {ingest: dolma, paths: [m]}}\n")
    shares = "{web: null, code: null, wiki: null, math: 1}"
    tree = tree_of(f"extends: base.yaml\nname: x\npool: pool.yaml\nmix: {{shares: {shares}}}\n")
    assert list(tree["pool"]["sources"]) == ["math"]


# Mistakes: the file and line where the value stands


def test_a_mistake_in_the_base_names_the_base(files: Path) -> None:
    write("base.yaml", BASE.replace("ngram: 5", "ngrm: 5"))
    write("r.yaml", ABLATION)
    ((file, line, message),) = problems_of("r.yaml")
    assert (file, line) == ("base.yaml", 13)
    assert "did you mean 'ngram'" in message


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (ABLATION + "gates:\n  removed:\n    atmost: 1\n", 6, "did you mean 'at_most'"),
        ("extends: base.yaml\nname: x\nmix: {wher: null}\n", 3, "'mix.wher', which is not there"),
        ("extends: base.yaml\nname: x\nmix:\n  where: null\n  shares: {wbe: 0.2}\n", 5, "'web'"),
        ("extends: base.yaml\nmix: {tokens: 5}\n", 1, "'name' is missing: a recipe that extends"),
        ("name: x\nextends: none.yaml\n", 2, "names none.yaml, which is not there"),
        ("name: x\nextends: r.yaml\n", 2, "r.yaml extends itself"),
        ("name: x\nextends: 3\n", 2, "'extends' must name a recipe's file"),
        (
            "extends: base.yaml\nname: x\npool: {sources: {web: {rules: {gophr: null}}}}\n",
            3,
            "did you mean 'gopher'",
        ),
        (
            "extends: base.yaml\nname: x\npool:\n  sources:\n    web:\n      rules:\n"
            "        gopher: {words: {atleast: 3}}\n",
            7,
            "did you mean 'at_least'",
        ),
    ],
)
def test_a_mistake_in_a_layer_names_its_line(files: Path, text: str, line: int, part: str) -> None:
    write("r.yaml", text)
    ((file, seen, message),) = problems_of("r.yaml")
    assert (file, seen) == ("r.yaml", line)
    assert part in message


def test_places_of_rules_follow_a_rule_that_is_deleted(files: Path) -> None:
    write("base.yaml", BASE.replace("        - c4", "        - c4: {sentence: 3}"))
    write("r.yaml", ABLATION + "pool: {sources: {web: {rules: {gopher: null}}}}\n")
    ((file, line, message),) = problems_of("r.yaml")
    assert (file, line) == ("base.yaml", 9)
    assert "did you mean 'sentences'" in message


def test_a_circle_is_refused_where_it_closes(files: Path) -> None:
    write("a.yaml", "name: a\nextends: sub/b.yaml\n")
    write("sub/b.yaml", "name: b\nmix: {}\nextends: ../a.yaml\n")
    ((file, line, message),) = problems_of("a.yaml")
    assert (file, line) == ("sub/b.yaml", 3)
    assert "extends itself" in message


def test_a_mistake_of_the_command_line_says_so(files: Path) -> None:
    write("r.yaml", ABLATION)
    ((file, _, message),) = problems_of("r.yaml", "pool.dedup.fuzzy.ngrm=4")
    assert file == "--set pool.dedup.fuzzy.ngrm=4"
    assert "did you mean 'ngram'" in message


def test_a_base_need_not_be_whole(files: Path) -> None:
    write("base.yaml", BASE.replace("name: base\n", "").replace("  tokens: 1000\n", ""))
    assert load_recipe(write("r.yaml", ABLATION + "  \n"), ("mix.tokens=5",)).mix.tokens == 5


def test_what_is_no_mapping_extends_nothing(files: Path) -> None:
    write("base.yaml", "- a\n")
    write("r.yaml", "extends: base.yaml\nname: x\n")
    ((file, line, message),) = problems_of("r.yaml")
    assert (file, line) == ("r.yaml", 1)
    assert "names base.yaml, which holds no mapping" in message
    assert read_recipe_tree(write("list.yaml", "- a\n")).tree == ["a"]


# Shares from a file

STORED = '{"web": 0.6, "code": 0.4}'
FROM_FILE = "extends: base.yaml\nname: learned\nmix: {shares: {from: learned.json}}\n"


def test_shares_of_a_file_take_the_place_of_all(files: Path) -> None:
    write("learned.json", STORED)
    assert tree_of(FROM_FILE)["mix"]["shares"] == {"web": 0.6, "code": 0.4}


def test_shares_of_a_file_lie_beside_the_recipe_that_names_them(files: Path) -> None:
    write("below/learned.json", STORED)
    write("below/middle.yaml", FROM_FILE.replace("base.yaml", "../base.yaml"))
    tree = tree_of("extends: below/middle.yaml\nname: top\n")
    assert tree["mix"]["shares"] == {"web": 0.6, "code": 0.4}


def test_a_later_layer_and_the_command_line_change_shares_of_a_file(files: Path) -> None:
    write("learned.json", STORED)
    write("middle.yaml", FROM_FILE)
    tree = tree_of("extends: middle.yaml\nname: top\nmix: {shares: {web: 0.5}}\n")
    assert tree["mix"]["shares"] == {"web": 0.5, "code": 0.5}
    tree = tree_of(FROM_FILE, "mix.shares.code=0.7")
    assert tree["mix"]["shares"] == {"web": pytest.approx(0.3), "code": 0.7}
    tree = tree_of(ABLATION, "mix.exclude=null", "mix.shares.from=learned.json")
    assert tree["mix"]["shares"] == {"web": 0.6, "code": 0.4}


def test_topics_of_a_file_need_quality_and_go_there(files: Path) -> None:
    write("learned.json", '{"web:art": 0.3, "web:law": 0.3, "code": 0.4}')
    tree = tree_of(
        FROM_FILE + "  # \n", "mix.quality.score=size.words", "mix.quality.topic=code.language"
    )
    assert tree["mix"]["shares"] == {"web": pytest.approx(0.6), "code": 0.4}
    assert tree["mix"]["quality"]["topics"] == {"web": {"art": 0.5, "law": 0.5}}
    ((file, line, message),) = problems_of(write("r.yaml", FROM_FILE))
    assert (file, line) == ("learned.json", 1)
    assert "'mix.quality' lacks the key 'score'" in message


def test_mistakes_in_shares_of_a_file_are_told_in_that_file(files: Path) -> None:
    write("learned.json", '{\n "web": 0.6,\n "cod": 0.4\n}')
    ((file, line, message),) = problems_of(write("r.yaml", FROM_FILE))
    assert (file, line) == ("learned.json", 3)
    assert "'cod' in mix.shares is no source; did you mean 'code'?" in message
    write("learned.json", '{\n "web": 0.6,\n "code": 0.5\n}')
    ((file, _, message),) = problems_of(write("r.yaml", FROM_FILE))
    assert file == "learned.json"
    assert "shares must sum to 1" in message
    write("learned.json", '{\n "web": "x"}')
    ((file, line, message),) = problems_of(write("r.yaml", FROM_FILE))
    assert (file, line) == ("learned.json", 2)


def test_a_file_of_shares_that_is_not_there_is_told_where_it_is_named(files: Path) -> None:
    ((file, line, message),) = problems_of(write("r.yaml", FROM_FILE))
    assert (file, line) == ("r.yaml", 3)
    assert "learned.json, which is not there" in message


def test_places_have_columns(files: Path) -> None:
    with pytest.raises(RecipeError) as raised:
        load_recipe(write("r.yaml", "extends: base.yaml\nname: x\nmix: {tokens: 5, tokns: 7}\n"))
    assert str(raised.value).startswith("r.yaml:3:18: unknown key 'tokns'")


# Lifting bounds, and a name from the command line


@pytest.mark.parametrize("old", ["gopher: {words: {at_least: 60}}", "gopher"])
def test_null_lifts_a_rules_bound_in_a_layer_and_on_the_command_line(files: Path, old: str) -> None:
    write(
        "base.yaml", BASE.replace("gopher: {words: {at_least: 60}, symbols: {at_most: 0.2}}", old)
    )
    rules = "pool: {sources: {web: {rules: {gopher: {words: {at_most: null}}}}}}\n"
    for text, overrides in (
        (ABLATION + rules, ()),
        (ABLATION, ("pool.sources.web.rules.gopher.words.at_most=null",)),
    ):
        path = write("r.yaml", text)
        (words,) = [
            one
            for one in load_recipe(path, overrides).source("web").rules[0].conditions
            if one.reason == "gopher.words"
        ]
        assert words.at_most is None
        assert words.at_least == (60 if "60" in old else 50)


def test_null_still_deletes_everything_else_of_a_rule(files: Path) -> None:
    rules = "pool: {sources: {web: {rules: {gopher: {words: null}}}}}\n"
    tree = tree_of(ABLATION + rules)
    assert tree["pool"]["sources"]["web"]["rules"][0] == {"gopher": {"symbols": {"at_most": 0.2}}}


def test_a_name_from_the_command_line_is_a_name(files: Path) -> None:
    path = write("r.yaml", "extends: base.yaml\nmix: {exclude: [wiki]}\n")
    assert load_recipe(path, ("name=mine",)).name == "mine"
    assert "'name' is missing" in problems_of(path)[0][2]
