"""What is wrong with the stages of a curriculum beyond their schema: sums, and sources left out.

In: `mix.order.stages` as a recipe has them, the recipe's shares and what it excludes. Out:
`Violation`s.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mixes.schema_errors import Violation
from pipelines.recipes.files import SHARE_SUM_TOLERANCE
from transforms.mixing.curriculum import shares_in_stage, sources_mixed

__all__ = ["stage_problems"]

_PLACE = ("mix", "order", "stages")


def stage_problems(
    stages: Sequence[Mapping[str, Any]], shares: Mapping[str, float], exclude: Collection[str]
) -> Iterator[Violation]:
    """`shares`: empty where they cannot be told."""
    total = math.fsum(one["share"] for one in stages)
    if abs(total - 1) > SHARE_SUM_TOLERANCE:
        yield Violation(_PLACE, f"the stages' shares must sum to 1 (they sum to {total:g})")
    mixed = sources_mixed(shares, stages)
    held: set[str] = set()
    for index, stage in enumerate(stages):
        named, place = stage.get("shares", {}), (*_PLACE, index, "shares")
        parts = shares_in_stage(shares, named, mixed, exclude)
        held |= {name for name, part in parts.items() if part}
        total, sums = math.fsum(named.values()), f"shares of stage {index + 1} must sum to 1"
        if total > 1 + SHARE_SUM_TOLERANCE:
            yield Violation(place, f"{sums} at most (they sum to {total:g})")
        elif shares and total < 1 - SHARE_SUM_TOLERANCE and not set(shares) - set(named):
            message = f"{sums}, since they name every source (they sum to {total:g})"
            yield Violation(place, message)
        elif shares and not any(parts.values()):
            message = f"stage {index + 1} holds only sources that mix.exclude leaves out"
            yield Violation((*_PLACE, index), message)
    for name in mixed:
        if shares and name not in held and name not in exclude:
            message = f"'{name}' has a share of 0 in all stages; leave it out by mix.exclude"
            yield Violation(_PLACE, message)
