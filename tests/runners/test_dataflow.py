"""Dataflow: a submission goes to its end against a stub, and says nothing of this machine."""

import getpass
import json
import os
import socket
import sys
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from dataflow_stub import DataflowStub, dataflow_stub, functions_of, pipeline_of
from small_pool import make_pool, vineleaf_here, write_recipe

from pipelines.cli.options import beam_options
from pipelines.runners.beam_options import KeptViews
from pipelines.runners.dataflow import check_dataflow
from pipelines.runners.submission import run_pipeline
from pipelines.stages import ProcessTasks
from transforms.stored_lists import StoredList

IMAGE = "europe-docker.example/vine/vineleaf:0.1.0"
WORKSPACE = "gs://vine-bucket/workspace"
GIVEN = {
    "project": "vine-project",
    "region": "europe-west4",
    "temp_location": "gs://vine-bucket/tmp",
    "sdk_container_image": IMAGE,
    "service_account_email": "worker@vine-project.example",
    "max_num_workers": "7",
    "autoscaling_algorithm": "THROUGHPUT_BASED",
    "machine_type": "n2-standard-8",
    "experiments": "shuffle_mode=service",
    "no_use_public_ips": None,
}


def flags(**changes: str | None) -> list[str]:
    given = {**GIVEN, **changes}
    return [f"--{name}" if value is None else f"--{name}={value}" for name, value in given.items()]


def build(pipeline: beam.Pipeline) -> None:
    tasks = StoredList("gs://vine-bucket/workspace/work/tasks.list", 2, (0, 10))
    (
        pipeline
        | "Blocks" >> beam.Create(range(tasks.blocks), reshuffle=False)
        | "Read block" >> beam.FlatMap(tasks.block)
        | ProcessTasks(len, "ingest")
    )


@pytest.fixture(scope="module")
def submitted() -> DataflowStub:
    pytest.importorskip("google.cloud.dataflow_v1beta3")
    with dataflow_stub() as stub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", stub.address)
        patch.setenv("NO_GCE_CHECK", "true")
        arguments = [*flags(), f"--dataflow_endpoint={stub.address}", "--no_auth"]
        options = beam_options("DataflowRunner", arguments)
        check_dataflow(options, WORKSPACE)
        for _ in range(2):
            run_pipeline("ingest web", build, options, place=WORKSPACE)
    return stub


def test_the_job_has_a_name_of_its_stage_that_is_the_same_each_time(submitted):
    names = [job["name"] for job in submitted.jobs]
    assert len(names) == 2
    assert names[0] == names[1]
    assert names[0].startswith("vineleaf-ingest-web-")


def test_the_job_has_the_options_that_were_given(submitted):
    for job in submitted.jobs:
        (pool,) = job["environment"]["workerPools"]
        assert pool["autoscalingSettings"]["maxNumWorkers"] == 7
        assert pool["machineType"] == GIVEN["machine_type"]
        assert pool["workerHarnessContainerImage"] == IMAGE
        assert job["environment"]["serviceAccountEmail"] == GIVEN["service_account_email"]
        options = job["environment"]["sdkPipelineOptions"]["options"]
        for name in ("project", "region", "sdk_container_image"):
            assert options[name] == GIVEN[name]
        assert "shuffle_mode=service" in options["experiments"]
        assert options["use_public_ips"] is False


def test_the_job_has_the_steps_of_the_pipeline_and_the_image(submitted):
    pipeline = pipeline_of(submitted.jobs[0], submitted)
    names = {one.unique_name for one in pipeline.components.transforms.values()}
    wanted = {"Blocks", "Read block", "ProcessTasks/Spread tasks", "ProcessTasks/Process task"}
    assert names >= wanted
    images = {
        beam_runner_api_pb2.DockerPayload.FromString(one.payload).container_image
        for one in pipeline.components.environments.values()
    }
    assert images == {IMAGE}


def test_nothing_that_is_sent_depends_on_this_machine(submitted):
    first, second = (pipeline_of(job, submitted) for job in submitted.jobs)
    assert first.components.transforms == second.components.transforms
    assert first.components.pcollections == second.components.pcollections
    uploaded = [*submitted.objects.values(), functions_of(first)]
    sent = b"".join([*uploaded, json.dumps(submitted.jobs).encode()])
    assert b"core.py" in sent  # of Beam: a function without a name, pickled whole
    root = Path(__file__).parents[2]
    for word in (str(root), os.getcwd(), str(Path.home()), sys.prefix, f"@{socket.gethostname()}"):
        assert word.encode() not in sent, word
    assert f"/home/{getpass.getuser()}".encode() not in sent
    assert [path for path in submitted.objects if not path.endswith("/pipeline.pb")] == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"project": "", "region": ""}, r"Dataflow needs --project=PROJECT --region=REGION behind"),
        ({"temp_location": ""}, r"Dataflow needs --temp_location=gs://BUCKET/FOLDER behind"),
        ({"temp_location": "/tmp/x"}, r"needs --temp_location on Cloud Storage .*, not /tmp/x"),
        ({"sdk_container_image": ""}, r"--sdk_container_image=IMAGE .* or --setup_file"),
    ],
)
def test_what_lacks_is_told_before_any_work(changes, told):
    with pytest.raises(ValueError, match=told):
        check_dataflow(KeptViews(["--runner=DataflowRunner", *flags(**changes)]), WORKSPACE)


def test_a_workspace_on_this_machine_is_refused_by_the_command(tmp_path):
    pool = make_pool(tmp_path / "pool")
    recipe = write_recipe(tmp_path / "r.yaml", pool.recipe())
    place = ["-w", str(tmp_path / "w"), "--runner=DataflowRunner", "--json", "--", *flags()]
    said = vineleaf_here("run", str(recipe), *place).failed(2)
    assert f"Dataflow needs --workspace on Cloud Storage (gs://BUCKET/...), not {tmp_path}" in said


def test_other_runners_need_none_of_it():
    check_dataflow(PipelineOptions(["--runner=PortableRunner"]), "/any")
