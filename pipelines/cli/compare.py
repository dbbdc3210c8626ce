"""`vineleaf compare`: what an ablation changed."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.compare_screens import print_comparison
from pipelines.cli.options import AsJson
from pipelines.cli.outcomes import ERRORS, outcomes, print_json

__all__ = ["compare"]


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Folder or URI of a published mix.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The mix that is compared with it.")],
    examples: Annotated[
        int, typer.Option(min=0, max=1000, help="Documents shown of each source and change.")
    ] = 3,
    as_json: AsJson = False,
) -> None:
    """Tell what an ablation changed: tokens, shares and documents of mix B against those of mix A.

    Documents are told apart by source and id. For those that only one mix holds it is said why the
    other does not: the rule, a duplicate, the query, or the budget. That needs the workspace in
    which that mix was made; all else is read off the mixes themselves, wherever they were copied
    to. Examples are the same ones each time; `vineleaf why ID` tells more of one.

    `vineleaf compare workspace/mixes/demo workspace/mixes/demo-without-pdf`
    """
    from pipelines.progress import RunProgress
    from pipelines.reports.compare import compare_mixes

    with outcomes(as_json):
        progress = RunProgress(ERRORS)
        with progress.shown(), progress.phase("compare: reading the documents of both mixes"):
            found = compare_mixes(a, b, examples)
    if as_json:
        print_json(found.to_json())
    else:
        print_comparison(found)
