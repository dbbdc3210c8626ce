"""Lists on storage: all items in order, read a block at a time, and graphs that do not grow."""

import pickle

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipelines.dedup.graphs import build_exact, build_fuzzy
from transforms import stored_lists
from transforms.datasets import Dataset, OutputFile
from transforms.dedup.pool import PoolShard
from transforms.stored_lists import BLOCK_ITEMS, Listed, StoredList

COUNTS = (0, 1, BLOCK_ITEMS - 1, BLOCK_ITEMS, BLOCK_ITEMS + 1, 3 * BLOCK_ITEMS + 7)


@pytest.mark.parametrize("count", COUNTS)
def test_items_come_back_in_order_and_by_place(tmp_path, count):
    items = [(f"{place:05d}", {"tables": place}, None) for place in range(count)]
    stored = pickle.loads(pickle.dumps(StoredList.write(items, str(tmp_path))))
    assert list(stored) == items
    assert len(stored) == count
    assert bool(stored) == bool(items)
    for place in {0, count // 2, count - 1} & set(range(count)):
        assert stored[place] == items[place]
    for place in (-1, count):
        with pytest.raises(IndexError, match=f"item {place} of {count}"):
            stored[place]


def test_equal_lists_share_a_file_and_others_do_not(tmp_path):
    first = StoredList.write(["a", "b"], str(tmp_path))
    assert StoredList.write(["a", "b"], str(tmp_path)) == first
    assert StoredList.write(["b", "a"], str(tmp_path)).path != first.path


def test_an_item_costs_the_reading_of_its_block_alone(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        stored_lists, "_read_block", lambda path, start, end: read.append(end - start) or [0] * 999
    )
    stored = StoredList.write(list(range(10 * BLOCK_ITEMS)), str(tmp_path))
    stored[5 * BLOCK_ITEMS]
    assert read == [stored.offsets[6] - stored.offsets[5]]


@pytest.mark.parametrize("count", COUNTS)
def test_a_pipeline_gets_all_items(tmp_path, count):
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
        found = pipeline | Listed(list(range(count)), str(tmp_path))
        assert_that(found, equal_to(list(range(count))))


@pytest.mark.parametrize("build", [build_exact, build_fuzzy])
def test_a_graph_is_as_large_for_many_shards_as_for_few(tmp_path, build):
    def size(count):
        shards = [
            PoolShard(
                number,
                "web",
                f"documents/{number:08d}.parquet",
                OutputFile(f"{number:08d}.parquet", 9, f"{number:064x}", 8, f"{number:032x}", 7),
                {"size": f"size/{number:08d}.parquet"},
            )
            for number in range(count)
        ]
        pipeline = beam.Pipeline(options=PipelineOptions([]))
        build(pipeline, shards, {"web": Dataset("table", "0123")}, str(tmp_path), 1)
        return len(pipeline.to_runner_api().SerializeToString())

    assert size(20_000) < 1.2 * size(2)
