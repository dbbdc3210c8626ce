"""Rows with the same keys are summed."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.rows import sum_equal

ROW = np.dtype([("a", "<u8"), ("b", "<u4"), ("x", "<i8"), ("y", "<i8")])
keys = st.sampled_from([0, 1, 2**64 - 1])
rows = st.lists(st.tuples(keys, st.integers(0, 2), st.integers(-9, 9), st.integers(0, 9)))


@given(rows, st.permutations(range(3)))
def test_sums_are_those_of_a_counter_whatever_the_order(given_rows, order):
    x, y = Counter(), Counter()
    for a, b, one, other in given_rows:
        x[a, b] += one
        y[a, b] += other
    expected = [(a, b, x[a, b], y[a, b]) for a, b in sorted({row[:2] for row in given_rows})]
    shuffled = [row for k in order for row in given_rows[k::3]]
    found = sum_equal(np.array(shuffled, ROW), ("a", "b"), ("x", "y"))
    assert found.tolist() == expected
