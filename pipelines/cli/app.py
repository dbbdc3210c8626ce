"""The command `vineleaf`: run, plan, check, verify, why, compare, train-classifier, demo."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer

from pipelines.cli.check import check
from pipelines.cli.compare import compare
from pipelines.cli.demo import demo
from pipelines.cli.outcomes import ERRORS, RUN_FAILED, own_process
from pipelines.cli.plan import plan
from pipelines.cli.run import run
from pipelines.cli.train_classifier import train_classifier
from pipelines.cli.verify import verify
from pipelines.cli.why import why

__all__ = ["app", "main"]

app = typer.Typer(
    name="vineleaf",
    help="Curate web pages, code and PDFs into tokenized pretraining mixes.",
    epilog="Start with: vineleaf demo --workspace workspace. Exit codes: 0 good; 1 a gate or check"
    " failed; 2 the recipe or the command line is wrong; 3 the run failed (docs/commands.md).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vineleaf {version('vineleaf')}")
        raise typer.Exit


def vineleaf(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Curate web pages, code and PDFs into tokenized pretraining mixes."""


app.callback()(vineleaf)
app.command(context_settings={"allow_extra_args": True})(run)
app.command(context_settings={"allow_extra_args": True})(plan)
for _command in (check, verify, why, compare, train_classifier, demo):
    app.command()(_command)


def main() -> None:
    """Entry point of the command."""
    if sys.stderr is None:  # it was closed: errors are told to nobody, exit codes still hold
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    if sys.stdout is None:
        ERRORS.print("error: the answer cannot be written: standard output is closed")
        sys.exit(RUN_FAILED)
    # Standard error is for progress and our own errors; what libraries warn of is not for users.
    logging.getLogger().setLevel(logging.ERROR)
    for name in ("great_expectations", "pypdf"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Its tracebacks are kept by _keep_traceback.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    own_process()
    # Clusters and schedulers stop a process by SIGTERM: it ends as by Ctrl-C, so that jobs are
    # cancelled and the workspace is free.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:  # of the answer: what else fails is told by outcomes
        ERRORS.print(f"error: the answer cannot be written: {error.strerror}", markup=False)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        sys.exit(RUN_FAILED)
    except Exception:  # of printing the answer: never the exit code of a failed gate
        traceback.print_exc()
        ERRORS.print("error: this is a defect of vineleaf; the lines above show where")
        sys.exit(RUN_FAILED)
