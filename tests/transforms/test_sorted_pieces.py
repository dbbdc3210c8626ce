"""Sorted pieces: all rows in order, however few may be held at once, and groups keep their head."""

import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import sorted_pieces as module
from transforms.sorted_pieces import sorted_order, sorted_pieces, with_heads

ROW = np.dtype([("key", "<u8"), ("b", "<u8"), ("c", "<u4")])
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=60)


def in_blocks(rows, size):
    return [rows[k : k + size] for k in range(0, len(rows), size)]


@given(ROWS)
def test_the_order_is_by_all_fields(tuples):
    rows = np.array(tuples, ROW)
    assert rows[sorted_order(rows)].tolist() == sorted(tuples)


@given(ROWS, st.integers(1, 9), st.integers(1, 60), st.integers(1, 5))
def test_pieces_are_the_sorted_rows(tuples, block_rows, most_rows, least_rows):
    rows = np.array(tuples, ROW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LEAST_ROWS", least_rows)
        pieces = list(sorted_pieces(in_blocks(rows, block_rows), ROW, most_rows * ROW.itemsize))
    assert [row for piece in pieces for row in piece.tolist()] == sorted(tuples)
    assert all(len(piece) for piece in pieces)
    if len(rows) <= most_rows:
        assert len(pieces) <= 1


def test_a_full_disk_of_temporary_files_is_named(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "r+b"))  # noqa: SIM115
    rows = np.zeros(100, ROW)
    assert len(list(sorted_pieces([rows], ROW, rows.nbytes))) == 1  # what fits needs no file
    told = f"No space left on device while writing temporary files in {tempfile.gettempdir()}; .* "
    with pytest.raises(OSError, match=told + "TMPDIR"):
        list(sorted_pieces([rows, rows], ROW, rows.nbytes))


def test_fields_of_many_numbers_go_along_and_are_not_sorted_by():
    dtype = np.dtype([("key", "<u8"), ("values", "<u8", (3,))])
    rows = np.zeros(5000, dtype)
    rows["key"] = np.random.default_rng(1).permutation(5000)
    rows["values"] = rows["key"][:, None] * np.arange(3, dtype=np.uint64)
    pieces = list(sorted_pieces(in_blocks(rows, 500), dtype, 600 * dtype.itemsize))
    seen = np.concatenate(pieces)
    assert len(pieces) > 1
    assert seen["key"].tolist() == list(range(5000))
    assert (seen["values"] == seen["key"][:, None] * np.arange(3, dtype=np.uint64)).all()


@given(ROWS, st.integers(1, 9), st.sampled_from([["key"], ["key", "b"]]))
def test_each_piece_begins_with_the_first_row_of_its_group(tuples, piece_rows, names):
    rows = np.array(sorted(set(tuples)), ROW)
    pieces = in_blocks(rows, piece_rows)
    for number, seen in enumerate(with_heads(pieces, names)):
        heads = seen[: len(seen) - len(pieces[number])]
        assert seen[len(heads) :].tolist() == pieces[number].tolist()
        if number == 0:
            assert len(heads) == 0
            continue
        last = pieces[number - 1][-1]
        group = rows[np.all([rows[name] == last[name] for name in names], axis=0)]
        assert heads.tolist() == group[:1].tolist()
