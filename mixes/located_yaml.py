"""YAML with places: values as plain Python, and for each key path the line that it stands on.

In: the text of a recipe or of a suite of expectations. Out: `LocatedYaml`, so that whatever is
wrong with a value can be told with its line; what is no YAML is a `YamlError` with its line.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

__all__ = ["LocatedYaml", "YamlError", "load_yaml", "parse_scalar"]

MOST_PLACES = 100_000  # keys and items of a file
MOST_DIGITS = 100  # of a whole number
MOST_DEPTH = 64  # mappings and lists, each in another
Path = tuple[str | int, ...]


class YamlError(ValueError):
    """The text is no YAML; `line` is 1-based."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True)
class LocatedYaml:
    """A YAML value and the 1-based line of each key path in it."""

    value: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """Line of the path, or of the nearest enclosing one that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def load_yaml(text: str) -> LocatedYaml:
    """Parse YAML 1.2; YamlError when it is none (a key given twice included), when it is nested
    deeper than `MOST_DEPTH` and when a value holds itself."""
    try:
        _check_nesting(text)
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = str(error.problem or error.context).splitlines()[0]
        raise YamlError(mark.line + 1 if mark else 1, problem) from error
    except YAMLError as error:  # a character that YAML forbids
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise YamlError(line, str(error).splitlines()[0]) from error
    except YamlError:
        raise
    except ValueError as error:  # Python reads no whole number of more digits
        most = sys.get_int_max_str_digits()
        lines_before = (n for n, one in enumerate(text.split("\n"), 1) if len(one) > most)
        raise YamlError(next(lines_before, 1), f"not a value: {error}") from error
    lines: dict[Path, int] = {}
    return LocatedYaml(_plain(tree, (), lines), lines)


def _check_nesting(text: str) -> None:
    """Go through the text's events, which nest nothing and so cost the same at any depth."""
    anchors: dict[str, int] = {}  # name -> number of the collection that has it last
    open_collections: list[int] = []
    for number, event in enumerate(YAML(typ="rt").parse(text)):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            if anchors.get(event.anchor) in open_collections:
                raise YamlError(line, f"'*{event.anchor}' stands inside what it stands for")
            continue
        if getattr(event, "anchor", None):
            anchors[event.anchor] = number
        if isinstance(event, CollectionStartEvent):
            open_collections.append(number)
            if len(open_collections) > MOST_DEPTH:
                raise YamlError(line, f"nested more than {MOST_DEPTH} deep")
        elif isinstance(event, CollectionEndEvent):
            open_collections.pop()


def parse_scalar(text: str) -> Any:
    """A value as it would be read from YAML (`--set key=value`); YamlError when it is none."""
    return load_yaml(text).value


def _plain(node: Any, path: Path, lines: dict[Path, int]) -> Any:
    if len(lines) > MOST_PLACES:
        raise YamlError(1, f"more than {MOST_PLACES:,} keys and items, aliases written out")
    if getattr(getattr(node, "tag", None), "value", None):
        raise YamlError(lines.get(path, 1), f"the tag {node.tag.value} has no meaning here")
    if isinstance(node, CommentedMap):
        plain: dict[str, Any] = {}
        for key, value in node.items():
            name = str(key)
            own = key in (node.lc.data or ())  # else it came by a merge key
            line = node.lc.key(key)[0] + 1 if own else lines.get((*path, name), 1)
            if name in plain:  # 1 and "1" are two keys in YAML
                raise YamlError(line, f"duplicate key {name!r}, as a text and as another value")
            if own:
                lines[(*path, name)] = line
            plain[name] = _plain(value, (*path, name), lines)
        return plain
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            lines[(*path, index)] = node.lc.item(index)[0] + 1
        return [_plain(value, (*path, index), lines) for index, value in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        if abs(node) >= 10**MOST_DIGITS:
            raise YamlError(lines.get(path, 1), f"a number of more than {MOST_DIGITS} digits")
        return int(node)
    if isinstance(node, float):
        return float(node)
    return str(node)
