import os
from importlib.resources import files
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.demo import compilation
from pipelines.demo.compilation import compiling, write_small_recipe
from pipelines.recipes.recipe import load_recipe
from pipelines.workflow import Workflow
from pipelines.workspace import Workspace

DEMO = str(files("mixes") / "demo.yaml")


def test_the_small_run_uses_every_stage_of_the_demo_to_its_end(tmp_path):
    recipe = load_recipe(write_small_recipe(DEMO, str(tmp_path)))
    workflow = Workflow(recipe, Workspace(str(tmp_path / "workspace")), PipelineOptions([]))
    workflow.run()
    tables = {name.split(" ")[0] for name in workflow.manifests}
    rules = [rule for source in load_recipe(DEMO).sources for rule in source.rules]
    assert {one.name for rule in rules for one in rule.annotators} <= tables
    found = [workflow.manifests[f"{t}_duplicates web"].counts for t in ("exact", "fuzzy")]
    assert all(counts["removed"] > 0 for counts in found)
    assert workflow.manifests["mix"].counts["documents"] > 0


def test_what_is_compiled_starts_no_process(monkeypatch):
    monkeypatch.setattr(compilation, "is_compiled", lambda: True)
    monkeypatch.setattr(compilation.subprocess, "Popen", None)
    with compiling(DEMO):
        pass


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_the_processes_end_with_the_block_and_leave_nothing(monkeypatch, error):
    started = []

    class Popen(compilation.subprocess.Popen):
        def __init__(self, command, **options):
            self.folder = Path(command[-1]).parent
            super().__init__(["sleep", "60"], **options)
            started.append(self)

    monkeypatch.setattr(compilation, "is_compiled", lambda: False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(compilation.subprocess, "Popen", Popen)
    try:
        with compiling(DEMO):
            assert [process.poll() for process in started] == [None, None]
            assert (started[0].folder / "recipe.yaml").exists()
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert None not in [process.poll() for process in started]
    assert not started[0].folder.exists()
