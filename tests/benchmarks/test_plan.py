"""The pool of stored attributes that plan is measured on is one that plan takes for finished."""

from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.plan import render
from benchmarks.stored_pool import SHARES, make_pool
from pipelines.recipes.recipe import load_recipe
from pipelines.workflow import Workflow
from pipelines.workspace import Workspace


def test_plan_finds_everything_but_the_mix_up_to_date(tmp_path):
    recipe, workspace = make_pool(3_000, str(tmp_path))
    options = PipelineOptions(["--direct_num_workers=1"])
    workflow = Workflow(load_recipe(recipe), Workspace(workspace), options)
    workflow.plan()
    todo = {state.stage for state in workflow.states if state.state == "to do"}
    assert todo == {"select", "mix"}
    for source, share in SHARES.items():
        budget = workflow.budgets[source]
        assert 0.3 < budget.available_documents / (3_000 * share) < 0.9
        assert 0 < budget.taken_tokens <= budget.wanted_tokens


def test_figures_are_a_table():
    figures = {"a": {"wall_seconds": 1.25, "cpu_seconds": 2.0, "peak_bytes": 10**9}}
    assert "| a | 1.2 s | 2.0 s | 1.00 GB |" in render(10, figures)
