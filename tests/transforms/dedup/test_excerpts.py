"""Excerpts: around each place the bytes of its text, each stored once."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import storage
from transforms.dedup import excerpts
from transforms.dedup.excerpts import (
    ExcerptFiles,
    Neighbourhoods,
    excerpt_dtype,
    find_places,
    write_excerpts,
)
from transforms.dedup.passages import place_of
from transforms.dedup.substring import ANCHOR
from transforms.sealed_rows import DATA_BYTES, PAGE_BYTES

RANKS = 2


def part(data, places, begins=0):
    """`places`: (offset in the data, bytes before, bytes from there on); `begins`: offset of the
    data among the shard's texts."""
    index = np.zeros(len(places), excerpt_dtype(RANKS))
    for k, (at, left, right) in enumerate(sorted(places)):
        index[k] = (begins + at, k, at, left, right, 10 + k, 20 + k)
    return Neighbourhoods(np.frombuffer(data, np.uint8), index)


PLACES = st.lists(
    st.tuples(st.integers(0, 60_000), st.integers(0, 900), st.integers(1, 900)), max_size=12
)


@settings(max_examples=50, deadline=None)
@given(st.lists(PLACES, max_size=3))
def test_what_is_read_is_the_text_around_each_place(tmp_path_factory, places):
    data = np.random.default_rng(3).integers(0, 256, 61_000).astype(np.uint8).tobytes()
    kept = [
        list({max(at, left): (max(at, left), left, right) for at, left, right in one}.values())
        for one in places
    ]
    files = ExcerptFiles.of(str(tmp_path_factory.mktemp("excerpts")), 5)
    write_excerpts(files, [part(data, one, 61_000 * k) for k, one in enumerate(kept)], RANKS)
    wanted = [data[at - left : at + right] for one in kept for at, left, right in sorted(one)]
    offsets = [61_000 * k + at for k, one in enumerate(kept) for at, _, _ in sorted(one)]
    index = files.find(np.array(offsets, np.int64), RANKS)
    assert index["rank_0"].tolist() == [10 + k for one in kept for k in range(len(one))]
    columns = [index[name].astype(np.int64) for name in ("at", "left", "right")]
    read, at = files.read_text(*columns)
    assert [
        read[a - left : a + right].tobytes()
        for a, left, right in zip(at, columns[1], columns[2], strict=True)
    ] == wanted
    kept_bytes = sum(
        len({b for at, left, right in one for b in range(at - left, at + right)}) for one in kept
    )
    assert -(-kept_bytes // DATA_BYTES) * PAGE_BYTES == len(storage.read_bytes(files.text))


def written(folder, count=1000):
    """Excerpts of shard 5 around every 40th byte of a text, but some, and that text."""
    data = np.random.default_rng(3).integers(0, 256, 61_000).astype(np.uint8)
    files = ExcerptFiles.of(str(folder), 5)
    places = [(300 + 40 * k, 20, 20) for k in range(count)]
    write_excerpts(files, [part(data.tobytes(), places)], RANKS)
    return files, data


OFFSETS = 300 + 40 * np.arange(1000)


def read_all(files):
    """All rows and all text of what was written."""
    index = files.find(OFFSETS, RANKS)
    files.read_text(*(index[name].astype(np.int64) for name in ("at", "left", "right")))


def anchors(offsets):
    rows = np.zeros(len(offsets), ANCHOR)
    rows["key"], rows["place"] = 9, place_of(5, np.array(offsets))
    return rows


def test_any_places_are_found_in_any_order(tmp_path):
    written(tmp_path)
    wanted = np.random.default_rng(4).permutation(1000)[:200]
    found = find_places(anchors(300 + 40 * wanted), RANKS, str(tmp_path))
    assert found["rank_0"].tolist() == (10 + wanted).tolist()
    assert found["address"].tolist() == [(5 << 32) + k for k in wanted.tolist()]
    assert found["key"].tolist() == [9] * 200


def test_who_looks_for_few_places_reads_a_small_part_of_the_index(tmp_path, monkeypatch):
    pages = []
    read = excerpts.read_pages

    def recorded(path, first, end):
        pages.append(int((end - first).sum()))
        return read(path, first, end)

    files, _ = written(tmp_path)
    monkeypatch.setattr(excerpts, "read_pages", recorded)
    find_places(anchors([300 + 40 * 500]), RANKS, str(tmp_path))
    assert sum(pages) <= 3 < len(storage.read_bytes(files.index)) // PAGE_BYTES


@pytest.mark.parametrize("offset", [0, 299, 301, 300 + 40 * 1000])
def test_a_place_that_no_excerpt_has_is_told(tmp_path, offset):
    written(tmp_path)
    with pytest.raises(storage.DamagedFile, match="run again, and it is made anew"):
        find_places(anchors([offset]), RANKS, str(tmp_path))


@pytest.mark.parametrize("kind", ["text", "index", "heads"])
@pytest.mark.parametrize("at", [5, 20_000, -5])
def test_a_changed_byte_is_told_and_all_is_made_anew(tmp_path, kind, at):
    files, _ = written(tmp_path)
    read_all(files)
    path = Path(getattr(files, kind))
    content = bytearray(path.read_bytes())
    content[min(at, len(content) - 1)] ^= 1
    path.write_bytes(content)
    with pytest.raises(storage.DamagedFile, match="was cut or changed since it was written"):
        read_all(files)
    assert not storage.exists(files.heads)  # by which excerpts are known to be there


@pytest.mark.parametrize("kind", ["text", "index", "heads"])
def test_a_file_that_was_cut_is_told(tmp_path, kind):
    files, _ = written(tmp_path)
    read_all(files)
    path = Path(getattr(files, kind))
    path.write_bytes(path.read_bytes()[: -PAGE_BYTES if kind != "heads" else -8])
    with pytest.raises(storage.DamagedFile, match="was cut"):
        read_all(files)
