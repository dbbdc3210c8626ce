"""Pool shards: masks, ranks, and rows read here and there with row groups left out."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.attributes import AlignmentError
from transforms.datasets import OutputFile
from transforms.dedup.pool import DUPLICATES, PoolShard, in_pool, rank_matrix, read_selected
from transforms.documents import ROWS_DIGEST_KEY

GROUPS = [3, 1, 4]  # rows of each row group


def write(path, name, digest=b"d", groups=GROUPS):
    schema = pa.schema([(name, pa.large_string())], {ROWS_DIGEST_KEY: digest})
    with pq.ParquetWriter(path, schema) as writer:
        first = 0
        for rows in groups:
            values = pa.array([f"{name}{k}" for k in range(first, first + rows)], pa.large_string())
            writer.write_batch(pa.record_batch([values], schema=schema))
            first += rows
    return str(path)


@pytest.fixture
def shard(tmp_path):
    return PoolShard(
        2,
        "web",
        write(tmp_path / "documents.parquet", "text"),
        OutputFile("shards/00002.parquet", 0, "", sum(GROUPS), "d"),
        {"more": write(tmp_path / "more.parquet", "more")},
    )


def read(shard, rows):
    columns = {"documents": ["text"], "more": ["more"]}
    return [
        (inside.tolist(), *(batch.column(0).to_pylist() for batch in batches.values()))
        for inside, batches in read_selected(shard, columns, np.array(rows, np.int64))
    ]


def test_task_is_the_name_of_the_file(shard):
    assert shard.task == "00002"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([0], [[0]]),
        ([1, 2, 3], [[1, 2], [3]]),
        ([2, 7], [[2], [7]]),  # the group between them is left out
        ([3], [[3]]),
        (list(range(8)), [[0, 1, 2], [3], [4, 5, 6, 7]]),
    ],
)
def test_selected_rows_come_by_row_group(shard, rows, expected):
    assert read(shard, rows) == [
        (inside, [f"text{k}" for k in inside], [f"more{k}" for k in inside]) for inside in expected
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"digest": b"other"}, "holds other documents"),
        ({"groups": [3, 1, 2, 2]}, "row groups differ"),
        ({"groups": [3, 2, 3]}, "row groups differ"),
    ],
)
def test_tables_of_other_rows_are_refused(shard, settings, message):
    write(shard.tables["more"], "more", **settings)
    with pytest.raises(AlignmentError, match=message):
        read(shard, [7])


def test_who_is_a_duplicate_of_any_kind_is_in_the_pool_no_more():
    tables = {"candidates": pa.record_batch({"candidate": pa.array([True] * 4 + [False, None])})}
    assert in_pool(tables).tolist() == [True] * 4 + [False, False]
    for k, table in enumerate(DUPLICATES):
        column = [0 if row == k else None for row in range(6)]
        tables[table] = pa.record_batch({"duplicate_of": pa.array(column, pa.uint64())})
    assert in_pool(tables).tolist() == [False] * 3 + [True, False, False]


def test_a_shard_knows_which_tables_have_judged_it(shard):
    tables = {"size": "s", "fuzzy_duplicates": "f", "candidates": "c", "url_duplicates": "u"}
    judged = replace(shard, tables=tables)
    assert judged.judged_by == ("candidates", "url_duplicates", "fuzzy_duplicates")


def test_ranks_stand_in_order():
    batch = pa.record_batch(
        {"rank_1": pa.array([3, 4], pa.uint64()), "rank_0": pa.array([1, 2**64 - 1], pa.uint64())}
    )
    assert rank_matrix(batch, 2).tolist() == [[1, 3], [2**64 - 1, 4]]


def test_the_place_of_a_run_stands_before_ranks_that_only_it_knows():
    batch = pa.record_batch({"rank_0": pa.array([7, None], pa.uint64())})
    assert rank_matrix(batch, 3, place=2).tolist() == [[2, 0, 7], [2, 0, 0]]
    with pytest.raises(ValueError, match="1 rank columns, of 0"):
        rank_matrix(batch, 0)
