import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.checks.documents import (
    LARGEST_DUPLICATE,
    check_documents,
    count_duplicates,
    count_invalid_utf8,
    id_hashes,
)
from transforms.documents import SCHEMA

GOOD = {
    "checked.rows": 3,
    "checked.empty_ids": 0,
    "checked.invalid_utf8": 0,
    "checked.empty_text": 0,
}


def raw(values: list[bytes | None], large: bool = False) -> pa.Array:
    """A string array of any bytes, which Arrow does not look at."""
    binary = pa.array(values, pa.large_binary() if large else pa.binary())
    return pa.Array.from_buffers(
        pa.large_string() if large else pa.string(), len(binary), binary.buffers()
    )


def table(upper, lower) -> np.ndarray:
    rows = np.empty(len(upper), [("key", "<u8"), ("payload", "<u8")])
    rows["key"], rows["payload"] = upper, lower
    return rows


def batch(
    ids: list[bytes | None] | None = None, texts: list[bytes | None] | None = None
) -> pa.RecordBatch:
    moments = pa.nulls(3, pa.timestamp("us", tz="UTC"))
    return pa.RecordBatch.from_arrays(
        [
            raw(ids or [b"a", b"b", b"c"]),
            raw(texts or [b"one", b"two", b"three"], large=True),
            raw([b"web"] * 3),
            moments,
            moments,
            raw([b"{}"] * 3),
        ],
        names=SCHEMA.names,
    )


@pytest.mark.parametrize(
    ("ids", "texts", "changed"),
    [
        (None, None, {}),
        ([b"a", b"", None], None, {"checked.empty_ids": 2}),
        (None, [b"", None, b"x"], {"checked.empty_text": 2}),
        (None, [b"\n \t", "\u3000".encode(), b" x"], {"checked.empty_text": 2}),
        (None, [b"\xff", b"ok", b"\xed\xa0\x80"], {"checked.invalid_utf8": 2}),
        ([b"a", b"\x80", b"c"], [b"\xc3", b"ok", b"ok"], {"checked.invalid_utf8": 2}),
        # Two halves of a character in two rows are no character.
        (None, [b"\xc3", b"\xa9", b"\xc3\xa9"], {"checked.invalid_utf8": 2}),
    ],
)
def test_each_defect_is_counted_and_nothing_else(
    ids: list[bytes | None] | None, texts: list[bytes | None] | None, changed: dict[str, int]
) -> None:
    assert check_documents(batch(ids, texts)) == GOOD | changed


def test_counts_of_slices_add_up() -> None:
    whole = batch([b"a", b"", None], [b"\xff", b" ", b"x"])
    parts = [check_documents(whole.slice(row, 1)) for row in range(3)]
    assert {key: sum(part[key] for part in parts) for key in GOOD} == check_documents(whole)


def test_a_batch_without_rows_has_all_counters() -> None:
    assert check_documents(batch().slice(0, 0)) == dict.fromkeys(GOOD, 0)


@settings(deadline=None)
@given(st.lists(st.none() | st.binary(max_size=4), max_size=12), st.booleans())
def test_invalid_utf8_is_what_python_refuses(values: list[bytes | None], large: bool) -> None:
    def refused(value: bytes | None) -> bool:
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            return True
        return False

    assert count_invalid_utf8(raw(values, large)) == sum(map(refused, values))


@settings(deadline=None)
@given(st.lists(st.none() | st.sampled_from(["", "a", "b", "\u00e9", "a" * 40]), max_size=12))
def test_duplicates_are_rows_minus_distinct_ids(ids: list[str | None]) -> None:
    rows = table(*id_hashes(pa.array(ids, pa.string())))
    distinct = len({value or "" for value in ids})
    counts = count_duplicates(np.sort(rows))
    assert counts["checked.duplicate_ids"] == len(ids) - distinct
    of_repeated = {
        int(id_hashes(pa.array([one], pa.string()))[0][0])
        for one in {value or "" for value in ids}
        if [value or "" for value in ids].count(one) > 1
    }
    assert counts.get(LARGEST_DUPLICATE) == (max(of_repeated) if of_repeated else None)


def test_ids_of_a_slice_and_of_a_large_string_hash_alike() -> None:
    ids = pa.array(["x", "a", None, "b"])
    upper, lower = id_hashes(ids)
    for other in (ids.slice(1), ids.cast(pa.large_string()).slice(1)):
        other_upper, other_lower = id_hashes(other)
        assert other_upper.tolist() == upper[1:].tolist()
        assert other_lower.tolist() == lower[1:].tolist()


@pytest.mark.parametrize(
    ("upper", "lower", "duplicates"),
    [
        ([5, 5, 5], [1, 2, 2], 1),
        ([5, 5, 5], [2, 2, 2], 2),
        ([4, 5, 6], [2, 2, 2], 0),
        ([0, 2**64 - 1, 2**64 - 1], [0, 2**64 - 1, 2**64 - 1], 1),
    ],
)
def test_duplicates_are_equal_in_both_halves(
    upper: list[int], lower: list[int], duplicates: int
) -> None:
    assert count_duplicates(table(upper, lower))["checked.duplicate_ids"] == duplicates


@pytest.mark.parametrize(("upper", "lower"), [([2, 1], [0, 0]), ([1, 1], [1, 0])])
def test_rows_out_of_order_are_refused(upper: list[int], lower: list[int]) -> None:
    with pytest.raises(ValueError, match="sorted by key, then payload"):
        count_duplicates(table(upper, lower))
