import datetime
import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from transforms.documents import Document, document_id
from transforms.ingest import dolma
from transforms.ingest.dolma import DolmaReader, parse_time, to_document
from transforms.ingest.origins import MadeIds
from transforms.ingest.reader import Rejected
from transforms.storage import FileInfo, list_files

PACKERS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, zstandard.compress]


def read(folder: Path, data: bytes, name: str = "a.jsonl") -> list[Document | Rejected]:
    path = folder / name
    path.write_bytes(data)
    return list(DolmaReader().read([FileInfo(str(path), len(data), name)]))


def jsonl(*records: Any) -> bytes:
    return b"".join(orjson.dumps(one) + b"\n" for one in records)


def one(record: dict[str, Any]) -> Document | Rejected:
    return to_document(record, "a:1", "a", orjson.dumps(record), MadeIds())


def good(identifier: str) -> dict[str, str]:
    return {"id": identifier, "text": f"text of {identifier}"}


def told(events: list[Document | Rejected]) -> list[str]:
    """Ids of documents, origin and reason of rejects."""
    return [
        event.id if isinstance(event, Document) else f"{event.origin} {event.reason}"
        for event in events
    ]


@pytest.mark.parametrize("pack", PACKERS)
def test_every_field_is_kept(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    record = {
        "id": "x1",
        "text": "  indented\n",
        "source": "stack",
        "added": "2024-05-01T12:00:00.000Z",
        "created": "2013-02-03",
        "version": "v1",
        "attributes": {"a": [[0, 1, 0.5]]},
        "metadata": {"url": "http://a.org"},
    }
    (event,) = read(tmp_path, pack(jsonl(record)))
    assert event == Document(
        "x1",
        "  indented\n",
        datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC),
        datetime.datetime(2013, 2, 3, tzinfo=datetime.UTC),
        {
            "url": "http://a.org",
            "source": "stack",
            "version": "v1",
            "attributes": {"a": [[0, 1, 0.5]]},
        },
    )


@pytest.mark.parametrize(
    ("fields", "metadata"),
    [
        ({}, {}),
        ({"metadata": None, "source": None}, {}),
        ({"metadata": '{"a": 1}'}, {"a": 1}),
        ({"metadata": "plain"}, {"metadata": "plain"}),
        ({"metadata": [1]}, {"metadata": [1]}),
        ({"source": "s", "metadata": {"source": "own"}}, {"source": "own", "dolma_source": "s"}),
        (
            {"source": "s", "metadata": {"source": 1, "dolma_source": 2}},
            {"source": 1, "dolma_source": 2, "dolma_dolma_source": "s"},
        ),
        (
            {"created": "long ago", "added": 1714564800},
            {"created": "long ago", "added": 1714564800},
        ),
    ],
)
def test_nothing_is_lost_where_names_meet(fields: dict[str, Any], metadata: dict[str, Any]) -> None:
    event = one({**good("x"), **fields})
    assert isinstance(event, Document)
    assert event.metadata == metadata
    assert (event.added, event.created) == (None, None)


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00+00:00"),
        ("2024-05-01T12:00:00.000Z", "2024-05-01T12:00:00+00:00"),
        ("2024-05-01T12:00:00.123456789Z", "2024-05-01T12:00:00.123456+00:00"),
        ("2024-05-01T12:00:00", "2024-05-01T12:00:00+00:00"),
        ("2024-05-01 12:00:00", "2024-05-01T12:00:00+00:00"),
        ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01", "2024-05-01T00:00:00+00:00"),
        (" 2024-05-01 ", "2024-05-01T00:00:00+00:00"),
        (datetime.datetime(2024, 5, 1), "2024-05-01T00:00:00+00:00"),
        (datetime.date(2024, 5, 1), "2024-05-01T00:00:00+00:00"),
        ("2024", None),
        ("yesterday", None),
        ("", None),
        ("0001-01-01T00:00:00+14:00", None),
        (1714564800, None),
        (None, None),
        (True, None),
    ],
)
def test_times_in_the_shapes_that_dolma_uses(value: Any, iso: str | None) -> None:
    found = parse_time(value)
    assert (found.isoformat() if found else None) == iso


@pytest.mark.parametrize(
    ("line", "reason", "quarantined"),
    [
        (b"{", "invalid JSON", True),
        (b"nonsense", "invalid JSON", True),
        (b'{"id": "x", "text": "\\ud800"}', "invalid JSON", True),
        (b'{"id": "x", "text": "caf\xe9"}', "invalid UTF-8", True),
        (b'{"id": "x", "text": "\xed\xa0\x80"}', "invalid UTF-8", True),
        (b"[" * 100_000, "invalid JSON", True),
        (b'["x"]', "not an object", True),
        (b"1", "not an object", True),
        (b"null", "not an object", True),
        (b'{"id": "x"}', "text is not a string", True),
        (b'{"id": "x", "text": null}', "text is not a string", True),
        (b'{"id": "x", "text": 1}', "text is not a string", True),
        (b'{"id": 7.0, "text": "t"}', "id is not a string", True),
        (b'{"id": 18446744073709551616, "text": "t"}', "id is not a string", True),
        (b'{"id": true, "text": "t"}', "id is not a string", True),
        (b'{"id": [7], "text": "t"}', "id is not a string", True),
        (b'{"id": "x", "text": "a\\u0000b"}', "NUL byte", True),
        (b'{"id": "x\\u0000", "text": "a"}', "NUL byte", True),
        (b'{"id": "x", "text": "a\0b"}', "invalid JSON", True),
        (b'{"id": "x", "text": ""}', "no text", False),
        (b'{"id": "x", "text": " \\n\\u3000"}', "no text", False),
    ],
)
def test_a_bad_line_costs_only_itself(
    tmp_path: Path, line: bytes, reason: str, quarantined: bool
) -> None:
    first, bad, last = read(tmp_path, jsonl(good("a")) + line + b"\n" + jsonl(good("b")))
    assert told([first, last]) == ["a", "b"]
    assert isinstance(bad, Rejected)
    assert (bad.origin, bad.reason, bad.quarantined) == ("a.jsonl:2", reason, quarantined)


@pytest.mark.parametrize("number", [0, 7, -12, (1 << 64) - 1, -(1 << 63)])
def test_an_integer_id_is_its_decimal_digits(tmp_path: Path, number: int) -> None:
    assert told(read(tmp_path, b'{"id": %d, "text": "t"}' % number)) == [str(number)]


def test_blank_lines_and_a_byte_order_mark_are_no_records(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + jsonl(good("a")) + b"\n \r\n" + orjson.dumps(good("b"))
    assert told(read(tmp_path, data)) == ["a", "b"]


@pytest.mark.parametrize("pack", PACKERS[1:])
def test_a_cut_file_keeps_the_lines_before_the_cut(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    data = pack(jsonl(good("a"), good("b"))) + pack(jsonl(good("c")))[:-1]
    found = told(read(tmp_path, data))
    assert found in (
        ["a", "b", "a.jsonl:3 truncated file"],
        ["a", "b", "c", "a.jsonl:4 truncated file"],
    )


@pytest.mark.parametrize("pack", PACKERS)
def test_members_and_frames_may_end_inside_a_line(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    data = jsonl(good("a"), good("b"))
    assert told(read(tmp_path, pack(data[:10]) + pack(data[10:20]) + pack(data[20:]))) == ["a", "b"]


def test_a_file_of_no_bytes(tmp_path: Path) -> None:
    assert read(tmp_path, b"") == []
    assert told(read(tmp_path, b"", "a.jsonl.gz")) == ["a.jsonl.gz:1 truncated file"]
    assert read(tmp_path, gzip.compress(b""), "a.jsonl.gz") == []
    assert DolmaReader().group([]) == []
    assert list(DolmaReader().read([])) == []


def test_missing_ids_are_made_of_file_name_and_line(tmp_path: Path) -> None:
    lines = [orjson.dumps({"text": "same"}), orjson.dumps({"text": "same", "id": None}), b""]
    lines[2] = lines[0]
    found = told(read(tmp_path, b"\n".join(lines)))
    assert found == [
        document_id("a.jsonl", lines[0]),
        document_id("a.jsonl", lines[1]),
        "a.jsonl:3 record repeated",
    ]
    assert found != told(read(tmp_path, b"\n".join(lines), "b.jsonl"))


def test_ids_that_the_data_gives_twice_are_left_to_the_gate(tmp_path: Path) -> None:
    assert told(read(tmp_path, jsonl(good("a"), good("a")))) == ["a", "a"]


def test_a_line_beyond_the_limit_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dolma, "MAX_DOCUMENT_BYTES", 40)
    data = jsonl(good("a"), {"id": "b", "text": "x" * 50}, good("c"))
    assert told(read(tmp_path, data)) == ["a", "a.jsonl:2 too large", "c"]


def test_a_document_of_100_megabytes_in_one_line_is_read(tmp_path: Path) -> None:
    text = "vine and wine " * 7_200_000
    data = zstandard.compress(jsonl({"id": "long", "text": text}, good("b")))
    long, short = read(tmp_path, data)
    assert isinstance(long, Document)
    assert len(long.text) > 100_000_000
    assert long.text == text
    assert told([short]) == ["b"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    record = jsonl({"id": "x", "text": "vine and wine " * 7_000})  # 98 kB a line
    path.write_bytes(b"".join(zstandard.compress(record * 20) for _ in range(25)))  # 49 MB
    tracemalloc.start()
    count = sum(1 for _ in DolmaReader().read(list_files([str(path)])))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 500
    assert peak < 8 << 20


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30).filter(lambda line: b"\n" not in line),
            st.fixed_dictionaries(
                {"text": st.text(st.characters(exclude_categories=["Cs"]), max_size=9)},
                optional={
                    "id": st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
                    "metadata": st.one_of(st.integers(0, 9), st.text(max_size=0), st.none()),
                },
            ).map(orjson.dumps),
        ),
        max_size=8,
    )
)
def test_every_line_is_a_document_or_a_reject(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    data = b"".join(line + b"\n" for line in lines)
    if data[:3] in (b"\x1f\x8b\x08", b"\x28\xb5\x2f"):
        return
    events = read(tmp_path_factory.mktemp("lines"), data)
    lines[:1] = [line.removeprefix(b"\xef\xbb\xbf") for line in lines[:1]]
    assert len(events) == sum(bool(line.strip()) for line in lines)
    for event in events:
        if isinstance(event, Document):
            assert event.text.strip()
            assert event.id
            assert "\0" not in event.text + event.id


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b'{"id": "a", "text": "one", "id": "b"}', "id"),
        (b'{"id" : "a", "text" : "one", "text" : "two"}', "text"),
        (b'{"id": "a", "text": ": \\":", "metadata": {"k": [{"x": 1, "x": 2}]}}', "x"),
        (b'{"id": "a", "t\\u0065xt": "one", "text": "two"}', "text"),
        (b'{"id": "a", "text" : "one \\":", "text": "two"}', "text"),
        (b'{"id": "a", "text"\t\r : "one", "text": "two", "x": "\\":"}', "text"),
        (b'{"b\\\\" : 1, "id": "a", "text": "\\":", "b\\\\" : 2}', "b\\"),
        (b'{"b\\\\": 1, "text": "one", "text": "two"}', "text"),
        (b'{"id": "a", "text": "one", "metadata": "{\\"k\\":1,\\"k\\":2}"}', "k"),
    ],
)
def test_a_key_that_an_object_has_twice_is_told(tmp_path: Path, line: bytes, key: str) -> None:
    (event,) = read(tmp_path, line)
    assert event == Rejected("a.jsonl:1", "key repeated", key, True)


@pytest.mark.parametrize(
    "line",
    [
        b'{"id" : "a", "text" : "one"}',
        b'{"id"\t: "a", "text" : ": \\" : \\\\\\" : \\":", "a\\\\" : {"id":":"}, "b": " :"}',
        b'{"id": ":", "text": ":\\":\\\\", "metadata": {"id": 1, "text": [{"id": {}}, {"id": 2}]}}',
        b'{"id": "a", "text": "'
        + b'say \\"x\\": ' * 9
        + b'", "metadata": '
        + b"[" * 900
        + b"]" * 900
        + b"}",
        b'{"id": "a", "text": "x", "metadata": {"id": ' + b"9" * 300 + b'}, \n"n" : 1}',
    ],
)
def test_equal_keys_of_different_objects_and_colons_are_no_repetition(
    tmp_path: Path, line: bytes
) -> None:
    (event,) = read(tmp_path, line.replace(b"\n", b""))
    assert isinstance(event, Document)


_KEYS = st.sampled_from(["a", "b", "text", '"', ":", "\\", '\\":', '" :', ""])
_OBJECTS: st.SearchStrategy[Any] = st.recursive(
    _KEYS, lambda inner: st.lists(st.tuples(_KEYS, inner), max_size=4).map(tuple), max_leaves=8
)


def write(value: Any, blanks: list[str]) -> str:
    """JSON of text, or of an object as a tuple of pairs, with blanks in turn around its colons."""
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    pairs = []
    for key, inner in value:
        blanks.append(blanks.pop(0))
        pairs.append(f"{write(key, blanks)}{blanks[-1]}:{write(inner, blanks)}")
    return "{" + ",".join(pairs) + "}"


def repeats(value: Any) -> bool:
    if isinstance(value, str):
        return False
    keys = [key for key, _ in value]
    return len(keys) != len(set(keys)) or any(repeats(inner) for _, inner in value)


@given(
    st.lists(st.tuples(_KEYS, _OBJECTS), max_size=4).map(tuple),
    st.lists(st.sampled_from(["", "", " ", "\t "]), min_size=1, max_size=3),
)
def test_repeated_keys_are_told_however_the_line_is_written(value: Any, blanks: list[str]) -> None:
    event = dolma._read_line(write(value, blanks).encode(), "a", "a:1", MadeIds())
    assert (isinstance(event, Rejected) and event.reason == "key repeated") == repeats(value)


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x1f", "\x7f", "\x85", "\u2028"])
def test_an_id_with_a_control_character_is_refused(character: str) -> None:
    """Readers of token files take a line for a row."""
    event = one(good(f"a{character}b"))
    assert isinstance(event, Rejected)
    assert (event.reason, event.quarantined) == ("control character in id", True)
    assert isinstance(one(good('a é,"b"\u00a0漢')), Document)
