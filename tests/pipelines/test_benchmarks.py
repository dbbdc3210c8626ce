"""Benchmarks of a recipe: read before any work, and again only when there is no index of them."""

import json
from dataclasses import replace

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import benchmarks
from pipelines.benchmarks import benchmark_job, build_benchmark_index, check_benchmarks
from pipelines.recipes.recipe import RecipeError, load_recipe
from pipelines.stages import run_job
from pipelines.workspace import Workspace
from transforms.decontamination.benchmarks import Benchmark, BenchmarkError

RECIPE = """\
name: tiny
pool:
  sources:
    docs: {ingest: dolma, paths: [docs.jsonl]}
  decontaminate:
    benchmarks:
      - {name: one, paths: [one.jsonl], fields: [question, answer]}
      - {name: two, paths: ["{workspace}/two.jsonl"], fields: [question]}
mix: {tokens: 1, tokenizer: t.json, shares: {docs: 1.0}}
"""
QUESTION = "How many apples does little Anna have left at home today?"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "workspace"))


@pytest.fixture
def recipe(tmp_path, workspace):
    """recipe(records of `one`, records of `two` or None): the recipe with its files."""

    def write(one, two=({"question": QUESTION},)):
        path = tmp_path / "r.yaml"
        path.write_text(RECIPE)
        (tmp_path / "workspace").mkdir(exist_ok=True)
        for place, records in (
            (tmp_path / "one.jsonl", one),
            (tmp_path / "workspace/two.jsonl", two),
        ):
            if records is not None:
                place.write_text("".join(json.dumps(record) + "\n" for record in records))
        return load_recipe(str(path))

    return write


GOOD = [{"question": QUESTION, "answer": "3"}]


def test_all_that_is_wrong_is_told_with_its_place_in_the_recipe(recipe, workspace):
    loaded = recipe([{"question": QUESTION}], [{"question": None}])
    for read in (check_benchmarks, benchmark_job):
        with pytest.raises(RecipeError) as error:
            read(loaded, workspace)
        first, second = error.value.problems
        assert (first.line, second.line) == (7, 8)
        assert "one.jsonl: line 1: no field 'answer'" in first.message
        assert "two.jsonl: line 1: field 'question' is null" in second.message


SHORT = {"question": "Two plus two?", "answer": ""}


@pytest.mark.parametrize(
    ("records", "said"), [([SHORT], "none of its 1 items can be looked for"), ([], "no item in")]
)
def test_a_benchmark_of_which_nothing_can_be_looked_for_is_refused(
    recipe, workspace, records, said
):
    loaded = recipe(records)
    for read in (check_benchmarks, benchmark_job):
        with pytest.raises(RecipeError, match=said):
            read(loaded, workspace)
    named = Benchmark("one", (f"{loaded.folder}/one.jsonl",), fields=("question", "answer"))
    with pytest.raises(BenchmarkError, match=said):
        build_benchmark_index([named], loaded.decontamination)


def test_an_ignored_phrase_without_effect_is_told(recipe, workspace):
    loaded = recipe(GOOD)
    ignoring = replace(loaded, decontamination=replace(loaded.decontamination, ignore=("so it",)))
    for read in (check_benchmarks, benchmark_job):
        with pytest.raises(RecipeError, match="'so it' has no effect"):
            read(ignoring, workspace)


def test_files_that_are_not_there_stop_a_run_and_no_check(recipe, workspace):
    loaded = recipe(GOOD, None)
    check_benchmarks(loaded, workspace)
    with pytest.raises(RecipeError, match=r"r\.yaml:8:\d+: no file matches .*two\.jsonl"):
        benchmark_job(loaded, workspace)


def test_a_check_writes_nothing(recipe, tmp_path):
    loaded = recipe(GOOD, None)
    elsewhere = Workspace(str(tmp_path / "elsewhere"))
    check_benchmarks(loaded, elsewhere)
    assert not (tmp_path / "elsewhere").exists()


def test_benchmarks_are_read_again_only_when_they_change(recipe, workspace, monkeypatch):
    loaded = recipe([*GOOD, SHORT])
    job = benchmark_job(loaded, workspace)
    manifest = run_job(job, PipelineOptions(["--direct_num_workers=1"])).manifests["benchmarks"]
    assert manifest.counts["items"] == 3
    assert manifest.counts["unmatchable_items"] == 1

    def refuse(benchmark):
        raise BenchmarkError("read")

    monkeypatch.setattr(benchmarks, "read_benchmark", refuse)
    (again,) = benchmark_job(loaded, workspace).stages
    assert again.fingerprint == manifest.fingerprint
    with pytest.raises(RecipeError, match="read"):
        benchmark_job(recipe(GOOD), workspace)
