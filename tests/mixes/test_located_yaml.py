"""YAML with places: plain values, and the line of each key path."""

import pytest

from mixes.located_yaml import YamlError, load_yaml, parse_scalar

TEXT = """\
# a comment
a: 1
b:
  c: [x, "2", 3.5,
      true]
  d: null
e: &anchor
  - {f: 1_000}
  - >
    folded
    text
g: *anchor
"""


def test_values_are_plain_python():
    value = load_yaml(TEXT).value
    assert value == {
        "a": 1,
        "b": {"c": ["x", "2", 3.5, True], "d": None},
        "e": [{"f": 1000}, "folded text\n"],
        "g": [{"f": 1000}, "folded text\n"],
    }
    assert {type(one) for one in value["b"]["c"]} == {str, float, bool}
    assert type(value) is dict
    assert type(value["a"]) is int


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 2),
        (("b",), 3),
        (("b", "c"), 4),
        (("b", "c", 0), 4),
        (("b", "c", 3), 5),
        (("b", "d"), 6),
        (("e", 0, "f"), 8),
        (("e", 1), 9),
        (("b", "missing", "deeper"), 3),
        (("missing",), 1),
        ((), 1),
    ],
)
def test_the_line_of_a_path_is_its_own_or_that_of_what_encloses_it(path, line):
    assert load_yaml(TEXT).line(path) == line


def test_what_a_merge_key_brings_has_the_line_of_its_mapping():
    located = load_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n")
    assert located.value["b"] == {"x": 1, "y": 3}
    assert located.line(("b", "x")) == 2
    assert located.line(("b", "y")) == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),  # YAML 1.2: only true and false are bools
        ("0o17", 15),
        ("017", 17),
        ("1e3", 1000.0),
        ("2024-01-31", "2024-01-31"),
        ("~", None),
        ("", None),
        ("[1, a]", [1, "a"]),
        ("{a: 1}", {"a": 1}),
        ("size.bytes >= 200", "size.bytes >= 200"),
        ("'5'", "5"),
    ],
)
def test_scalars_are_read_as_yaml_1_2(text, value):
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1\n", 2),
        ("a: 1\nb: 2\na: 3\n", 3),
        ("a:\n\tb: 1\n", 2),
        ("a: *x\n", 1),
        ("a: 1\nb: \x00\n", 2),
        ("a: 1\n---\nb: 1\n", 2),
        ('a: "open\n\n', 3),
        ("a: 1\nb: &x [1, *x]\n", 2),
        ("a: &x\n  b: {c: [*x]}\n", 2),
        ("a:\n" + "- " * 70, 2),
        ("a: !!int x\n", 1),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line_and_in_one(text, line):
    with pytest.raises(YamlError) as raised:
        load_yaml(text)
    assert raised.value.line == line
    assert raised.value.message
    assert "\n" not in str(raised.value)


def test_a_name_of_an_anchor_can_be_given_again_inside():
    assert load_yaml("&a [&b [1], *b, *b]").value == [[1], [1], [1]]
    with pytest.warns(match="duplicate anchor"):
        assert load_yaml("&a [&a x, *a]").value == ["x", "x"]


@pytest.mark.parametrize(
    "text",
    [
        'a:\n  1: x\n  "1": y\n',
        'a:\n  "1": x\n  1: y\n',
        'a:\n  true: x\n  "True": y\n',
        'a:\n  1.5: x\n  "1.5": y\n',
        'b: &b {1: x}\na:\n  "1": y\n  <<: *b\n',
    ],
)
def test_keys_that_differ_in_kind_alone_are_one_key_given_twice(text):
    with pytest.raises(YamlError, match="duplicate key") as raised:
        load_yaml(text)
    assert raised.value.line == 3
