"""URLs against lists, compared with a plain reading by urllib and sets."""

import re
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.url_lookup import (
    KINDS,
    UrlTables,
    find_entries,
    hash_hosts,
    hash_parts,
    hash_phrases,
    hash_urls,
    look_up,
)

LISTED = [kind for kind in KINDS if kind != "subdomains"]


def tables_of(lists, subdomains=True):
    """Tables of (kind, text of a list), in this order."""
    hashes, most = [], 0
    starts, lengths = np.zeros(1 << 16, np.bool_), np.zeros(256, np.bool_)
    for kind, text in lists:
        data = np.frombuffer(text.encode(), np.uint8)
        entries = find_entries(data)
        if kind == "domains":
            made = hash_hosts(data, *entries)
        elif kind == "urls":
            made = hash_urls(data, *entries)
        elif kind == "subwords":
            made = hash_parts(data, *entries, starts, lengths)
        else:
            made, words = hash_phrases(data, *entries)
            most = max(most, words)
        hashes.append(np.unique(made))
    return UrlTables(
        np.concatenate(hashes) if hashes else np.empty(0, np.uint64),
        np.cumsum([0, *map(len, hashes)]).astype(np.int64),
        np.array([KINDS.index(kind) for kind, _ in lists], np.int64),
        most,
        starts,
        lengths,
        subdomains,
    )


def hits_of(urls, lists, subdomains=True, before=b"https://x.org/"):
    """Per URL {kind: (count, list, what was found)}."""
    encoded = [url.encode() for url in urls]
    data = np.frombuffer(before + b"".join(encoded), np.uint8)
    offsets = len(before) + np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    hits = look_up(data, offsets, tables_of(lists, subdomains))
    return [
        {
            kind: (
                int(hits.counts[row, place]),
                int(hits.lists[row, place]),
                encoded[row][hits.starts[row, place] : hits.ends[row, place]].decode(),
            )
            for place, kind in enumerate(KINDS)
            if hits.counts[row, place]
        }
        for row in range(len(urls))
    ]


def found(url, kind, entries, subdomains=True):
    (hits,) = hits_of([url], [(kind, entries)], subdomains)
    return {name: text for name, (_, _, text) in hits.items()}


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "HTTPS://Example.ORG/path?q#f",
        "//example.org/",
        "example.org",
        "www.example.org:8080",
        "ftp://user:p@ss@example.org:21/x",
        "http://example.org./",
        "http://example.org?a.b",
        "http://example.org#a",
        "http:\\\\example.org\\a".replace("http:\\\\", "http://"),
        "  http://example.org/ \n",
    ],
)
@pytest.mark.parametrize(
    "entry", ["example.org", "EXAMPLE.org ", "*.example.org", "http://example.org/"]
)
def test_hosts_are_the_same_however_they_are_written(url, entry):
    hits = found(url, "domains", f"# a list\n\n{entry}\n")
    assert {kind: text.lower() for kind, text in hits.items()} == {"domains": "example.org"}


def test_hosts_below_a_listed_one():
    assert found("http://a.b.example.org/", "domains", "example.org") == {
        "subdomains": "example.org"
    }
    assert found("http://a.example.org/", "domains", "example.org\nb.example.org") == {
        "subdomains": "example.org"
    }
    assert found("http://b.example.org/", "domains", "example.org\nb.example.org") == {
        "domains": "b.example.org",
        "subdomains": "example.org",
    }
    assert found("http://a.example.org/", "domains", "example.org", subdomains=False) == {}


@pytest.mark.parametrize(
    "url", ["http://myexample.org", "http://example.org.net", "http://x.org/example.org", "", "org"]
)
def test_other_hosts_are_not_hit(url):
    assert found(url, "domains", "example.org\n") == {}


def test_a_listed_www_host_is_that_host_alone():
    assert found("http://www.example.org", "domains", "www.example.org\n") == {
        "domains": "www.example.org"
    }
    for url in ("http://example.org", "http://a.example.org"):
        assert found(url, "domains", "www.example.org\n") == {}


def test_the_names_of_www_hosts_stay_where_nothing_else_is_left():
    assert found("http://www.org/", "domains", "www.org") == {"domains": "www.org"}
    assert list(found("http://[2001:db8::1]:80/", "domains", "[2001:db8::1]")) == ["domains"]


def test_urls_are_compared_without_scheme_user_port_fragment_and_last_slash():
    entries = "example.org/Some/Page?id=1\nhttps://www.example.org/other/\n"
    for url in ("http://example.org/some/page?id=1", "//u:p@www.example.org:80/Some/Page?id=1#top"):
        assert list(found(url, "urls", entries)) == ["urls"]
    assert found("https://example.org/other", "urls", entries) == {"urls": "example.org/other"}
    for url in ("http://example.org/some/page?id=2", "http://example.org/", "http://a.org/other"):
        assert found(url, "urls", entries) == {}


def test_words_are_whole_parts_of_a_url_and_may_be_several():
    assert found("http://x.org/free-CASINO_1/", "words", "casino") == {"words": "CASINO"}
    assert found("http://x.org/casinos", "words", "casino") == {}
    assert found("http://x.org/free.casino/", "words", "free casino") == {"words": "free.casino"}
    assert found("http://x.org/free/my/casino/", "words", "free casino") == {}
    assert found("http://x.org/Ünder", "words", "ünder") == {"words": "Ünder"}
    assert found("http://x.org/a", "words", "...\n# a\n\nb") == {}


def test_soft_words_are_counted_by_place_and_words_but_once():
    lists = [("soft_words", "cam\nweb cam\nlive"), ("words", "live")]
    (hits,) = hits_of(["http://live.org/cam/live?web-cam"], lists)
    assert hits == {"soft_words": (4, 0, "live"), "words": (1, 1, "live")}


def test_sub_words_stand_anywhere_and_dots_and_hyphens_hide_nothing():
    entries = "poker\nca-sino\nx\n" + "y" * 300
    assert found("http://a.org/my-PO.k-er5", "subwords", entries) == {"subwords": "PO.k-er"}
    assert found("http://thecasi.no", "subwords", entries) == {"subwords": "casi.no"}
    assert found("http://a.org/x", "subwords", entries) == {"subwords": "x"}
    assert found("http://a.org/po/ker", "subwords", entries) == {}
    assert found("http://a.org/-.", "subwords", "-.\n") == {}


def test_the_first_list_that_has_a_hit_is_named():
    lists = [("domains", "a.org"), ("words", "b"), ("domains", "b.org\na.org")]
    assert hits_of(["http://b.org", "http://a.org"], lists) == [
        {"domains": (1, 2, "b.org"), "words": (1, 1, "b")},
        {"domains": (1, 0, "a.org")},
    ]


def test_without_lists_nothing_is_hit():
    assert hits_of(["http://a.org", ""], []) == [{}, {}]
    assert hits_of([], [("domains", "a.org")]) == []


# The twin


def host_and_path(url):
    url = url.strip()
    if not re.match("([A-Za-z][A-Za-z0-9+.-]*:)?//", url):
        url = f"//{url}"
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].partition(":")[0].lower().strip(".")
    query = f"?{parts.query}" if "?" in url.partition("#")[0] else ""
    return host, f"{parts.path}{query}".rstrip("/").lower()


def bare(host):
    return host[4:] if host.startswith("www.") and "." in host[4:] else host


def page(url):
    host, path = host_and_path(url)
    return bare(host), path


def twin(url, lists):
    host, path = host_and_path(url)
    labels = host.split(".")
    above = {".".join(labels[place:]) for place in range(1, len(labels))} - {bare(host)}
    words = re.split("[^a-z0-9]+", url.lower())
    stripped = re.sub("[-.]", "", url.lower())
    kinds = {
        "domains": lambda its: host in its or bare(host) in its,
        "subdomains": lambda its: any(one in its for one in above),
        "urls": lambda its: any(page(one) == (bare(host), path) for one in its),
        "words": lambda its: any(one in words for one in its),
        "soft_words": lambda its: any(one in words for one in its),
        "subwords": lambda its: any(re.sub("[-.]", "", one) in stripped for one in its),
    }
    entries = dict(lists)
    return {
        kind
        for kind, hit in kinds.items()
        if host
        and hit([one.lower() for one in entries["domains" if kind == "subdomains" else kind]])
    }


LABELS = st.sampled_from(["a", "b", "ab", "www", "xn--p1ai", "a-b", "9"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
URLS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "//", "http://", "HTTPS://", "git+ssh://"]),
        st.sampled_from(["", "u@", "u:p@"]),
        HOSTS,
        st.sampled_from(["", ":80", ":", "."]),
        st.sampled_from(["", "/", "/a", "/A-b.c/", "//b/a", "?a=b", "/?", "/a?b=A/b/"]),
        st.sampled_from(["", "#", "#a/b"]),
    ),
)
ENTRIES = {
    "domains": HOSTS,
    "urls": st.builds("{}{}".format, HOSTS, st.sampled_from(["", "/", "/a", "?a=b", "//b/a"])),
    "words": LABELS.filter(str.isalnum),
    "soft_words": LABELS.filter(str.isalnum),
    "subwords": st.sampled_from(["ab", "a-b", "a", "/a", "p1ai", "https"]),
}
LISTS = st.tuples(
    *(
        st.lists(ENTRIES[kind], max_size=4).map(lambda its, kind=kind: (kind, its))
        for kind in LISTED
    )
)


@settings(deadline=None, max_examples=300)
@given(st.lists(URLS, max_size=4), LISTS)
def test_hits_are_those_of_a_plain_reading(urls, lists):
    hits = hits_of(urls, [(kind, "\n".join(its)) for kind, its in lists])
    assert [set(one) for one in hits] == [twin(url, lists) for url in urls]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_any_text_can_stand_in_the_place_of_a_url(texts):
    lists = [(kind, "a\nb.c\n?\n") for kind in LISTED]
    assert len(hits_of(texts, lists)) == len(texts)


@pytest.mark.parametrize("unit", ["a.", "a@", "a:", "www.", "-", "a-", "/", "aa"])
def test_megabytes_in_the_place_of_a_url_are_gone_through_once(unit):
    """Not in time, which no test may measure: a search that starts again and again at each place
    would not end here."""
    lists = [(kind, "a.b\nb.a\nbb aa" + "ab" * 90) for kind in LISTED]
    assert len(hits_of([unit * 1_000_000], lists)) == 1
