"""Beam's options, with views that are made once.

Beam asks for a view of the options at each transform that it adds to a pipeline, and each view is
made by a new parser of the command line: an eighth of what a small run takes. Views share their
values, so one of each class is enough.
"""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

__all__ = ["KeptViews"]


class KeptViews(PipelineOptions):  # type: ignore[misc]
    """Options whose `view_as` gives the same object for the same class."""

    def view_as(self, cls: type[PipelineOptions]) -> Any:
        # Not an attribute of options: those are looked up among the values of the command line.
        views = self.__dict__.setdefault("_kept_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]
