"""Shares from a file: three forms, one meaning; what is no share is told with its place."""

import pytest

from mixes.located_yaml import load_yaml
from pipelines.recipes.share_files import ShareFileError, read_shares

PLAIN = '{"web": 0.7, "code": 0.3}'
PROPOSED = '[{"domain": "web", "weight": 0.7}, {"domain": "code", "weight": 0.3}]'
CONFIGURED = "mix:\n  web: {weight: 0.7, repetition_factor: 2.0}\n  code: {weight: 0.3}\n"


@pytest.mark.parametrize("text", [PLAIN, PROPOSED, CONFIGURED])
def test_three_forms_mean_the_same(text):
    stored = read_shares(load_yaml(text))
    assert stored.shares == {"web": 0.7, "code": 0.3}
    assert stored.topics == {}


@pytest.mark.parametrize(
    "text",
    [
        "web:art: 0.2\nweb:law: 0.6\ncode: 0.2",
        "- {domain: 'web:art', weight: 0.2}\n- {domain: 'web:law', weight: 0.6}\n"
        "- {domain: code, weight: 0.2}",
        "mix:\n  web: {weight: 0.8, art: {weight: 0.25}, law: {weight: 0.75}}\n"
        "  code: {weight: 0.2}",
        "mix:\n  'web:art': {weight: 0.2, repetition_factor: 1.0}\n  'web:law': {weight: 0.6}\n"
        "  code: {weight: 0.2}",
    ],
)
def test_topics_make_up_their_source(text):
    stored = read_shares(load_yaml(text))
    assert stored.shares == {"web": pytest.approx(0.8), "code": 0.2}
    its = stored.topics["web"]
    assert its == {"art": pytest.approx(0.25), "law": pytest.approx(0.75)}


def test_what_has_no_weight_is_left_out():
    assert read_shares(load_yaml("{web: 1.0, code: 0}")).shares == {"web": 1.0}


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("3", (), "holds no shares"),
        ("{}", (), "no share above 0"),
        ("web: much", ("web",), "the share of 'web' must be a number"),
        ("web: -0.1", ("web",), r"got -0\.1"),
        ("- {domain: web}", (0,), r"\(got nothing\)"),
        ("- {name: web, weight: 1}", (0,), "'domain' and 'weight'"),
        ("- {domain: a, weight: 1}\n- {domain: a, weight: 1}", (1,), "'a' stands here and again"),
        ("web: 0.5\nweb:art: 0.5", ("web:art",), "'web:art' stands here and again"),
        ("web:art: 0.5\nweb: 0.5", ("web",), "topics of it as well"),
        ("web:art:best: 0.5", ("web:art:best",), "more than a source and a topic"),
    ],
)
def test_what_is_no_share_is_told_with_its_place(text, path, said):
    with pytest.raises(ShareFileError, match=said) as raised:
        read_shares(load_yaml(text))
    assert raised.value.path == path
