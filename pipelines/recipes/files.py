"""A recipe's files as one tree: the recipe, what it extends, the pool's file, and `--set`.

In: the path of a recipe. Out: `RecipeTree`, its merged values with the place (file, line, column)
of each key path. A recipe that extends another is laid over it: mappings are merged key by key,
`null` deletes a key (a rule's bound it lifts), every other value takes the place of what was there.
In `rules`, a list, a mapping changes rules by name. Where a layer changes some of the shares and
they no longer sum to one, the shares that it leaves alone fill the rest in their proportions.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mixes.located_yaml import LocatedYaml, YamlError, load_yaml, parse_scalar
from mixes.schema_errors import Violation, nearest
from pipelines.recipes.paths import moved_paths
from pipelines.recipes.share_files import ShareFileError, read_shares
from transforms import storage
from transforms.quality.conditions import BOUNDS

__all__ = ["SHARE_SUM_TOLERANCE", "Problem", "RecipeError", "RecipeTree", "read_recipe_tree"]

MOST_BYTES = 4 << 20  # of a recipe or a pool's file, which are written by hand
MOST_SHOWN = 100  # characters of an argument that a sentence shows
SHARE_SUM_TOLERANCE = 1e-6
SHARE_DIGITS = 12
Path = tuple[str | int, ...]
_SHARES = ("mix", "shares")
_TOPICS = ("mix", "quality", "topics")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a recipe; line and column are 1-based, 0 where there is none:
    for `--set`, where `file` is the argument itself."""

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class RecipeError(ValueError):
    """A recipe that cannot be used, with all its problems."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class _Place(NamedTuple):
    file: str
    line: int
    column: int


@dataclass
class RecipeTree:
    """Merged values and their places. `found`: what is wrong with the merging itself."""

    file: str
    tree: Any
    places: dict[Path, _Place]
    found: list[Violation] = field(default_factory=list)
    shares_from_file: bool = False

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at a key path, in the file, line and column where its key or item stands, or
        the nearest enclosing one."""
        near = path
        while near and near not in self.places:
            near = near[:-1]
        place = self.places.get(near, _Place(self.file, 1, 1))
        return Problem(*place, ".".join(str(part) for part in path), message)

    def lay_over(self, layer: RecipeTree) -> None:
        """Merge a layer into this tree; both are mappings."""
        self.found += layer.found
        if layer.shares_from_file:
            self._drop_shares()
        self._merge(self.tree, (), layer.tree, (), layer.places)
        self._fill_shares(_named_shares(layer.tree))

    def take_shares(self, recipe: str) -> None:
        """Put the shares of the file that `mix.shares.from` names in its place. `recipe`: the file
        beside which it lies. RecipeError where it cannot be read or holds no shares."""
        mix = self.tree.get("mix") if isinstance(self.tree, dict) else None
        shares = mix.get("shares") if isinstance(mix, dict) else None
        named = shares.get("from") if isinstance(shares, dict) else None
        if not isinstance(mix, dict) or not isinstance(named, str):
            return
        at = (*_SHARES, "from")
        path = _beside(recipe, named)
        if not storage.exists(path):
            message = f"'mix.shares.from' names {path}, which is not there"
            raise RecipeError([self.problem(at, message)])
        located = _read(path)
        try:
            stored = read_shares(located)
        except ShareFileError as error:
            place = located.place(error.path)
            raise RecipeError([Problem(path, *place, ".".join(at), str(error))]) from error
        self._drop_shares()
        mix["shares"] = stored.shares
        self.places[_SHARES] = _Place(path, 1, 1)
        for source, where in stored.places.items():
            self.places[(*_SHARES, source)] = _Place(path, *located.place(where))
        if stored.topics:
            quality = mix.setdefault("quality", {})
            if isinstance(quality, dict):
                quality["topics"] = stored.topics
                self.places.setdefault(_TOPICS[:2], _Place(path, 1, 1))
                self.places[_TOPICS] = _Place(path, 1, 1)
        self.shares_from_file = True

    def _drop_shares(self) -> None:
        """Leave out all shares, and those of topics, which go with them."""
        mix = self.tree.get("mix")
        if isinstance(mix, dict):
            mix.pop("shares", None)
            self._drop_places(_SHARES)
            if isinstance(mix.get("quality"), dict):
                mix["quality"].pop("topics", None)
                self._drop_places(_TOPICS)

    def _merge(
        self,
        node: Any,
        at: Path,
        over: Mapping[str, Any],
        over_at: Path,
        places: Mapping[Path, _Place],
    ) -> None:
        """Merge `over`, at `over_at` of a layer with these places, into `node`, which is at `at`
        here: a mapping, or a list of rules."""
        for key, value in over.items():
            source = (*over_at, key)
            if value is None and not (isinstance(node, dict) and _is_bound(at, key)):
                self._delete(node, at, key, places.get(source))
                continue
            below, part = self._holder(node, at, key)
            here = (*at, *below, part)
            inner = node[below[0]] if below else node
            if _mergeable(inner.get(part), value, here):
                if source in places:
                    self.places[here] = places[source]
                self._merge(inner[part], here, value, source, places)
            else:
                inner[part] = value
                self._drop_places(here)
                for path, place in places.items():
                    if path[: len(source)] == source:
                        self.places[(*here, *path[len(source) :])] = place

    def _holder(self, node: Any, at: Path, key: str) -> tuple[tuple[int, ...], str]:
        """Where the value of a key stands: in a mapping as it is; in a list of rules below the
        item of that name, which becomes a mapping and is added where it lacks."""
        if isinstance(node, dict):
            return (), key
        index = _rule_index(node, key)
        if index is None:
            node.append({key: {}})
            return (len(node) - 1,), key
        if not isinstance(node[index], dict):
            node[index] = {key: {}}
        elif node[index][key] is None:
            node[index][key] = {}
        return (index,), key

    def _delete(self, node: Any, at: Path, key: str, place: _Place | None) -> None:
        """Delete a key or a rule; a violation where there is none."""
        index = _rule_index(node, key) if isinstance(node, list) else None
        if isinstance(node, dict) and key in node:
            del node[key]
            self._drop_places((*at, key))
        elif index is not None:
            del node[index]
            moved = {}
            for path, its in self.places.items():
                number = path[len(at)] if path[: len(at)] == at and len(path) > len(at) else -1
                if isinstance(number, int) and number > index:
                    path = (*at, number - 1, *path[len(at) + 1 :])
                elif number == index:
                    continue
                moved[path] = its
            self.places = moved
        else:
            known = [*node] if isinstance(node, dict) else [*_rule_names(node)]
            dotted = ".".join(str(part) for part in (*at, key))
            message = f"null deletes '{dotted}', which is not there{nearest(key, known)}"
            if place is not None:
                self.places[(*at, key)] = place
            self.found.append(Violation((*at, key), message))

    def _drop_places(self, path: Path) -> None:
        for one in [one for one in self.places if one[: len(path)] == path]:
            del self.places[one]

    def _fill_shares(self, named: set[str]) -> None:
        """Scale the shares that a layer does not name so that all sum to one."""
        mix = self.tree.get("mix")
        shares = mix.get("shares") if isinstance(mix, dict) else None
        if not named or not isinstance(shares, dict):
            return
        if not all(isinstance(one, int | float) and one > 0 for one in shares.values()):
            return  # told by the schema
        others = {name: share for name, share in shares.items() if name not in named}
        rest = 1 - math.fsum(share for name, share in shares.items() if name in named)
        total = math.fsum(others.values())
        if others and rest > 0 and abs(total - rest) > SHARE_SUM_TOLERANCE:
            # Rounded: 0.3 and not 0.30000000000000004, which people would read in the mix's recipe.
            shares.update(
                {name: round(share * rest / total, SHARE_DIGITS) for name, share in others.items()}
            )

    def set_value(self, override: str) -> set[str]:
        """Apply one `key.path=value` of the command line; gives the share that it names.

        RecipeError for what is no such thing.
        """
        key, equals, text = override.partition("=")
        key = key.strip()
        parts = tuple(key.split("."))
        place = _Place(f"--set {_shortened(override)}", 0, 0)

        def refuse(message: str) -> RecipeError:
            return RecipeError([Problem(*place, key, message)])

        if key == "extends":
            raise refuse(
                "'extends' stands in a recipe: write one of two lines that extends another"
            )
        if not equals or not all(parts):
            raise refuse("a key and its value are wanted, as mix.tokens=2M")
        node, at = self.tree, Path()
        for part in parts[:-1]:
            if not isinstance(node, dict) and not _are_rules(at, node):
                raise refuse(_not_below(key, at, node))
            below, _ = self._holder(node, at, part)
            node, at = node[below[0]] if below else node, (*at, *below, part)
            if isinstance(node, dict) and node.get(part, True) is True:
                node[part] = {}  # `true` is short for a mapping of defaults
                self.places[at] = place
            node = node[part]
        if not isinstance(node, dict) and not _are_rules(at, node):
            raise refuse(_not_below(key, at, node))
        try:
            value = parse_scalar(text)
        except YamlError as error:
            raise refuse(f"'{text}' is no YAML value: {error}") from error
        lifts = isinstance(node, dict) and _is_bound(at, parts[-1])
        if value is None and text.strip() and not lifts:
            self._delete(node, at, parts[-1], place)
        else:
            below, _ = self._holder(node, at, parts[-1])
            inner = node[below[0]] if below else node
            inner[parts[-1]] = value
            here = (*at, *below, parts[-1])
            self._drop_places(here)
            self.places[here] = place
            # What was said of a name that is missing is mended by giving one.
            self.found = [one for one in self.found if key != "name" or one.path != ("name",)]
        return {parts[2]} if parts[:2] == _SHARES and len(parts) == 3 else set()


def _named_shares(tree: Mapping[str, Any]) -> set[str]:
    mix = tree.get("mix")
    shares = mix.get("shares") if isinstance(mix, dict) else None
    return set(shares) if isinstance(shares, dict) else set()


def _shortened(override: str) -> str:
    """What was given, in one line."""
    text = " ".join(override.split())
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _not_below(key: str, at: Path, value: Any) -> str:
    """Why a key cannot be set: what stands above it."""
    above = f"'{'.'.join(str(part) for part in at)}'" if at else "the recipe"
    return f"{above} is {value!r}, not a mapping: '{key}' cannot be set below it"


def _is_bound(at: Path, key: str) -> bool:
    """Whether a key of a mapping is a bound of a rule's option, which null lifts: `at_most` below
    `pool.sources.web.rules.0.gopher.words`."""
    return len(at) == 7 and (at[0], at[1], at[3]) == ("pool", "sources", "rules") and key in BOUNDS


def _mergeable(base: Any, value: Any, at: Path) -> bool:
    return isinstance(value, dict) and (isinstance(base, dict) or _are_rules(at, base))


def _are_rules(at: Path, node: Any) -> bool:
    """Whether a value is the list of a source's rules, each named once."""
    if not (isinstance(node, list) and len(at) == 4 and at[:2] == ("pool", "sources")):
        return False
    names = [*_rule_names(node)]
    return at[3] == "rules" and len(names) == len(node) == len({*names})


def _rule_names(rules: list[Any]) -> Iterator[str]:
    for item in rules:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict) and len(item) == 1:
            yield next(iter(item))


def _rule_index(rules: list[Any], name: str) -> int | None:
    return next((index for index, one in enumerate(_rule_names(rules)) if one == name), None)


def read_recipe_tree(path: str, overrides: tuple[str, ...] = ()) -> RecipeTree:
    """Read a recipe with all that it extends, `overrides` (`key.path=value`) applied. RecipeError
    where a file cannot be read, an override is none, or recipes extend each other in a circle."""
    merged = _read_layers(path, _folder(path), ())
    named: set[str] = set()
    for override in overrides:
        named |= merged.set_value(override)
    merged.take_shares(path)
    if isinstance(merged.tree, dict):
        merged._fill_shares(named)
    return merged


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _read_layers(path: str, folder: str, chain: tuple[str, ...]) -> RecipeTree:
    """A recipe on top of what it extends. `folder`: of the recipe that is run, from which relative
    paths start; `chain`: the files that extend this one."""
    located = _read(path)
    layer = RecipeTree(path, located.value, _places(path, located, ()))
    if not isinstance(layer.tree, dict):
        return layer
    layer.take_shares(path)
    pool = layer.tree.get("pool")
    if isinstance(pool, str):
        pool_path = _beside(path, pool)
        of_pool = _read(pool_path)
        layer.tree = {**layer.tree, "pool": of_pool.value}
        layer._drop_places(("pool",))
        layer.places |= {("pool",): _Place(pool_path, 1, 1)}
        layer.places |= _places(pool_path, of_pool, ("pool",))
    if _folder(path) != folder:
        layer.tree = moved_paths(layer.tree, _folder(path), folder)
    if "extends" not in layer.tree:
        return layer
    extended = layer.tree.pop("extends")
    place = ("extends",)
    if not isinstance(extended, str) or not extended:
        message = f"'extends' must name a recipe's file (got {extended!r})"
        raise RecipeError([layer.problem(place, message)])
    base_path = _beside(path, extended)
    files = (*chain, _same_file(path))
    if _same_file(base_path) in files:
        message = f"{base_path} extends itself, by way of this file; one of them must stand alone"
        raise RecipeError([layer.problem(place, message)])
    if not storage.exists(base_path):
        message = f"'extends' names {base_path}, which is not there"
        raise RecipeError([layer.problem(place, message)])
    base = _read_layers(base_path, folder, files)
    if not isinstance(base.tree, dict):
        message = f"'extends' names {base_path}, which holds no mapping: name a recipe"
        raise RecipeError([layer.problem(place, message)])
    if isinstance(pool, str):
        base.tree.pop("pool", None)  # one that is named as a file stands for itself
    base.file = path
    base.lay_over(layer)
    if "name" not in layer.tree and not chain:
        if "name" in base.tree:
            message = "'name' is missing: a recipe that extends another makes a mix of its own"
            base.found.append(Violation(("name",), message))
        base._drop_places(("name",))
    return base


def _beside(path: str, other: str) -> str:
    """A file named in another one, whose folder a relative name starts from."""
    scheme, mark, place = os.path.join(_folder(path), other).rpartition("://")
    return scheme + mark + os.path.normpath(place)


def _same_file(path: str) -> str:
    return path if "://" in path else os.path.realpath(path)


def _places(path: str, located: LocatedYaml, below: Path) -> dict[Path, _Place]:
    return {(*below, *key): _Place(path, *place) for key, place in located.places.items()}


def _read(path: str) -> LocatedYaml:
    _check_file(path)
    try:
        text = storage.read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"not UTF-8 (byte {error.start})"
        raise RecipeError([Problem(path, 1, 1, "", message)]) from error
    except OSError as error:
        raise RecipeError([Problem(path, 1, 1, "", f"cannot be read: {error}")]) from error
    try:
        return load_yaml(text)
    except YamlError as error:
        raise RecipeError(
            [Problem(path, error.line, error.column, "", f"not YAML: {error}")]
        ) from error


def _check_file(path: str) -> None:
    """RecipeError for a local path that may be read without end: a device, a pipe, a data file."""
    try:
        found = os.stat(path) if "://" not in path else None
    except OSError:
        return  # told by whoever reads it
    message = ""
    if found and not stat.S_ISREG(found.st_mode):
        message = "cannot be read: it is no file; name a recipe in YAML"
    elif found and found.st_size > MOST_BYTES:
        size = f"{found.st_size:,} bytes"
        message = f"cannot be read: {size} are more than a recipe may have ({MOST_BYTES:,})"
    if message:
        raise RecipeError([Problem(path, 1, 1, "", message)])
