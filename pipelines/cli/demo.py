"""`vineleaf demo`: a mix from what is on this machine."""

from __future__ import annotations

from functools import partial

from pipelines.cli.options import AsJson, WorkspaceUri
from pipelines.cli.outcomes import outcomes, print_json
from pipelines.cli.run import run_recipe

__all__ = ["demo"]


def demo(
    workspace: WorkspaceUri = "workspace",
    as_json: AsJson = False,
) -> None:
    """Make a mix from what is on this machine: documentation pages, code, PDFs, planted
    duplicates and benchmarks.
    """
    from pipelines.demo.demo import run_demo

    with outcomes(as_json) as known:
        answer = run_demo(workspace, as_json, partial(run_recipe, known=known))
    if as_json:
        print_json(answer)
