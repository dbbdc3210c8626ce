"""mixes/demo.yaml fits what pipelines/demo makes."""

from importlib.resources import files

from pipelines.demo.sources import KINDS
from pipelines.recipes.recipe import load_recipe

RECIPE = str(files("mixes") / "demo.yaml")


def test_the_recipe_is_valid() -> None:
    assert load_recipe(RECIPE).name == "demo"


def test_each_kind_of_input_is_read_by_the_recipe() -> None:
    recipe = load_recipe(RECIPE)
    assert recipe.decontamination is not None
    paths = {source.name: source.paths for source in recipe.sources}
    paths |= {"benchmarks": recipe.decontamination.benchmarks[0].paths}
    assert set(paths) == set(KINDS)
    for kind, its in paths.items():
        assert all(path.startswith(f"{{workspace}}/input/{kind}") for path in its)


def test_the_recipe_teaches_five_ways_of_ingest() -> None:
    recipe = load_recipe(RECIPE)
    assert {source.ingest for source in recipe.sources} == {"html", "warc", "code", "pdf", "dolma"}
