"""Keys of JSON, counted beside a parser that tells each."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.json_keys import count_keys

strings = st.text(max_size=20) | st.just("\\ud800\\") | st.text(alphabet='":\\,{}a', max_size=20)
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
)


def plain_keys(text: str) -> int:
    found: list[str] = []
    json.loads(text, object_pairs_hook=lambda pairs: found.extend(key for key, _ in pairs))
    return len(found)


@settings(deadline=None)
@given(values, st.booleans(), st.sampled_from([(",", ":"), (" , ", " :\t"), (",\r\n", ": ")]))
def test_keys_are_counted_however_the_text_is_written(
    value: Any, ascii_only: bool, separators: tuple[str, str]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
    assert count_keys(text.encode()) == plain_keys(text)


def test_a_key_that_is_written_twice_counts_twice() -> None:
    assert count_keys(b'{"a":{"b":1,"b":":"},"a":[{"\\"":2}]}') == 5


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_what_is_no_json_ends_too(text: bytes) -> None:
    assert 0 <= count_keys(text) <= text.count(b":")
