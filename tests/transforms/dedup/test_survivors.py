"""Ranks keep the order of what they rank, whatever its type."""

import datetime
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dedup.survivors import WORST, rank_documents, rank_ids, rank_names, rank_numbers

INFINITY = math.inf


@given(st.lists(st.floats(allow_nan=False), min_size=2), st.booleans())
def test_ranks_are_ordered_as_the_numbers(values, descending):
    ranks = rank_numbers(pa.array(values, pa.float64()), descending).tolist()
    for a, x in zip(values, ranks, strict=True):
        for b, y in zip(values, ranks, strict=True):
            assert (x < y) == (a > b if descending else a < b)
            assert (x == y) == (a == b)


@pytest.mark.parametrize("descending", [True, False])
def test_missing_values_are_worse_than_any_number(descending):
    ranks = rank_numbers(pa.array([None, math.nan, INFINITY, -INFINITY, 0.0]), descending)
    assert ranks[:2].tolist() == [int(WORST)] * 2
    assert (ranks[2:] < WORST).all()


@pytest.mark.parametrize(
    ("better", "worse", "descending", "kind"),
    [
        (1, 2, False, pa.int32()),
        (2, 1, True, pa.uint16()),
        (-1.5, -2.5, True, pa.float32()),
        (True, False, True, pa.bool_()),
        (2020, 1999, True, "year"),
        (1960, 1999, False, "year"),
    ],
)
def test_numbers_bools_and_dates_can_rank(better, worse, descending, kind):
    values = [better, worse]
    if kind == "year":
        kind = pa.timestamp("us", tz="UTC")
        values = [datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in values]
    first, second = rank_numbers(pa.array(values, kind), descending)
    assert first < second


def test_ids_are_ranked_by_a_keyed_hash_and_not_by_position():
    ids = pa.array(["a", "b", "c"])
    assert rank_ids(ids, 1).tolist()[::-1] == rank_ids(ids.take(pa.array([2, 1, 0])), 1).tolist()
    assert set(rank_ids(ids, 1).tolist()).isdisjoint(rank_ids(ids, 2).tolist())
    # Golden: a change changes survivors.
    assert rank_ids(pa.array(["a"]), 1).tolist() == [13446501741986880728]


def test_ranks_are_the_criteria_and_the_id_last():
    ids = pa.array(["a", "b"])
    found = rank_documents([(pa.array([3, 3]), False), (pa.array([0.5, 0.9]), True)], ids, seed=1)
    assert list(found) == rank_names(2) == ["rank_0", "rank_1", "rank_2"]
    assert found["rank_0"][0] == found["rank_0"][1]
    assert found["rank_1"][1].as_py() < found["rank_1"][0].as_py()
    assert found["rank_2"].to_pylist() == rank_ids(ids, 1).tolist()
    assert {column.type for column in found.values()} == {pa.uint64()}
