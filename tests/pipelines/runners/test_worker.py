"""The worker process learns its job and endpoints from the TaskManager that started it."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import (
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, struct_pb2, text_format

from pipelines.runners.worker import main

OPTIONS = {"beam:option:s3_endpoint_url:v1": "http://127.0.0.1:9"}


@pytest.fixture
def taskmanager():
    """(endpoint, worker ids that asked there)."""
    asked = []

    class Service(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
        def GetProvisionInfo(self, request, context):
            asked.append(dict(context.invocation_metadata())["worker_id"])
            return beam_provision_api_pb2.GetProvisionInfoResponse(
                info=beam_provision_api_pb2.ProvisionInfo(
                    pipeline_options=json_format.ParseDict(OPTIONS, struct_pb2.Struct()),
                    logging_endpoint=endpoints_pb2.ApiServiceDescriptor(url="127.0.0.1:1"),
                    control_endpoint=endpoints_pb2.ApiServiceDescriptor(url="127.0.0.1:2"),
                    runner_capabilities=["a", "b"],
                )
            )

    server = grpc.server(ThreadPoolExecutor(1))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", asked
    server.stop(None)


def test_beams_worker_starts_with_what_the_taskmanager_says(taskmanager, monkeypatch):
    seen = {}
    monkeypatch.setattr("os.environ", seen)
    monkeypatch.setattr(sdk_worker_main, "main", lambda arguments: None)
    endpoint, asked = taskmanager
    main(["--id=7-1", f"--provision_endpoint={endpoint}", "--control_endpoint=ignored"])
    assert asked == ["7-1"]
    assert seen["WORKER_ID"] == "7-1"
    assert seen["RUNNER_CAPABILITIES"] == "a b"
    for name, url in (("LOGGING", "127.0.0.1:1"), ("CONTROL", "127.0.0.1:2")):
        told = endpoints_pb2.ApiServiceDescriptor()
        text_format.Parse(seen[f"{name}_API_SERVICE_DESCRIPTOR"], told)
        assert told.url == url
    assert json.loads(seen["PIPELINE_OPTIONS"]) == OPTIONS
    loaded = sdk_worker_main._load_pipeline_options(seen["PIPELINE_OPTIONS"])
    assert PipelineOptions.from_dictionary(loaded).get_all_options()["s3_endpoint_url"] == (
        "http://127.0.0.1:9"
    )
