import pytest

from benchmarks import environments
from benchmarks.measure import Side, measure_side
from benchmarks.work import Task

SIDES = """
import os
from benchmarks.work import Work

def works(task):
    kept = []
    def run():
        kept.append(b"x" * (task.options["megabytes"] << 20))
        return sum(range(1_000_000))
    answer = lambda result: [result, task.text_bytes, os.environ["RAYON_NUM_THREADS"]]
    return Work(run, 5_000_000, lambda: None, answer)

def fails(task):
    raise ValueError("nothing to read")
"""


@pytest.fixture
def measured(tmp_path, monkeypatch):
    (tmp_path / "sides_for_test.py").write_text(SIDES, encoding="utf-8")

    def measure(function, **options):
        side = Side(
            "name",
            f"sides_for_test:{function}",
            text_bytes=7,
            options=tuple(options.items()),
            variables=(("PYTHONPATH", f"{tmp_path}:{environments.REQUIREMENTS.parents[1]}"),),
        )
        return measure_side(side, Task("corpus", 1000, str(tmp_path)), str(tmp_path))

    return measure


def test_a_side_runs_apart_on_one_thread_with_its_slice(measured):
    found = measured("works", megabytes=1)
    assert found.problem == ""
    assert found.answer == [499999500000, 7, "1"]
    assert found.run_bytes == 5_000_000
    assert found.cpu_seconds > 0
    assert found.rate == pytest.approx(5.0 / found.cpu_seconds)


def test_peak_memory_is_what_the_process_took_at_most(measured):
    few, many = measured("works", megabytes=1), measured("works", megabytes=40)
    assert many.peak_bytes - few.peak_bytes > 5 * 30 * 2**20
    assert many.peak_bytes - many.peak_before_bytes > 5 * 30 * 2**20


def test_a_side_that_fails_is_told_by_its_last_line(measured):
    assert measured("fails").problem == "failed: ValueError: nothing to read"


def test_a_peer_that_does_not_install_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    (tmp_path / "peer.txt").write_text(f"{tmp_path}/not-there.whl\n", encoding="utf-8")
    found = measure_side(
        Side("peer", "x:y", "peer"), Task("", 0, str(tmp_path)), str(tmp_path / "environments")
    )
    assert found.problem.startswith("does not install here: ")
    assert "not-there.whl" in found.problem
