"""The recipes that ship: they are good, and their shares are those of the mixes they are named for.

Tokens and shares of the mixes: allenai/dolma3 (datasets/dolma3_mix) and allenai/OLMo-core
(data/source_mixtures). The small ones run in tests/end_to_end/test_demo.py.
"""

import math
from pathlib import Path

import pytest

from mixes.located_yaml import load_yaml
from pipelines.recipes.recipe import load_recipe

MIXES = Path(__file__).parents[2] / "mixes"
RECIPES = sorted(path.relative_to(MIXES) for path in MIXES.glob("**/*.yaml"))
DOLMA3 = {  # tokens taken and there, in billions
    "web": (4510, 8140),
    "pdf": (805, 972),
    "code": (409, 137),
    "math": (152, 34.1),
    "arxiv": (50.8, 21.4),
    "wiki": (2.51, 3.69),
}


@pytest.mark.parametrize("name", map(str, RECIPES))
def test_a_recipe_is_good_and_says_what_its_lines_do(name: str) -> None:
    recipe = load_recipe(str(MIXES / name))
    assert recipe.name == name.removesuffix(".yaml").replace("small/", "") + (
        "-small" if name.startswith("small/") else ""
    )
    assert math.isclose(math.fsum(recipe.mix.shares.values()), 1, abs_tol=1e-9)
    lines = (MIXES / name).read_text("utf-8").splitlines()
    assert sum("#" in line for line in lines) >= len(lines) / 5


def test_dolma3_asks_for_what_its_mix_holds() -> None:
    mix = load_recipe(str(MIXES / "dolma3.yaml")).mix
    total = sum(taken for taken, _ in DOLMA3.values())
    assert mix.tokens == pytest.approx(total * 1e9, rel=1e-3)
    for source, (taken, available) in DOLMA3.items():
        assert mix.shares[source] == pytest.approx(taken / total, abs=1e-4)
        assert mix.max_epochs[source] >= taken / available


def test_dolmino_has_the_shares_of_its_source_mixture() -> None:
    shares = load_recipe(str(MIXES / "dolmino.yaml")).mix.shares
    assert {name: shares[name] for name in ("web", "math", "flashcards", "instruction")} == {
        "web": 0.225, "math": 0.183, "flashcards": 0.059, "instruction": 0.011,
    }  # fmt: skip


def test_longmino_is_a_third_long_and_replays_dolmino() -> None:
    dolmino = load_recipe(str(MIXES / "dolmino.yaml")).mix.shares
    shares = dict(load_recipe(str(MIXES / "longmino.yaml")).mix.shares)
    assert shares.pop("long") == 0.34
    assert shares == pytest.approx({name: share * 0.66 for name, share in dolmino.items()})


@pytest.mark.parametrize("name", ["dolma3", "dolmino", "longmino"])
def test_a_small_recipe_is_laid_over_the_large_one(name: str) -> None:
    tree = load_yaml((MIXES / "small" / f"{name}.yaml").read_text("utf-8")).value
    assert tree["extends"] in (f"../{name}.yaml", "dolmino.yaml")
