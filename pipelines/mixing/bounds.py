"""Whether sources can give what a mix asks of them, by bounds on their text.

Asked before any work of the input, and at each barrier of what is left, so that a recipe that
cannot be met ends as soon as that is known. The exact budgets come last (budgets.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pipelines.recipes.mix_part import Mix
from transforms.mixing.budget import (
    BudgetError,
    check_possible,
    divide_tokens,
    least_text_bytes,
    most_tokens,
)
from transforms.mixing.shortage import settle

__all__ = ["bound_texts", "check_bounds"]


def bound_texts(
    mix: Mix, sources: Iterable[str], bound: Callable[[str, int], int]
) -> dict[str, int]:
    """A bound on the bytes of text of each source, as narrow as `check_bounds` needs it.

    `bound(source, enough)` gives one that may be rough where it is `enough` or more; it is the
    dearer the more is enough.
    """
    if mix.shortage != "share_out":
        wanted = {} if mix.shortage == "less" else divide_tokens(mix.tokens, mix.proportions)
        return {name: bound(name, _least_bytes(mix, name, wanted.get(name, 0))) for name in sources}
    found = {name: bound(name, 0) for name in sources}
    there = {name: _most(mix, name, found[name]) for name in mix.proportions}
    if sum(there.values()) >= mix.tokens:
        return found
    # Compressed files hold more than their bytes: of these what the others may lack.
    for name in there:
        lacking = mix.tokens - (sum(there.values()) - there[name])
        if lacking > there[name]:
            found[name] = bound(name, _least_bytes(mix, name, lacking))
            there[name] = _most(mix, name, found[name])
    return found


def check_bounds(mix: Mix, most_text_bytes: Mapping[str, int], holder: str) -> None:
    """BudgetError when sources whose text has at most so many bytes cannot give the mix's tokens.

    `holder` is what holds that text, for the message: "its input".
    """
    if mix.shortage == "less":
        return
    if mix.shortage == "share_out":
        most = {name: _most(mix, name, most_text_bytes[name]) for name in mix.proportions}
        settle(mix.tokens, mix.proportions, most, mix.shortage)
        return
    problems = []
    if mix.most_times > 1:
        holder = f"{holder}, its documents {mix.most_times} times each,"
    for name, wanted in divide_tokens(mix.tokens, mix.proportions).items():
        there = most_text_bytes[name] * mix.most_times
        try:
            check_possible(name, wanted, there, mix.max_epochs[name], holder)
        except BudgetError as error:
            problems.append(str(error))
    if problems:
        raise BudgetError("\n".join(problems))


def _most(mix: Mix, name: str, text_bytes: int) -> int:
    """Tokens that a source with so much text can give at most."""
    return most_tokens(2 * text_bytes * mix.most_times, mix.max_epochs[name])


def _least_bytes(mix: Mix, name: str, wanted_tokens: int) -> int:
    """Bytes of text without which a source cannot give what is wanted."""
    if not wanted_tokens:
        return 0
    return -(-least_text_bytes(wanted_tokens, mix.max_epochs[name]) // mix.most_times)
