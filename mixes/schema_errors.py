"""JSON Schema violations as sentences that a person can act on.

In: a value as it was read from YAML and its schema (draft 2020-12). Out: `Violation`s, each a key
path and one sentence that names what is there, what may be, and the nearest name of a misspelled
one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

__all__ = ["Violation", "nearest", "violations"]

MOST_LISTED = 24  # valid names that a sentence lists
MOST_SHOWN = 100  # characters of a text that a sentence shows
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


class Violation(NamedTuple):
    """Where a value breaks the schema (key path) and one sentence why."""

    path: tuple[str | int, ...]
    message: str
    is_unknown_key: bool = False  # which says nothing against the values beside it


def violations(value: Any, schema: Mapping[str, Any]) -> Iterator[Violation]:
    """All violations of the schema, in the order of their places; of a value of the wrong type that
    alone is said.
    """
    errors = sorted(
        _Validator(schema).iter_errors(value),
        key=lambda e: ([str(part) for part in e.path], str(e.validator)),
    )
    mistyped = {tuple(error.path) for error in errors if error.validator == "type"}
    for error in errors:
        if error.validator == "type" or tuple(error.path) not in mistyped:
            yield from _sentences(error)


def _is_whole(checker: object, value: object) -> bool:
    """1.0 and 1e6 are whole numbers to JSON Schema, but floats to whoever reads the recipe."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: object, value: object) -> bool:
    """YAML knows .nan and .inf, with which no bound and no sum can be checked."""
    return _is_whole(checker, value) or (isinstance(value, float) and math.isfinite(value))


_Validator: Any = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_whole, "number": _is_number}
    ),
)


def nearest(word: str, known: list[str]) -> str:
    """'; did you mean X?' or a list of what there is, to end a sentence with."""
    close = _closest(word, known)
    if close:
        return f"; did you mean '{close}'?"
    return f"; known: {', '.join(sorted(known))}" if 0 < len(known) <= MOST_LISTED else ""


def _closest(word: str, known: list[str]) -> str:
    return (get_close_matches(word, known, n=1, cutoff=0.5) or [""])[0]


def _sentences(error: ValidationError) -> Iterator[Violation]:
    path = tuple(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    name = f"'{_dotted(path)}'" if path else "the recipe"
    value: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            known = sorted(schema.get("properties", {}))
            for key in instance:
                if key not in known:
                    message = f"unknown key '{key}' in {name}{nearest(key, known)}"
                    yield Violation((*path, key), message, is_unknown_key=True)
        case "required":
            missing = [key for key in value if key not in instance]
            # jsonschema reports each missing key in an error of its own.
            key = next(key for key in missing if f"'{key}'" in error.message)
            unknown = [one for one in instance if one not in schema.get("properties", {})]
            # A misspelled key is told as such.
            if schema.get("additionalProperties", True) or not _closest(key, unknown):
                yield Violation(path, f"{name} lacks the key '{key}'")
        case "type":
            wanted = value if isinstance(value, list) else [value]
            yield Violation(
                path,
                f"{name} must be {' or '.join(_TYPES[one] for one in wanted)} "
                f"(got {_shown(error.instance)})"
                + (_in_digits(instance) if wanted == ["integer"] else ""),
            )
        case "enum":
            options = [str(one) for one in value]
            listed = ", ".join(options) if len(options) <= MOST_LISTED else f"{len(options)} names"
            close = _closest(str(instance), options) if len(options) > 4 else ""
            yield Violation(
                path,
                f"{name} must be one of {listed} (got {_shown(instance)})"
                + (f"; did you mean '{close}'?" if close else ""),
            )
        case "oneOf":
            # Of the alternatives, the one whose type is right tells what is wrong inside.
            inner = [one for one in error.context or () if one.path or _is_inside(one)]
            for one in inner:
                yield from _sentences(one)
            if not inner:
                kinds = " or ".join(_alternative(one) for one in value)
                yield Violation(path, f"{name} must be {kinds} (got {_shown(instance)})")
        case "minProperties" if not instance and schema.get("properties"):
            options = sorted(schema["properties"])
            some = ", ".join(options)
            yield Violation(path, f"{name} needs an option at least (there are {some})")
        case "pattern" | "maxLength" if "propertyNames" in error.relative_schema_path:
            about = schema.get("description", f"must match {value}")
            message = f"{_shown(instance)} is no key of {name}: {about}"
            yield Violation((*path, instance), message)
        case "pattern":
            about = schema.get("description", f"must match {value}")
            shown = _shown(error.instance)
            yield Violation(path, f"{name} is {shown}, which does not fit: {about}")
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            bound = {
                "minimum": "at least",
                "exclusiveMinimum": "more than",
                "maximum": "at most",
                "exclusiveMaximum": "less than",
            }[str(error.validator)]
            yield Violation(path, f"{name} must be {bound} {value} (got {instance})")
        case _:
            yield Violation(path, f"{name}: {error.message}")


def _in_digits(value: Any) -> str:
    """What a text like 64K may stand for: 64,000 or, of lengths, 65,536."""
    found = re.fullmatch(r"([0-9]{1,9})([KMBT])", value) if isinstance(value, str) else None
    if not found:
        return ""
    number, power = int(found[1]), "KMBT".index(found[2]) + 1
    return f"; write {number * 1000**power} or {number * 1024**power}"


def _is_inside(error: ValidationError) -> bool:
    return error.validator not in ("const", "type")


def _alternative(schema: Mapping[str, Any]) -> str:
    return _shown(schema["const"]) if "const" in schema else _TYPES[schema["type"]]


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text '{value if len(value) <= MOST_SHOWN else value[:MOST_SHOWN] + '...'}'"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return "nothing" if value is None else f"the number {value}"
