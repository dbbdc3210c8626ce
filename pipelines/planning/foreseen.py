"""Foreseen: which changes of a recipe stored scores can tell the effect of.

In: two recipes' trees. Out: the keys that differ and that no question asked of stored tables can
answer: what other documents, duplicates, passages or tokens there would be. It lists what can be
foreseen, so a key that is new is refused until somebody has thought of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.recipes.checks import rule_item
from pipelines.recipes.differences import recipe_differences
from transforms.quality.rules import rule

__all__ = ["unforeseen"]

# Of the mix: what `pipelines.planning.what_if` counts by, and what moves no document in or out.
_MIX = (
    "tokens", "shares", "where", "exclude", "max_epochs", "shortage", "window", "order",
    "quality.discard", "quality.max_epochs", "quality.sources",
    "seed", "outputs", "sequence", "file_tokens", "slices", "long_documents",
)  # fmt: skip
_WHOLE = ("name", "description", "extends", "gates", "pool.dedup.keys")
_OF_SOURCE = ("rules", "description", "homepage", "license")
_INPUT = ("ingest", "paths", "ocr", "pdf", "allow_empty")


def unforeseen(a: Mapping[str, Any], b: Mapping[str, Any], same_documents: bool = False) -> str:
    """The first key whose change cannot be foreseen, "" where all can. `same_documents`: both are
    known to read the same ones, however their paths are written."""
    foreseen = [*_WHOLE, *(f"mix.{key}" for key in _MIX)]
    if "fill_in_middle" in b["mix"]:
        foreseen.remove("mix.seed")  # it says which documents are rearranged
    sources = [tree["pool"]["sources"] for tree in (a, b)]
    for source in sources[0].keys() & sources[1].keys():
        keys = [*_OF_SOURCE, *(_INPUT if same_documents else ())]
        foreseen += [f"pool.sources.{source}.{key}" for key in keys]
        if _cuts(sources[0][source]) != _cuts(sources[1][source]):
            foreseen.remove(f"pool.sources.{source}.rules")  # other text is left
    for key, _, _ in recipe_differences(a, b):
        if not any(key == one or key.startswith(f"{one}.") for one in foreseen):
            return key
    return ""


def _cuts(source: Mapping[str, Any]) -> list[str]:
    """The span columns that a source's rules cut from its text."""
    return [cut for item in source.get("rules", []) for cut in rule(*rule_item(item)).cuts]
