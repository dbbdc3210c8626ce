"""`vineleaf why`: the story of one document."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.options import AsJson, WorkspaceUri
from pipelines.cli.outcomes import ANSWERS, outcomes, print_json

__all__ = ["why"]


def why(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a document, or the end of its path or URL.")
    ],
    workspace: WorkspaceUri = "workspace",
    recipe: Annotated[
        str | None, typer.Option(help="Name of the mix; default: all mixes of the workspace.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell one document's story: where it came from, its scores, why it was kept or removed,
    what it duplicates.

    Every rule is shown in the order asked, with its value, unit and bounds, and what was cut from
    the text. Ids stand in `documents/` of the workspace and beside the token files of a mix; one
    that begins with a hyphen follows `--`.

    `vineleaf why docs/pprint --workspace workspace`
    """
    from pipelines.reports.why import tell_story
    from pipelines.workspace import Workspace

    with outcomes(as_json):
        story = tell_story(Workspace(workspace), id_, recipe)
    if as_json:
        print_json(story.to_json())
    else:
        ANSWERS.print(story.text(), markup=False)
