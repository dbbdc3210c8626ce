"""What a run on Dataflow must be told, asked before any work.

In: Beam's options and the workspace. Dataflow's workers see neither this machine's disks nor its
Python packages: the workspace lies on Cloud Storage, and the package comes with the worker image
(infra/Dockerfile) or by `--setup_file`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    WorkerOptions,
)

from pipelines.command_line import CommandError

__all__ = ["check_dataflow"]

UNLISTED = "disable_logging_submission_environment"  # Beam's name of what leaves out that list


def check_dataflow(options: PipelineOptions, workspace: str) -> None:
    """ValueError, one sentence, when a job for Dataflow lacks what it needs; other runners pass.

    What is staged with a job then says nothing of this machine: Beam's list of the packages that
    are installed here is left out.
    """
    name = str(options.get_all_options().get("runner") or "").rpartition(".")[2].lower()
    if name.removesuffix("runner") != "dataflow":
        return
    if not _has_libraries():
        raise CommandError("Dataflow needs Google's libraries: pip install 'vineleaf[gcp]'")
    cloud = options.view_as(GoogleCloudOptions)
    wanted: dict[str, Any] = {
        "--project=PROJECT": cloud.project,
        "--region=REGION": cloud.region,
        "--temp_location=gs://BUCKET/FOLDER": cloud.temp_location,
    }
    lacking = [name for name, value in wanted.items() if not value]
    if lacking:
        raise CommandError(f"Dataflow needs {' '.join(lacking)} behind `--`")
    for name, path in (("--temp_location", cloud.temp_location), ("--workspace", workspace)):
        if not path.startswith("gs://"):
            raise CommandError(
                f"Dataflow needs {name} on Cloud Storage (gs://BUCKET/...), not {path}: its workers"
                " see no other machine's disk"
            )
    setup = options.view_as(SetupOptions)
    if not options.view_as(WorkerOptions).sdk_container_image and not setup.setup_file:
        raise CommandError(
            "Dataflow needs workers that hold this package: --sdk_container_image=IMAGE (made by"
            " infra/Dockerfile) or --setup_file=./setup.py behind `--`"
        )
    options.view_as(DebugOptions).add_experiment(UNLISTED)


def _has_libraries() -> bool:
    try:
        return find_spec("google.cloud.dataflow_v1beta3") is not None
    except ModuleNotFoundError:  # of `google.cloud`, which is looked into
        return False
