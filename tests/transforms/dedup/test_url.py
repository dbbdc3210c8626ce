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
        ("http://./x", None),
        ("", None),
    ],
)
def test_a_url_as_it_is_compared(url, compared):
    assert compared_url(url) == compared


HOSTS = st.from_regex(r"[a-z]{1,8}\.[a-z]{2,3}", fullmatch=True)
PATHS = st.from_regex(r"(/[A-Za-z0-9?=&.]{0,6}){0,3}", fullmatch=True)


@given(HOSTS.filter(lambda host: not host.startswith("www.")), PATHS)
def test_what_does_not_count_changes_nothing(host, path):
    spellings = [
        f"http://{host}{path}", f"https://www.{host.upper()}:443{path}/#x", f"//{host}.{path}#",
        f"{host}:80{path}", f" HTTP://me@{host}{path} ",
    ]  # fmt: skip
    assert {compared_url(one) for one in spellings} == {f"{host}{path}".rstrip("/")}


@given(st.text())
def test_any_text_is_an_address_or_none(url):
    compared = compared_url(url)
    assert compared is None or (compared and "#" not in compared)


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
