"""A DAG that makes a mix: `vineleaf run`, then `vineleaf verify`, on a worker of Airflow.

Copy this file into the DAGs' folder. The command is `vineleaf` of the worker's PATH, or what
`VINELEAF` names there: an environment of its own keeps the two sets of libraries apart. With
`--runner FlinkRunner` or `DataflowRunner` the worker only submits and waits.

A run that fails is tried again and goes on where it stopped. One whose recipe is wrong, or whose
gate fails, is not: it would fail again. The workspace admits one run at a time, and so does this.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import Param, dag, task

CHECK_FAILED = 1  # exit codes of the command: docs/commands.md
RECIPE_WRONG = 2
# Longer than the lock of a lost worker holds on an object store: two minutes.
PAUSE = timedelta(minutes=3)

_log = logging.getLogger(__name__)


def call(arguments: Sequence[str]) -> dict[str, Any]:
    """Run a command of vineleaf and give its answer. What it tells as it goes is logged.

    AirflowFailException where it would fail again, AirflowException where it may be tried again.
    """
    command = [os.environ.get("VINELEAF", "vineleaf"), *arguments]
    _log.info("%s", " ".join(command))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = process.stdout.read()
        except BaseException:  # the task is stopped: the run ends its jobs and frees its lock
            process.terminate()
            raise
    answer: dict[str, Any] = json.loads(told) if told.startswith("{") else {}
    if process.returncode:
        failed = [f"{one}" for one in answer.get("checks", ()) if not one["ok"]]
        errors = [*answer.get("errors", failed)] or [f"exit code {process.returncode}"]
        final = process.returncode in (CHECK_FAILED, RECIPE_WRONG)
        raise (AirflowFailException if final else AirflowException)("\n".join(errors))
    return answer


def run_arguments(params: dict[str, Any]) -> list[str]:
    """The arguments of `vineleaf run`."""
    changes = [part for one in params["set"] for part in ("--set", one)]
    place = ["--workspace", params["workspace"], "--runner", params["runner"], "--json"]
    return ["run", params["recipe"], *place, *changes, "--", *params["beam_options"]]


def _texts(description: str) -> Param:
    return Param([], type="array", items={"type": "string"}, description=description)


@dag(
    dag_id="vineleaf_run",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["vineleaf"],
    params={
        "recipe": Param("", type="string", minLength=1, description="Recipe, a path or URI."),
        "workspace": Param("", type="string", minLength=1, description="Where all is written."),
        "runner": Param("DirectRunner", type="string", description="Runner, by Beam's name."),
        "set": _texts("Changes of the recipe, KEY=VALUE."),
        "beam_options": _texts("What follows `--` of `vineleaf run`."),
    },
    default_args={"retries": 3, "retry_delay": PAUSE},
)
def vineleaf_run() -> None:
    """Make the mix of a recipe and prove it."""

    @task
    def run(params: dict[str, Any] | None = None) -> str:
        return str(call(run_arguments(params or {}))["mix"])

    @task
    def verify(mix: str) -> None:
        call(["verify", mix, "--json"])

    verify(run())


vineleaf_run()
