"""Arguments and options that several commands share, and Beam's own options behind `--`."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from pipelines.command_line import CommandError

__all__ = ["AsJson", "Overrides", "RecipePath", "Runner", "WorkspaceUri", "beam_options"]

# Options are stored with a job, shown by runners and by `ps`.
SECRETS = ("s3_access_key_id", "s3_secret_access_key", "s3_session_token")

RecipePath = Annotated[str, typer.Argument(metavar="RECIPE", help="Recipe in YAML.")]
WorkspaceUri = Annotated[
    str,
    typer.Option(
        "--workspace",
        "-w",
        metavar="URI",
        help="Folder or URI (s3://, gs://) of all that a run makes.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the recipe, as mix.tokens=2M; null deletes it; repeatable.",
    ),
]
ReuseTokens = Annotated[
    bool,
    typer.Option(
        "--reuse-tokens",
        help="Link files that an earlier mix of the workspace holds alike, write only the others.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Runner = Annotated[
    str,
    typer.Option(help="Beam runner by its name; DirectRunner is the in-process one, on all cores."),
]


def beam_options(runner: str, arguments: list[str]) -> Any:
    """Beam's options: what follows `--`, on all cores of this machine unless it says otherwise."""
    from apache_beam.io.filesystems import FileSystems

    from mixes.schema_errors import nearest
    from pipelines.runners.beam_options import KeptViews
    from pipelines.runners.submission import check_runner, job_server_options

    check_runner(runner)
    if runner in {"DirectRunner", "FnApiRunner"}:
        defaults = {
            "--direct_running_mode": "multi_threading",
            "--direct_num_workers": str(os.cpu_count() or 1),
        }
        given = {argument.split("=")[0] for argument in arguments}
        arguments = [
            *(f"{name}={value}" for name, value in defaults.items() if name not in given),
            *arguments,
        ]
    options = KeptViews([f"--runner={runner}", *arguments])
    known = sorted({*options.get_all_options(), *job_server_options(options)})
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and not {name, name.removeprefix("no_")} & set(known):
            raise CommandError(f"Beam has no option --{name}{nearest(name, known)}")
        if argument.startswith("--") and name in SECRETS:
            raise CommandError(
                f"--{name} would show a secret wherever options are shown: set AWS_ACCESS_KEY_ID"
                " and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
            )
    if options.get_all_options().get("direct_num_workers", 0) < 0:
        raise CommandError("--direct_num_workers must be at least 0, which stands for all cores")
    FileSystems.set_options(options)  # an endpoint of S3, say
    return options
