"""YAML with places: values as plain Python, and for each key path the line and column that it
stands on.

In: the text of a recipe or of a suite of expectations. Out: `LocatedYaml`, so that whatever is
wrong with a value can be told with its place; what is no YAML is a `YamlError` with its place.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

__all__ = ["LocatedYaml", "Place", "YamlError", "load_yaml", "parse_scalar"]

MOST_PLACES = 100_000  # keys and items of a file
MOST_DIGITS = 100  # of a whole number
MOST_DEPTH = 64  # mappings and lists, each in another
Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Where a key or an item stands; both are 1-based."""

    line: int
    column: int


class YamlError(ValueError):
    """The text is no YAML; `line` and `column` are 1-based."""

    def __init__(self, line: int, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.message = message


@dataclass(frozen=True)
class LocatedYaml:
    """A YAML value and the 1-based line and column of each key path in it."""

    value: Any
    places: dict[Path, Place]

    def place(self, path: Path) -> Place:
        """Line and column of the path's key or item, or of the nearest enclosing one that stands in
        the file."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))

    def line(self, path: Path) -> int:
        """The line of `place`."""
        return self.place(path).line


def load_yaml(text: str) -> LocatedYaml:
    """Parse YAML 1.2; YamlError when it is none (a key given twice included), when it is nested
    deeper than `MOST_DEPTH` and when a value holds itself."""
    try:
        _check_nesting(text)
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = str(error.problem or error.context).splitlines()[0]
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlError(line, problem, column) from error
    except YAMLError as error:  # a character that YAML forbids
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        column = position - text.rfind("\n", 0, position)
        raise YamlError(line, str(error).splitlines()[0], column) from error
    except YamlError:
        raise
    except ValueError as error:  # Python reads no whole number of more digits
        most = sys.get_int_max_str_digits()
        lines_before = (n for n, one in enumerate(text.split("\n"), 1) if len(one) > most)
        raise YamlError(next(lines_before, 1), f"not a value: {error}") from error
    places: dict[Path, Place] = {}
    return LocatedYaml(_plain(tree, (), places), places)


def _check_nesting(text: str) -> None:
    """Go through the text's events, which nest nothing and so cost the same at any depth."""
    anchors: dict[str, int] = {}  # name -> number of the collection that has it last
    open_collections: list[int] = []
    for number, event in enumerate(YAML(typ="rt").parse(text)):
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, AliasEvent):
            if anchors.get(event.anchor) in open_collections:
                message = f"'*{event.anchor}' stands inside what it stands for"
                raise YamlError(line, message, column)
            continue
        if getattr(event, "anchor", None):
            anchors[event.anchor] = number
        if isinstance(event, CollectionStartEvent):
            open_collections.append(number)
            if len(open_collections) > MOST_DEPTH:
                raise YamlError(line, f"nested more than {MOST_DEPTH} deep", column)
        elif isinstance(event, CollectionEndEvent):
            open_collections.pop()


def parse_scalar(text: str) -> Any:
    """A value as it would be read from YAML (`--set key=value`); YamlError when it is none."""
    return load_yaml(text).value


def _plain(node: Any, path: Path, places: dict[Path, Place]) -> Any:
    here = places.get(path, Place(1, 1))
    if len(places) > MOST_PLACES:
        raise YamlError(1, f"more than {MOST_PLACES:,} keys and items, aliases written out")
    if getattr(getattr(node, "tag", None), "value", None):
        raise YamlError(here.line, f"the tag {node.tag.value} has no meaning here", here.column)
    if isinstance(node, CommentedMap):
        plain: dict[str, Any] = {}
        for key, value in node.items():
            name = str(key)
            own = key in (node.lc.data or ())  # else it came by a merge key
            place = places.get((*path, name), Place(1, 1))
            if own:
                line, column = node.lc.key(key)
                place = Place(line + 1, column + 1)
            if name in plain:  # 1 and "1" are two keys in YAML
                message = f"duplicate key {name!r}, as a text and as another value"
                raise YamlError(place.line, message, place.column)
            if own:
                places[(*path, name)] = place
            plain[name] = _plain(value, (*path, name), places)
        return plain
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            line, column = node.lc.item(index)
            places[(*path, index)] = Place(line + 1, column + 1)
        return [_plain(value, (*path, index), places) for index, value in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        if abs(node) >= 10**MOST_DIGITS:
            message = f"a number of more than {MOST_DIGITS} digits"
            raise YamlError(here.line, message, here.column)
        return int(node)
    if isinstance(node, float):
        return float(node)
    return str(node)
