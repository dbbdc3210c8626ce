"""A curriculum: stages of a mix that follow one another, each with shares of its own.

In: the share of the mix's tokens that each stage holds, and the shares of the sources in it. Out:
the shares of the whole, and how many tokens of a source stand up to the end of each stage. These
are budgets of their own (budget.py): the first stages of a mix hold what a mix of fewer tokens
would hold, so no document comes again before all of its source that are taken have come once, and
what the mix holds as a whole is what it would hold without stages. Bengio et al. 2009 ("Curriculum
Learning").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.mixing.budget import SourceBudget

__all__ = [
    "CURRICULUM_VERSION",
    "Curriculum",
    "CurriculumStage",
    "StageTokens",
    "shares_in_stage",
    "sources_mixed",
    "tokens_by_stage",
]

CURRICULUM_VERSION = 2  # of which documents stand in which stage
NO_SHARE = 1e-6  # what named shares, as rounded as people write them, may lack to 1


@dataclass(frozen=True)
class CurriculumStage:
    """A stage: its share of the mix's tokens, and the share of each source in it, summing to 1."""

    share: float
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Curriculum:
    """Stages in their order. `quality`: `even`, all of them hold documents of all bins of quality
    alike, or `rising`, a source's worse bins stand in earlier stages than its better ones."""

    stages: tuple[CurriculumStage, ...]
    quality: str = "even"

    def proportions(self) -> dict[str, float]:
        """The share of each source in the whole mix; those above 0, summing to 1."""
        whole = sum(Fraction(one.share) for one in self.stages)
        sums = {source: sum(parts) for source, parts in self._parts().items()}
        return {source: float(one / whole) for source, one in sums.items() if one}

    def ends(self, source: str, tokens: int) -> tuple[int, ...]:
        """How many of a source's `tokens` stand up to the end of each stage but the last, rising.
        Each stage has its exact part to within a token, and they sum to `tokens`."""
        return tuple(round(tokens * part) for part in self.fractions(source))

    def fractions(self, source: str) -> tuple[Fraction, ...]:
        """The part of a source's tokens that stands up to the end of each stage but the last."""
        sums = list(accumulate(self._parts()[source]))
        return tuple(one / sums[-1] for one in sums[:-1])

    def _parts(self) -> dict[str, list[Fraction]]:
        """By source its share of the mix in each stage."""
        return {
            source: [
                Fraction(one.share) * Fraction(one.shares[source]) / _sum(one.shares)
                for one in self.stages
            ]
            for source in self.stages[0].shares
        }


def _sum(shares: Mapping[str, float]) -> Fraction:
    return sum((Fraction(one) for one in shares.values()), Fraction(0))


def shares_in_stage(
    shares: Mapping[str, float],
    named: Mapping[str, float],
    everyone: Collection[str],
    exclude: Collection[str] = (),
) -> dict[str, float]:
    """The share of each source of `everyone` in a stage, but for those excluded; all are 0 where
    nothing is left.

    `shares`: the recipe's; `named`: those that the stage names, which sum to 1 at most. The others
    share the rest in their proportions.
    """
    rest = 1 - _sum(named)
    rest = rest if rest > NO_SHARE else Fraction(0)
    others = _sum({name: one for name, one in shares.items() if name not in named})
    parts = {
        name: Fraction(named[name])
        if name in named
        else rest * Fraction(shares.get(name, 0.0)) / (others or 1)
        for name in everyone
        if name not in exclude
    }
    whole = sum(parts.values()) or 1
    return {name: float(one / whole) for name, one in parts.items()}


def sources_mixed(shares: Mapping[str, float], stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """The sources that a recipe gives a share, in all or in one of its `stages`, in its order."""
    return list(
        dict.fromkeys([*shares, *(name for one in stages for name in one.get("shares", {}))])
    )


@dataclass(frozen=True)
class StageTokens:
    """What a stage holds of a source. Less than `next_document_tokens` is missing, counted from the
    beginning of the mix, to what is wanted up to the end of the stage."""

    wanted_tokens: int
    taken_tokens: int
    next_document_tokens: int


def tokens_by_stage(budgets: Mapping[str, SourceBudget]) -> list[dict[str, StageTokens]]:
    """What each stage holds of each source; nothing where budgets have no stages."""
    found: list[dict[str, StageTokens]] = []
    for source, budget in sorted(budgets.items()):
        ends: Sequence[SourceBudget] = (*budget.stage_ends, budget) if budget.stage_ends else ()
        wanted = taken = 0
        for number, end in enumerate(ends):
            if number == len(found):
                found.append({})
            found[number][source] = StageTokens(
                end.wanted_tokens - wanted, end.taken_tokens - taken, end.next_document_tokens
            )
            wanted, taken = end.wanted_tokens, end.taken_tokens
    return found
