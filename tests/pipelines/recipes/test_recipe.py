"""Recipes: each kind of mistake is one sentence with file, line, key and what is near."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.recipes.files import MOST_BYTES
from pipelines.recipes.pool_part import Fuzzy
from pipelines.recipes.recipe import Problem, RecipeError, load_recipe


def check_recipe(path: str, overrides: tuple[str, ...] = ()) -> list[Problem]:
    try:
        load_recipe(path, overrides)
    except RecipeError as error:
        return error.problems
    return []


GOOD = """\
name: tiny
pool:
  sources:
    web:
      ingest: html
      paths: [in/web]
      rules:
        - gopher
        - language: {keep: [en, de]}
    code: {ingest: code, paths: [in/code]}
  dedup:
    keep: [source order, size.bytes desc]
  decontaminate:
    benchmarks:
      - {name: GSM8K, paths: [gsm.jsonl], layout: gsm8k}
mix:
  tokens: 1000
  tokenizer: tok.json
  shares: {web: 0.5, code: 0.5}
  max_epochs: {web: 2}
gates:
  removed: {at_most: 0.5}
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    """check(text, *overrides): the recipe's problems; the file is called r.yaml."""
    monkeypatch.chdir(tmp_path)

    def run(text, *overrides):
        (tmp_path / "r.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return check_recipe("r.yaml", overrides)

    return run


@pytest.fixture
def load(tmp_path):
    def run(text, *overrides):
        (tmp_path / "r.yaml").write_text(text)
        return load_recipe(str(tmp_path / "r.yaml"), overrides)

    return run


def line_of(text, part):
    return next(n for n, line in enumerate(text.split("\n"), 1) if part in line)


def test_the_recipe_that_the_mistakes_are_made_in_is_good(check):
    assert check(GOOD) == []


WEB_RULE = "pool.sources.web.rules.0"
# What is replaced, by what; the key, and parts of the sentence. The line is that of the new text.
MISTAKES = [
    # unknown keys, at each level
    ("gates:", "gate:", "gate", ["unknown key 'gate'", "did you mean 'gates'?"]),
    ("name: tiny", "nam: tiny", "nam", ["unknown key 'nam'", "did you mean 'name'?"]),
    ("  dedup:", "  dedupe:", "pool.dedupe", ["unknown key 'dedupe' in 'pool'", "'dedup'"]),
    ("paths: [in/web]", "paths: [in/web]\n      rule: []", "pool.sources.web.rule", ["'rules'"]),
    ("keep: [source", "keeps: [source", "pool.dedup.keeps", ["did you mean 'keep'?"]),
    ("    benchmarks:", "    benchmark:", "pool.decontaminate.benchmark", ["'benchmarks'"]),
    ("layout:", "layot:", "pool.decontaminate.benchmarks.0.layot", ["did you mean 'layout'?"]),
    ("tokens: 1000", "token: 1000", "mix.token", ["did you mean 'tokens'?"]),
    ("  removed:", "  removes:", "gates.removes", ["did you mean 'removed'?"]),
    ("at_most: 0.5", "atmost: 0.5", "gates.removed.atmost", ["did you mean 'at_most'?"]),
    ("max_epochs:", "zzzzzz:", "mix.zzzzzz", ["known: exclude, file_tokens, ", ", max_epochs, "]),
    # wrong types
    ("tokens: 1000", "tokens: 262,144", "mix.tokens", ["the text '262,144'", "K, M, B or T"]),
    ("tokens: 1000", "tokens: '1000'", "mix.tokens", ["the text '1000'"]),
    ("tokens: 1000", "tokens: 1e6", "mix.tokens", ["must be a whole number"]),
    ("tokens: 1000", "tokens: 1000.0", "mix.tokens", ["must be a whole number"]),
    ("tokens: 1000", "tokens: true", "mix.tokens", ["(got true)"]),
    ("tokens: 1000", "tokens:", "mix.tokens", ["(got nothing)"]),
    ("tokens: 1000", "tokens: [1]", "mix.tokens", ["(got a list)"]),
    ("tokens: 1000", "tokens: .inf", "mix.tokens", ["(got inf)"]),
    ("web: 0.5,", "web: '0.5',", "mix.shares.web", ["must be a number (got the text '0.5')"]),
    ("web: 0.5,", "web: .nan,", "mix.shares.web", ["must be a number (got nan)"]),
    ("web: 2", "web: .inf", "mix.max_epochs.web", ["must be a number (got inf)"]),
    ("{web: 2}", "'4'", "mix.max_epochs", ["must be a number or a mapping"]),
    ("[in/web]", "in/web", "pool.sources.web.paths", ["must be a list (got the text 'in/web')"]),
    ("[in/web]", "[]", "pool.sources.web.paths", ["non-empty"]),
    ("[in/web]", "[3]", "pool.sources.web.paths.0", ["must be a text (got the number 3)"]),
    ("{at_most: 0.5}", "0.5", "gates.removed", ["must be a mapping (got the number 0.5)"]),
    ("  removed:", "  web: 1\n  removed:", "gates.web", ["unknown key 'web' in 'gates'"]),
    ("ingest: html", "ingest: htm", "pool.sources.web.ingest", ["did you mean 'html'?"]),
    ("name: tiny", "name: Tiny!", "name", ["'Tiny!'"]),
    # names that cannot be
    ("    code: {", "    Web Pages: {ingest: html, paths: [x]}\n    code: {",
     "pool.sources.Web Pages",
     ["the text 'Web Pages' is no key of 'pool.sources'", "small letters, digits, _ and -"]),
    ("name: GSM8K", "name: a/b", "pool.decontaminate.benchmarks.0.name",
     ["the text 'a/b'", "letters, digits, . _ and -"]),
    ("tokens: 1000", "tokens: 1\n  repeat: {by: size.bytes, times: {two: 2}}",
     "mix.repeat.times.two", ["the text 'two' is no key of 'mix.repeat.times'", "whole one"]),
    # out of bounds
    ("tokens: 1000", "tokens: 0", "mix.tokens", ["at least 1"]),
    ("tokens: 1000", "tokens: -3", "mix.tokens", ["at least 1"]),
    ("tokens: 1000", "tokens: 0M", "mix.tokens", ["at least 1 token"]),
    ("tokens: 1000", "tokens: 0.0001K", "mix.tokens", ["at least 1 token"]),
    ("web: 2", "web: 0", "mix.max_epochs.web", ["more than 0 (got 0)"]),
    ("at_most: 0.5", "at_most: 50", "gates.removed.at_most", ["at most 1 (got 50)"]),
    ("{at_most: 0.5}", "{at_most: 0.1, at_least: 0.2}", "gates.removed", ["nothing can pass"]),
    ("tokens: 1000", f"tokens: {10**18 + 1}", "mix.tokens", ["at most"]),
    ("tokens: 1000", f"tokens: {'9' * 4000}T", "mix.tokens", ["10^18 at most", "999..."]),
    ("tokens: 1000", "tokens: 1000001T", "mix.tokens", ["at most"]),
    ("tokens: 1000", f"tokens: 1\n  seed: {2**64}", "mix.seed", ["at most"]),
    ("tokens: 1000", f"tokens: 1\n  file_tokens: {10**30}", "mix.file_tokens", ["at most"]),
    ("tokens: 1000", "tokens: 1\n  file_tokens: 2000000M", "mix.file_tokens", ["at most 1,099"]),
    ("tokens: 1000", "tokens: 1\n  file_tokens: 0K", "mix.file_tokens", ["at least 1 token"]),
    ("tokens: 1000", "tokens: 1\n  file_tokens: 1k", "mix.file_tokens", ["with K, M, B or T"]),
    ("tokens: 1000", "tokens: 1\n  sequence: {length: 64K}", "mix.sequence.length",
     ["a whole number (got the text '64K'); write 64000 or 65536"]),
    ("web: 2", "web: 1e30", "mix.max_epochs.web", ["at most"]),
    *(
        ("- gopher", f"- {{{rule}: {{{option}: {value}}}}}", f"{WEB_RULE}.{rule}.{option}{below}",
         ["at most"])
        for rule, option, value, below in (
            ("gopher", "newlines_kept", 10**30, ""),
            ("gopher", "words", "{at_least: 1.0e+30}", ".at_least"),
            ("c4", "word_length", 2**31, ""),
            ("madlad", "list_case_words", 2**64, ""),
            ("dolma3_lines", "phrase_words", 10**25, ""),
            ("url_lists", "soft_word_hits", 10**25, ""),
        )
    ),
    # sense
    ("web: 0.5, code: 0.5", "web: 0.5, code: 0.6", "mix.shares", ["sum to 1 (they sum to 1.1)"]),
    ("code: 0.5}", "cod: 0.5}", "mix.shares.cod", ["is no source", "did you mean 'code'?"]),
    ("{web: 2}", "{wbe: 2}", "mix.max_epochs.wbe", ["is no source", "did you mean 'web'?"]),
    ("tokens: 1000", "tokens: 1000\n  exclude: [wb]", "mix.exclude.0", ["did you mean 'web'?"]),
    (
        "tokens: 1000", "tokens: 1000\n  exclude: [web, code]",
        "mix.exclude", ["every source is excluded"],
    ),
    ("- gopher", "- goper", "pool.sources.web.rules.0", ["unknown rule 'goper'", "'gopher'?"]),
    ("- gopher", "- {gopher: {wrds: {}}}", "pool.sources.web.rules.0.gopher.wrds", ["'words'?"]),
    (
        "- gopher", "- {gopher: {words: {at_least: x}}}",
        "pool.sources.web.rules.0.gopher.words.at_least", ["must be a number", "the text 'x'"],
    ),
    (
        "- gopher", "- {gopher: {words: {atleast: 3}}}",
        "pool.sources.web.rules.0.gopher.words.atleast", ["did you mean 'at_least'?"],
    ),
    (
        "- gopher", "- {gopher: {words: 50}}",
        "pool.sources.web.rules.0.gopher.words", ["false or a mapping (got the number 50)"],
    ),
    (
        "- gopher", "- {gopher: {words: {at_least: 5, at_most: 2}}}",
        "pool.sources.web.rules.0.gopher", ["nothing can pass"],
    ),
    ("- gopher", "- {gopher: 3}", "pool.sources.web.rules.0.gopher", ["rule 'gopher' must be"]),
    ("- gopher", "- {gopher: {}, c4: {}}", "pool.sources.web.rules.0", ["too many"]),
    ("[en, de]", "[en, dee]", "pool.sources.web.rules.1.language.keep.1", ["did you mean 'de'?"]),
    ("ingest: code,", "ingest: code, ocr: {},", "pool.sources.code.ocr", ["ingest: pdf"]),
    (", layout: gsm8k", "", "pool.decontaminate.benchmarks.0", ["'layout'", "'fields'"]),
    (
        "layout: gsm8k", "layout: gsm8k, fields: [q]",
        "pool.decontaminate.benchmarks.0", ["either 'layout'", "or 'fields'"],
    ),
    ("layout: gsm8k", "layout: gsm8", "pool.decontaminate.benchmarks.0", ["'gsm8'", "gsm8k"]),
    (
        "[source order, size.bytes desc]", "[newest, source order, newest]",
        "pool.dedup.keep.2", ["'newest' stands twice"],
    ),
    (
        "size.bytes desc", "size.bytes",
        "pool.dedup.keep.1", ["'<attribute> desc' or '<attribute> asc'"],
    ),
    (
        "    keep:", "    fuzzy: {bands: 20}\n    keep:",
        "pool.dedup.fuzzy.bands", ["name both bands and rows, or neither"],
    ),
    (
        "    keep:", "    fuzzy: {preset: fineweb, recall: 0.9}\n    keep:",
        "pool.dedup.fuzzy.recall", ["'recall' is for bands that are chosen"],
    ),
    (
        "    keep:", "    fuzzy: {similarity: 0.3, permutations: 4}\n    keep:",
        "pool.dedup.fuzzy.permutations", ["ask for less recall, or allow more permutations"],
    ),
    (
        "    keep:", "    fuzzy: {preset: dolma4}\n    keep:",
        "pool.dedup.fuzzy.preset", ["dolma3-web"],
    ),
    ("tok.json", "{nam: x}", "mix.tokenizer", ["must be a name or have a 'name'"]),
    ("tok.json", "{name: x, eos: 3}", "mix.tokenizer", ["'tokenizer.eos' must be text"]),
    ("    keep:", "    fuzzy: true\n    exact: false\n    keep:", "pool.dedup.exact", ["exact"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "parts"), MISTAKES)
def test_a_mistake_is_one_sentence_with_file_line_and_key(check, old, new, key, parts):
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    (problem,) = check(text)
    assert problem.file == "r.yaml"
    assert problem.key == key
    for part in parts:
        assert part in problem.message
    assert "\n" not in str(problem)
    assert len(problem.message) < 350
    name = next(part for part in reversed(key.split(".")) if not part.isdigit()) + ":"
    lines_before = GOOD[: GOOD.index(old)] + (new[: new.index(name)] if name in new else "")
    assert problem.line == lines_before.count("\n") + 1
    assert str(problem) == f"r.yaml:{problem.line}:{problem.column}: {problem.message}"
    line = text.splitlines()[problem.line - 1]
    assert re.match(r"[\w{\[<*'\"-]", line[problem.column - 1 :]), "a key or an item begins here"


def test_two_benchmarks_of_one_name_are_told(check):
    line = "      - {name: GSM8K, paths: [gsm.jsonl], layout: gsm8k}\n"
    text = GOOD.replace(line, line + line.replace("gsm.jsonl", "train.jsonl"))
    (problem,) = check(text)
    assert problem.key == "pool.decontaminate.benchmarks.1"
    assert "two benchmarks are called 'GSM8K'" in problem.message
    assert problem.line == line_of(text, "[train.jsonl]")


def test_missing_keys_are_told_one_by_one_in_their_place(check):
    text = GOOD.replace("  tokenizer: tok.json\n", "").replace("      ingest: html\n", "")
    problems = check(text)
    assert [(p.key, p.line, p.message) for p in problems] == [
        ("pool.sources.web", 4, "'pool.sources.web' lacks the key 'ingest'"),
        ("mix", line_of(text, "mix:"), "'mix' lacks the key 'tokenizer'"),
    ]


def test_all_mistakes_are_told_at_once(check):
    text = GOOD.replace("tokens: 1000", "tokns: 1000").replace("- gopher", "- 3")
    assert {p.key for p in check(text)} == {"mix.tokns", "pool.sources.web.rules.0"}


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (b"name: \xff\n", 1, "not UTF-8"),
        (b"", 1, "must be a mapping (got nothing)"),
        (b"# only a comment\n", 1, "must be a mapping (got nothing)"),
        (b"- a\n- b\n", 1, "must be a mapping (got a list)"),
        (b"just words\n", 1, "must be a mapping (got the text"),
        (b"name: x\n\tpool: 1\n", 2, "not YAML"),
        (b"name: [x\n", 2, "not YAML"),
        (b"name: x\nname: y\n", 2, 'duplicate key "name"'),
        (b"name: *nowhere\n", 1, "undefined alias"),
        (b"name: x\npool: a\x00b\n", 2, "#x0000"),
        (b"name: x\npool: a\x07b\n", 2, "#x0007"),
        (b"name: x\n---\nname: y\n", 2, "another document"),
        (b"&a\nname: x\npool: *a\nmix: *a\n", 3, "'*a' stands inside what it stands for"),
        (b"name: x\npool: " + b"- " * 5000, 2, "not YAML"),
        (b"name: x\npool:\n" + b"- " * 5000, 3, "nested more than 64 deep"),
        (b"name: x\npool: {a: " + b"{b: " * 5000, 2, "nested more than 64 deep"),
        (b"name: x\nmix: {tokens: " + b"9" * 5000 + b"}", 2, "5000 digits"),
        (b"name: x\nmix: {tokens: " + b"9" * 4000 + b"}", 2, "more than 100 digits"),
        (b"name: x\nmix: {tokens: 0x" + b"f" * 9000 + b"}", 2, "more than 100 digits"),
    ],
)
def test_what_is_no_recipe_at_all_is_told_in_one_sentence(check, text, line, part):
    (problem,) = check(text)
    assert (problem.file, problem.line) == ("r.yaml", line)
    assert part in problem.message
    assert "\n" not in str(problem)


def test_a_missing_file_is_told(tmp_path):
    (problem,) = check_recipe(str(tmp_path / "none.yaml"))
    assert "cannot be read" in problem.message
    (problem,) = check_recipe(str(tmp_path))
    assert "cannot be read" in problem.message


def test_anchors_and_merge_keys_are_yaml(load, check):
    text = GOOD.replace(
        "    code: {ingest: code, paths: [in/code]}",
        "    code: &code {ingest: code, paths: [in/code], rules: &rules [code]}\n"
        "    more: {<<: *code, paths: [in/more]}",
    )
    sources = {source.name: source for source in load(text).sources}
    assert sources["more"].ingest == "code"
    assert sources["more"].paths == ("in/more",)
    assert sources["more"].rules == sources["code"].rules
    (problem,) = check(
        text.replace("rules: &rules [code]", "rule: [code]").replace(
            "*code, ", "*code, rules: [], "
        )
    )[:1]
    assert problem.line == line_of(text, "&code")


# Values


@pytest.mark.parametrize(
    ("written", "tokens"),
    [
        ("1", 1),
        ("1000", 1000),
        ("1K", 1000),
        ("1.5M", 1_500_000),
        ("0.1B", 100_000_000),
        ("100B", 100_000_000_000),
        ("6T", 6_000_000_000_000),
        ("1.1T", 1_100_000_000_000),
        ("0.001K", 1),
        ("2.5678K", 2567),
    ],
)
def test_tokens_are_exact(load, written, tokens):
    assert load(GOOD.replace("tokens: 1000", f"tokens: {written}")).mix.tokens == tokens


def test_tokens_of_a_file_are_written_like_those_of_the_mix(load):
    for written, tokens in (("100K", 100_000), ("1.5M", 1_500_000), ("64", 64)):
        assert load(GOOD, f"mix.file_tokens={written}").mix.file_tokens == tokens


@given(st.integers(1, 10**7), st.sampled_from("KMBT"))
def test_decimals_of_tokens_lose_nothing(number, unit):
    from pipelines.recipes.checks import count_tokens

    scale = {"K": 3, "M": 6, "B": 9, "T": 12}[unit]
    digits = str(number).rjust(4, "0")
    assert count_tokens(f"{digits[:-3]}.{digits[-3:]}{unit}") == number * 10**scale // 1000


def test_what_is_left_out_has_its_default(load):
    recipe = load(
        "name: a\npool: {sources: {web: {ingest: html, paths: [x]}}}\n"
        "mix: {tokens: 5, tokenizer: t, shares: {web: 1}}\n"
    )
    assert (recipe.exact, recipe.fuzzy, recipe.decontamination) == (None, None, None)
    assert (recipe.urls, recipe.repeats) == (False, ())
    assert recipe.keep == ("source order",)
    assert recipe.mix.max_epochs == {"web": 1.0}
    assert (recipe.mix.where, recipe.mix.exclude, recipe.mix.seed) == (None, (), 0)
    (source,) = recipe.sources
    assert (source.rules, source.allow_empty) == ((), False)


@pytest.mark.parametrize(
    ("dedup", "exact"),
    [
        ("{}", "text"),
        ("{exact: true}", "text"),
        ("{exact: false}", None),
        ("{exact: {}}", "text"),
        ("{exact: {by: words}}", "words"),
    ],
)
def test_dedup_is_exact_unless_it_says_otherwise(load, dedup, exact):
    text = GOOD.replace("  dedup:\n    keep: [source order, size.bytes desc]", f"  dedup: {dedup}")
    assert load(text).exact == exact


def test_excluded_sources_leave_the_others_in_proportion(load):
    text = GOOD.replace("code: {ingest: code, paths: [in/code]}", (
        "code: {ingest: code, paths: [in/code]}\n    math: {ingest: dolma, paths: [m]}"
    )).replace("{web: 0.5, code: 0.5}", "{web: 0.5, code: 0.3, math: 0.2}")  # fmt: skip
    assert load(text).mix.proportions == {"web": 0.5, "code": 0.3, "math": 0.2}
    left = load(text, "mix.exclude=[web]").mix.proportions
    assert left == {"code": pytest.approx(0.6), "math": pytest.approx(0.4)}


STAGES = "  order: {stages: [{share: 0.75}, {share: 0.25, shares: {code: 0.9}}]}\n"


def test_stages_make_the_shares_of_the_whole(load):
    recipe = load(GOOD.replace("gates:", STAGES + "gates:"))
    assert recipe.mix.order == "shuffled"
    assert recipe.mix.proportions == pytest.approx({"web": 0.4, "code": 0.6})
    assert [dict(one.shares) for one in recipe.mix.curriculum.stages] == [
        {"web": 0.5, "code": 0.5}, pytest.approx({"web": 0.1, "code": 0.9}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "key", "part"),
    [
        ("shufled", "mix.order", "'shards' or the text 'shuffled' or a mapping"),
        ("{stages: [{share: 1}]}", "mix.order.stages", "is too short"),
        ("{stages: [{share: 0.5}, {share: 0.4}]}", "mix.order.stages", "(they sum to 0.9)"),
        ("{stages: [{share: 0.5}, {shares: {web: 1}}]}", "mix.order.stages.1", "lacks the key"),
        (
            "{stages: [{share: 0.5}, {share: 0.5, shares: {wbe: 0.5}}]}",
            "mix.order.stages.1.shares.wbe", "did you mean 'web'",
        ),
        (
            "{stages: [{share: 0.5}, {share: 0.5, shares: {web: 0.8, code: 0.8}}]}",
            "mix.order.stages.1.shares", "of stage 2 must sum to 1 at most (they sum to 1.6)",
        ),
        (
            "{stages: [{share: 0.5}, {share: 0.5, shares: {web: 0.5, code: 0.4}}]}",
            "mix.order.stages.1.shares", "since they name every source (they sum to 0.9)",
        ),
        (
            "{stages: [{share: 0.5, shares: {web: 0}}, {share: 0.5, shares: {web: 0}}]}",
            "mix.order.stages", "'web' has a share of 0 in all stages",
        ),
        ("{stages: [{share: 0.5}, {share: 0.5}], quality: rising}", "mix.order.quality", "needs"),
    ],
)  # fmt: skip
def test_stages_that_cannot_be_are_told(check, order, key, part):
    (problem,) = check(GOOD.replace("gates:", f"  order: {order}\ngates:"))
    assert problem.key == key
    assert part in problem.message
    assert problem.line == line_of(GOOD, "gates:")


def test_a_stage_of_excluded_sources_alone_is_told(check):
    order = "{stages: [{share: 0.5}, {share: 0.5, shares: {code: 1}}]}"
    text = GOOD.replace("gates:", f"  order: {order}\n  exclude: [code]\ngates:")
    (problem,) = check(text)
    assert "stage 2 holds only sources that mix.exclude leaves out" in problem.message


@pytest.mark.parametrize(
    ("window", "key", "part"),
    [
        ("{wbe: {score: size.bytes, keep: [0, 1]}}", "mix.window.wbe", "did you mean 'web'"),
        ("{web: {score: size.bytes, keep: [0.8, 0.2]}}", "mix.window.web.keep", "above the first"),
        ("{web: {score: size.bytes, keep: [0.2]}}", "mix.window.web.keep", "too short"),
        ("{web: {score: size.bytes, keep: [0, 2]}}", "mix.window.web.keep.1", "at most 1 (got 2)"),
        ("{web: {keep: [0, 1]}}", "mix.window.web", "lacks the key 'score'"),
        ("{web: {score: 'size bytes )', keep: [0, 1]}}", "mix.window.web.score", "not SQL"),
    ],
)
def test_windows_that_cannot_be_are_told(check, window, key, part):
    (problem,) = check(GOOD.replace("gates:", f"  window: {window}\ngates:"))
    assert problem.key == key
    assert part in problem.message


def test_epochs_of_a_source_default_to_default(load):
    text = GOOD.replace("{web: 2}", "{web: 2, default: 3}")
    assert load(text).mix.max_epochs == {"web": 2.0, "code": 3.0}
    assert load(GOOD.replace("{web: 2}", "4")).mix.max_epochs == {"web": 4.0, "code": 4.0}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("", "is empty"),
        ("{name: ''}", "is empty"),
        ("{workspace}", "has no tokenizer.json"),
        ("{name: cl100k_base, pattern: gpt2}", "has a split pattern and special tokens of its own"),
        ("in", "has no tokenizer.json"),
        ("{name: in}", "has no tokenizer.json"),
    ],
)
def test_a_tokenizer_that_is_no_file_is_told(load, tmp_path, name, part):
    (tmp_path / "in").mkdir()
    text = GOOD.replace("tok.json", name if name.startswith("{name") else f"'{name}'")
    with pytest.raises(RecipeError) as raised:
        load(text).tokenizer(str(tmp_path))
    (problem,) = raised.value.problems
    assert problem.line == line_of(text, "tokenizer:")
    assert "mix.tokenizer" in problem.key
    assert part in problem.message or "non-empty" in problem.message


def test_paths_are_resolved_against_the_recipes_folder(load, tmp_path):
    recipe = load(GOOD)
    cases = {
        "in/web": f"{tmp_path}/in/web",
        "../x/*.gz": f"{tmp_path.parent}/x/*.gz",
        "/abs/x": "/abs/x",
        "s3://bucket/x": "s3://bucket/x",
        "{workspace}/x": "/w/space/x",
    }
    assert {path: recipe.pattern(path, "/w/space/") for path in cases} == cases
    assert recipe.pattern("{workspace}/x", "s3://bucket/w") == "s3://bucket/w/x"


def test_a_workspace_is_never_taken_for_a_pattern(load):
    assert load(GOOD).pattern("{workspace}/*.gz", "/odd [x]*") == "/odd [[]x][*]/*.gz"


def test_a_relative_workspace_starts_where_the_command_runs(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(GOOD).pattern("{workspace}/x", "here") == f"{tmp_path}/here/x"


# --set


@pytest.mark.parametrize(
    ("override", "see"),
    [
        ("mix.tokens=2M", lambda recipe: recipe.mix.tokens == 2_000_000),
        ("mix.tokens=7", lambda recipe: recipe.mix.tokens == 7),
        ("mix.where=size.bytes >= 200", lambda recipe: recipe.mix.where == "size.bytes >= 200"),
        ("mix.exclude=[code]", lambda recipe: recipe.mix.exclude == ("code",)),
        ("mix.shares={web: 1}", lambda recipe: recipe.mix.shares == {"web": 1}),
        ("mix.max_epochs.code=3", lambda recipe: recipe.mix.max_epochs == {"web": 2, "code": 3}),
        ("pool.dedup.fuzzy=true", lambda recipe: recipe.fuzzy is not None),
        (
            "pool.dedup.fuzzy.similarity=0.9",
            lambda recipe: recipe.fuzzy and recipe.fuzzy.similarity == 0.9,
        ),
        (
            "pool.dedup.fuzzy={preset: dolma3-web}",
            lambda recipe: recipe.fuzzy == Fuzzy(ngram=5, bands=26, rows=11, similarity=0.8),
        ),
        (
            "pool.dedup.fuzzy={preset: fineweb, similarity: 0.8}",
            lambda recipe: recipe.fuzzy == Fuzzy(ngram=5, bands=14, rows=8, similarity=0.8),
        ),
        (
            "pool.dedup.fuzzy={bands: 20, rows: 5, ngram: 13}",
            lambda recipe: recipe.fuzzy == Fuzzy(ngram=13, bands=20, rows=5, similarity=0.8),
        ),
        (
            "pool.dedup.fuzzy={similarity: 0.7, permutations: 112, recall: 0.95}",
            lambda recipe: recipe.fuzzy == Fuzzy(ngram=5, bands=22, rows=5, similarity=0.7),
        ),
        (
            "pool.dedup.keep=[newest, longest, source order, quality desc, size.words asc]",
            lambda recipe: len(recipe.keep) == 5,
        ),
        ("name=other", lambda recipe: recipe.name == "other"),
    ],
)
def test_set_changes_a_key_and_types_are_those_of_yaml(load, override, see):
    assert not see(load(GOOD))
    assert see(load(GOOD, override))


def test_the_last_of_two_overrides_wins(load):
    assert load(GOOD, "mix.tokens=5", "mix.tokens=6").mix.tokens == 6


@pytest.mark.parametrize(
    ("override", "key", "part"),
    [
        ("mix.tokns=5", "mix.tokns", "did you mean 'tokens'?"),
        ("mix.qualty.bins=5", "mix.qualty", "did you mean 'quality'?"),
        ("mix.tokens", "mix.tokens", "a key and its value are wanted"),
        ("=5", "", "a key and its value are wanted"),
        ("mix..tokens=5", "mix..tokens", "a key and its value are wanted"),
        ("mix.tokens='5'", "mix.tokens", "the text '5'"),
        ("mix.tokens=", "mix.tokens", "(got nothing)"),
        ("mix.tokens=[1", "mix.tokens", "is no YAML value"),
        ("mix.tokens=\x00", "mix.tokens", "is no YAML value"),
        ("mix.tokens.more=5", "mix.tokens.more", "'mix.tokens' is 1000, not a mapping"),
        (
            "pool.sources.web.paths.0=x",
            "pool.sources.web.paths.0",
            "'pool.sources.web.paths' is ['",
        ),
        ("pool=other.yaml", "pool", "must be a mapping"),
        ("mix.shares.web=1.0", "mix.shares", "must sum to 1"),
        ("mix.wher=null", "mix.wher", "is not there"),
    ],
)
def test_a_wrong_override_is_one_sentence(check, override, key, part):
    (problem,) = check(GOOD, override)
    assert problem.key == key
    assert part in problem.message
    assert problem.file == ("r.yaml" if key == "mix.shares" else f"--set {override}")
    assert "\n" not in str(problem)


def test_of_several_overrides_the_wrong_one_is_named(check):
    (problem,) = check(GOOD, "mix.seed=5", "mix.tokens=abc", "mix.max_epochs=3")
    assert str(problem).startswith("--set mix.tokens=abc: 'mix.tokens' is the text 'abc'")


def test_a_long_override_is_named_in_one_short_line(check):
    (problem,) = check(GOOD, "mix.where=\n" + 1000 * "x ")
    assert problem.file.startswith("--set mix.where= x x")
    assert len(problem.file) < 120


def test_what_is_short_for_defaults_can_be_changed_in_part(load):
    assert load(GOOD, "pool.dedup.fuzzy=true", "pool.dedup.fuzzy.similarity=0.7").fuzzy == (
        load(GOOD, "pool.dedup.fuzzy={similarity: 0.7}").fuzzy
    )


def test_an_override_of_a_file_that_is_no_mapping_is_told(check):
    (problem,) = check("- a\n", "mix.tokens=5")
    assert "not a mapping" in problem.message


# A pool in a file of its own

POOL = """\
sources:
  web: {ingest: html, paths: [in/web]}
  code:
    ingest: code
    paths: [in/code]
"""
WITH_POOL = """\
name: tiny
pool: pools/p.yaml
mix: {tokens: 5, tokenizer: x, shares: {web: 0.5, code: 0.5}}
"""


@pytest.fixture
def pool_file(tmp_path):
    (tmp_path / "pools").mkdir()
    return tmp_path / "pools" / "p.yaml"


def test_a_pool_can_lie_in_a_file_of_its_own(check, load, pool_file):
    pool_file.write_text(POOL)
    assert check(WITH_POOL) == []
    recipe = load(WITH_POOL, "pool.sources.web.allow_empty=true")
    assert [source.name for source in recipe.sources] == ["web", "code"]
    assert recipe.sources[0].allow_empty
    assert recipe.tree["pool"]["sources"]["code"] == {"ingest": "code", "paths": ["in/code"]}


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("ingest: code", "ingest: cod", 4, "did you mean 'code'?"),
        ("    paths: [in/code]\n", "", 3, "lacks the key 'paths'"),
        ("sources:", "source:", 1, "did you mean 'sources'?"),
        ("[in/code]", "[in/code", 6, "not YAML"),
        (POOL, "other.yaml", 1, "must be a mapping"),
        (POOL, "- a", 1, "must be a mapping"),
    ],
)
def test_a_mistake_in_a_pool_file_names_that_file_and_its_line(
    check, pool_file, old, new, line, part
):
    pool_file.write_text(POOL.replace(old, new))
    (problem,) = check(WITH_POOL)
    assert problem.file.endswith("pools/p.yaml")
    assert problem.line == line
    assert part in problem.message


def test_a_missing_pool_file_is_told(check):
    (problem,) = check(WITH_POOL)
    assert problem.file.endswith("pools/p.yaml")
    assert "cannot be read" in problem.message


def test_an_error_tells_every_problem_on_a_line_of_its_own(load):
    with pytest.raises(RecipeError) as raised:
        load(GOOD.replace("gates:", "gate:").replace("tokens: 1000", "tokens: x"))
    assert len(str(raised.value).split("\n")) == len(raised.value.problems) == 2


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "large"])
@pytest.mark.parametrize("named", ["recipe", "pool"])
def test_what_can_be_no_recipe_is_refused_before_it_is_read(tmp_path, kind, named):
    path = tmp_path / "x.yaml"
    if kind == "device":
        path = Path("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"#")
        os.truncate(path, MOST_BYTES + 1)
    recipe = path
    if named == "pool":
        recipe = tmp_path / "r.yaml"
        recipe.write_text(f"name: x\npool: {path}\nmix: {{}}\n")
    with pytest.raises(RecipeError, match=r"it is no file|more than a recipe may have"):
        load_recipe(str(recipe))


def test_shares_that_a_layer_settles_are_as_people_write_them(load):
    assert load(GOOD, "mix.shares.web=0.7").mix.shares == {"web": 0.7, "code": 0.3}
