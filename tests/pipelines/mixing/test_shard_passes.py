"""Passes over shards: every result is joined once, by its source; one that is gone is told."""

from functools import partial

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.mixing import shard_passes
from pipelines.mixing.shard_passes import ShardPasses
from pipelines.stages import RunFailed
from pipelines.workspace import Workspace
from transforms import storage
from transforms.datasets import OutputFile
from transforms.dedup.pool import PoolShard

OPTIONS = PipelineOptions(["--direct_num_workers=1"])
FILE = OutputFile("00000.parquet", 1, "x", 1, "d", 1)
SHARDS = [PoolShard(number, "ab"[number % 2], "", FILE, {}) for number in range(7)]


def number_of(shard):
    return shard.source, [shard.number]


def join(results):
    return sorted(number for one in results for number in one)


def passes(tmp_path):
    return ShardPasses("count", Workspace(str(tmp_path)), SHARDS, str(tmp_path / "w"), OPTIONS)


@pytest.mark.parametrize(("block", "held"), [(2, 16), (2, 1), (100, 2), (100, 16)])
def test_every_result_is_joined_once_whoever_joins(tmp_path, monkeypatch, block, held):
    monkeypatch.setattr(shard_passes, "BLOCK_SHARDS", block)
    monkeypatch.setattr(shard_passes, "HELD_RESULTS", held)
    found = passes(tmp_path).collect("numbers", number_of, join)
    assert found == {"a": [0, 2, 4, 6], "b": [1, 3, 5]}


def test_some_sources_can_be_looked_at_alone(tmp_path):
    its = passes(tmp_path)
    assert its.collect("numbers", number_of, join, ["b"]) == {"b": [1, 3, 5]}
    assert its.collect("none", number_of, join, []) == {}


def test_a_result_that_is_gone_is_told(tmp_path, monkeypatch):
    stored = shard_passes._load
    gone = str(tmp_path / "w" / "numbers" / "shards" / "00000003")

    def load(path):
        if path == gone:
            storage.delete([path])
        return stored(path)

    monkeypatch.setattr(shard_passes, "_load", load)
    with pytest.raises(RunFailed, match=r"count, numbers: .*00000003 is gone; run it again"):
        passes(tmp_path).collect("numbers", partial(number_of), join)
