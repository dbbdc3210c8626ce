"""Flink's REST interface: what a cluster says of jobs that stand still, and their end.

In: Beam's options, whose `--flink_master` names the JobManager (host:port or URL), and the name of
a job. Where no master is named there is nothing to ask. Beam's job server lets a cancelled job run
on, so the cluster itself is told.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions

__all__ = ["cancel_flink_job", "describe_flink"]

ANSWER_SECONDS = 10.0
MOST_STEPS = 3  # that are named of each job
ENDED = ("FINISHED", "FAILED", "CANCELED")
UNFINISHED = ("CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING")  # of a step


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


def _master(options: PipelineOptions) -> str:
    master = str(options.view_as(FlinkRunnerOptions).flink_master)
    if master.startswith("["):  # [auto], [local]
        return ""
    return (master if "://" in master else f"http://{master}").rstrip("/")


def _running(master: str, name: str) -> list[str]:
    jobs = _ask(f"{master}/jobs/overview")["jobs"]
    return [job["jid"] for job in jobs if job["name"] == name and job["state"] not in ENDED]


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
