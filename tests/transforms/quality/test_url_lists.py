import gzip
import tracemalloc

import pytest
import zstandard

from transforms import storage
from transforms.annotators import ReadsFiles, RuleFile
from transforms.quality import url_lists
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.rules import rule
from transforms.quality.url_lists import SCHEMA, UrlList, UrlLists, load_lists


@pytest.fixture
def make_list(tmp_path):
    """make_list(kind, content, name, folder): a list in a file."""

    def write(kind, content, name="list.txt", folder=str(tmp_path)):
        path = storage.join(folder, kind, name)
        storage.write_bytes(path, content if isinstance(content, bytes) else content.encode())
        return UrlList(kind, RuleFile(path, name, storage.content_digest(path)))

    return write


@pytest.fixture
def annotate(make_batch):
    def rows(metadata, *lists, subdomains=True):
        batch = make_batch(["text"] * len(metadata), metadata)
        table = UrlLists(tuple(lists), subdomains).annotate(batch)
        assert table.schema == SCHEMA
        return table.to_pylist()

    return rows


def flags(row):
    return {name for name, value in row.items() if name not in ("has_url", "hit") and value}


def test_a_list_that_changed_after_it_was_found_is_refused(annotate, make_list):
    one = make_list("domains", "bad.org\n")
    storage.write_bytes(one.file.path, b"other.org\n")
    with pytest.raises(ValueError, match=r"list.txt was changed while the run went on: run again"):
        annotate([{"url": "http://bad.org"}], one)


def test_hits_name_their_kind_list_and_what_was_found(annotate, make_list):
    lists = [
        make_list("domains", "bad.org\n", "hosts.txt"),
        make_list("soft_words", "cam\nlive\n", "soft.txt"),
        make_list("subwords", "poker\n", "parts.txt"),
    ]
    urls = [
        "http://a.bad.org/po-ker",
        "http://ok.org/live-cam",
        "http://ok.org/cam",
        "http://ok.org",
    ]
    below, soft, one, none = annotate([{"url": url} for url in urls], *lists)
    assert flags(below) == {"subdomain", "subword"}
    assert below["hit"] == {"kind": "subdomains", "list": "hosts.txt", "found": "bad.org"}
    assert (soft["soft_word_count"], one["soft_word_count"]) == (2, 1)
    assert soft["hit"] == {"kind": "soft_words", "list": "soft.txt", "found": "live"}
    assert (flags(none), none["hit"], none["has_url"]) == (set(), None, True)


@pytest.mark.parametrize("metadata", [{}, {"url": None}, {"url": ""}, {"url": " "}, {"url": 7}])
def test_documents_without_a_url_pass_and_show_it(annotate, make_list, metadata):
    lists = [make_list(kind, "a\n") for kind in url_lists.LIST_KINDS]
    (row,) = annotate([metadata], *lists)
    assert (flags(row), row["has_url"], row["hit"]) == (set(), False, None)


def test_other_keys_of_a_url_count_where_it_is_lacking(annotate, make_list):
    hosts = make_list("domains", "bad.org")
    rows = annotate(
        [
            {"WARC-Target-URI": "http://bad.org/"},
            {"warc_url": "http://bad.org/", "url": None},
            {"warc_url": "http://bad.org/", "url": " "},
            {"url": "http://ok.org", "warc_url": "http://bad.org"},
        ],
        hosts,
    )
    assert [row["domain"] for row in rows] == [True, True, True, False]


def test_hosts_are_the_same_in_unicode_and_in_punycode(annotate, make_list):
    urls = [
        "http://bücher.example/",
        "http://u@BÜCHER.example:80/ä",
        "http://xn--bcher-kva.example",
        "http://bücher。example",
    ]
    for entry in ("bücher.example", "xn--bcher-kva.example", "*.Bücher.example"):
        rows = annotate([{"url": url} for url in urls], make_list("domains", f"a.b\n{entry}"))
        assert [row["domain"] for row in rows] == [True] * 4


@pytest.mark.parametrize(
    "host",
    [
        "ü" * 70,
        "\u200b",
        "a\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        "ü..ä",
    ],
)
def test_hosts_that_have_no_punycode_are_compared_as_they_are(annotate, make_list, host):
    hosts = make_list("domains", f"{host}.org")
    assert flags(annotate([{"url": f"http://{host}.org/x"}], hosts)[0]) == {"domain"}


def test_words_are_those_of_any_script(annotate, make_list):
    (row,) = annotate(
        [{"url": "http://ok.org/Müller/日本"}], make_list("words", "müller\n"),
        make_list("soft_words", "日\n本\n"),
    )  # fmt: skip
    assert (flags(row), row["soft_word_count"]) == ({"word", "soft_word_count"}, 2)


@pytest.mark.parametrize("name", ["hosts.txt", "hosts.txt.gz", "hosts.txt.zst"])
@pytest.mark.parametrize("chunk_bytes", [1, 64, 1 << 20])
def test_lists_are_read_whole_in_any_packing(annotate, make_list, name, chunk_bytes, monkeypatch):
    monkeypatch.setattr(url_lists, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr("transforms.ingest.compression.BLOCK_BYTES", 50)
    text = ("# hosts\r\n\n" + "".join(f"host{n}.org\r\n" for n in range(200)) + "last.org").encode()
    packed = {"gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}
    hosts = make_list("domains", packed.get(name.rpartition(".")[2], bytes)(text), name)
    urls = [*(f"http://host{n}.org/" for n in range(200)), "http://last.org", "http://host200.org"]
    rows = annotate([{"url": url} for url in urls], hosts)
    assert [row["domain"] for row in rows] == [True] * 201 + [False]


def test_lists_lie_on_any_filesystem(annotate, make_list, folder):
    hosts = make_list("domains", gzip.compress(b"a.org\n"), "hosts.txt.gz", folder)
    assert flags(annotate([{"url": "http://a.org"}], hosts)[0]) == {"domain"}


def test_a_damaged_list_is_told(make_list):
    hosts = make_list("domains", gzip.compress(b"a.org\n" * 1000)[:-9], "hosts.txt.gz")
    with pytest.raises(ValueError, match=r"hosts.txt.gz cannot be decompressed \(truncated"):
        load_lists((hosts,), True)


def test_no_list_is_in_memory_whole_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(url_lists, "CHUNK_BYTES", 1 << 16)
    path = str(tmp_path / "hosts.txt")
    entries = 200_000
    with open(path, "w") as file:
        file.writelines(f"{'x' * 90}{n}.org\n" for n in range(entries))
    hosts = (UrlList("domains", RuleFile(path, "hosts.txt", storage.content_digest(path))),)
    nothing = RuleFile("/dev/null", "none", storage.content_digest("/dev/null"))
    load_lists((UrlList("domains", nothing),), True)  # compiles
    tracemalloc.start()
    tables = load_lists(hosts, True)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tables.hashes) == entries
    assert peak_bytes < 24 * entries + (8 << 20)  # of 20 MB of text


def test_content_and_not_place_is_a_parameter(make_list):
    one = UrlLists((make_list("domains", "a.org", "x.txt"),))
    again, other = (
        one.with_files((RuleFile("/elsewhere/x.txt", "x.txt", digest),))
        for digest in (one.files[0].digest, "other")
    )
    assert isinstance(one, ReadsFiles)
    assert again.files[0].path == "/elsewhere/x.txt"
    assert one.parameters() == again.parameters() != other.parameters()
    assert one.parameters() != UrlLists(one.lists, subdomains=False).parameters()


def test_conditions_are_those_of_the_lists_that_are_named():
    built = rule("url_lists", {"domains": ["a"], "soft_words": ["b", "c"], "soft_word_hits": 3})
    assert [(one.reason, one.to_sql()) for one in built.conditions] == [
        ("url_lists.domains", "url_lists.domain = false"),
        ("url_lists.subdomains", "url_lists.subdomain = false"),
        ("url_lists.soft_words", "url_lists.soft_word_count <= 2"),
    ]
    (annotator,) = built.annotators
    assert [file.path for file in annotator.files] == ["a", "b", "c"]
    alone = rule("url_lists", {"domains": ["a"], "subdomains": False})
    assert [one.reason for one in alone.conditions] == ["url_lists.domains"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domains": "a.txt"}, "url_lists.domains must be a list of paths"),
        ({"words": [1]}, "url_lists.words must be a list of paths"),
        ({"subdomains": True}, "url_lists names no list"),
        ({"words": ["a"], "soft_word_hits": 0}, "soft_word_hits must be at least 1"),
        ({"hosts": ["a"]}, "rule 'url_lists' has no option 'hosts'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        rule("url_lists", options)


def test_the_schema_names_all_kinds_of_lists():
    assert set(url_lists.LIST_KINDS) < set(RULE_SCHEMAS["url_lists"]["properties"])
