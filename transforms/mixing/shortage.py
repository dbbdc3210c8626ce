"""Shortage: how many tokens each source is asked for when some hold less than their share.

In: the tokens of the mix, the proportions of its sources, and how many tokens each source can give
(what it holds, times how often it may be repeated). Out: whole tokens per source. The recipe's rule
decides: `refuse` keeps the shares, so a source that holds too little is an error; `share_out` lets
the others give what it lacks, in their proportions, up to what they can; `less` makes a smaller mix
in the same proportions.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from transforms.mixing.budget import BudgetError, count_tokens, divide_tokens

__all__ = ["settle"]


def settle(
    total: int, proportions: Mapping[str, float | Fraction], most: Mapping[str, int], rule: str
) -> dict[str, int]:
    """Tokens wanted of each source; by `refuse` perhaps more than it can give.

    `proportions`: more than 0 each; `most`: tokens that each can give. `share_out` sums to `total`,
    `less` to as much of it as the proportions allow; neither asks a source for more than `most`.
    BudgetError where that is impossible.
    """
    if rule == "share_out":
        return _share_out(total, proportions, most)
    if rule == "less":
        return divide_tokens(_as_much(total, proportions, most), proportions)
    return divide_tokens(total, proportions)


def _share_out(
    total: int, proportions: Mapping[str, float | Fraction], most: Mapping[str, int]
) -> dict[str, int]:
    """Those asked for more than they can give give all of it, and the others are asked for the rest
    in their proportions, until nobody is asked for too much."""
    there = sum(most[name] for name in proportions)
    if there < total:
        raise BudgetError(
            f"the recipe asks for {count_tokens(total)} but all sources together can give"
            f" {there:,}: {total - there:,} too many; lower mix.tokens or raise mix.max_epochs"
        )
    given: dict[str, int] = {}
    others = dict(proportions)
    while True:
        parts = divide_tokens(total - sum(given.values()), others) if others else {}
        short = [name for name, part in parts.items() if part > most[name]]
        if not short:
            return {name: {**given, **parts}[name] for name in proportions}
        for name in short:
            given[name] = most[name]
            del others[name]


def _as_much(
    total: int, proportions: Mapping[str, float | Fraction], most: Mapping[str, int]
) -> int:
    """The tokens of the largest mix in these proportions, `total` at most."""
    scale = sum(Fraction(share) for share in proportions.values())
    for name in proportions:
        if not most[name]:
            raise BudgetError(
                f"{name}: no document is left, so no mix, however small, can hold its share;"
                " name it in mix.exclude"
            )
    return min(
        total,
        *(int(most[name] * scale / Fraction(share)) for name, share in proportions.items()),
    )
