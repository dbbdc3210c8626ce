"""The JSON Schema of recipes that extend another, made from that of whole recipes.

In: `recipe.schema.json`. Out: `extending.schema.json`, for editors: no key must be there but `name`
and `extends`, any may be null (which deletes it), and rules may be a mapping by name. What a recipe
is when all is merged is checked by `recipe.schema.json` alone. Write it anew after a change:
`python -m mixes.extending_schema`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["extending_schema"]


def extending_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of recipes that extend one of `schema`."""
    loose: dict[str, Any] = _loosened(schema)
    loose["title"] = "Vineleaf recipe that extends another"
    loose["required"] = ["name", "extends"]
    rules = loose["$defs"]["source"]["properties"]["rules"]
    rules["type"] = [*rules["type"], "object"]
    return loose


def _loosened(value: Any) -> Any:
    if isinstance(value, list):
        return [_loosened(one) for one in value]
    if not isinstance(value, dict):
        return value
    loose = {
        key: _loosened(one)
        for key, one in value.items()
        if key not in ("required", "minProperties")
    }
    for key in ("properties", "additionalProperties"):
        inner = loose.get(key)
        if isinstance(inner, dict):
            its = inner if key == "properties" else {"": inner}
            its = {name: _nullable(one) for name, one in its.items()}
            loose[key] = its if key == "properties" else its[""]
    return loose


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*kinds, "null"]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return {"anyOf": [schema, {"type": "null"}]}


if __name__ == "__main__":
    folder = Path(str(files("mixes")))
    whole = json.loads((folder / "recipe.schema.json").read_text("utf-8"))
    text = json.dumps(extending_schema(whole), indent=1, ensure_ascii=False)
    (folder / "extending.schema.json").write_text(text + "\n", "utf-8")
