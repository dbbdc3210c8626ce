"""Beam's options, with views that are made once, and what they say of exchanges.

Beam asks for a view of the options at each transform that it adds to a pipeline, and each view is
made by a new parser of the command line: an eighth of what a small run takes. Views share their
values, so one of each class is enough.

`--exchange_carrier=groupbykey` lets the runner's own shuffle carry the exchanges whose planned
bytes, divided by its workers, stay below `MOST_SUBTASK_BYTES`; the others go through files. Where
one key may have most of the rows, more workers do not help: the runner does not split a key's
values, and Flink wants them in its heap. Such an exchange is held to `MOST_KEY_BYTES` as a whole.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions

from transforms.exchange import Carrier

__all__ = ["CarrierOptions", "KeptViews", "PlannedExchange", "choose_carrier"]

# Of a stage's output. Flink hangs where a subtask has more than some 1.2 GB of it.
MOST_SUBTASK_BYTES = 1_000_000_000
MOST_KEY_BYTES = 256_000_000  # of the values of one key: a quarter of a TaskManager's heap of 1 GB
_WORKERS = ("parallelism", "max_num_workers", "num_workers")  # options of several runners


class CarrierOptions(PipelineOptions):  # type: ignore[misc]
    """An option of ours among Beam's."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--exchange_carrier",
            choices=["files", "groupbykey"],
            default="files",
            help="What carries exchanges that the runner's own shuffle can hold.",
        )


class PlannedExchange(NamedTuple):
    """An exchange's rows, in bytes at most. `by_files`: no other carrier can serve it. `is_hot`:
    one of its keys may have most of them."""

    most_bytes: int
    by_files: bool = False
    is_hot: bool = False


def choose_carrier(options: PipelineOptions, planned: PlannedExchange) -> Carrier:
    """What carries an exchange."""
    if planned.by_files or options.view_as(CarrierOptions).exchange_carrier == "files":
        return "files"
    values = options.get_all_options()
    workers = max(1, *(int(values.get(name) or 0) for name in _WORKERS))
    most = MOST_KEY_BYTES if planned.is_hot else workers * MOST_SUBTASK_BYTES
    return "groupbykey" if planned.most_bytes <= most else "files"


class KeptViews(PipelineOptions):  # type: ignore[misc]
    """Options whose `view_as` gives the same object for the same class."""

    def view_as(self, cls: type[PipelineOptions]) -> Any:
        # Not an attribute of options: those are looked up among the values of the command line.
        views = self.__dict__.setdefault("_kept_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]
