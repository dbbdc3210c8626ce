"""JSON Schema violations as sentences that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

__all__ = ["Violation", "nearest", "violations"]

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


def violations(value: Any, schema: Mapping[str, Any]) -> Iterator[Violation]:
    """All violations of the schema, in the order of their places."""
    errors = Draft202012Validator(schema).iter_errors(value)
    for error in sorted(errors, key=lambda e: ([str(part) for part in e.path], str(e.validator))):
        yield from _sentences(error)


def nearest(word: str, known: list[str]) -> str:
    """'; did you mean X?' or a list of what there is, to end a sentence with."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


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
                    yield Violation(
                        (*path, key), f"unknown key '{key}' in {name}{nearest(key, known)}"
                    )
        case "required":
            missing = [key for key in value if key not in instance]
            # jsonschema reports each missing key in an error of its own.
            key = next(key for key in missing if f"'{key}'" in error.message)
            yield Violation(path, f"{name} lacks the key '{key}'")
        case "type":
            wanted = value if isinstance(value, list) else [value]
            yield Violation(
                path,
                f"{name} must be {' or '.join(_TYPES[one] for one in wanted)} "
                f"(got {_shown(error.instance)})",
            )
        case "enum":
            options = [str(one) for one in value]
            yield Violation(
                path,
                f"{name} must be one of {', '.join(options)} (got {_shown(error.instance)})"
                + (nearest(str(error.instance), options) if len(options) > 4 else ""),
            )
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
            yield Violation(path, f"{name} must be {bound} {value} (got {error.instance})")
        case _:
            yield Violation(path, f"{name}: {error.message}")


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text '{value}'"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"the number {value}"
