import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from transforms.once import once_per_process


def test_threads_that_ask_at_once_share_one_value():
    made = []
    together = threading.Barrier(8)

    @once_per_process
    def make(name):
        time.sleep(0.05)
        made.append(name)
        return object()

    def ask(name):
        together.wait()
        return make(name)

    with ThreadPoolExecutor(8) as threads:
        values = list(threads.map(ask, ["a"] * 8))
    assert made == ["a"]
    assert len(set(map(id, values))) == 1
    assert make("b") is not values[0]


def test_what_raises_is_tried_again():
    calls = []

    @once_per_process
    def make():
        calls.append(1)
        if len(calls) == 1:
            raise OSError("not yet")
        return "there"

    with pytest.raises(OSError, match="not yet"):
        make()
    assert make() == make() == "there"
    assert len(calls) == 2
