import datetime
import gzip
import io
from functools import partial
from pathlib import Path

import pytest
from fastwarc.stream_io import GzipWriter
from fastwarc.warc import WarcRecord, WarcRecordType
from hypothesis import given
from hypothesis import strategies as st

from transforms.documents import Document
from transforms.ingest import warc
from transforms.ingest.reader import Rejected
from transforms.ingest.warc import WarcReader
from transforms.storage import FileInfo, list_files

# Of no time: parameters' ids must be the same in every process.
compress = partial(gzip.compress, mtime=0)

PAGE = b"<html lang=en><title>Vines</title><p>" + b"A vine needs a trellis. " * 20


def http(
    body: bytes = PAGE,
    status: bytes = b"200 OK",
    kind: bytes = b"text/html; charset=utf-8",
    extra: bytes = b"",
) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Type: " + kind + b"\r\n" + extra + b"\r\n" + body


def record(
    name: str,
    block: bytes | None = None,
    *,
    kind: str = "response",
    length: int | None = None,
    content_type: str = "application/http; msgtype=response",
    extra: str = "",
) -> bytes:
    block = http() if block is None else block
    identity = f"WARC-Record-ID: <urn:uuid:{name}>\r\n" if name else ""
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\n{identity}WARC-Date: 2024-05-01T12:00:00Z\r\n"
        f"WARC-Target-URI: http://a.org/{name}\r\n{extra}Content-Type: {content_type}\r\n"
        f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return header.encode() + block + b"\r\n\r\n"


def events(tmp_path: Path, data: bytes, name: str = "a.warc") -> list[Document | Rejected]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(WarcReader().read([FileInfo(str(path), len(data), name)]))


def told(found: list[Document | Rejected]) -> list[str]:
    """Record names of documents, reasons of rejects."""
    return [
        str(event.metadata["record_id"])[10:-1] if isinstance(event, Document) else event.reason
        for event in found
    ]


def one_per_member(*records: bytes) -> bytes:
    return b"".join(map(gzip.compress, records))


def all_in_one(*records: bytes) -> bytes:
    return compress(b"".join(records))


def plain(*records: bytes) -> bytes:
    return b"".join(records)


PACKERS = [plain, one_per_member, all_in_one]


@pytest.mark.parametrize("pack", PACKERS)
def test_html_answers_become_documents(tmp_path: Path, pack: object) -> None:
    (event, _) = events(tmp_path, pack(record("1"), record("2")))  # type: ignore[operator]
    assert isinstance(event, Document)
    assert event.text.startswith("A vine needs a trellis.")
    assert event.created == datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    assert event.added is None
    assert event.metadata == {
        "url": "http://a.org/1",
        "status": 200,
        "encoding": "utf-8",
        "language": "en",
        "title": "Vines",
        "record_id": "<urn:uuid:1>",
        "file": "a.warc",
    }


def test_ids_do_not_change_with_place_name_or_compression(tmp_path: Path) -> None:
    records = [record("1"), record("2")]
    found = [events(tmp_path, pack(*records), f"{pack.__name__}.warc") for pack in PACKERS]
    ids = [[event.id for event in one if isinstance(event, Document)] for one in found]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids[0])) == 2


def test_files_of_one_name_with_other_pages_have_other_ids(tmp_path: Path) -> None:
    one = events(tmp_path, record("", http()))[0]
    other = events(tmp_path, record("", http(PAGE + b"More.")))[0]
    assert isinstance(one, Document)
    assert isinstance(other, Document)
    assert one.id != other.id


def test_without_record_ids_the_place_keeps_equal_pages_apart(tmp_path: Path) -> None:
    found = events(tmp_path, record("") + record(""))
    assert len({event.id for event in found if isinstance(event, Document)}) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (record("1", b"x", kind="request"), "not a response"),
        (record("1", b"x", kind="warcinfo", content_type="application/warc-fields"),
         "not a response"),
        (record("1", b"x", kind="unheard-of"), "not a response"),
        (record("1", b"x", content_type="text/dns"), "not HTTP"),
        (record("1", http(status=b"404 Not Found")), "HTTP status"),
        (record("1", http(status=b"301 Moved")), "HTTP status"),
        (record("1", http(kind=b"image/png")), "not HTML"),
        (record("1", http(kind=b"text/plain")), "not HTML"),
        (record("1", http(b"<script>x</script>")), "no text"),
        (record("1", http(b"")), "no text"),
    ],
)  # fmt: skip
def test_what_is_no_page_is_removed_with_its_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    first, second = events(tmp_path, data + record("2"))
    assert isinstance(first, Rejected)
    assert (first.origin, first.reason, first.quarantined) == ("a.warc@0", reason, False)
    assert told([second]) == ["2"]


@pytest.mark.parametrize(
    "kind", [b"text/html", b"TEXT/HTML;charset=x", b"application/xhtml+xml", b""]
)
def test_media_types_of_html(tmp_path: Path, kind: bytes) -> None:
    extra = "WARC-Identified-Payload-Type: text/html\r\n"
    assert told(events(tmp_path, record("1", http(kind=kind), extra=extra))) == ["1"]


@pytest.mark.parametrize("pack", PACKERS)
def test_a_cut_file_keeps_the_records_before_the_cut(tmp_path: Path, pack: object) -> None:
    data = pack(record("1"), record("2"), record("3"))  # type: ignore[operator]
    found = events(tmp_path, data[:-10])
    assert told(found)[-1] == "truncated file"
    assert told(found)[:-1] in (["1", "2"], ["1", "2", "3"])


def test_every_cut_of_a_file_is_noticed(tmp_path: Path) -> None:
    data = one_per_member(record("1"), record("2"))
    whole = events(tmp_path, data)
    for size in range(12, len(data), 7):
        found = events(tmp_path, data[:size])
        if size != len(compress(record("1"))):
            assert isinstance(found[-1], Rejected)
            assert found[-1].quarantined
        for event in found:
            assert event in whole or isinstance(event, Rejected)


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize(
    "broken",
    [
        record("bad", length=len(http()) + 300),  # reaches into the next record
        record("bad", length=len(http()) + 10_000_000),
        record("bad", length=len(http()) - 7),
        record("bad").replace(b"Content-Length: ", b"Content-Length: x"),
        record("bad").replace(b"Content-Length", b"Content-Size"),
        b"garbage\r\n\r\nmore \0\xff garbage\n\n",
        b"WARC/1.0\r\n" + b"x" * 600_000 + b"\r\n\r\n",
    ],
)
def test_after_a_broken_record_the_next_ones_are_read(
    tmp_path: Path, pack: object, broken: bytes
) -> None:
    data = pack(record("1"), broken, record("2"), record("3"))  # type: ignore[operator]
    found = events(tmp_path, data)
    assert told(found) == ["1", "broken record", "2", "3"]
    assert isinstance(found[1], Rejected)
    assert found[1].quarantined


@pytest.mark.parametrize("place", [20, 60, -6])
def test_a_corrupt_gzip_member_costs_only_its_record(tmp_path: Path, place: int) -> None:
    bad = bytearray(compress(record("bad")))
    bad[place] ^= 0xFF
    data = one_per_member(record("1")) + bytes(bad) + one_per_member(record("2"), record("3"))
    found = told(events(tmp_path, data))
    assert found[0] == "1"
    assert found[-2:] == ["2", "3"]
    assert set(found[1:-2]) <= {"bad", "broken compression", "truncated file", "broken record"}
    assert "broken compression" in found or "truncated file" in found


def test_a_page_that_quotes_a_record_is_one_record(tmp_path: Path) -> None:
    page = PAGE + b"\n" + record("quoted")
    assert told(events(tmp_path, record("1", http(page)) + record("2"))) == ["1", "2"]


def test_a_record_twice_in_a_file_is_one_document(tmp_path: Path) -> None:
    found = events(tmp_path, record("1") + record("1"))
    assert told(found) == ["1", "record repeated"]


@pytest.mark.parametrize(
    ("body", "extra"),
    [
        (compress(PAGE), b"Content-Encoding: gzip\r\n"),
        (PAGE, b"Content-Encoding: gzip\r\n"),  # stored decoded, header left as it was
        (PAGE, b"Content-Encoding: br\r\n"),
        (b"%x\r\n%s\r\n0\r\n\r\n" % (len(PAGE), PAGE), b"Transfer-Encoding: chunked\r\n"),
        (PAGE, b"Transfer-Encoding: chunked\r\n"),
        (compress(PAGE), b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
    ],
)
def test_bodies_are_decoded_also_where_the_header_is_stale(
    tmp_path: Path, body: bytes, extra: bytes
) -> None:
    (event,) = events(tmp_path, record("1", http(body, extra=extra)))
    assert isinstance(event, Document)
    assert event.text.startswith("A vine needs")


@pytest.mark.parametrize(
    "block",
    [
        b"no HTTP at all",
        http(b"\x1f\x8b\x08\xff\0\0binary\0", extra=b"Content-Encoding: gzip\r\n"),
    ],
)
def test_a_broken_answer_is_quarantined(tmp_path: Path, block: bytes) -> None:
    first, second = events(tmp_path, record("1", block) + record("2"))
    assert isinstance(first, Rejected)
    assert (first.reason, first.quarantined) == ("broken HTTP", True)
    assert told([second]) == ["2"]


def test_a_page_with_nul_is_quarantined(tmp_path: Path) -> None:
    (event,) = events(tmp_path, record("1", http(PAGE + b"\0")))
    assert isinstance(event, Rejected)
    assert (event.reason, event.quarantined) == ("NUL byte", True)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
GZIP = b"Content-Encoding: gzip\r\n"
BROKEN = [
    (b"%x\r\n%s" % (len(PAGE), PAGE[:-40]), CHUNKED),
    (b"%x\r\n%s\r\n" % (len(PAGE), PAGE), CHUNKED),
    (compress(PAGE)[:-10], GZIP),
    (b"%x\r\n%s" % (len(compress(PAGE)), compress(PAGE)[:-10]), GZIP + CHUNKED),
]


@pytest.mark.parametrize(("body", "extra"), BROKEN)
def test_a_body_that_breaks_off_is_quarantined(tmp_path: Path, body: bytes, extra: bytes) -> None:
    first, second = events(tmp_path, record("1", http(body, extra=extra)) + record("2"))
    assert isinstance(first, Rejected)
    assert (first.reason, first.quarantined) == ("broken HTTP", True)
    assert told([second]) == ["2"]


@pytest.mark.parametrize(("body", "extra"), BROKEN)
def test_a_body_that_the_crawler_cut_is_kept_and_marked(
    tmp_path: Path, body: bytes, extra: bytes
) -> None:
    cut = record("1", http(body, extra=extra), extra="WARC-Truncated: length\r\n")
    (event,) = events(tmp_path, cut)
    assert isinstance(event, Document)
    assert event.metadata["truncated"] == "length"
    assert event.text.startswith("A vine needs a trellis.")
    assert not set(event.text) & set("0123456789")


@pytest.mark.parametrize("body", [b"\x1f\x8b\x08", b"\0\1\2 no gzip"])
def test_a_cut_body_without_content_is_quarantined(tmp_path: Path, body: bytes) -> None:
    cut = record("1", http(body, extra=GZIP), extra="WARC-Truncated: length\r\n")
    assert told(events(tmp_path, cut)) == ["broken HTTP"]


def test_chunk_sizes_with_extensions_do_not_reach_the_text(tmp_path: Path) -> None:
    body = b"".join(
        b'%x;ext=1;q="a"\r\n%s\r\n' % (len(PAGE[at : at + 50]), PAGE[at : at + 50])
        for at in range(0, len(PAGE), 50)
    )
    chunked = record("1", http(body + b"0\r\nTrailer: x\r\n\r\n", extra=CHUNKED))
    plain_event, event = events(tmp_path, record("0") + chunked)
    assert isinstance(event, Document)
    assert isinstance(plain_event, Document)
    assert event.text == plain_event.text


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "MAX_DOCUMENT_BYTES", 2_000)
    monkeypatch.setattr(warc, "MAX_HTML_BYTES", 1_000)
    bomb = http(compress(b"a " * 500_000), extra=b"Content-Encoding: gzip\r\n")
    records = [record("1", http(b"x" * 3_000)), record("2", bomb), record("3")]
    assert len(records[1]) < 2_000
    assert told(events(tmp_path, plain(*records))) == ["too large", "too large", "3"]


@pytest.mark.parametrize("length", [100_000, 10**17])
def test_a_length_beyond_the_end_of_a_plain_file_costs_only_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(warc, "MAX_DOCUMENT_BYTES", 2_000)
    records = [record("1"), record("2", length=length), record("3"), record("4", length=length)]
    found = events(tmp_path, plain(*records))
    assert told(found) == ["1", "broken record", "3", "truncated file"]
    assert [one.origin for one in found if isinstance(one, Rejected)] == [
        f"a.warc@{sum(map(len, records[:before]))}" for before in (1, 3)
    ]


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", compress(b"")])
def test_a_file_without_records_gives_nothing(tmp_path: Path, data: bytes) -> None:
    assert events(tmp_path, data) == []


def test_an_empty_gz_file_is_truncated(tmp_path: Path) -> None:
    assert told(events(tmp_path, b"", "a.warc.gz")) == ["truncated file"]


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(record("r"))), max_size=5))
def test_garbage_never_raises_and_never_hides_a_whole_record_behind_it(parts: list[bytes]) -> None:
    stream = io.BytesIO(b"\n".join(parts) + b"\r\n\r\n" + record("last"))
    frames = list(warc._frames(stream, "x"))
    assert frames[-1].record == record("last").removesuffix(b"\r\n\r\n") or frames[-1].reason


def test_records_written_by_fastwarc_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    with GzipWriter(str(path)) as out:
        for number in range(3):
            one = WarcRecord()
            one.init_headers(WarcRecordType.response, f"urn:uuid:{number}".encode())
            one.headers["WARC-Target-URI"] = "http://a.org/"
            one.headers["Content-Type"] = "application/http; msgtype=response"
            one.is_http = True
            one.set_bytes_content(http())
            one.write(out, checksum_data=True)
    found = list(WarcReader().read(list_files([str(path)])))
    assert [type(event) for event in found] == [Document] * 3
