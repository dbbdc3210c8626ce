import pytest

from benchmarks import processors


@pytest.mark.parametrize(
    ("alone", "together", "gain"),
    [([2.0], [2.0, 2.0], 2.0), ([2.0], [4.0, 3.0], 1.0), ([3.0], [4.0, 4.0], 1.5)],
)
def test_the_gain_is_work_done_at_once_in_the_time_that_one_takes(
    monkeypatch, alone, together, gain
):
    monkeypatch.setattr(processors, "_run", lambda count: alone if count == 1 else together)
    assert processors.measure_gain() == gain


def test_each_process_tells_how_long_its_work_took():
    seconds = processors._run(2)
    assert len(seconds) == 2
    assert all(one > 0.001 for one in seconds)
