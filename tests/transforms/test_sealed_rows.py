"""Sealed rows: what is read is what was written, or it is told."""

import numpy as np
import pytest

from transforms import storage
from transforms.sealed_rows import (
    DATA_BYTES,
    PAGE_BYTES,
    read_pages,
    read_rows,
    write_pages,
    write_rows,
)

ROW = np.dtype([("key", "<u8"), ("value", "<u4")])


@pytest.mark.parametrize("count", [0, 1, 9])
def test_no_changed_byte_of_rows_is_read(tmp_path, count):
    path = tmp_path / "rows"
    assert read_rows(str(path), ROW) is None
    rows = np.arange(count).astype(ROW)
    write_rows(str(path), rows)
    assert read_rows(str(path), ROW).tolist() == rows.tolist()
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert read_rows(str(path), ROW) is None
        path.write_bytes(good[:at])
        assert read_rows(str(path), ROW) is None


@pytest.mark.parametrize("size", [0, 1, DATA_BYTES, 700 * DATA_BYTES + 5])
def test_pages_hold_what_was_written_in_any_parts(tmp_path, size):
    path = str(tmp_path / "pages")
    data = np.random.default_rng(1).integers(0, 256, size).astype(np.uint8)
    with write_pages(path) as file:
        for part in np.array_split(data, 7):
            file.write(part)
    assert file.size_bytes == size
    pages = -(-size // DATA_BYTES)
    assert len(storage.read_bytes(path)) == pages * PAGE_BYTES
    first = np.arange(0, pages, 3)
    read = read_pages(path, first, np.minimum(first + 3, pages))
    assert read[:size].tobytes() == data.tobytes()
    assert not read[size:].any()


@pytest.mark.parametrize("at", [0, DATA_BYTES, PAGE_BYTES - 1, PAGE_BYTES, -1])
def test_a_changed_page_is_told_and_others_are_read(tmp_path, at):
    path = tmp_path / "pages"
    with write_pages(str(path)) as file:
        file.write(np.zeros(3 * DATA_BYTES, np.uint8))
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    page = (at % len(content)) // PAGE_BYTES
    for number in range(3):
        one = np.array([number])
        if number == page:
            with pytest.raises(storage.DamagedFile, match="run again, and it is made anew"):
                read_pages(str(path), one, one + 1)
        else:
            assert not read_pages(str(path), one, one + 1).any()
