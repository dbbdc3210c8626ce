"""Sealed JSON: fingerprints, and bytes that are those of a plain encoder."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import storage
from transforms.sealed_json import fingerprint_of, read_sealed, sealed

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def reversed_keys(value):
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(list(value))}
    return [reversed_keys(one) for one in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_fingerprints_do_not_depend_on_the_order_of_keys(value):
    assert fingerprint_of(reversed_keys(value)) == fingerprint_of(value)


@given(json_values, json_values)
def test_fingerprints_differ_exactly_when_the_values_do(left, right):
    equal = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (fingerprint_of(left) == fingerprint_of(right)) == equal


def test_fingerprints_are_16_hex_digits_that_never_change():
    # Of a change here all that is stored would be made again.
    assert fingerprint_of({"stage": "x", "version": 1}) == "66939f22fd6f29e6"
    assert fingerprint_of([]) != fingerprint_of({})


def test_a_fingerprint_of_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        fingerprint_of({"threshold": float("nan")})


files = st.lists(
    st.fixed_dictionaries(
        {"path": st.text(), "size_bytes": st.integers(0), "%": st.text(), "rows": st.integers()}
    ),
    max_size=4,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.none() | files)
def test_the_bytes_are_those_of_a_plain_encoder_and_come_back(tmp_path_factory, value, listed):
    value = {**value, "details": {"files": []}}
    value.pop("digest", None)
    value.pop("files", None)
    if listed is not None:
        value["files"] = listed
    whole = {**value, "digest": fingerprint_of(value)}
    plain = json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert sealed(value) == plain.encode()
    path = str(tmp_path_factory.getbasetemp() / "sealed.json")
    storage.write_bytes(path, sealed(value))
    assert read_sealed(path) == value
