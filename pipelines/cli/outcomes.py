"""How a command ends: exit codes, where it prints, and known failures as one sentence each.

Answers go to standard output (with `--json` one JSON object), everything else to standard error.
docs/commands.md describes both for users.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer
from rich.console import Console

__all__ = [
    "ANSWERS",
    "CHECK_FAILED",
    "ERRORS",
    "GOOD",
    "Known",
    "RECIPE_WRONG",
    "RUN_FAILED",
    "outcomes",
    "own_process",
    "print_json",
]

GOOD = 0
CHECK_FAILED = 1  # a gate, or a check of verify
RECIPE_WRONG = 2  # or the command line
RUN_FAILED = 3
INTERRUPTED = "interrupted; run the same command again to go on from here"
_own_process = False
if os.environ.get("COLUMNS", "1").strip() in {"", "0"}:
    del os.environ["COLUMNS"]  # of whoever does not know: no width at all would print nothing
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)
ANSWERS = Console(highlight=False, soft_wrap=True)


@dataclass
class Known:
    """What a failure tells beside its sentences: `answer` in its JSON, `shown` below them."""

    answer: dict[str, Any] = field(default_factory=dict)
    shown: list[Any] = field(default_factory=list)


@contextmanager
def outcomes(as_json: bool) -> Iterator[Known]:
    """Turn known failures into one sentence and an exit code."""
    with _importing(as_json):
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.options.pipeline_options import PipelineOptions

        import pipelines.workflow  # noqa: F401, with all that most commands need
        from expectations.suites import SuiteError
        from pipelines.command_line import CommandError
        from pipelines.inputs import NoInput
        from pipelines.recipes.recipe import RecipeError
        from pipelines.stages import GateFailed, RunFailed
        from pipelines.train_classifier import TrainingError
        from transforms.datasets import MissingDataset
        from transforms.decontamination.benchmarks import BenchmarkError
        from transforms.mixing.budget import BudgetError
        from transforms.quality.fasttext_model import ModelError
        from transforms.query import QueryError
        from transforms.s3 import BadUri, NoBucket
        from transforms.storage import DamagedFile
        from transforms.tokens.specification import TokenizerError

    asked = (BenchmarkError, BudgetError, CommandError, ModelError, NoInput, QueryError, SuiteError)
    missing = (BadUri, MissingDataset, NoBucket, TokenizerError, TrainingError)

    # Object stores are read before the first pipeline would tell Beam its options.
    FileSystems.set_options(PipelineOptions([]))
    known = Known()
    try:
        yield known
    except RecipeError as error:
        fail(as_json, RECIPE_WRONG, [str(problem) for problem in error.problems])
    except (*asked, *missing) as error:  # what users can cause; any other error is a defect
        fail(as_json, RECIPE_WRONG, str(error).splitlines(), known)
    except GateFailed as error:
        fail(as_json, CHECK_FAILED, [*error.sentences, f"report: {error.report}"])
    except (RunFailed, DamagedFile, OSError) as error:
        fail(as_json, RUN_FAILED, [str(error)])
    except typer.Exit:
        raise
    except Exception:
        traceback.print_exc()
        fail(as_json, RUN_FAILED, ["this is a defect of vineleaf; the lines above show where"])
    except KeyboardInterrupt:
        fail(as_json, RUN_FAILED, [INTERRUPTED])


def own_process() -> None:
    """Tell that the process is the command's own and ends with it."""
    global _own_process
    _own_process = True


def fail(as_json: bool, code: int, sentences: list[str], known: Known | None = None) -> None:
    for sentence in sentences:
        ERRORS.print(f"error: {sentence}", markup=False, style="red")
    for screen in known.shown if known else ():
        ERRORS.print(screen)
    if as_json:
        print_json({"ok": False, "errors": sentences, **(known.answer if known else {})})
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """Print the one object of `--json`."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def _importing(as_json: bool) -> Iterator[None]:
    """Imports make a million objects, which stay: to walk them for garbage, now and again at the
    end of the process, takes a second and a half. A process of another's keeps its own ways."""
    gc.disable()
    try:
        yield
    except KeyboardInterrupt:
        fail(as_json, RUN_FAILED, [INTERRUPTED])
    finally:
        if _own_process:
            gc.freeze()
        gc.enable()
