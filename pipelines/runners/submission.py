"""Submission: one Beam pipeline is built, run to its end on whatever runner, and watched meanwhile.

A runner that works elsewhere can stop without an error: a worker hangs, a JVM is out of memory. A
pipeline is cancelled when nothing of it moves for `--patience_minutes`: no file below the `watched`
folders appears or grows, and nothing that Flink counts changes. What cannot be looked at is not
known, and ends nothing before that. An interrupted or failed run leaves no job; what a killed one
leaves has a name that begins with its workspace's, by which the next run finds and ends it.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, suppress
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.internal import cloudpickle_pickler
from apache_beam.options.pipeline_options import (
    DirectOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.runner import PipelineResult

from mixes.schema_errors import nearest
from pipelines.command_line import CommandError
from pipelines.runners.flink_rest import (
    cancel_flink_job,
    describe_flink,
    end_flink_jobs,
    flink_moves,
)
from transforms import storage

__all__ = [
    "RunFailed",
    "WatchOptions",
    "job_name",
    "job_server_options",
    "check_runner",
    "describe_runner",
    "in_process_runner",
    "end_left_jobs",
    "hide_folders",
    "name_jobs",
    "run_pipeline",
    "runner_of",
]

IN_PROCESS = frozenset({"DirectRunner", "FnApiRunner"})

# Minutes without a new byte. A task writes as it goes on local disks; an object store shows a file
# when it is whole, and a task is some minutes of work at most.
PATIENCE_MINUTES = 30.0
ANSWER_SECONDS = 20.0  # for a job server to tell its options
LOOK_SECONDS = 15.0  # between two looks at the files, at least
LOOKS_SHARE = 0.02  # of the time, at most, that looking takes: folders can hold many files
# How Beam's worker ends that cannot unpack functions, which is before it calls any: a traceback,
# whose frames are indented, and the error.
_UNPACKED = re.compile(r"/bundle_processor\.py\", line \d+, in create_operation\n(?:\s.*\n)*(\w.*)")


class RunFailed(Exception):
    """The run could not go on: a worker failed, or the ledger does not balance."""


class WatchOptions(PipelineOptions):  # type: ignore[misc]
    """An option of ours among Beam's, so that it goes wherever they go."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--patience_minutes",
            type=float,
            default=PATIENCE_MINUTES,
            help="Minutes without a new byte after which a submitted job is cancelled.",
        )


def run_pipeline(
    title: str,
    build: Callable[[beam.Pipeline], object],
    options: PipelineOptions,
    watched: Sequence[str] = (),
    place: str = "",
) -> None:
    """Build a pipeline and run it to its end; RunFailed with one sentence when it fails.

    `watched`: folders in which its work shows. One that writes nothing before its end has none:
    then `place`, a path of this run's own, tells its name from others', and what Flink counts alone
    tells whether it moves; elsewhere it is not watched.
    """
    hide_folders()
    options = copy.deepcopy(options)  # runners change it: the portable ones take their own name out
    runner = runner_of(options)
    named = options.view_as(GoogleCloudOptions)  # which all runners read
    named.job_name = job_name(named.job_name or "vineleaf", title, watched or [place])
    try:
        pipeline = beam.Pipeline(runner=runner, options=options)
        build(pipeline)
        if isinstance(runner, str):
            _await(title, pipeline.run(), watched, options)
        else:
            # Its workers print each traceback to standard error; it comes with the error, too.
            with redirect_stderr(io.StringIO()):
                pipeline.run()
    except RunFailed:
        raise
    except Exception as error:
        reason = _reason(error)
        raise RunFailed(reason if reason.startswith(title) else f"{title}: {reason}") from error


def hide_folders() -> None:
    """Let what is sent with a job name source files below the folder that Python found them in.

    Functions without a name of their own are pickled whole, with the path of their file: it would
    tell where this machine keeps its packages, and be another on the next. Beam means this to be
    set from outside, and has no option for it.
    """
    config: Any = cloudpickle_pickler.DEFAULT_CONFIG
    config.filepath_interceptor = _below_its_folder


def _below_its_folder(path: str) -> str:
    folders = [one.rstrip(os.sep) + os.sep for one in sys.path if one]
    found = [one for one in folders if path.startswith(one)]
    return path[max(map(len, found)) :] if found else os.path.basename(path)


def runner_of(options: PipelineOptions) -> Any:
    """The runner by Beam's name; `DirectRunner` is always the in-process one.

    Beam's own DirectRunner first tries to download another runner.
    """
    name = _runner_name(options)
    return in_process_runner() if name in IN_PROCESS else name


def _runner_name(options: PipelineOptions) -> str:
    return str(options.get_all_options().get("runner") or "DirectRunner")


def in_process_runner() -> Any:
    """Beam's FnApiRunner, whose threads lose nothing on the way from one to another.

    As Beam 2.77 has it, a thread of its own takes what workers have written, each second, and then
    empties their buffer: what is written between the two is lost without an error (100 of 200,000
    small values in one of four runs). Without a limit of time the writer itself hands it on.
    """
    from apache_beam.runners.portability.fn_api_runner import worker_handlers
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
    return FnApiRunner()


def describe_runner(options: PipelineOptions) -> str:
    """What a run uses: the runner by Beam's name, and its threads, processes or job server."""
    name = _runner_name(options)
    if name not in IN_PROCESS:
        endpoint = options.view_as(PortableOptions).job_endpoint
        return f"{name}, job server {endpoint}" if endpoint else name
    given = options.view_as(DirectOptions)
    count = given.direct_num_workers or os.cpu_count() or 1  # 0 stands for all cores
    if given.direct_running_mode == "multi_processing":
        return f"FnApiRunner, {count} process{'' if count == 1 else 'es'}"
    if given.direct_running_mode == "in_memory":
        count = 1
    return f"FnApiRunner in this process, {count} thread{'' if count == 1 else 's'}"


def check_runner(name: str) -> None:
    """CommandError when Beam has no runner of that name. A name with a dot is a class somewhere."""
    known = StandardOptions.KNOWN_RUNNER_NAMES
    spelled = {one.lower() for one in (*known, "FnApiRunner")}
    if "." not in name and not {name.lower(), f"{name.lower()}runner"} & spelled:
        raise CommandError(f"Beam has no runner '{name}'{nearest(name, known)}")


def name_jobs(options: PipelineOptions, workspace: str) -> str:
    """Let the names of all jobs of a run begin with a digest of its workspace; gives what they
    begin with."""
    named = options.view_as(GoogleCloudOptions)  # which all runners read
    place = workspace if "://" in workspace else os.path.abspath(workspace)
    named.job_name = job_name(named.job_name or "vineleaf", "", [place.rstrip("/")])
    return f"{named.job_name}-"


def end_left_jobs(options: PipelineOptions, prefix: str) -> list[str]:
    """End the jobs on Flink that a killed run has left, by what their names begin with: whoever
    holds the lock of a workspace owns them. Gives their names; RunFailed when they do not end."""
    try:
        return end_flink_jobs(options, prefix)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFailed(f"jobs of an earlier run can not be ended: {error}") from error


def job_name(prefix: str, title: str, watched: Iterable[str]) -> str:
    """The name by which a cluster shows a job: lower-case letters, digits and `-`, as Dataflow
    wants it. It is the same each time and another one in each workspace."""
    digest = hashlib.blake2b("\n".join(watched).encode(), digest_size=4).hexdigest()
    return re.sub(r"[^a-z0-9]+", "-", f"{prefix} {title} {digest}".lower()).strip("-")


def job_server_options(options: PipelineOptions) -> list[str]:
    """Names of the options of the job server that `--job_endpoint` names, none without it.

    CommandError when none answers there: Beam itself would wait for minutes.
    """
    endpoint = options.view_as(PortableOptions).job_endpoint
    if not endpoint or endpoint == "embed":
        return []
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            answer = service.DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(),
                timeout=ANSWER_SECONDS,
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            raise CommandError(
                f"no job server answers at {endpoint}: start it, or name another by --job_endpoint"
            ) from error
    return [option.name for option in answer.options]


def _await(
    title: str, job: PipelineResult, watched: Sequence[str], options: PipelineOptions
) -> None:
    """Wait for a submitted job's end, in a thread of its own; cancel it when nothing moves."""
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            job.wait_until_finish()
        except BaseException as error:
            failures.append(error)

    name = options.view_as(GoogleCloudOptions).job_name
    patience = options.view_as(WatchOptions).patience_minutes * 60
    signs = _Signs(lambda: _seen(watched) if watched else None, lambda: flink_moves(options, name))
    waiting = threading.Thread(target=wait, daemon=True)
    try:
        waiting.start()
        signs.move()
        moved = time.monotonic()
        pause = LOOK_SECONDS
        while waiting.is_alive():
            waiting.join(min(pause, patience))
            began = time.monotonic()
            if signs.move():
                moved = time.monotonic()
            elif waiting.is_alive() and time.monotonic() - moved >= patience:
                raise RunFailed(_standstill(title, watched, patience, options, signs.unknown))
            pause = max(LOOK_SECONDS, (time.monotonic() - began) / LOOKS_SHARE)
        if failures:  # a connection that was lost, too: the job itself may go on
            raise failures[0]
    except BaseException:
        # Of services that may be gone, and one without the other: what ends the run counts.
        with suppress(Exception):
            job.cancel()
        with suppress(Exception):
            cancel_flink_job(options, name)
        raise


class _Signs:
    """What shows that a job elsewhere moves, as it was known last. Each of `looks` gives what
    changes as the job moves, None where there is nothing to look at, or fails."""

    def __init__(self, *looks: Callable[[], object]) -> None:
        self._looks = looks
        self._known: dict[int, object] = {}
        self.unknown = ""  # why the last looks did not tell

    def move(self) -> bool:
        """Whether something changed since it was known last. A job of which there is nothing to
        look at is taken to move."""
        changed, nothing, reasons = False, True, []
        for number, look in enumerate(self._looks):
            try:
                now = look()
            except Exception as error:  # of whatever library: the next look may tell
                reasons.append(str(error) or type(error).__name__)
                nothing = False
                continue
            if now is not None:
                changed |= self._known.get(number, now) != now
                self._known[number], nothing = now, False
        self.unknown = "; ".join(reasons)
        return changed or nothing


def _seen(folders: Iterable[str]) -> dict[str, int]:
    """Sizes in bytes of all files below the folders, those that are being written as well."""
    try:
        files = storage.list_files([storage.join(storage.escape(one), "**") for one in folders])
    except FileNotFoundError:  # one got its final name as we looked: something moves
        return {}
    return {file.path: file.size_bytes for file in files}


def _standstill(
    title: str, watched: Sequence[str], patience: float, options: PipelineOptions, unknown: str
) -> str:
    more = f" and {len(watched) - 1} more" if len(watched) > 1 else ""
    what = f"nothing was written below {watched[0]}{more}" if watched else "no record was read"
    flink = describe_flink(options, options.view_as(GoogleCloudOptions).job_name)
    failed = f"the last look failed: {unknown}; " if unknown else ""
    return (
        f"{title}: {what} for {patience / 60:g} minutes, so the job was cancelled;"
        f" {failed}{flink}run the same command again to go on"
    )


def _reason(error: BaseException) -> str:
    """The sentence of the task that failed, from whatever the runner wrapped around it."""
    text = str(error).strip() or type(error).__name__
    _, marker, rest = text.rpartition("task failed: ")
    if not marker and (unpacked := _UNPACKED.search(text)):
        return (
            f"a worker could not take up what was submitted ({unpacked[1]}): workers need the"
            f" Python that submits, {sys.version_info.major}.{sys.version_info.minor}, and the same"
            " packages"
        )
    line = rest.splitlines()[0] if marker else text.splitlines()[-1]
    # These are sentences for users, whose kind adds nothing.
    line = re.sub(r"^transforms\.storage\.(DiskFull|DamagedFile): ", "", line)
    return line.split(" [while running")[0]
