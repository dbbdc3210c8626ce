"""Hashes against a plain-Python MurmurHash3 and, where it is installed, the mmh3 package."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.hashing import hash_keys, hash_rows

MASK = (1 << 64) - 1
C1, C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & MASK


def finish(h: int) -> int:
    h = ((h ^ (h >> 33)) * 0xFF51AFD7ED558CCD) & MASK
    h = ((h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53) & MASK
    return h ^ (h >> 33)


def twin(value: bytes) -> tuple[int, int]:
    h1 = h2 = 0
    whole = len(value) // 16 * 16
    for i in range(0, whole, 16):
        k1 = int.from_bytes(value[i : i + 8], "little")
        k2 = int.from_bytes(value[i + 8 : i + 16], "little")
        h1 ^= rotate(k1 * C1 & MASK, 31) * C2 & MASK
        h1 = ((rotate(h1, 27) + h2) * 5 + 0x52DCE729) & MASK
        h2 ^= rotate(k2 * C2 & MASK, 33) * C1 & MASK
        h2 = ((rotate(h2, 31) + h1) * 5 + 0x38495AB5) & MASK
    tail = value[whole:]
    h1 ^= rotate(int.from_bytes(tail[:8], "little") * C1 & MASK, 31) * C2 & MASK
    h2 ^= rotate(int.from_bytes(tail[8:], "little") * C2 & MASK, 33) * C1 & MASK
    h1 ^= len(value)
    h2 ^= len(value)
    h1 = (h1 + h2) & MASK
    h2 = (h2 + h1) & MASK
    h1, h2 = finish(h1), finish(h2)
    h1 = (h1 + h2) & MASK
    return h1, (h2 + h1) & MASK


def hashes(rows: list[bytes]) -> list[tuple[int, int]]:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    upper, lower = hash_rows(np.frombuffer(b"".join(rows), np.uint8), offsets)
    return list(zip(upper.tolist(), lower.tolist(), strict=True))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=70), max_size=8))
def test_equals_plain_python(rows: list[bytes]) -> None:
    assert hashes(rows) == [twin(row) for row in rows]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=70), max_size=8))
def test_equals_mmh3(rows: list[bytes]) -> None:
    mmh3 = pytest.importorskip("mmh3", reason="mmh3 is an oracle of this test alone")
    assert hashes(rows) == [mmh3.hash64(row, 0, x64arch=True, signed=False) for row in rows]


def test_published_value() -> None:
    # hash64("foo") in mmh3's README, as signed numbers.
    assert hashes([b"foo"]) == [(-2129773440516405919 & MASK, 9128664383759220103)]


def test_row_hash_does_not_depend_on_its_neighbours() -> None:
    assert hashes([b"a" * 33, b"b", b""])[1] == hashes([b"b"])[0]


def test_offsets_need_not_start_at_0() -> None:
    upper, lower = hash_rows(np.frombuffer(b"xxabc", np.uint8), np.array([2, 5]))
    assert [(int(upper[0]), int(lower[0]))] == hashes([b"abc"])


@pytest.mark.parametrize("offsets", [[0, 4], [-1, 2], [2, 1, 3]])
def test_offsets_outside_the_data_are_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets must rise within 0"):
        hash_rows(np.frombuffer(b"abc", np.uint8), np.array(offsets, np.int64))


@settings(deadline=None)
@given(st.lists(st.integers(0, MASK), max_size=8))
def test_hashed_keys_are_the_finaliser_of_plain_python(keys: list[int]) -> None:
    rows = np.zeros(len(keys), np.dtype([("key", "<u8"), ("payload", "u1")]))
    rows["key"] = keys  # a field of packed rows: neither contiguous nor aligned
    assert hash_keys(rows["key"]).tolist() == [finish(key) for key in keys]
    assert rows["key"].tolist() == keys
