"""In what two recipes differ, key by key.

In: two recipes' trees, as published mixes hold them. Out: keys with dots (a rule by its name) that
have another value, or are in one of them only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pipelines.recipes.checks import rule_item

__all__ = ["Difference", "recipe_differences"]

_LACKING = object()


class Difference(NamedTuple):
    """A key and its value in A and in B, None where the recipe has no such key."""

    key: str
    a: Any
    b: Any


def recipe_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """The keys that differ, in the order of A, then those of B alone. The name is one of them."""
    flat_a, flat_b = dict(_flat(a)), dict(_flat(b))
    return [
        Difference(".".join(key), flat_a.get(key), flat_b.get(key))
        for key in dict.fromkeys([*flat_a, *flat_b])
        if flat_a.get(key, _LACKING) != flat_b.get(key, _LACKING)
    ]


def _flat(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if place and place[-1] == "rules" and isinstance(value, list):
        value = dict(map(rule_item, value))
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _flat(one, (*place, str(key)))
    else:
        yield place, value
