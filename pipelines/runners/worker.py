"""The Python process in which a Flink TaskManager runs this package's functions.

Flink starts it for `--environment_type=PROCESS` with the arguments of Beam's container contract
(`--id`, `--provision_endpoint`, ...). It asks there for the job's options and endpoints and then is
Beam's worker. The package must be installed beside it: what a job stages is not installed anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from google.protobuf import json_format, text_format

__all__ = ["environment_of", "main"]

ASK_SECONDS = 60.0  # for the TaskManager, which has just started this process, to answer


def environment_of(info: beam_provision_api_pb2.ProvisionInfo, worker: str) -> dict[str, str]:
    """What Beam's worker reads of its environment, made of what the TaskManager says."""
    return {
        "WORKER_ID": worker,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.logging_endpoint),
        "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.control_endpoint),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command `vineleaf-worker`; ends when the TaskManager lets it go."""
    parser = argparse.ArgumentParser(prog="vineleaf-worker", description=__doc__)
    parser.add_argument("--id", required=True, help="Name of this worker.")
    parser.add_argument("--provision_endpoint", required=True, help="HOST:PORT that tells the job.")
    asked, _ = parser.parse_known_args(arguments)
    os.environ.update(environment_of(_ask(asked.provision_endpoint, asked.id), asked.id))

    from apache_beam.runners.worker import sdk_worker_main  # reads the environment

    sdk_worker_main.main(sys.argv)


def _ask(endpoint: str, worker: str) -> beam_provision_api_pb2.ProvisionInfo:
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        return service.GetProvisionInfo(  # type: ignore[no-any-return]
            beam_provision_api_pb2.GetProvisionInfoRequest(),
            metadata=[("worker_id", worker)],
            timeout=ASK_SECONDS,
            wait_for_ready=True,
        ).info


if __name__ == "__main__":
    main()
