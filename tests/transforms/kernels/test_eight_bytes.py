import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from transforms.kernels.eight_bytes import (
    byte_number,
    bytes_before,
    continuation_bytes,
    count_marks,
    equal_bytes,
    gather_marks,
    load_eight,
    lowest,
    repeat_byte,
)


@njit
def look(data, i, end, repeated):
    """What the functions say of data[i:end], at most eight bytes of it."""
    x = load_eight(data, i, end)
    equal = equal_bytes(x, repeated)
    first, before = 8, x
    if equal != 0:
        first = byte_number(lowest(equal))
        before = bytes_before(x, lowest(equal))
    gathered = gather_marks(equal)
    return x, equal, gathered, count_marks(equal), count_marks(continuation_bytes(x)), first, before


def mask_of(marked):
    return sum(0x80 << 8 * k for k, one in enumerate(marked) if one)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 9, 10, 11, 0x7F, 0x80, 0x8A, 0xBF, 0xC0, 0xFF]), max_size=12),
    st.sampled_from([0, 10, 0x80, 0xFF]),
    st.integers(0, 12),
)
def test_eight_bytes_are_looked_at_as_one_by_one(values, byte, start):
    data = np.array(values, np.uint8)
    start = min(start, len(values))
    eight = (values[start : start + 8] + [0] * 8)[:8]
    equal = [one == byte for one in eight]
    first = equal.index(True) if any(equal) else 8
    assert tuple(map(int, look(data, start, len(values), repeat_byte(byte)))) == (
        int.from_bytes(bytes(eight), "little"),
        mask_of(equal),
        sum(1 << k for k, one in enumerate(equal) if one),
        sum(equal),
        sum(one & 0xC0 == 0x80 for one in eight),
        first,
        int.from_bytes(bytes(eight[:first]), "little"),
    )
