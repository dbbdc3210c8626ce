"""The mix of a recipe as frozen values: budgets, stages, sequences, windows, quality.

In: the part `mix` of a checked recipe's tree. Each default stands here alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.recipes.checks import count_tokens
from transforms.mixing.curriculum import (
    Curriculum,
    CurriculumStage,
    shares_in_stage,
    sources_mixed,
)
from transforms.mixing.partition import Quality, Repeat
from transforms.mixing.sequences import Sequencing
from transforms.mixing.window import Window
from transforms.tokens.parts import FILE_TOKENS

__all__ = ["Middles", "Mix", "read_mix"]

SHORTEST_BUCKET = 256  # tokens of the shortest sequences, unless a recipe says others


@dataclass(frozen=True)
class Middles:
    """Which documents are rearranged to be filled in the middle, and the sentinels by name: see
    `transforms.tokens.fill_in_middle`."""

    sources: tuple[str, ...]
    rate: float
    suffix_first: float
    split: str
    prefix: str
    middle: str
    suffix: str


@dataclass(frozen=True)
class Mix:
    """What is taken from the pool. `shares` are as written; `proportions`, those of the whole mix,
    leave out what is excluded and follow from the stages where there are some."""

    tokens: int
    tokenizer: str | Mapping[str, Any]
    shares: Mapping[str, float]
    where: str | None
    exclude: tuple[str, ...]
    max_epochs: Mapping[str, float]  # every source of `proportions`
    seed: int
    file_tokens: int
    outputs: tuple[str, ...]
    sequence: Sequencing | None = None
    order: str = "shards"  # or shuffled, as a mix with stages is
    curriculum: Curriculum | None = None
    middles: Middles | None = None
    slices: int = 1  # groups of parts a shard's documents are divided into, a power of two
    long_documents: str = "own_file"  # or refuse: what becomes of one longer than `file_tokens`
    shortage: str = "refuse"  # see transforms.mixing.shortage
    quality: Quality | None = None
    repeat: Repeat | None = None
    windows: Mapping[str, Window] = field(default_factory=dict)  # by source

    @property
    def proportions(self) -> dict[str, float]:
        """Share per source after `exclude`, summing to one."""
        if self.curriculum is not None:
            return self.curriculum.proportions()
        left = {name: share for name, share in self.shares.items() if name not in self.exclude}
        total = math.fsum(left.values())
        return {name: share / total for name, share in left.items()}

    def stage_ends(self, source: str, tokens: int) -> tuple[int, ...]:
        """How many of a source's tokens stand up to the end of each stage but the last; nothing
        without stages."""
        return self.curriculum.ends(source, tokens) if self.curriculum else ()

    @property
    def most_times(self) -> int:
        """No document stands in the pool more often."""
        return max([1, *(often for _, often in self.repeat.times)]) if self.repeat else 1


def read_mix(tree: Mapping[str, Any]) -> Mix:
    """The `mix` of a checked recipe's tree."""
    epochs = tree.get("max_epochs", 1)
    per_source = epochs if isinstance(epochs, dict) else {"default": epochs}
    default = float(per_source.get("default", 1))
    order = tree.get("order", "shards")
    stages = order["stages"] if isinstance(order, dict) else []
    names = sources_mixed(tree["shares"], stages)
    return Mix(
        tokens=count_tokens(tree["tokens"]),
        tokenizer=tree["tokenizer"],
        shares=dict(tree["shares"]),
        where=tree.get("where"),
        exclude=tuple(tree.get("exclude", [])),
        max_epochs={name: float(per_source.get(name, default)) for name in names},
        seed=tree.get("seed", 0),
        file_tokens=count_tokens(tree.get("file_tokens", FILE_TOKENS)),
        outputs=tuple(tree.get("outputs", ["tokens"])),
        sequence=_sequence(tree.get("sequence")),
        order="shuffled" if stages else order,
        curriculum=_curriculum(tree, order, names) if stages else None,
        slices=tree.get("slices", 1),
        long_documents=tree.get("long_documents", "own_file"),
        middles=_middles(tree.get("fill_in_middle")),
        shortage=tree.get("shortage", "refuse"),
        quality=_quality(tree.get("quality")),
        repeat=_repeat(tree.get("repeat")),
        windows={
            name: Window(one["score"], *map(float, one["keep"]))
            for name, one in tree.get("window", {}).items()
        },
    )


def _curriculum(
    mix: Mapping[str, Any], order: Mapping[str, Any], names: Sequence[str]
) -> Curriculum:
    exclude = mix.get("exclude", [])
    stages = tuple(
        CurriculumStage(
            float(one["share"]),
            shares_in_stage(mix["shares"], one.get("shares", {}), names, exclude),
        )
        for one in order["stages"]
    )
    return Curriculum(stages, order.get("quality", "even"))


def _quality(tree: Mapping[str, Any] | None) -> Quality | None:
    if tree is None:
        return None
    return Quality(
        score=tree["score"],
        topic=tree.get("topic"),
        bins=tree.get("bins", 20),
        discard=float(tree.get("discard", 0.4)),
        max_epochs=float(tree.get("max_epochs", 7)),
        sources=tuple(tree.get("sources", [])),
        topics=tree.get("topics", {}),
    )


def _repeat(tree: Mapping[str, Any] | None) -> Repeat | None:
    if tree is None:
        return None
    times = sorted((int(number), often) for number, often in tree["times"].items())
    return Repeat(tree.get("by"), tuple(times))


def _sequence(tree: Mapping[str, Any] | None) -> Sequencing | None:
    if tree is None:
        return None
    packing, length = tree.get("packing", "best_fit"), tree["length"]
    shortest = tree.get("shortest", min(SHORTEST_BUCKET, length)) if packing == "buckets" else 0
    return Sequencing(length, packing, tree.get("long", "split"), shortest)


def _middles(tree: Mapping[str, Any] | None) -> Middles | None:
    if tree is None:
        return None
    return Middles(
        sources=tuple(tree["sources"]),
        rate=float(tree.get("rate", 0.5)),
        suffix_first=float(tree.get("suffix_first", 0.5)),
        split=tree.get("split", "characters"),
        prefix=tree.get("prefix", "<|fim_prefix|>"),
        middle=tree.get("middle", "<|fim_middle|>"),
        suffix=tree.get("suffix", "<|fim_suffix|>"),
    )
