"""JSON Schema violations: one sentence each, for the place that is wrong."""

import pytest

from mixes.schema_errors import MOST_LISTED, nearest, violations

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$", "description": "Small letters."},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "share": {"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "few": {"enum": ["a", "b"]},
        "five": {"enum": ["warc", "html", "code", "pdf", "dolma"]},
        "many": {"enum": [f"word{k}" for k in range(100)]},
        "list": {"type": "array", "items": {"type": "boolean"}},
        "either": {
            "oneOf": [
                {"const": False},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"at_least": {"type": "number"}},
                },
            ]
        },
        "free": {"type": "object"},
    },
}


def messages(value):
    return [(violation.path, violation.message) for violation in violations(value, SCHEMA)]


@pytest.mark.parametrize(
    ("key", "value", "path", "message"),
    [
        ("name", "Up", (), "'name' is the text 'Up', which does not fit: Small letters."),
        ("name", 3, (), "'name' must be a text (got the number 3)"),
        ("count", 0, (), "'count' must be at least 1 (got 0)"),
        ("count", 10, (), "'count' must be at most 9 (got 10)"),
        ("count", 3.0, (), "'count' must be a whole number (got the number 3.0)"),
        ("count", 0.5, (), "'count' must be a whole number (got the number 0.5)"),
        ("count", True, (), "'count' must be a whole number (got true)"),
        ("count", "3", (), "'count' must be a whole number (got the text '3')"),
        ("share", 0, (), "'share' must be more than 0 (got 0)"),
        ("share", 1, (), "'share' must be less than 1 (got 1)"),
        ("share", float("nan"), (), "'share' must be a number or null (got nan)"),
        ("share", float("-inf"), (), "'share' must be a number or null (got -inf)"),
        ("share", {}, (), "'share' must be a number or null (got a mapping)"),
        ("few", "c", (), "'few' must be one of a, b (got the text 'c')"),
        ("five", "htm", (), "'five' must be one of warc, html, code, pdf, dolma"
         " (got the text 'htm'); did you mean 'html'?"),
        ("many", "wrd7", (), "'many' must be one of 100 names (got the text 'wrd7');"
         " did you mean 'word7'?"),
        ("many", "?", (), "'many' must be one of 100 names (got the text '?')"),
        ("list", [True, None], (1,), "'list[1]' must be true or false (got nothing)"),
        ("either", 3, (), "'either' must be false or a mapping (got the number 3)"),
        ("either", True, (), "'either' must be false or a mapping (got true)"),
        ("either", {"at_least": "x"}, ("at_least",),
         "'either.at_least' must be a number (got the text 'x')"),
        ("either", {"at_leas": 1}, ("at_leas",),
         "unknown key 'at_leas' in 'either'; did you mean 'at_least'?"),
    ],
)  # fmt: skip
def test_each_violation_is_one_sentence(key, value, path, message):
    assert messages({"name": "a", key: value}) == [((key, *path), message)]


@pytest.mark.parametrize(
    "value",
    [
        {"name": "a", "count": 3, "share": 0.5, "few": "a", "many": "word3", "list": []},
        {"name": "a", "share": None, "either": False, "free": {"any": {"thing": 1}}},
        {"name": "a", "either": {"at_least": 2}},
    ],
)
def test_what_fits_has_no_violation(value):
    assert messages(value) == []


def test_a_missing_key_is_told_but_not_beside_its_misspelling():
    assert messages({}) == [((), "the recipe lacks the key 'name'")]
    assert messages({"nme": "a"}) == [
        (("nme",), "unknown key 'nme' in the recipe; did you mean 'name'?")
    ]
    assert len(messages({"zzz": "a"})) == 2


def test_violations_come_in_the_order_of_their_places_whatever_the_order_of_keys():
    value = {"name": 1, "few": 1, "list": [1, 2], "count": "x"}
    backwards = {key: value[key] for key in reversed(value)}
    assert messages(value) == messages(backwards)
    assert [path for path, _ in messages(value)] == [
        ("count",), ("few",), ("list", 0), ("list", 1), ("name",)
    ]  # fmt: skip


def test_the_nearest_word_or_else_all_of_a_few_end_a_sentence():
    assert nearest("gophr", ["c4", "gopher"]) == "; did you mean 'gopher'?"
    assert nearest("zzz", ["b", "a"]) == "; known: a, b"
    assert nearest("zzz", []) == ""
    assert nearest("zzz", [f"word{k}" for k in range(MOST_LISTED + 1)]) == ""
