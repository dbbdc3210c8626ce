"""The reference of the rules says what the code does."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from transforms.kernels.sentences import CURSED, CURSED_ENDINGS
from transforms.kernels.web_lines import COUNTED, PHRASES
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.rules import rule

TEXT = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
BLOCKS = re.findall(r"```yaml\n(rules:.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_lists_of_rules_can_be_built(block):
    for item in yaml.safe_load(block)["rules"]:
        name, options = next(iter(item.items())) if isinstance(item, dict) else (item, {})
        assert rule(name, options).annotators


def test_dolma3s_web_rules_are_in_the_order_of_its_funnel():
    lists, *others = yaml.safe_load(BLOCKS[-1])["rules"]
    assert list(lists) == ["url_lists"]
    assert others == ["gopher", "language", "madlad", "dolma3_lines"]


@pytest.mark.parametrize("name", ["madlad", "dolma3_lines", "pii", "pdf_quality", "url_lists"])
def test_every_option_and_bound_is_named(name):
    section = SECTIONS[name]
    missing = [one for one in RULE_SCHEMAS[name]["properties"] if f"`{one}`" not in section]
    assert missing == []
    for condition in rule(name).conditions:
        (row,) = re.findall(rf"^\| `{condition.reason.split('.')[1]}`.*$", section, re.MULTILINE)
        bounds = {">=": condition.at_least, "<=": condition.at_most, "<": condition.below}
        for sign, bound in bounds.items():
            assert bound is None or f"| {sign} {bound} |" in row


def test_lists_of_strings_are_those_of_the_kernels():
    quoted = [ast.literal_eval(one) for one in re.findall(r'`(".*?")`', SECTIONS["madlad"])]
    assert quoted == [*CURSED, *CURSED_ENDINGS, ", "]
    counted = re.sub(r"\s+", " ", SECTIONS["dolma3_lines"])
    assert f"one of {', '.join(COUNTED[:-1])}, {COUNTED[-1]} in any case" in counted
    assert all(f"`{phrase}`" in counted for phrase in PHRASES)
