import datetime
import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.documents import Document
from transforms.ingest.parquet import BATCH_ROWS, ParquetReader
from transforms.ingest.reader import Rejected
from transforms.storage import FileInfo

NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)


def read(folder: Path, table: pa.Table | bytes, **options: Any) -> list[Document | Rejected]:
    path = folder / "a.parquet"
    if isinstance(table, bytes):
        path.write_bytes(table)
    else:
        pq.write_table(table, path, **options)
    return list(ParquetReader().read([FileInfo(str(path), path.stat().st_size, "a.parquet")]))


def told(events: list[Document | Rejected]) -> list[str]:
    return [
        event.id if isinstance(event, Document) else f"{event.origin} {event.reason}"
        for event in events
    ]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_columns_become_documents(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table(
        {
            "id": pa.array(["x"]),
            "text": pa.array(["  text"]).cast(kind),
            "created": pa.array([NOON], pa.timestamp("ns", tz="UTC")),
            "added": pa.array(["2024-05-01"]),
            "metadata": pa.array(['{"a": 1}']),
            "source": pa.array(["s"]),
            "score": pa.array([0.5]),
            "missing": pa.array([None], pa.string()),
        }
    )
    assert read(tmp_path, table) == [
        Document(
            "x",
            "  text",
            NOON.replace(hour=0),
            NOON,
            {"a": 1, "source": "s", "score": 0.5},
        )
    ]


def test_values_without_a_json_form_are_spelled(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": ["x"],
            "text": ["t"],
            "metadata": pa.array([{"when": NOON, "n": None}]),
            "binary": pa.array([b"a\xff"]),
            "decimal": pa.array([decimal.Decimal("1.50")]),
            "day": pa.array([datetime.date(2024, 5, 1)]),
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "nan": pa.array([float("nan")]),
            "local": pa.array([datetime.datetime(2024, 5, 1)], pa.timestamp("ns")),
        }
    )
    (event,) = read(tmp_path, table)
    assert isinstance(event, Document)
    assert event.metadata == {
        "when": "2024-05-01T12:00:00+00:00",
        "n": None,
        "binary": "a\\xff",
        "decimal": "1.50",
        "day": "2024-05-01",
        "map": [["k", 1]],
        "local": "2024-05-01T00:00:00",
    }


def test_first_row_null_and_nulls_elsewhere(tmp_path: Path) -> None:
    table = pa.table({"id": [None, "b", "c"], "text": ["a", None, "c"], "score": [None, 1, None]})
    first, *others = read(tmp_path, table, row_group_size=1)
    assert isinstance(first, Document)
    assert first.metadata == {}
    assert told(others) == ["a.parquet:1 text is not a string", "c"]


def test_bad_rows_cost_only_themselves(tmp_path: Path) -> None:
    text = pa.array([b"a", b"caf\xe9", b"a\0b", b" ", b"e"]).view(pa.string())
    table = pa.table({"id": ["a", "b", "c", "d", "e"], "text": text})
    events = read(tmp_path, table)
    assert told(events) == [
        "a",
        "a.parquet:1 invalid UTF-8",
        "a.parquet:2 NUL byte",
        "a.parquet:3 no text",
        "e",
    ]
    rejects = [event for event in events if isinstance(event, Rejected)]
    assert [event.quarantined for event in rejects] == [True, True, False]


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (pa.timestamp("us"), 1 << 62),
        (pa.timestamp("ms"), 1 << 62),
        (pa.timestamp("us", tz="UTC"), -(1 << 62)),
        (pa.date32(), (1 << 31) - 1),
        (pa.duration("s"), 1 << 60),
        (pa.list_(pa.timestamp("ms")), [1 << 62]),
        (pa.struct([("when", pa.date32())]), {"when": (1 << 31) - 1}),
    ],
)
@pytest.mark.parametrize("column", ["created", "other"])
def test_a_value_out_of_pythons_range_costs_only_its_row(
    tmp_path: Path, kind: pa.DataType, number: Any, column: str
) -> None:
    values = pa.array([None, number, None], kind)
    table = pa.table({"id": ["a", "b", "c"], "text": ["a", "b", "c"], column: values})
    events = read(tmp_path, table)
    assert told(events) == ["a", "a.parquet:1 value has no JSON form", "c"]
    assert [event.quarantined for event in events if isinstance(event, Rejected)] == [True]


def test_times_of_an_unknown_zone_cost_only_their_rows(tmp_path: Path) -> None:
    when = pa.array([None, 1], pa.timestamp("us", tz="Nowhere/Land"))
    found = read(tmp_path, pa.table({"id": ["a", "b"], "text": ["a", "b"], "when": when}))
    assert told(found) == ["a", "a.parquet:1 value has no JSON form"]


@pytest.mark.parametrize("names", [["id", "text", "text"], ["text", "z", "z"]])
def test_a_file_with_a_column_named_twice_is_quarantined(tmp_path: Path, names: list[str]) -> None:
    (event,) = read(tmp_path, pa.Table.from_arrays([pa.array(["a"])] * 3, names=names))
    assert event == Rejected("a.parquet", "column named twice", names[-1], True)


def test_missing_ids_are_made_and_equal_rows_are_one(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b", "a"], "n": [1, 1, 1]})
    first, second, third = read(tmp_path, table)
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert len(first.id) == 32
    assert first.id != second.id
    assert told([third]) == ["a.parquet:2 record repeated"]
    again = read(tmp_path, table, row_group_size=1, compression="zstd")
    assert told(again) == told([first, second, third])


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (pa.int64(), [0, -(1 << 63), (1 << 63) - 1]),
        (pa.uint64(), [7, (1 << 64) - 1]),
        (pa.int8(), [-1]),
    ],
)
@pytest.mark.parametrize("by_dictionary", [False, True])
def test_integer_ids_are_their_decimal_digits(
    tmp_path: Path, kind: pa.DataType, numbers: list[int], by_dictionary: bool
) -> None:
    ids = pa.array(numbers, kind)
    ids = ids.dictionary_encode() if by_dictionary else ids
    found = read(tmp_path, pa.table({"id": ids, "text": ["a"] * len(numbers)}))
    assert told(found) == [str(number) for number in numbers]


@pytest.mark.parametrize("value", [1.0, True, [1]])
def test_other_ids_than_strings_and_integers_are_quarantined(tmp_path: Path, value: Any) -> None:
    (event,) = read(tmp_path, pa.table({"id": [value], "text": ["a"]}))
    assert told([event]) == ["a.parquet:0 id is not a string"]


def test_places_count_on_over_batches_and_row_groups(tmp_path: Path) -> None:
    rows = 2 * BATCH_ROWS + 3
    texts = ["x"] * (rows - 1) + [None]
    table = pa.table({"id": [str(row) for row in range(rows)], "text": texts})
    for size in (rows, 100):
        events = read(tmp_path, table, row_group_size=size)
        assert told(events[-2:]) == [str(rows - 2), f"a.parquet:{rows - 1} text is not a string"]
        assert len(events) == rows


@pytest.mark.parametrize("column", [pa.array([1]), pa.array([b"x"]), pa.array([["x"]])])
def test_a_file_without_a_text_column_is_quarantined(tmp_path: Path, column: pa.Array) -> None:
    assert told(read(tmp_path, pa.table({"text": column}))) == ["a.parquet no text column"]
    assert told(read(tmp_path, pa.table({"content": column}))) == ["a.parquet no text column"]


@pytest.mark.parametrize("data", [b"", b"no parquet", b"PAR1" + b"\xff" * 40 + b"PAR1"])
def test_an_unreadable_file_is_quarantined(tmp_path: Path, data: bytes) -> None:
    assert told(read(tmp_path, data)) == ["a.parquet unreadable file"]


def test_a_cut_file_is_unreadable(tmp_path: Path) -> None:
    read(tmp_path, pa.table({"text": ["a"] * 100}))
    data = (tmp_path / "a.parquet").read_bytes()
    assert told(read(tmp_path, data[:-1])) == ["a.parquet unreadable file"]


def test_a_broken_row_group_costs_only_itself(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b", "c"], "text": ["text a", "text b", "text c"]})
    read(
        tmp_path,
        table,
        row_group_size=1,
        compression="gzip",
        use_dictionary=False,
        write_page_checksum=True,
    )
    path = tmp_path / "a.parquet"
    place = pq.ParquetFile(path).metadata.row_group(1).column(1)
    data = bytearray(path.read_bytes())
    end = place.data_page_offset + place.total_compressed_size
    data[end - 12 : end] = b"\xff" * 12
    found = told(read(tmp_path, bytes(data)))
    assert found == ["a", "a.parquet:1 broken row group", "c"]


def test_no_flipped_bit_of_a_footer_stops_the_run_or_loses_a_row_in_silence(
    tmp_path: Path,
) -> None:
    table = pa.table({"text": ["one", "two", "three", "four"]})
    read(tmp_path, table, row_group_size=2, store_schema=False, compression="none")
    data = (tmp_path / "a.parquet").read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for at in range(footer, len(data)):
        for bit in (0x02, 0x08, 0x80):
            bad = bytearray(data)
            bad[at] ^= bit
            found = read(tmp_path, bytes(bad))
            refused = [event for event in found if isinstance(event, Rejected)]
            assert refused or len(found) == 4, (at - footer, bit)


def test_a_file_without_rows_gives_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, pa.table({"text": pa.array([], pa.string())})) == []
    assert ParquetReader().group([]) == []


def test_a_lost_file_is_no_bad_data() -> None:
    with pytest.raises(OSError, match="lost"):
        list(ParquetReader().read([FileInfo("/nowhere/lost.parquet", 1, "lost.parquet")]))
