"""Shares from a file: what `mix.shares: {from: shares.json}` reads.

In: JSON or YAML, in one of three forms. `{web: 0.7, code: 0.3}`; olmix's proposal, `[{"domain":
"web", "weight": 0.7}, ...]`; or olmix's configuration, `mix: {web: {weight: 0.7, science: {weight:
0.4}}}`, whose weights are multiplied from the source down to the topic. A name is a source's, or
`source:topic`. Out: the share of each source and, for those whose topics are named, the shares of
topics in it, which sum to one. Weights of 0 are left out; nothing is scaled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mixes.located_yaml import LocatedYaml

__all__ = ["ShareFileError", "StoredShares", "read_shares"]

MARK = ":"  # between a source and its topic
WEIGHT = "weight"
_OTHER_KEYS = ("repetition_factor",)  # olmix's, which bounds epochs: mix.max_epochs does here
Path = tuple[str | int, ...]


class ShareFileError(ValueError):
    """A file that holds no shares; `path` is where in it."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class StoredShares:
    """`shares` by source; `topics` by source and topic; `places`: the key path in the file of each
    source's first entry."""

    shares: dict[str, float]
    topics: dict[str, dict[str, float]]
    places: dict[str, Path]


def read_shares(located: LocatedYaml) -> StoredShares:
    """The shares in a parsed file. ShareFileError where it holds none, or what is no share."""
    tree = located.value
    if isinstance(tree, Mapping) and isinstance(tree.get("mix"), Mapping):
        entries = list(_nested(tree["mix"], ("mix",), (), 1.0))
    elif isinstance(tree, Mapping):
        entries = list(_nested(tree, (), (), 1.0))
    elif isinstance(tree, list):
        entries = list(_listed(tree))
    else:
        raise ShareFileError((), "holds no shares: a mapping of names to shares is wanted")
    shares: dict[str, list[float]] = {}
    topics: dict[str, dict[str, float]] = {}
    places: dict[str, Path] = {}
    whole: set[str] = set()
    for name, weight, path in entries:
        source, mark, topic = name.partition(MARK)
        if MARK in topic:
            message = f"'{name}' names more than a source and a topic; sum up what is below topics"
            raise ShareFileError(path, message)
        named = topics.get(source, {})
        if topic in named or (source in whole and not mark) or (mark and source in whole):
            raise ShareFileError(path, f"'{name}' stands here and again above")
        if not mark and named:
            raise ShareFileError(path, f"'{name}' has a share, and topics of it as well: name one")
        if not mark:
            whole.add(source)
        elif weight:
            topics.setdefault(source, {})[topic] = weight
        if weight:
            shares.setdefault(source, []).append(weight)
            places.setdefault(source, path)
    if not shares:
        raise ShareFileError((), "holds no share above 0")
    sums = {source: math.fsum(its) for source, its in shares.items()}
    parts = {
        source: {topic: one / sums[source] for topic, one in its.items()}
        for source, its in topics.items()
    }
    return StoredShares(sums, parts, places)


def _listed(tree: list[Any]) -> Iterator[tuple[str, float, Path]]:
    for index, one in enumerate(tree):
        if not isinstance(one, Mapping) or not isinstance(one.get("domain"), str):
            message = "each item must be a mapping with 'domain' and 'weight'"
            raise ShareFileError((index,), message)
        yield one["domain"], _weight(one.get(WEIGHT), one["domain"], (index,)), (index,)


def _nested(
    tree: Mapping[str, Any], path: Path, names: tuple[str, ...], above: float
) -> Iterator[tuple[str, float, Path]]:
    for key, value in tree.items():
        here, named = (*path, key), (*names, str(key))
        if names and key in (WEIGHT, *_OTHER_KEYS):
            continue
        name = MARK.join(named)
        if not isinstance(value, Mapping):
            yield name, above * _weight(value, name, here), here
            continue
        weight = above * _weight(value.get(WEIGHT, 1.0), name, here)
        if set(value) <= {WEIGHT, *_OTHER_KEYS}:
            _weight(value.get(WEIGHT), name, here)
            yield name, weight, here
        else:
            yield from _nested(value, here, named, weight)


def _weight(value: Any, name: str, path: Path) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        shown = "nothing" if value is None else repr(value)
        raise ShareFileError(
            path, f"the share of '{name}' must be a number from 0 on (got {shown})"
        )
    return float(value)
