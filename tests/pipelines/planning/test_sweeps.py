"""Sweeps: what a key means, and the grid of its values."""

import pytest

from pipelines.planning.sweeps import MOST_VARIANTS, make_grid, parse_sweep
from pipelines.recipes.recipe import load_recipe

RECIPE = """\
name: two
pool:
  sources:
    web: {ingest: dolma, paths: [a], rules: [gopher, c4]}
    code: {ingest: dolma, paths: [b], rules: [gopher]}
    pdf: {ingest: dolma, paths: [c]}
mix:
  tokens: 1000
  tokenizer: tok.json
  shares: {web: 0.5, code: 0.5}
"""
RULES = "pool.sources.{}.rules."


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    return load_recipe(str(path))


@pytest.mark.parametrize(
    ("key", "paths"),
    [
        ("gopher.words.min", ["web", "code"]),
        ("gopher.words.at_least", ["web", "code"]),
        ("web.gopher.words.min", ["web"]),
    ],
)
def test_a_short_key_means_the_rule_of_each_source_that_has_it(recipe, key, paths):
    sweep = parse_sweep(f"{key}=30,50", recipe)
    assert sweep.key == key
    assert sweep.values == ("30", "50")
    assert list(sweep.paths) == [RULES.format(one) + "gopher.words.at_least" for one in paths]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("shares.web", "mix.shares.web"),
        ("mix.tokens", "mix.tokens"),
        ("tokens", "mix.tokens"),
        ("pool.sources.web.rules.c4.sentences.at_least",) * 2,
        ("c4.sentences.max", "pool.sources.web.rules.c4.sentences.at_most"),
        ("quality.discard", "mix.quality.discard"),
    ],
)
def test_other_keys_are_those_of_the_mix_or_stand_whole(recipe, key, path):
    assert parse_sweep(f"{key}=1", recipe).paths == (path,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gopher.words.min", "takes KEY=VALUE,VALUE"),
        ("gopher.words.min=", "takes KEY=VALUE,VALUE"),
        ("gopher.words.min=1,,2", "takes KEY=VALUE,VALUE"),
        ("gophr.words.min=1", "did you mean 'gopher'"),
        ("lines.at_least=3,6", "did you mean 'pool.dedup.lines.at_least'"),
        ("madlad.sentences.min=1", "no source has the rule 'madlad'"),
    ],
)
def test_what_is_no_sweep_is_told(recipe, text, said):
    with pytest.raises(ValueError, match=said):
        parse_sweep(text, recipe)


def test_a_grid_has_every_combination_once_in_order(recipe):
    sweeps = [parse_sweep("tokens=1,2", recipe), parse_sweep("gopher.words.min=3,4,3", recipe)]
    grid = make_grid(sweeps)
    assert [dict(one.values) for one in grid] == [
        {"tokens": tokens, "gopher.words.min": words} for tokens in "12" for words in "34"
    ]
    assert grid[1].overrides == (
        "mix.tokens=1",
        "pool.sources.web.rules.gopher.words.at_least=4",
        "pool.sources.code.rules.gopher.words.at_least=4",
    )


def test_too_many_combinations_are_refused(recipe):
    values = ",".join(str(one) for one in range(MOST_VARIANTS + 1))
    with pytest.raises(ValueError, match=f"{MOST_VARIANTS + 1} combinations"):
        make_grid([parse_sweep(f"tokens={values}", recipe)])


def test_a_key_is_swept_once(recipe):
    sweeps = [parse_sweep(one, recipe) for one in ("gopher.words.min=1", "web.gopher.words.min=2")]
    with pytest.raises(ValueError, match=r"changes pool\.sources\.web.* twice"):
        make_grid(sweeps)
