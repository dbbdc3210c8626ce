"""Whether sources can give what a mix asks of them, by bounds on their text.

Asked before any work of the input, and at each barrier of what is left, so that a recipe that
cannot be met ends as soon as that is known. The exact budgets come last (budgets.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.recipe import Mix
from transforms.mixing.budget import (
    BudgetError,
    check_possible,
    divide_tokens,
    least_text_bytes,
    most_tokens,
)
from transforms.mixing.shortage import settle

__all__ = ["check_bounds", "wanted_text_bytes"]


def wanted_text_bytes(mix: Mix) -> dict[str, int]:
    """Bytes of text without which a source cannot give what may be asked of it, by source."""
    if mix.shortage == "less":
        return dict.fromkeys(mix.proportions, 0)
    wanted = divide_tokens(mix.tokens, mix.proportions)
    if mix.shortage == "share_out":  # one of them may have to give everything
        wanted = dict.fromkeys(wanted, mix.tokens)
    return {name: least_text_bytes(one, mix.max_epochs[name]) for name, one in wanted.items()}


def check_bounds(mix: Mix, most_text_bytes: Mapping[str, int], holder: str) -> None:
    """BudgetError when sources whose text has at most so many bytes cannot give the mix's tokens.

    `holder` is what holds that text, for the message: "its input".
    """
    if mix.shortage == "less":
        return
    if mix.shortage == "share_out":
        most = {
            name: most_tokens(2 * most_text_bytes[name], mix.max_epochs[name])
            for name in mix.proportions
        }
        settle(mix.tokens, mix.proportions, most, mix.shortage)
        return
    problems = []
    for name, wanted in divide_tokens(mix.tokens, mix.proportions).items():
        try:
            check_possible(name, wanted, most_text_bytes[name], mix.max_epochs[name], holder)
        except BudgetError as error:
            problems.append(str(error))
    if problems:
        raise BudgetError("\n".join(problems))
