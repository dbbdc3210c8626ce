"""Published keys serve a run that compares in the same way, and no other."""

import json
import unicodedata
from types import SimpleNamespace

import pytest

from pipelines.dedup import against, publish_keys
from pipelines.dedup.publish_keys import Compared
from transforms import environment

ASKED = Compared(False, "words", None, {"lines": 1})


def check(monkeypatch, theirs):
    """Whether keys that were made by this serve a run that asks for the same."""
    monkeypatch.setattr(against, "compared", lambda recipe: ASKED)
    manifest = SimpleNamespace(parameters={"compared": json.loads(json.dumps(theirs))})
    against._check_settings(SimpleNamespace(uri="/keys/first", manifest=manifest), None)


def test_keys_that_were_made_in_the_same_way_serve(monkeypatch):
    check(monkeypatch, ASKED.to_json())


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (environment, "WORDS_VERSION", 1),
        (unicodedata, "unidata_version", "3.2.0"),
        (publish_keys, "SHINGLE_BITS", 8),
        (publish_keys, "UNITS_VERSION", 0),
    ],
)
def test_keys_by_another_definition_of_what_is_equal_are_refused(monkeypatch, module, name, value):
    with monkeypatch.context() as patch:
        patch.setattr(module, name, value)
        theirs = ASKED.to_json()
    with pytest.raises(ValueError, match=r"^the keys at /keys/first were made by another version"):
        check(monkeypatch, theirs)


def test_keys_that_do_not_tell_what_a_word_was_are_refused(monkeypatch):
    theirs = ASKED.to_json()
    theirs["versions"] = theirs["versions"][:7]  # as they were published before
    with pytest.raises(ValueError, match=r"with another Unicode: make them again$"):
        check(monkeypatch, theirs)
