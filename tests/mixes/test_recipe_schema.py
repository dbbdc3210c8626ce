"""The recipe's schema: valid, every key read by the code, and the demo's recipe passes."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from mixes.extending_schema import extending_schema
from mixes.located_yaml import load_yaml
from mixes.schema_errors import violations
from pipelines.recipes.recipe import load_recipe, recipe_schema
from transforms.ingest.ocr import Ocr
from transforms.ingest.pdf import PdfReader
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.rules import rule

ROOT = Path(__file__).parents[2]
SCHEMA = recipe_schema()


def mappings(schema, place=""):
    """(place, schema) of each mapping whose keys are fixed."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield place, schema
        for key, value in schema.items():
            yield from mappings(value, f"{place}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from mappings(value, f"{place}/{index}")


def test_the_schema_is_valid_and_ships_with_the_package():
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads((ROOT / "mixes" / "recipe.schema.json").read_text("utf-8")) == SCHEMA


def test_the_schema_of_extending_recipes_is_made_from_it():
    stored = json.loads((ROOT / "mixes" / "extending.schema.json").read_text("utf-8"))
    assert stored == extending_schema(SCHEMA), "python -m mixes.extending_schema writes it anew"
    Draft202012Validator.check_schema(stored)


@pytest.mark.parametrize("name", ["longmino", "small/dolma3", "small/dolmino", "small/longmino"])
def test_an_extending_recipe_fits_its_schema_as_it_stands(name):
    stored = json.loads((ROOT / "mixes" / "extending.schema.json").read_text("utf-8"))
    tree = load_yaml((ROOT / "mixes" / f"{name}.yaml").read_text("utf-8")).value
    assert list(violations(tree, stored)) == []
    assert list(violations({**tree, "mixx": 1}, stored)) != []


@pytest.mark.parametrize("name", sorted(RULE_SCHEMAS))
def test_the_schema_of_a_rules_options_is_valid(name):
    Draft202012Validator.check_schema(RULE_SCHEMAS[name])
    assert RULE_SCHEMAS[name]["additionalProperties"] is False


def test_every_mapping_refuses_unknown_keys():
    found = dict(mappings(SCHEMA))
    assert len(found) > 8
    assert [
        place for place, one in found.items() if one.get("additionalProperties") is not False
    ] == []


def test_every_key_is_read_by_the_code():
    code = "".join(
        path.read_text("utf-8")
        for folder in ("pipelines", "pipelines/recipes", "pipelines/dedup", "expectations")
        for path in sorted((ROOT / folder).glob("*.py"))
    )
    # Handed on whole, as the fields of a class.
    handed_on = {
        "/$defs/source/properties/ocr": {field.name for field in dataclasses.fields(Ocr)},
        "/$defs/source/properties/pdf": {field.name for field in dataclasses.fields(PdfReader)},
        # Bounds are named by gates' suites; see expectations.
        "/$defs/gates": set(re.findall(r"gates\.(\w+)", suites())) | set(names_of_gates(code)),
    }
    unread = [
        f"{place}: {key}"
        for place, schema in mappings(SCHEMA)
        for key in schema["properties"]
        if key not in handed_on.get(place, ()) and f'"{key}"' not in code
    ]
    assert unread == []


def suites():
    return "".join(path.read_text("utf-8") for path in (ROOT / "expectations").glob("*.yaml"))


def names_of_gates(code):
    return re.findall(r'"(removed|duplicates|contaminated|quarantined)"', code)


def test_options_that_are_handed_on_have_the_defaults_that_the_schema_tells():
    for name, kind in (("ocr", Ocr), ("pdf", PdfReader)):
        options = SCHEMA["$defs"]["source"]["properties"][name]["properties"]
        fields = {field.name: field for field in dataclasses.fields(kind)}
        assert set(options) <= set(fields)
        for option, its in options.items():
            if "default" in its:
                assert fields[option].default == its["default"], option


# Rules that mean something without an option.
PLAIN_RULES = sorted(
    n for n, one in RULE_SCHEMAS.items() if not {"required", "minProperties"} & {*one}
)


@pytest.mark.parametrize("name", PLAIN_RULES)
def test_a_rule_with_all_its_defaults_written_out_is_the_rule_by_name(name):
    written = {}
    for option, its in RULE_SCHEMAS[name]["properties"].items():
        if "default" in its:
            written[option] = its["default"]
        else:
            bounds = its["oneOf"][1]["properties"]
            written[option] = {key: value["default"] for key, value in bounds.items()}
    assert list(violations(written, RULE_SCHEMAS[name])) == []
    assert rule(name, written) == rule(name)


def test_the_demos_recipe_passes():
    assert load_recipe(str(ROOT / "mixes" / "demo.yaml")).name == "demo"


def test_the_demos_recipe_teaches_every_key_of_a_mix_and_of_gates():
    text = (ROOT / "mixes" / "demo.yaml").read_text("utf-8")
    tree = load_yaml(text).value
    assert set(tree["gates"]) == set(SCHEMA["$defs"]["gates"]["properties"])
    assert set(tree["pool"]) == {"sources", "dedup", "decontaminate"}
    untaught = set(SCHEMA["$defs"]["mix"]["properties"]) - set(tree["mix"])
    elsewhere = {
        "sequence": "longmino.yaml",
        "window": "longmino.yaml",
        "fill_in_middle": "dolmino.yaml",
    }
    in_docs = {"quality", "repeat", "slices"}  # docs/mixes.md
    assert untaught == {"seed", "file_tokens", "long_documents", "order", *elsewhere, *in_docs}
    for key, name in elsewhere.items():
        assert key in load_yaml((ROOT / "mixes" / name).read_text("utf-8")).value["mix"]
