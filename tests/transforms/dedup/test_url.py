"""URLs are compared as a reader would: by host, path and query."""

import hashlib
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dedup.url import UrlHash, compared_url
from transforms.documents import DocumentBatch


@pytest.mark.parametrize(
    ("url", "compared"),
    [
        ("http://a.org/x", "a.org/x"),
        ("https://www.A.org:443/x/#top", "a.org/x"),
        ("HTTP://a.org.:80/x", "a.org/x"),
        ("//user:secret@a.org/x", "a.org/x"),
        ("a.org/x", "a.org/x"),
        ("  http://a.org  ", "a.org"),
        ("http://a.org/", "a.org"),
        ("http://a.org#top", "a.org"),
        ("http://a.org:8080/x", "a.org:8080/x"),
        ("http://a.org/X?q=1&r=/", "a.org/X?q=1&r="),
        ("http://a.org?q=B", "a.org?q=B"),
        ("http://b.org/http://a.org/x", "b.org/http://a.org/x"),
        ("http://bücher.example/ü", "bücher.example/ü"),
        ("mailto:x@a.org", None),
        ("ftp://a.org/x", None),
        ("a.org:80/x", "a.org/x"),
        ("http://", None),
        ("", None),
    ],
)
def test_a_url_as_it_is_compared(url, compared):
    assert compared_url(url) == compared


@given(st.text())
def test_any_text_has_an_answer_that_is_its_own(url):
    compared = compared_url(url)
    if compared:
        assert compared_url(f"https://www.{compared}") in (compared, compared.rstrip("/"), None)


def test_the_hash_is_of_the_first_url_of_the_metadata():
    metadata = [
        {"url": "http://a.org/x/"},
        {"WARC-Target-URI": "https://a.org/x"},
        {"url": None, "warc_url": "http://b.org"},
        {"url": 5},
        {},
    ]
    batch = DocumentBatch(pa.record_batch({"metadata": pa.array(map(json.dumps, metadata))}))
    table = UrlHash().annotate(batch)
    assert table.schema == UrlHash.schema
    hashes = [hashlib.blake2b(u, digest_size=16).digest() for u in (b"a.org/x", b"b.org")]
    wanted = [hashes[0], hashes[0], hashes[1], None, None]
    assert table.column("url_hash").to_pylist() == wanted
    assert UrlHash().parameters() == {}
