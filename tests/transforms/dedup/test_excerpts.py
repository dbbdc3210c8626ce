"""Excerpts: around each place the bytes of its text, each stored once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import storage
from transforms.dedup.excerpts import (
    ExcerptFiles,
    Neighbourhoods,
    excerpt_dtype,
    read_ranges,
    write_excerpts,
)

RANKS = 2


def part(data, places):
    """`places`: (offset in the data, bytes before, bytes from there on)."""
    index = np.zeros(len(places), excerpt_dtype(RANKS))
    for k, (at, left, right) in enumerate(sorted(places)):
        index[k] = (at, k, at, left, right, 10 + k, 20 + k)
    return Neighbourhoods(np.frombuffer(data, np.uint8), index)


PLACES = st.lists(
    st.tuples(st.integers(0, 60_000), st.integers(0, 900), st.integers(1, 900)), max_size=12
)


@settings(max_examples=50, deadline=None)
@given(st.lists(PLACES, max_size=3))
def test_what_is_read_is_the_text_around_each_place(tmp_path_factory, places):
    data = np.random.default_rng(3).integers(0, 256, 61_000).astype(np.uint8).tobytes()
    kept = [[(max(at, left), left, right) for at, left, right in one] for one in places]
    files = ExcerptFiles.of(str(tmp_path_factory.mktemp("excerpts")), 5)
    write_excerpts(files, [part(data, one) for one in kept], RANKS)
    index = files.read_index(RANKS)
    wanted = [data[at - left : at + right] for one in kept for at, left, right in sorted(one)]
    assert index["rank_0"].tolist() == [10 + k for one in kept for k in range(len(one))]
    columns = [index[name].astype(np.int64) for name in ("at", "left", "right")]
    read, at = read_ranges(files.text, *columns)
    assert [
        read[a - left : a + right].tobytes()
        for a, left, right in zip(at, columns[1], columns[2], strict=True)
    ] == wanted
    stored = len(storage.read_bytes(files.text))
    assert stored == sum(
        len({b for at, left, right in one for b in range(at - left, at + right)}) for one in kept
    )


def test_a_file_that_was_cut_is_told(tmp_path):
    files = ExcerptFiles.of(str(tmp_path), 0)
    write_excerpts(files, [part(b"abcdefghij", [(5, 3, 4)])], RANKS)
    storage.write_bytes(files.text, b"abc")
    index = files.read_index(RANKS)
    with pytest.raises(storage.DamagedFile, match="was cut"):
        read_ranges(files.text, *(index[name].astype(np.int64) for name in ("at", "left", "right")))
