"""The flex template: its entry, called as the launcher calls it, launches what drives a run."""

import io
import json
import os
import socket
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from dataflow_stub import DataflowStub, dataflow_stub, functions_of, pipeline_of
from small_pool import make_pool, write_recipe

from pipelines.runners import flex_template
from pipelines.runners.flex_template import Drive, drive
from pipelines.runners.submission import RunFailed
from transforms.datasets import Dataset

ROOT = Path(__file__).parents[2]
RECIPE, WORKSPACE = "gs://vine-bucket/my.yaml", "gs://vine-bucket/workspace"
IMAGE = "europe-docker.example/vine/vineleaf:0.1.0"
TEMPLATE = "gs://vine-bucket/staging/template_launches/2026/job_object"
# Parameters, and what the launcher adds from the launch's environment.
GIVEN = {
    "recipe": RECIPE,
    "workspace": WORKSPACE,
    "set": "mix.tokens=1000; gates=null",
    "sdk_container_image": IMAGE,
    "service_account_email": "worker@vine-project.example",
    "max_num_workers": "7",
    "autoscaling_algorithm": "THROUGHPUT_BASED",
    "machine_type": "n2-standard-8",
    "experiments": "shuffle_mode=service",
    "use_public_ips": "false",
    "runner": "DataflowRunner",
    "project": "vine-project",
    "region": "europe-west4",
    "job_name": "launched-by-hand",
    "temp_location": "gs://vine-bucket/tmp",
    "staging_location": "gs://vine-bucket/staging",
}


def start(stub: DataflowStub, **changes: str) -> tuple[int, str]:
    """Exit code and standard error of what the launcher starts, in this process."""
    given = {**GIVEN, "dataflow_endpoint": stub.address, **changes}
    arguments = [f"--{name}={value}" for name, value in given.items() if value]
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(said):
        patch.setenv("STORAGE_EMULATOR_HOST", stub.address)
        patch.setenv("NO_GCE_CHECK", "true")
        try:
            flex_template.main([*arguments, "--no_auth"])
        except SystemExit as ended:
            return int(ended.code or 0), said.getvalue()
        finally:
            FileSystems.set_options(PipelineOptions([]))
    return 0, said.getvalue()


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    pytest.importorskip("google.cloud.dataflow_v1beta3")
    folder = tmp_path_factory.mktemp("recipe")
    recipe = write_recipe(folder / "r.yaml", make_pool(folder / "pool").recipe())
    with dataflow_stub() as running:
        running.objects[RECIPE] = recipe.read_bytes()
        yield running


@pytest.fixture(scope="module")
def graph(stub):
    """The job that the launcher would submit."""
    assert start(stub, template_location=TEMPLATE)[0] == 0
    assert stub.jobs == []  # the launcher submits it
    return json.loads(stub.objects[TEMPLATE])


def test_the_graph_that_is_left_for_the_launcher_is_one_task_on_one_worker(graph, stub):
    assert graph["name"] == GIVEN["job_name"]
    (pool,) = graph["environment"]["workerPools"]
    assert pool["numWorkers"] == 1
    assert pool["workerHarnessContainerImage"] == IMAGE
    assert "machineType" not in pool
    assert graph["environment"]["serviceAccountEmail"] == GIVEN["service_account_email"]
    options = graph["environment"]["sdkPipelineOptions"]["options"]
    assert options["use_public_ips"] is False
    names = {one.unique_name for one in pipeline_of(graph, stub).components.transforms.values()}
    assert names >= {"Run", "ProcessTasks/Spread tasks", "ProcessTasks/Process task"}


def test_the_task_is_the_command_with_the_parameters_for_its_stages(graph, stub):
    sent = functions_of(pipeline_of(graph, stub))
    for word in (RECIPE, WORKSPACE, "mix.tokens=1000", "gates=null", "--max_num_workers=7"):
        assert word.encode() in sent, word
    for word in ("--machine_type=n2-standard-8", "--no_use_public_ips", "shuffle_mode=service"):
        assert word.encode() in sent, word
    for word in ("template_location", "launched-by-hand"):
        assert f"--{word}".encode() not in sent


def test_nothing_that_is_sent_depends_on_this_machine(graph, stub):
    uploaded = [content for path, content in stub.objects.items() if path != RECIPE]
    sent = b"".join([*uploaded, functions_of(pipeline_of(graph, stub))])
    for word in (str(ROOT), os.getcwd(), str(Path.home()), sys.prefix, f"@{socket.gethostname()}"):
        assert word.encode() not in sent, word


def test_without_a_place_for_the_graph_the_job_is_submitted(graph, stub):
    assert start(stub)[0] == 0
    (job,) = stub.jobs
    stub.jobs.clear()
    assert job["name"] == GIVEN["job_name"]
    assert pipeline_of(job, stub).components.transforms == (
        pipeline_of(graph, stub).components.transforms
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"recipe": "gs://vine-bucket/none.yaml"}, "none.yaml"),
        ({"set": "mix.tokns=5"}, "unknown key 'tokns' in 'mix'"),
        ({"workspace": "/tmp/w"}, "Dataflow needs --workspace on Cloud Storage"),
        ({"sdk_container_image": ""}, "--sdk_container_image=IMAGE"),
        ({"max_workers": "7"}, "Beam has no option --max_workers"),
    ],
)
def test_what_is_wrong_ends_the_launch_with_a_sentence(stub, changes, told):
    code, said = start(stub, **changes)
    assert code == 2
    assert told in said
    assert stub.jobs == []


def test_the_launchers_file_starts_the_entry():
    done = subprocess.run(
        [sys.executable, ROOT / "infra/dataflow/launch.py", "--workspace=gs://bucket/w"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert "the following arguments are required: --recipe" in done.stderr


def test_the_task_runs_the_command_to_its_end(tmp_path):
    recipe = str(write_recipe(tmp_path / "r.yaml", make_pool(tmp_path / "pool").recipe()))
    driven = tmp_path / "driven"
    answer = drive(Drive((recipe, "--workspace", str(driven))))
    assert answer.endswith(str(driven / "mixes/small/README.md"))
    (mix,) = (driven / "mixes").iterdir()
    assert Dataset.published(str(mix))[1].stage == "mix"


def test_a_run_that_fails_is_tried_again_and_one_that_can_not_succeed_is_not(monkeypatch, tmp_path):
    pauses = []
    monkeypatch.setattr(flex_template.time, "sleep", pauses.append)
    with pytest.raises(RunFailed, match=r"ended with exit code 2: .*none\.yaml"):
        drive(Drive((str(tmp_path / "none.yaml"),)))
    assert pauses == []
    count = tmp_path / "count"
    script = (
        f"open({str(count)!r}, 'a').write('x'); print('another run works'); raise SystemExit(3)"
    )
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{script}"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(flex_template.sys, "executable", str(fake))
    with pytest.raises(RunFailed, match="ended with exit code 3: another run works"):
        drive(Drive(("any.yaml",)))
    assert count.read_text() == "xxx"
    assert len(pauses) == 2
