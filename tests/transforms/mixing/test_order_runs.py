"""Runs: a bucket read from all runs is its documents in their order, however they were written."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms import storage
from transforms.mixing import order_runs
from transforms.mixing.document_order import buckets_of, document_order
from transforms.mixing.order_runs import read_bucket, write_run
from transforms.tokens.parts import MixedDocuments, close_documents

EOS = 9


def batch(names: list[int]) -> tuple[np.ndarray, MixedDocuments]:
    ids = [f"d{n}" for n in names]
    rows = pa.RecordBatch.from_pydict(
        {"id": ids, "path": ["p"] * len(ids), "line": pa.array(names, pa.int64())}
    )
    bounds = np.cumsum([0, *(n % 5 for n in names)], dtype=np.int64)
    tokens = np.array([n % 7 for n in names for _ in range(n % 5)], np.uint32)
    return document_order(rows.column("id"), 3, 0), close_documents(tokens, bounds, EOS, rows)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    shards=st.lists(st.lists(st.integers(1, 6), max_size=4), min_size=1, max_size=4),
    buckets=st.integers(1, 5), segment=st.integers(1, 40), at_once=st.integers(1, 30),
)  # fmt: skip
def test_buckets_hold_all_documents_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    shards: list[list[int]],
    buckets: int,
    segment: int,
    at_once: int,
) -> None:
    monkeypatch.setattr(order_runs, "SEGMENT_TOKENS", segment)
    monkeypatch.setattr(order_runs, "BATCH_TOKENS", at_once)
    folder = tmp_path_factory.mktemp("runs")
    number, paths, everything = 0, [], []
    for place, sizes in enumerate(shards):
        batches = []
        for size in sizes:
            names = list(range(number, number + size))
            number += size
            everything += names
            batches.append(batch(names))
        paths.append(str(folder / f"{place}"))
        write_run(paths[-1], iter(batches), (buckets,))
    found = []
    for bucket in range(buckets):
        for its in read_bucket(paths, bucket):
            orders = document_order(its.rows.column("id"), 3, 0)
            assert (buckets_of(orders, buckets) == bucket).all()
            for row, line in enumerate(its.rows.column("line").to_pylist()):
                tokens = its.tokens[its.bounds[row] : its.bounds[row + 1]].tolist()
                assert tokens == [*[line % 7] * (line % 5), EOS]
                found.append(line)
    orders = document_order(pa.array([f"d{n}" for n in everything], pa.string()), 3, 0)
    assert found == [everything[place] for place in np.argsort(orders)]


def test_runs_are_read_from_any_filesystem_and_written_once(folder: str) -> None:
    def fails() -> tuple[np.ndarray, MixedDocuments]:
        raise AssertionError("written again")

    write_run(f"{folder}/a", [batch([1, 2, 3])], (2,))
    write_run(f"{folder}/none", [], (2,))
    write_run(f"{folder}/a", (fails() for _ in range(1)), (2,))
    found = [
        name
        for bucket in range(2)
        for its in read_bucket([f"{folder}/a", f"{folder}/none"], bucket)
        for name in its.rows.column("id").to_pylist()
    ]
    assert sorted(found) == ["d1", "d2", "d3"]


def test_a_writer_that_fails_leaves_no_run(tmp_path: Path) -> None:
    def cut_off():
        yield batch([1, 2])
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        write_run(str(tmp_path / "a"), cut_off(), (2,))
    assert not storage.exists(str(tmp_path / "a.buckets"))
