"""Figures of scale come from work that is checked."""

import numpy as np
import pytest
import typer

from benchmarks.keys import HOT_SHARE, exchange_keys
from benchmarks.planted import Planted
from benchmarks.scale import measure_documents, parse_number, render

ONE_WORKER = ["--direct_num_workers=1"]


@pytest.mark.parametrize(
    ("text", "number"), [("500", 500), ("10K", 10**4), ("1.5M", 1_500_000), ("4g", 4 * 10**9)]
)
def test_numbers_have_units(text, number):
    assert parse_number(text) == number


def test_what_is_no_number_is_refused():
    with pytest.raises(typer.BadParameter, match="'ten' is no number"):
        parse_number("ten")


def test_a_key_that_outgrows_a_partition_comes_in_pieces(tmp_path):
    total, most = 16 << 20, 128 << 10
    seen = exchange_keys(total, str(tmp_path), ONE_WORKER, most)
    assert total // HOT_SHARE > most
    assert seen["largest_piece_bytes"] <= most
    assert seen["rows"] == total // 16


def test_planted_clusters_do_not_depend_on_shards():
    number = np.arange(5000, dtype=np.uint64)
    pool = Planted(5000)
    whole = pool.clusters(number)
    assert np.concatenate([pool.clusters(part) for part in np.array_split(number, 7)]).tolist() == (
        whole.tolist()
    )
    counts = pool.count()
    assert 1000 < counts["planted_documents"] < 2000
    assert 20 < counts["largest_planted"] < 300


def test_most_that_is_planted_is_found_whether_joined_at_once_or_in_rounds(tmp_path):
    one = measure_documents(5000, str(tmp_path / "a"), ONE_WORKER)
    other = measure_documents(5000, str(tmp_path / "b"), ONE_WORKER, most_nodes=1)
    names = ("documents", "found", "removed", "planted_documents", "planted_clusters")
    assert [one[name] for name in names] == [other[name] for name in names]
    extra = one["planted_documents"] - one["planted_clusters"]
    assert 0.9 * extra < one["removed"] <= extra
    table = render([one])
    assert "| 5,000 |" in table
    assert "10 billion documents" in table
