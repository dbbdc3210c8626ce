import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from transforms import storage
from transforms.attributes import read_aligned
from transforms.datasets import Dataset, TaskRecord
from transforms.documents import ROWS_DIGEST_KEY, SCHEMA, Document, read_batches, rows_digest
from transforms.ingest import writer
from transforms.ingest.reader import Rejected
from transforms.ingest.writer import QUARANTINE_SCHEMA, write_documents

NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
NO_JSON = "metadata has no JSON form"


def document(identifier: str, text: str = "text", **metadata: Any) -> Document:
    return Document(identifier, text, None, NOON, metadata)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def write(folder: Path, events: list[Document | Rejected]) -> tuple[Dataset, Dataset, TaskRecord]:
    dataset, quarantine = Dataset(str(folder / "d"), "f"), Dataset(str(folder / "q"), "f")
    return dataset, quarantine, write_documents(dataset, quarantine, "00007", "web", iter(events))


def rejects(quarantine: Dataset) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(quarantine.path("00007.parquet")).to_pylist()
    return rows


def test_documents_come_back_as_they_went_in(tmp_path: Path) -> None:
    text = "\tindented\r\n  \U0001f600 "
    dataset, _, record = write(tmp_path, [document("b", text, z=1, a="é"), document("a", "x")])
    (file,) = record.files
    assert file.path == "00007-000.parquet"
    (batch,) = read_batches(dataset.path(file.path))
    assert batch.schema.equals(SCHEMA)
    assert batch.to_pylist()[0] == {
        "id": "b",
        "text": text,
        "source": "web",
        "added": None,
        "created": NOON,
        "metadata": '{"a":"é","z":1}',
    }
    assert record.counts == {"documents": 2, "records": 2, "text_bytes": len(text.encode()) + 1}


def test_a_shard_carries_hash_rows_and_digest_of_its_ids(tmp_path: Path) -> None:
    dataset, _, record = write(tmp_path, [document("b"), document("a")])
    (file,) = record.files
    path = dataset.path(file.path)
    assert storage.sha256_of(path) == (file.sha256, file.size_bytes)
    assert (file.rows, file.rows_digest) == (2, rows_digest(["b", "a"]))
    found = pq.ParquetFile(path)
    assert found.schema_arrow.metadata[ROWS_DIGEST_KEY].decode() == file.rows_digest
    assert found.metadata.metadata[ROWS_DIGEST_KEY].decode() == file.rows_digest
    (both,) = read_aligned({"documents": path}, file.rows_digest)
    assert both["documents"].num_rows == 2


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        ([10], [[1]]),
        ([4, 4, 4], [[2, 1]]),  # 14 bytes a group (3 of id and metadata a row), 20 of text a shard
        ([4, 4, 4, 4, 4, 4], [[2, 2], [2]]),
        ([1] * 7, [[3, 3, 1]]),  # 3 rows a group
        ([1, 100, 1], [[1], [1], [1]]),  # larger than a shard: a shard of its own, and no loop
        ([100], [[1]]),
        ([8, 8, 4, 1], [[1, 1], [2]]),  # a row group is not torn apart
    ],
)
def test_row_groups_and_shards_are_cut_by_bytes_and_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lengths: list[int], groups: list[list[int]]
) -> None:
    monkeypatch.setattr(writer, "ROW_GROUP_TEXT_BYTES", 14)
    monkeypatch.setattr(writer, "SHARD_TEXT_BYTES", 20)
    monkeypatch.setattr(writer, "MAX_ROW_GROUP_DOCUMENTS", 3)
    events: list[Document | Rejected] = [
        document(str(index), "x" * length) for index, length in enumerate(lengths)
    ]
    dataset, _, record = write(tmp_path, events)
    found = [
        [batch.num_rows for batch in read_batches(dataset.path(file.path))] for file in record.files
    ]
    assert found == groups
    assert [file.path for file in record.files] == [
        f"00007-{part:03d}.parquet" for part in range(len(groups))
    ]
    assert record.counts["text_bytes"] == sum(lengths) == sum(f.text_bytes for f in record.files)


@pytest.mark.parametrize(
    ("documents", "groups"),
    [
        ([document("a", "x", k="y" * 91)] * 4, [2, 2]),  # {"k":"..."}: 8 + 91 bytes
        ([document("a", "x", k="y" * 92)] * 3, [1, 1, 1]),
        ([document("\u00e9" * 49, "x", k="y" * 20)] * 3, [1, 1, 1]),  # 98 bytes of id
        ([document("a", "x", k="y" * 999), document("b"), document("c")], [1, 2]),
    ],
)
def test_row_groups_are_bounded_by_ids_and_metadata_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    documents: list[Document | Rejected],
    groups: list[int],
) -> None:
    monkeypatch.setattr(writer, "ROW_GROUP_TEXT_BYTES", 202)
    dataset, _, record = write(tmp_path, documents)
    (file,) = record.files
    assert [batch.num_rows for batch in read_batches(dataset.path(file.path))] == groups
    assert record.counts["text_bytes"] == sum(len(one.text) for one in documents)  # type: ignore[union-attr]


def test_a_shard_holds_a_bounded_number_of_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_ROW_GROUP_DOCUMENTS", 2)
    monkeypatch.setattr(writer, "MAX_SHARD_DOCUMENTS", 4)
    _, _, record = write(tmp_path, [document(str(index)) for index in range(9)])
    assert [file.rows for file in record.files] == [4, 4, 1]


def test_rejects_are_stored_and_counted_by_reason(tmp_path: Path) -> None:
    events: list[Document | Rejected] = [
        Rejected("a.warc@0", "not HTML", "image/png", False),
        document("a"),
        Rejected("a.warc@9", "broken record", "x" * 900, True),
        Rejected("\udcff" + "x" * 9000, "broken record", "", True),
    ]
    _, quarantine, record = write(tmp_path, events)
    assert record.counts == {
        "documents": 1,
        "quarantined.broken record": 2,
        "records": 4,
        "removed.not HTML": 1,
        "text_bytes": 4,
    }
    found = rejects(quarantine)
    assert pq.read_schema(quarantine.path("00007.parquet")).equals(QUARANTINE_SCHEMA)
    assert found[0] == {
        "origin": "a.warc@0",
        "reason": "not HTML",
        "detail": "image/png",
        "quarantined": False,
    }
    assert [len(row["detail"]) for row in found] == [9, 500, 0]
    assert found[2]["origin"] == "\\udcff" + "x" * 4095


@pytest.mark.parametrize(
    ("bad", "reason", "quarantined"),
    [
        (document("x", ""), "no text", False),
        (document("x", " \n\u3000"), "no text", False),
        (document(""), "no id", True),
        (document("x", "a\0b"), "NUL byte", True),
        (document("x\0"), "NUL byte", True),
        (document("x", "a\ud800"), "invalid Unicode", True),
        (document("\udcff"), "invalid Unicode", True),
        (document("x", title="\udcff"), "invalid Unicode", True),
        (document("x", **{"\udcff": 1}), "invalid Unicode", True),
        (document("x", n=1 << 64), NO_JSON, True),
        (document("x", n={1: 2}), NO_JSON, True),
        (document("x", n=b"bytes"), NO_JSON, True),
        (document("x", n=nested(300)), NO_JSON, True),
        (document("x", "12345678901"), "too large", True),
        (document("x" * 11), "too large", True),
        (document("x", k="12345"), "too large", True),
    ],
)
def test_what_no_reader_should_yield_enters_no_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: Document, reason: str, quarantined: bool
) -> None:
    monkeypatch.setattr(writer, "MAX_DOCUMENT_BYTES", 10)
    _, quarantine, record = write(tmp_path, [bad, document("good", "1234567890")])
    assert record.counts["documents"] == 1
    (row,) = rejects(quarantine)
    assert (row["reason"], row["quarantined"]) == (reason, quarantined)


def test_no_documents_no_shard_and_no_rejects_no_table(tmp_path: Path) -> None:
    _, _, record = write(tmp_path, [])
    assert record.files == []
    assert record.counts == {"documents": 0, "records": 0, "text_bytes": 0}
    assert list(tmp_path.rglob("*.parquet")) == []


def test_two_documents_of_one_id_are_both_kept_for_the_gate_to_see(tmp_path: Path) -> None:
    _, _, record = write(tmp_path, [document("a"), document("a")])
    assert record.counts["documents"] == 2


def test_a_second_attempt_writes_the_same_bytes(tmp_path: Path) -> None:
    events: list[Document | Rejected] = [
        document("a", "x" * 50),
        Rejected("o", "r", "", True),
        document("b", "y"),
    ]
    first = write(tmp_path, events)[2]
    once = {path.name: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    assert write(tmp_path, events)[2] == first
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == once
    assert TaskRecord.from_json(json.loads(json.dumps(first.to_json()))) == first


def test_an_error_on_the_way_leaves_no_unfinished_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "ROW_GROUP_TEXT_BYTES", 8)
    monkeypatch.setattr(writer, "MAX_ROW_GROUP_DOCUMENTS", 1)

    def failing() -> Iterator[Document | Rejected]:
        yield Rejected("o", "r", "", True)
        yield document("a")
        yield document("b")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, failing())  # type: ignore[arg-type]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
