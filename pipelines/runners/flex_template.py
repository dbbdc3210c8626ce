"""The entry of the Dataflow flex template: one job that drives a whole run from a worker.

A template launches a single job, and a run is several. So what is launched is a small job of one
worker, whose only task is `vineleaf run ... --runner DataflowRunner`: it submits the stages' jobs,
waits, gates and publishes as a machine of the user's would. When that worker is lost Dataflow
starts the task again, and the run goes on where it was. The launcher calls `main` with
`--NAME=VALUE` for each parameter of infra/dataflow/metadata.json and for Beam's own options;
`--template_location`, one of them, says where the job's graph goes, which the launcher submits.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from pipelines.cli.options import beam_options
from pipelines.command_line import CommandError
from pipelines.lock import LEASE_SECONDS
from pipelines.recipes.recipe import RecipeError, load_recipe
from pipelines.runners.dataflow import check_dataflow
from pipelines.runners.submission import RunFailed, hide_folders, job_name
from pipelines.stages import ProcessTasks

__all__ = ["Drive", "drive", "launch", "main"]

ATTEMPTS = 3  # of a run that failed (exit code 3): its lock may be that of a worker that was lost
RUN_FAILED = 3
# Of the launched job alone: the stages' jobs have names of their own and are submitted.
OF_THE_LAUNCH = ("runner", "template_location", "job_name")
# Of the stages' jobs: the one that drives them has one small worker.
OF_THE_STAGES = ("num_workers", "max_num_workers", "autoscaling_algorithm", "machine_type")
ONE_WORKER = ("--num_workers=1", "--max_num_workers=1", "--autoscaling_algorithm=NONE")
FLAGS = ("use_public_ips",)  # Beam takes no value for these, a launcher always gives one

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drive:
    """A run of `vineleaf run`: its arguments."""

    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return "run"


def drive(task: Drive) -> str:
    """Run it in a process of its own, which can be interrupted when its lock is lost, and log what
    it says; gives its answer. RunFailed with its last line when it fails."""
    command = [sys.executable, "-m", "pipelines", "run", *task.arguments]
    for attempt in range(1, ATTEMPTS + 1):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            line = ""
            for told in process.stdout:
                line = told.rstrip() or line
                _log.info("%s", line)
        if not process.returncode:
            return line
        if process.returncode != RUN_FAILED or attempt == ATTEMPTS:
            break
        time.sleep(LEASE_SECONDS)
    raise RunFailed(f"vineleaf run ended with exit code {process.returncode}: {line}")


def launch(recipe: str, workspace: str, overrides: Sequence[str], arguments: Sequence[str]) -> str:
    """Submit the job that drives a run, or write its graph to `--template_location`; gives its
    name. What can be refused before any work is: CommandError, RecipeError."""
    given = [_as_flag(one) for one in arguments]
    stages = beam_options("DataflowRunner", _without(given, OF_THE_LAUNCH))
    check_dataflow(stages, workspace)
    load_recipe(recipe, tuple(overrides))

    options = beam_options(
        "DataflowRunner", [*_without(given, ("runner", *OF_THE_STAGES)), *ONE_WORKER]
    )
    check_dataflow(options, workspace)
    named = options.view_as(GoogleCloudOptions)
    named.job_name = named.job_name or job_name("vineleaf", "drive", [workspace])
    changes = [argument for one in overrides for argument in ("--set", one)]
    place = ["--workspace", workspace, "--runner", "DataflowRunner"]
    task = Drive((recipe, *place, *changes, "--", *_without(given, OF_THE_LAUNCH)))
    hide_folders()
    pipeline = beam.Pipeline(runner="DataflowRunner", options=options)
    pipeline | "Run" >> beam.Create([task], reshuffle=False) | ProcessTasks(drive, "drive")
    pipeline.run()
    return str(named.job_name)


def _without(arguments: Iterable[str], names: Sequence[str]) -> list[str]:
    return [one for one in arguments if one.partition("=")[0].removeprefix("--") not in names]


def _as_flag(argument: str) -> str:
    """`--use_public_ips=false` as Beam takes it: `--no_use_public_ips`."""
    name, _, value = argument.removeprefix("--").partition("=")
    if name not in FLAGS:
        return argument
    return f"--{name}" if value.lower() == "true" else f"--no_{name}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point that the launcher calls (infra/dataflow/launch.py)."""
    parser = argparse.ArgumentParser(prog="launch.py", allow_abbrev=False)
    parser.add_argument("--recipe", required=True, help="Recipe on Cloud Storage.")
    parser.add_argument("--workspace", required=True, help="gs:// folder of all that a run makes.")
    parser.add_argument("--set", default="", help="KEY=VALUE; several are separated by `;`.")
    ours, others = parser.parse_known_args(arguments)
    logging.getLogger().setLevel(logging.INFO)
    overrides = [one.strip() for one in ours.set.split(";") if one.strip()]
    try:
        name = launch(ours.recipe, ours.workspace, overrides, others)
    except (CommandError, OSError, RecipeError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    _log.info("%s drives the run of %s in %s", name, ours.recipe, ours.workspace)
