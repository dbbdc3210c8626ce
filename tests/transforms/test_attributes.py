"""Attribute tables: aligned with their documents, or an error and no table."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms import storage
from transforms.attributes import AlignmentError, read_aligned, write_table
from transforms.datasets import Dataset, OutputFile
from transforms.documents import ROWS_DIGEST_KEY, rows_digest

IDS = ["a", "b", "c", "d", "e"]
DOCUMENTS = OutputFile("part-0.parquet", 1, "x", len(IDS), rows_digest(IDS), 10)
SCHEMA = pa.schema([("score", pa.float64()), ("flag", pa.bool_())])


def batch(first, rows):
    scores = [float(first + row) for row in range(rows)]
    return pa.record_batch({"score": scores, "flag": [True] * rows}, schema=SCHEMA)


def write(folder, sizes, documents=DOCUMENTS):
    """A table in row groups of these sizes; its dataset."""
    dataset = Dataset(str(folder), "f1")
    starts = [sum(sizes[:group]) for group in range(len(sizes))]
    batches = [batch(first, rows) for first, rows in zip(starts, sizes, strict=True)]
    write_table(dataset, documents, SCHEMA, batches)
    return dataset.path(documents.path)


def test_rows_come_back_in_order_under_the_name_of_the_shard(folder):
    dataset = Dataset(folder, "f1")
    file = write_table(dataset, DOCUMENTS, SCHEMA, [batch(0, 3), batch(3, 2)])
    path = dataset.path("part-0.parquet")
    assert file == OutputFile(
        "part-0.parquet", file.size_bytes, storage.sha256_of(path)[0], 5, DOCUMENTS.rows_digest
    )
    assert storage.sha256_of(path)[1] == file.size_bytes
    read = list(read_aligned({"t": path}, DOCUMENTS.rows_digest))
    assert [one["t"].num_rows for one in read] == [3, 2]
    assert [score for one in read for score in one["t"]["score"].to_pylist()] == [0, 1, 2, 3, 4]


def test_equal_rows_are_equal_bytes(tmp_path):
    paths = [write(tmp_path / name, [3, 2]) for name in ("a", "b")]
    assert len({storage.read_bytes(path) for path in paths}) == 1


def test_the_table_carries_the_digest_of_its_documents(tmp_path):
    path = write(tmp_path, [5])
    assert pq.read_schema(path).metadata[ROWS_DIGEST_KEY].decode() == DOCUMENTS.rows_digest


@pytest.mark.parametrize("sizes", [[], [4], [3, 3], [6]])
def test_a_table_with_other_than_the_documents_rows_does_not_come_to_be(tmp_path, sizes):
    with pytest.raises(AlignmentError, match=f"{sum(sizes)} rows of attributes for 5 documents"):
        write(tmp_path, sizes)
    assert storage.list_files([str(tmp_path / "**")]) == []


def test_a_table_whose_making_fails_does_not_come_to_be(tmp_path):
    def failing_rule():
        yield batch(0, 5)
        raise KeyError("rule")

    with pytest.raises(KeyError, match="rule"):
        write_table(Dataset(str(tmp_path), "f1"), DOCUMENTS, SCHEMA, failing_rule())
    assert storage.list_files([str(tmp_path / "**")]) == []


def test_tables_of_equal_rows_and_groups_meet_and_columns_are_chosen(tmp_path):
    paths = {name: write(tmp_path / name, [2, 3]) for name in ("x", "y")}
    read = list(read_aligned(paths, DOCUMENTS.rows_digest, {"y": ["flag"]}))
    assert [list(one) for one in read] == [["x", "y"]] * 2
    assert read[0]["x"].schema.names == ["score", "flag"]
    assert read[0]["y"].schema.names == ["flag"]


@pytest.mark.parametrize(
    ("sizes", "least", "together"),
    [
        ([1, 1, 1, 1, 1], 2, [2, 2, 1]),
        ([2, 1, 2], 3, [3, 2]),
        ([3, 2], 1, [3, 2]),
        ([3, 2], 3, [3, 2]),
        ([2, 3], 100, [5]),
    ],
)
def test_small_row_groups_come_together(tmp_path, sizes, least, together):
    path = write(tmp_path, sizes)
    read = list(read_aligned({"t": path}, DOCUMENTS.rows_digest, {"t": ["score"]}, least))
    assert [one["t"].num_rows for one in read] == together
    assert [score for one in read for score in one["t"]["score"].to_pylist()] == [0, 1, 2, 3, 4]


def test_texts_of_row_groups_with_dictionaries_of_their_own_come_together(tmp_path):
    schema = pa.schema([("label", pa.dictionary(pa.int32(), pa.string()))])
    labels = ["x", "y", None, "y", "z"]
    batches = [
        pa.record_batch([pa.array(its).dictionary_encode()], schema=schema)
        for its in (labels[:2], labels[2:])
    ]
    dataset = Dataset(str(tmp_path), "f1")
    write_table(dataset, DOCUMENTS, schema, batches)
    tables = {"t": dataset.path(DOCUMENTS.path)}
    (read,) = read_aligned(tables, DOCUMENTS.rows_digest, least_rows=5)
    assert read["t"]["label"].to_pylist() == labels


def test_a_table_of_other_documents_is_an_error(tmp_path):
    ids = ["a", "b", "d", "c", "e"]  # the same ids in another order
    other = OutputFile("part-0.parquet", 1, "x", 5, rows_digest(ids), 10)
    paths = {"x": write(tmp_path / "x", [5]), "y": write(tmp_path / "y", [5], other)}
    with pytest.raises(AlignmentError, match="holds other documents"):
        list(read_aligned(paths, DOCUMENTS.rows_digest))


def test_a_file_without_a_digest_is_an_error(tmp_path):
    path = str(tmp_path / "plain.parquet")
    pq.write_table(pa.Table.from_batches([batch(0, 5)]), path)
    with pytest.raises(AlignmentError, match="holds other documents"):
        list(read_aligned({"t": path}, DOCUMENTS.rows_digest))


@pytest.mark.parametrize(("left", "right"), [([2, 3], [3, 2]), ([5], [2, 3]), ([5, 0], [5])])
def test_row_groups_that_differ_in_number_or_size_are_an_error(tmp_path, left, right):
    paths = {"x": write(tmp_path / "x", left), "y": write(tmp_path / "y", right)}
    with pytest.raises(AlignmentError, match="row groups differ"):
        list(read_aligned(paths, DOCUMENTS.rows_digest))


def test_the_error_comes_before_the_first_row_is_given(tmp_path):
    paths = {"x": write(tmp_path / "x", [2, 3]), "y": write(tmp_path / "y", [2, 2, 1])}
    with pytest.raises(AlignmentError):
        next(read_aligned(paths, DOCUMENTS.rows_digest))


def test_the_table_of_a_shard_without_documents_has_no_rows(tmp_path):
    empty = OutputFile("part-0.parquet", 1, "x", 0, rows_digest([]), 0)
    path = write(tmp_path, [], empty)
    assert list(read_aligned({"t": path}, empty.rows_digest)) == []


def read_or_refused(path):
    """The rows of a table, or what is said of it."""
    try:
        return [one["t"].to_pylist() for one in read_aligned({"t": path}, DOCUMENTS.rows_digest)]
    except (storage.DamagedFile, AlignmentError) as error:
        return str(error)


@pytest.mark.parametrize("place", range(4, 3000, 61))
def test_a_changed_byte_is_told_with_the_files_name_or_changes_nothing(tmp_path, place):
    """Anywhere in the file: pages, their headers, the footer."""
    path = write(tmp_path, [2, 3])
    wanted = read_or_refused(path)
    content = bytearray(Path(path).read_bytes())
    content[place % len(content)] ^= 0x41
    Path(path).write_bytes(content)
    seen = read_or_refused(path)
    assert seen == wanted or path in seen
