"""Flink's REST interface: whether jobs move, what a cluster says of those that do not, their end.

In: Beam's options, whose `--flink_master` names the JobManager (host:port or URL), and the name of
a job. Where no master is named there is nothing to ask. Beam's job server lets a cancelled job run
on, so the cluster itself is told.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
)

from pipelines.command_line import CommandError

__all__ = ["cancel_flink_job", "check_flink", "describe_flink", "end_flink_jobs", "flink_moves"]

ANSWER_SECONDS = 10.0
MOST_STEPS = 3  # that are named of each job
END_SECONDS = 120.0  # for jobs that are cancelled to end
ASK_AGAIN_SECONDS = 0.5
MOVES = (
    "read-records",
    "write-records",
    "read-bytes",
    "write-bytes",
)  # of a step; others count time
ENDED = ("FINISHED", "FAILED", "CANCELED")
UNFINISHED = ("CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING")  # of a step


def check_flink(options: PipelineOptions) -> None:
    """ValueError, one sentence, when a job for Beam's FlinkRunner lacks what it needs; other
    runners pass. Without a job server's address Beam would download one."""
    name = str(options.get_all_options().get("runner") or "").rpartition(".")[2].lower()
    if name.removesuffix("runner") != "flink":
        return
    lacking = []
    if not options.view_as(PortableOptions).job_endpoint:
        lacking.append("--job_endpoint=HOST:PORT")
    if not _master(options):
        lacking.append("--flink_master=HOST:PORT")
    if lacking:
        raise CommandError(
            f"FlinkRunner needs {' '.join(lacking)} behind `--`: Beam's job server, and the"
            " JobManager's REST address"
        )


def describe_flink(options: PipelineOptions, name: str) -> str:
    """Workers, free slots, and the steps that the job is at: a clause that ends with "; "."""
    master = _master(options)
    if not master:
        return ""
    try:
        overview = _ask(f"{master}/overview")
        parts = [
            f"{overview['taskmanagers']} TaskManagers with {overview['slots-available']} of"
            f" {overview['slots-total']} slots free"
        ]
        parts += [_describe_job(_ask(f"{master}/jobs/{job}")) for job in _running(master, name)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"Flink at {master} does not answer ({error}); "
    return f"Flink has {'; '.join(parts)}; "


def cancel_flink_job(options: PipelineOptions, name: str) -> None:
    """Cancel the running jobs of this name. OSError when the cluster does not answer."""
    master = _master(options)
    if master:
        for job in _running(master, name):
            _ask(f"{master}/jobs/{job}?mode=cancel", "PATCH")


def end_flink_jobs(options: PipelineOptions, prefix: str) -> list[str]:
    """Cancel the jobs that have not ended and whose name begins so, and wait for their end; gives
    their names. OSError when the cluster does not answer, or a job does not end."""
    master = _master(options)
    if not master:
        return []

    def unfinished() -> dict[str, str]:
        return _unfinished(master, lambda name: name.startswith(prefix))

    found = unfinished()
    for job in found:
        _ask(f"{master}/jobs/{job}?mode=cancel", "PATCH")
    deadline = time.monotonic() + END_SECONDS
    while left := unfinished():
        if time.monotonic() > deadline:
            raise OSError(f"Flink at {master} does not end {', '.join(sorted(left.values()))}")
        time.sleep(ASK_AGAIN_SECONDS)
    return sorted(found.values())


def flink_moves(options: PipelineOptions, name: str) -> object:
    """What changes as a job of this name moves: how far each of its steps is, in records and bytes.
    None where no master is named; OSError when the cluster does not answer."""
    master = _master(options)
    if not master:
        return None
    try:
        jobs = [_ask(f"{master}/jobs/{job}") for job in _running(master, name)]
        return [
            (step["id"], step["status"], [step["metrics"].get(one) for one in MOVES])
            for job in jobs
            for step in job["vertices"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OSError(f"Flink at {master} does not answer ({error})") from error


def _master(options: PipelineOptions) -> str:
    master = str(options.view_as(FlinkRunnerOptions).flink_master)
    if master.startswith("["):  # [auto], [local]
        return ""
    return (master if "://" in master else f"http://{master}").rstrip("/")


def _running(master: str, name: str) -> list[str]:
    return list(_unfinished(master, lambda one: one == name))


def _unfinished(master: str, wanted: Callable[[str], bool]) -> dict[str, str]:
    """Id -> name of the jobs that have not ended and whose name is wanted."""
    jobs = _ask(f"{master}/jobs/overview")["jobs"]
    return {
        job["jid"]: job["name"] for job in jobs if wanted(job["name"]) and job["state"] not in ENDED
    }


def _describe_job(job: dict[str, Any]) -> str:
    steps = []
    for vertex in job["vertices"]:
        if vertex["status"] in UNFINISHED:
            counts = vertex["tasks"]
            told = [f"{counts[one]} {one.lower()}" for one in UNFINISHED if counts.get(one)]
            steps.append(f"{vertex['name']:.60} ({', '.join(told)})")
    hidden = len(steps) - MOST_STEPS
    more = [f"{hidden} more"] if hidden > 0 else []
    return f"the job is {job['state']}" + (
        f" at {', '.join([*steps[:MOST_STEPS], *more])}" if steps else ""
    )


def _ask(address: str, method: str = "GET") -> Any:
    request = urllib.request.Request(address, method=method)
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return json.load(answer)
