"""Components over exchanges: those of scipy, with far less in a worker than there are links."""

import os
import shutil

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from dedup_pool import ONE_WORKER, TWO_THREADS
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.dedup.components import MOST_NODES, Linking
from transforms import storage
from transforms.datasets import OutputFile
from transforms.dedup.components import BAND
from transforms.dedup.pool import PoolShard

SHARDS, ROWS, BANDS = 3, 400, 4
CHAIN = 40  # documents
FILE = OutputFile("0.parquet", 0, "", ROWS, "", 0)
POOL = [PoolShard(number, "web", "", FILE, {}) for number in range(SHARDS)]
PART = 64 * BAND.itemsize  # a worker's limit: some hundredth of the bands


def bands_of(shard):
    """A chain over all documents of the pool but some, a star, and many small groups."""
    rng = np.random.default_rng(5)
    rows = np.empty((SHARDS * ROWS, BANDS), BAND)
    place = rng.permutation(SHARDS * ROWS).astype(np.uint64)
    in_chain = place < np.uint64(CHAIN)
    rows["key"][:, 0] = np.where(in_chain, place // 2, place + 10_000)
    rows["key"][:, 1] = np.where(in_chain, (place + 1) // 2 + 1000, place + 20_000)
    rows["key"][:, 2] = np.where((place >= CHAIN) & (place < 800), 2000, place + 30_000)
    rows["key"][:, 3] = np.where(place >= 800, rng.integers(3000, 3300, len(place)), place + 40_000)
    number = np.arange(SHARDS * ROWS, dtype=np.uint64)
    rows["address"] = ((number // ROWS) << 32 | number % ROWS)[:, None]
    return rows[shard * ROWS : (shard + 1) * ROWS].reshape(-1)


def expected():
    rows = np.concatenate([bands_of(shard) for shard in range(SHARDS)])
    addresses, nodes = np.unique(rows["address"], return_inverse=True)
    keys, groups = np.unique(rows["key"], return_inverse=True)
    size = len(addresses) + len(keys)
    graph = coo_array((np.ones(len(rows)), (nodes, groups + len(addresses))), (size, size))
    _, labels = connected_components(graph, directed=False)
    labels = labels[: len(addresses)]
    _, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    of = np.searchsorted(np.unique(labels), labels)
    wanted = zip(addresses.tolist(), addresses[first[of]].tolist(), sizes[of].tolist(), strict=True)
    return [one for one in wanted if one[2] > 1]


def read(shard):
    yield bands_of(shard.number)


def components(folder, flags=ONE_WORKER, read=read, before_each=lambda: None, **settings):
    """The components that were found, and how many pipelines it took before."""
    ran = 0

    def run(build):
        nonlocal ran
        before_each()
        ran += 1
        with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(flags))) as pipeline:
            build(pipeline)

    linking = Linking(POOL, str(folder / "work"), BANDS, read=read, **settings)
    linking.prepare(run)
    before = ran
    write = str(folder / "found")

    def build(pipeline):
        _ = linking.components(pipeline) | beam.Map(
            lambda part: storage.write_json(f"{write}/{part.name}.json", part.read().tolist())
        )

    run(build)
    files = storage.list_files([f"{write}/*.json"])
    return [tuple(row) for file in files for row in storage.read_json(file.path)], before


@pytest.mark.parametrize(
    ("settings", "pipelines"),
    [
        ({}, 0),  # a small pool: one pipeline
        ({"most_nodes": SHARDS * ROWS - 1}, None),  # rounds
        ({"most_nodes": 1, "most_bytes": PART}, None),
        ({"most_nodes": 1, "most_bytes": PART, "flags": TWO_THREADS}, None),
    ],
)
def test_all_ways_give_the_components_of_scipy(tmp_path, settings, pipelines):
    found, before = components(tmp_path, **settings)
    assert found == expected()
    assert before == pipelines if pipelines is not None else 2 < before < 9


def test_where_few_are_linked_one_worker_joins_what_a_pipeline_has_linked(tmp_path):
    def few(shard):
        rows = bands_of(shard.number)
        yield rows[rows["key"] < CHAIN // 2]

    found, before = components(tmp_path, read=few, most_nodes=300)
    assert before == 1
    assert len(found) == CHAIN
    assert found == components(tmp_path / "small", read=few)[0]


def test_pools_are_planned_by_their_documents():
    assert 20e6 < MOST_NODES < 30e6


class Killed(Exception):
    pass


@pytest.mark.parametrize("writes", [2, 20, 40])
def test_killed_in_any_round_the_next_run_goes_on(tmp_path, monkeypatch, writes):
    left = [writes]
    replace = os.replace

    def replace_or_die(source, target):
        if left[0] == 0:
            raise Killed("Killed")
        left[0] -= 1
        replace(source, target)

    settings = {"most_nodes": 1, "most_bytes": 40 * PART}
    monkeypatch.setattr(os, "replace", replace_or_die)
    with pytest.raises(Exception, match="Killed"):
        components(tmp_path, **settings)
    monkeypatch.setattr(os, "replace", replace)
    reached = last_round(tmp_path)
    found, before = components(tmp_path, **settings)
    assert found == expected()
    assert before == last_round(tmp_path) - reached  # each pipeline makes the input of a round


def test_a_run_that_was_changed_between_rounds_is_refused_and_the_next_run_begins_anew(tmp_path):
    settings = {"most_nodes": 1, "most_bytes": 40 * PART}
    wanted, _ = components(tmp_path / "undisturbed", **settings)
    components(tmp_path, **settings)
    last = max((tmp_path / "work").glob("rounds/*/arcs"))
    path = max(last.glob("*.run"), key=lambda one: one.stat().st_size)
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    for made in (
        "found",
        "work/rounds/last",
        "work/components",
    ):  # what comes after the rounds is made again
        shutil.rmtree(tmp_path / made)
    with pytest.raises(Exception, match=f"{path.name} was cut or changed since it was written"):
        components(tmp_path, **settings)
    assert components(tmp_path, **settings)[0] == wanted == expected()


class Stopped(Exception):
    pass


def test_arcs_that_were_lost_in_the_middle_are_made_again_and_rounds_go_on(tmp_path):
    reached = 2
    settings = {"most_nodes": 1, "most_bytes": 40 * PART}

    def stop():
        if last_round(tmp_path) == reached:
            raise Stopped

    with pytest.raises(Stopped):
        components(tmp_path, before_each=stop, **settings)
    arcs = tmp_path / "work" / "rounds" / f"{reached:04d}" / "arcs"
    max(arcs.glob("*.run"), key=lambda one: one.stat().st_size).unlink()  # as one that is refused
    found, before = components(tmp_path, **settings)
    assert found == expected()
    assert before == last_round(tmp_path) - reached + 1


def last_round(folder):
    made = (folder / "work").glob("rounds/*/arcs/partitions.json")
    return max((int(path.parts[-3]) for path in made), default=-1)


def test_what_rounds_no_longer_need_is_deleted(tmp_path):
    components(tmp_path, most_nodes=1)
    assert len(list((tmp_path / "work/rounds").glob("*/arcs"))) <= 2
