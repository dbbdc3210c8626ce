"""Exchange: every row arrives once, rows that belong together arrive together, killed or not."""

import os

import apache_beam as beam
import boto3
import moto
import numpy as np
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from hypothesis import given
from hypothesis import strategies as st

from transforms import exchange, s3, storage
from transforms.exchange import (
    Exchange,
    Partition,
    count_buckets,
    plan_partitions,
    remove_runs,
)

ROW = np.dtype([("key", "<u8"), ("value", "<u4"), ("more", "<u8", (2,))])
ONE_WORKER = ("--direct_num_workers=1",)
TWO_THREADS = ("--direct_num_workers=2", "--direct_running_mode=multi_threading")


def some_rows(seed, count, keys=50):
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, ROW)
    rows["key"] = rng.integers(0, keys, count)
    rows["value"] = rng.integers(0, 1 << 32, count)
    rows["more"] = rng.integers(0, 1 << 63, (count, 2))
    return rows


def in_shard_7():
    rows = some_rows(1, 3)
    rows["key"] = 7 << 32
    return rows


def in_three_pieces(rows):
    yield from np.array_split(rows, 3)


def run(folder, sources, *, rows=in_three_pieces, flags=ONE_WORKER, **settings):
    """The partitions of an exchange, by first bucket. Their rows stay in the folder."""
    listing = storage.join(folder, "seen")
    settings = {"buckets": 64, "by": "key", **settings}
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(flags))) as pipeline:
        _ = (
            pipeline
            | beam.Create(sources)
            | Exchange(storage.join(folder, "runs"), ROW, rows, **settings)
            | beam.Map(lambda part: storage.write_json(f"{listing}/{part.name}.json", {}))
        )
    names = [f.path.rpartition("/")[2][:-5] for f in storage.list_files([f"{listing}/*.json"])]
    bounds = [tuple(int(x) for x in name.split("-")) for name in sorted(names)]
    return [Partition(storage.join(folder, "runs"), ROW, first, end) for first, end in bounds]


def sorted_rows(blocks):
    rows = np.concatenate(list(blocks))
    return rows[np.lexsort([rows["value"], rows["key"]])].tobytes()


@pytest.mark.parametrize(
    ("counts", "most_rows", "expected"),
    [
        ([1, 1, 1, 1], 4, [(0, 4)]),
        ([1, 1, 1, 1], 2, [(0, 2), (2, 4)]),
        ([1, 1, 1, 1], 3, [(0, 3), (3, 4)]),
        ([9, 1, 9, 1], 2, [(0, 1), (1, 2), (2, 3), (3, 4)]),  # a hot bucket stands alone
        ([0, 0, 5, 0, 0], 5, [(0, 5)]),
        ([0, 0], 1, [(0, 2)]),
        ([7], 1, [(0, 1)]),
    ],
)
def test_buckets_are_merged_up_to_the_bound(counts, most_rows, expected):
    assert plan_partitions(np.array(counts), 10, most_rows * 10) == expected


@given(st.lists(st.integers(0, 20), min_size=1, max_size=80), st.integers(1, 50))
def test_partitions_cover_all_buckets_and_keep_the_bound(counts, most_bytes):
    bounds = plan_partitions(np.array(counts), 1, most_bytes)
    assert [first for first, _ in bounds] == [0, *[end for _, end in bounds[:-1]]]
    assert bounds[-1][1] == len(counts)
    for first, end in bounds:
        assert end - first == 1 or sum(counts[first:end]) <= most_bytes


@pytest.mark.parametrize(
    ("rows", "expected"), [(0, 64), (10**6, 64), (10**8, 256), (10**10, 32768), (10**13, 65536)]
)
def test_buckets_grow_with_the_rows_within_bounds(rows, expected):
    assert count_buckets(rows, 16) == expected


@pytest.mark.parametrize("flags", [ONE_WORKER, TWO_THREADS])
@pytest.mark.parametrize(
    ("buckets", "most_bytes", "writers"),
    [(1, 1 << 20, 1), (64, 1 << 20, 3), (64, 1, 7), (512, 9, 2)],
)
def test_all_rows_arrive_once_and_equal_keys_meet(tmp_path, flags, buckets, most_bytes, writers):
    rows = some_rows(1, 500)
    sources = [(f"w{k}", rows[k::writers]) for k in range(writers)]
    parts = run(str(tmp_path), sources, flags=flags, buckets=buckets, most_bytes=most_bytes)
    read = [part.read() for part in parts]
    assert sorted_rows(read) == sorted_rows([rows])
    keys = [set(one["key"].tolist()) for one in read]
    assert sum(map(len, keys)) == len(set(rows["key"].tolist()))
    for one in read:
        assert one.tobytes() == sorted_rows([one])
    assert (len(parts) == 1) == (most_bytes == 1 << 20)


def contents_by(folder, sources, carrier, **settings):
    """(first bucket, end, sorted rows) of each partition, read in the pipeline."""
    settings = {"buckets": 64, "by": "key", **settings}
    target = storage.join(folder, carrier)

    def write(part):
        seen = [list(map(int, row)) for row in part.read()[["key", "value"]].tolist()]
        pieces = sum(map(len, part.pieces()))
        storage.write_json(f"{target}/{part.name}.json", [seen, pieces])

    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(ONE_WORKER))) as pipeline:
        _ = (
            pipeline
            | beam.Create(sources)
            | Exchange(f"{target}/runs", ROW, in_three_pieces, carrier=carrier, **settings)
            | beam.Map(write)
        )
    found = {}
    for file in storage.list_files([f"{target}/*.json"]):
        found[file.name] = storage.read_json(file.path)
    return found


@pytest.mark.parametrize("settings", [{}, {"most_bytes": 500}, {"buckets": 1}, {"buckets": 512}])
def test_the_runners_shuffle_carries_the_same_rows(tmp_path, settings):
    rows = some_rows(10, 900, keys=200)
    sources = [("a", rows[:500]), ("b", rows[500:])]
    seen = {c: contents_by(str(tmp_path), sources, c, **settings) for c in ("files", "groupbykey")}
    for found in seen.values():
        assert all(len(read) == pieces for read, pieces in found.values())
    files, runner = (
        sorted(row for read, _ in found.values() for row in read) for found in seen.values()
    )
    assert files == runner == sorted(map(list, rows[["key", "value"]].tolist()))
    keys = [{key for key, _ in read} for read, _ in seen["groupbykey"].values()]
    assert sum(map(len, keys)) == len(set(rows["key"].tolist()))
    # The runner's shuffle leaves no file, unless all goes into one bucket.
    assert (tmp_path / "groupbykey" / "runs").exists() == (settings == {"buckets": 1})


def test_the_runners_shuffle_gives_each_shard_its_partition_to_the_byte(tmp_path):
    rows = some_rows(3, 90)
    rows["key"] = (rows["key"] % 2 * 2) << 32 | np.arange(90, dtype=np.uint64)  # shards 0 and 2
    found = [
        contents_by(str(tmp_path), [("w", rows)], carrier, by="shard", buckets=4)
        for carrier in ("files", "groupbykey")
    ]
    assert found[0] == found[1]
    assert [len(read) > 0 for read, _ in found[0].values()] == [True, False, True, False]


@pytest.mark.parametrize("carrier", ["files", "groupbykey"])
def test_without_a_row_there_is_an_empty_partition_by_either_carrier(tmp_path, carrier):
    assert list(contents_by(str(tmp_path), [], carrier).values()) == [[[], 0]]


def test_blocks_hold_the_same_rows_as_read(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "SEGMENT_BYTES", 40 * ROW.itemsize)  # several segments a run
    rows = some_rows(2, 1000)
    for part in run(str(tmp_path), [("a", rows[:700]), ("b", rows[700:])], most_bytes=4000):
        blocks = list(part.blocks())
        assert len(blocks) > 2
        assert sorted_rows(blocks) == part.read().tobytes()


def test_a_hot_key_comes_sorted_in_pieces_of_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "SEGMENT_BYTES", 1000 * ROW.itemsize)
    monkeypatch.setattr("transforms.sorted_pieces.LEAST_ROWS", 1)
    most = 2000 * ROW.itemsize
    rows = some_rows(8, 20_000, keys=1)
    run(str(tmp_path), [("a", rows[:9000]), ("b", rows[9000:])], most_bytes=most)
    stored = exchange.find_stored(str(tmp_path / "runs"), ROW, most)
    (hot,) = [part for part in stored.partitions if len(part.read())]
    pieces = list(hot.pieces())
    assert len(pieces) >= 10
    assert max(piece.nbytes for piece in pieces) <= most
    assert np.concatenate(pieces).tobytes() == hot.read().tobytes()


def test_a_later_pipeline_finds_the_partitions(tmp_path):
    folder = str(tmp_path / "runs")
    assert exchange.find_stored(folder, ROW) is None
    parts = run(str(tmp_path), [("a", some_rows(9, 300))], most_bytes=4000)
    stored = exchange.find_stored(folder, ROW)
    assert stored.rows == 300
    assert [part.name for part in stored.partitions] == [part.name for part in parts]
    assert sorted_rows(part.read() for part in stored.partitions) == sorted_rows(
        [some_rows(9, 300)]
    )


def test_by_shard_each_shard_has_its_partition_even_without_rows(tmp_path):
    rows = some_rows(3, 90)
    rows["key"] = (rows["key"] % 2 * 2) << 32 | np.arange(90, dtype=np.uint64)  # shards 0 and 2
    parts = run(str(tmp_path), [("w", rows)], by="shard", buckets=4, most_bytes=1)
    assert [(part.first_bucket, part.end_bucket) for part in parts] == [
        (0, 1), (1, 2), (2, 3), (3, 4)
    ]  # fmt: skip
    assert [set((part.read()["key"] >> 32).tolist()) for part in parts] == [{0}, set(), {2}, set()]


def test_an_exchange_without_rows_has_an_empty_partition(tmp_path):
    for sources in ([], [("w", some_rows(1, 0))]):
        (part,) = run(str(tmp_path / str(len(sources))), sources)
        assert len(part.read()) == 0
        assert part.read().dtype == ROW


def test_a_run_that_exists_is_not_written_again(tmp_path):
    rows = some_rows(4, 300)
    sources = [("a", rows[:100]), ("b", rows[100:200]), ("c", rows[200:])]
    first = [part.read().tobytes() for part in run(str(tmp_path), sources)]
    (folder,) = tmp_path.glob("runs")
    os.remove(folder / "b-64.run")  # as if the process had been killed before it was finished
    os.remove(folder / "runs.json")

    def only_b(source):
        assert source["value"][0] == rows["value"][100]
        yield source

    assert [p.read().tobytes() for p in run(str(tmp_path), sources, rows=only_b)] == first


def cut_short(path):
    os.truncate(path, path.stat().st_size - 8)


def flipped(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [
    cut_short, lambda path: os.truncate(path, 7), lambda path: os.truncate(path, 0),
    lambda path: flipped(path, -1), lambda path: flipped(path, -40), os.remove,
])  # fmt: skip
def test_a_run_that_was_cut_or_whose_index_was_changed_is_made_anew(tmp_path, damage):
    rows = some_rows(11, 300)
    sources = [("a", rows[:100]), ("b", rows[100:])]
    run(str(tmp_path), sources)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("runs/*") if p.is_file()}
    damage(tmp_path / "runs" / "b-64.run")
    assert sorted_rows(part.read() for part in run(str(tmp_path), sources)) == sorted_rows([rows])
    assert {p.name: p.read_bytes() for p in tmp_path.glob("runs/*") if p.is_file()} == before


def test_no_changed_byte_of_a_run_is_ever_read(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "SEGMENT_BYTES", 40 * ROW.itemsize)  # several segments
    rows = some_rows(12, 100)
    (part,) = run(str(tmp_path), [("a", rows)])
    path = tmp_path / "runs" / "a-64.run"
    good = path.read_bytes()
    for at in range(0, len(good), 5):
        flipped(path, at)
        taken_up = exchange._read_run(str(path), 64, ROW.itemsize) is not None
        if taken_up:
            with pytest.raises(storage.DamagedFile, match="run again, and it is made anew"):
                part.read()
            assert not path.exists()
        path.write_bytes(good)
    assert sorted_rows([part.read()]) == sorted_rows([rows])


def test_a_later_pipeline_finds_nothing_where_a_run_was_lost_or_refused(tmp_path):
    sources = [("a", some_rows(9, 300)), ("b", some_rows(8, 300))]
    folder, path = str(tmp_path / "runs"), tmp_path / "runs" / "b-64.run"
    run(str(tmp_path), sources)
    flipped(path, 100)
    (part,) = exchange.find_stored(folder, ROW).partitions
    for _ in range(2):  # refused, and lost
        with pytest.raises(storage.DamagedFile, match=r"b-64\.run was cut or changed"):
            part.read()
        assert exchange.find_stored(folder, ROW) is None
    (part,) = run(str(tmp_path), sources)
    assert exchange.find_stored(folder, ROW).rows == len(part.read()) == 600
    cut_short(path)
    assert exchange.find_stored(folder, ROW) is None


@pytest.mark.parametrize("files", [0, 1, 2, 3])
def test_a_full_disk_is_told_leaves_nothing_half_and_the_next_run_goes_on(
    tmp_path, monkeypatch, files
):
    rows = some_rows(13, 300)
    sources = [("a", rows[:100]), ("b", rows[100:])]
    parts = run(str(tmp_path / "undisturbed"), sources)
    create, left = storage.FileSystems.create, [files]

    def create_or_full(*arguments):
        file = create(*arguments)
        left[0] -= 1
        if left[0] >= 0:
            return file
        file.close()
        return open("/dev/full", "wb")

    monkeypatch.setattr(storage.FileSystems, "create", create_or_full)
    folder = tmp_path / "full"
    with pytest.raises(
        Exception, match=r"No space left on device while writing .*full/runs/.*; make"
    ):
        run(str(folder), sources)
    monkeypatch.undo()
    assert [
        path for path in folder.rglob("*") if path.is_file() and path.parent.name == storage.ASIDE
    ] == []
    assert len(list(folder.glob("runs/*.run"))) == min(files, 2)
    again = run(str(folder), sources)
    assert [part.read().tobytes() for part in again] == [part.read().tobytes() for part in parts]
    for path in folder.glob("runs/*.run"):
        assert path.read_bytes() == (tmp_path / "undisturbed/runs" / path.name).read_bytes()


def test_a_run_cut_into_other_buckets_is_not_taken_up(tmp_path):
    sources = [("a", some_rows(5, 300))]
    run(str(tmp_path), sources, buckets=64)
    parts = run(str(tmp_path), sources, buckets=128)
    assert sorted_rows(part.read() for part in parts[-1:]) == sorted_rows([sources[0][1]])


def test_a_run_of_rows_of_another_size_is_not_taken_up(tmp_path):
    run(str(tmp_path), [("a", some_rows(5, 300))])
    path = str(tmp_path / "runs" / "a-64.run")
    assert exchange._read_run(path, 64, ROW.itemsize) is not None
    assert exchange._read_run(path, 64, ROW.itemsize - 4) is None  # an earlier version's


def test_remove_runs_leaves_nothing(tmp_path):
    run(str(tmp_path), [("a", some_rows(6, 10))])
    (tmp_path / "runs" / storage.ASIDE).mkdir(exist_ok=True)
    (tmp_path / "runs" / storage.ASIDE / "a-64.run.0123").write_bytes(b"left by a killed process")
    remove_runs(str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
    remove_runs(str(tmp_path / "runs"))  # nothing there: no error


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"buckets": 48}, "power of two"),
        ({"buckets": 0, "by": "shard"}, "power of two"),
        ({"most_bytes": 0}, "most_bytes"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Exchange("x", ROW, iter, **{"buckets": 64, **settings})


def test_keys_must_be_uint64():
    with pytest.raises(ValueError, match="uint64"):
        Exchange("x", np.dtype([("key", "<i8")]), iter, 64)


@pytest.mark.parametrize(
    ("sources", "settings", "message"),
    [
        ([("a", some_rows(1, 3)), ("a", some_rows(2, 3))], {}, "same name"),
        ([("a", np.zeros(3, np.dtype([("key", "<u8")])))], {}, "rows of an exchange must be"),
        ([("a", in_shard_7())],
         {"by": "shard", "buckets": 7}, "address in shard 7 of 7 shards"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_stop_the_run(tmp_path, sources, settings, message):
    with pytest.raises(Exception, match=message):
        run(str(tmp_path), sources, **settings)


@pytest.fixture
def requests(monkeypatch):
    """What is asked of an S3 in this process that holds `s3://bucket`, one name for each."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)  # a server's of tests/stores
    asked = []
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="bucket")
        FileSystems.set_options(PipelineOptions([]))
        told = s3._client().meta.events
        told.register("before-call.s3", lambda model, **rest: asked.append(model.name))
        yield asked


def test_a_partition_on_a_store_costs_two_requests_for_each_run_and_one_for_all(requests):
    rows = np.zeros(100_000, ROW)
    rows["key"] = np.arange(len(rows))
    its = Exchange("s3://bucket/x", ROW, lambda source: [rows], 64, most_bytes=1 << 16)
    ((run, counts),) = exchange._WriteRun(its).process(("a", None))
    parts = list(exchange._Cut(its).process(([run], counts)))
    requests.clear()
    part = parts[len(parts) // 2].read()
    assert 0 < part.nbytes <= 1 << 16
    assert requests == ["GetObject"] * 3
    s3.delete_objects([run[0]])
    with pytest.raises(storage.DamagedFile, match="run again"):
        parts[0].read()


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_an_object_is_read_from_any_place_though_nothing_was_asked_before(requests, size):
    data = bytes(number % 251 for number in range(size))
    storage.write_bytes("s3://bucket/o", data)
    for at in (0, 5, size - 1, size, size + 10):
        if at < 0:
            continue
        requests.clear()
        with storage.open_read("s3://bucket/o") as file:
            assert requests == []
            file.seek(at)
            assert file.read() == data[at:]
    with storage.open_read("s3://bucket/o") as file:
        assert file.seek(0, os.SEEK_END) == size
    with storage.open_read("s3://bucket/none") as file, pytest.raises(FileNotFoundError):
        file.read(1)


def test_a_forked_process_does_not_wait_for_a_thread_of_its_parent():
    with s3._lock:
        child = os.fork()
        if not child:
            os._exit(0 if s3._lock.acquire(blocking=False) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
