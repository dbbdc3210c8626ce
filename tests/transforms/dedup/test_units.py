"""Lines that share a key: all but the first are found, however many they are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.dedup.units import group_units, unit_dtype


def found_of(rows, piece_rows):
    pieces = [rows[k : k + piece_rows] for k in range(0, len(rows), piece_rows)]
    return [tuple(row) for found in group_units(pieces) for row in found.tolist()]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=40, unique=True),
    st.integers(1, 9),
)
def test_a_key_may_go_on_over_any_number_of_pieces(pairs, piece_rows):
    rows = np.array(
        [(key, 0, address << 32, key, 7) for key, address in sorted(pairs)], unit_dtype(1)
    )
    first = {}
    expected = []
    for key, _, address, offset, _ in rows.tolist():
        if first.setdefault(key, address) != address:
            expected.append((address + offset, first[key]))
    seen = found_of(rows, piece_rows)
    assert seen == found_of(rows, 1000)
    names = [(start, first_in) for start, first_in, *_ in seen]
    assert names == expected
