"""Files on Beam filesystems: whole or not at all, listed in one order, the same on disk and S3."""

import errno
import hashlib
import os

import pytest

from transforms import storage


class FullDisk:
    """A file that takes some bytes and then says that the disk is full."""

    def __init__(self, file, room_bytes):
        self._file, self._room_bytes = file, room_bytes

    def write(self, data):
        self._room_bytes -= len(data)
        if self._room_bytes < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)


def write_blocks(path, blocks):
    with storage.write_aside(path) as file:
        for block in blocks:
            file.write(block)


def failing_after(blocks):
    yield from blocks
    raise KeyError("mine")


def names(files):
    return [file.name for file in files]


def everything_below(folder):
    return names(storage.list_files([storage.join(folder, "**")]))


def test_what_is_written_is_read_and_a_second_attempt_replaces_the_first(folder):
    path = storage.join(folder, "a", "b.bin")
    assert not storage.exists(path)
    for content in (b"first", b"\x00second\xff"):
        storage.write_bytes(path, content)
        assert storage.exists(path)
        assert storage.read_bytes(path) == content
    assert everything_below(folder) == ["a/b.bin"]


def test_a_final_name_exists_only_when_the_file_is_whole(folder):
    path = storage.join(folder, "file")
    with storage.write_aside(path) as file:
        file.write(b"half")
        assert not storage.exists(path)
        file.write(b" done")
    assert storage.read_bytes(path) == b"half done"


@pytest.mark.parametrize("written", [[], [b"some bytes"]])
def test_an_error_leaves_no_file_and_keeps_what_was_there(folder, written):
    path = storage.join(folder, "file")
    storage.write_bytes(path, b"old")
    with pytest.raises(KeyError, match="mine"):
        write_blocks(path, failing_after(written))
    assert storage.read_bytes(path) == b"old"
    assert everything_below(folder) == ["file"]


@pytest.mark.parametrize("room_bytes", [0, 3, 8])
def test_a_full_disk_leaves_nothing_and_is_told(tmp_path, monkeypatch, room_bytes):
    create = storage.FileSystems.create

    def create_full(*arguments):
        return FullDisk(create(*arguments), room_bytes)

    monkeypatch.setattr(storage.FileSystems, "create", create_full)
    path = str(tmp_path / "file")
    with pytest.raises(OSError, match="No space left"):
        write_blocks(path, [b"1234"] * 3)
    assert not os.path.exists(path)
    assert everything_below(str(tmp_path)) == []


def test_a_disk_that_is_full_only_when_the_file_is_closed_leaves_nothing(tmp_path, monkeypatch):
    create = storage.FileSystems.create

    class FullAtTheEnd(FullDisk):
        def close(self):
            self._file.close()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        storage.FileSystems, "create", lambda *arguments: FullAtTheEnd(create(*arguments), 100)
    )
    with pytest.raises(OSError, match="No space left"):
        storage.write_bytes(str(tmp_path / "file"), b"1234")
    assert everything_below(str(tmp_path)) == []


def test_a_file_knows_the_size_and_hash_of_what_went_through_it(folder):
    path = storage.join(folder, "file")
    blocks = [b"", b"abc", bytes(range(256)) * 5000]
    with storage.write_aside(path) as file:
        for block in blocks:
            assert file.write(memoryview(block)) == len(block)
            assert file.tell() == file.size_bytes
    content = b"".join(blocks)
    assert (file.sha256, file.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert storage.sha256_of(path) == (file.sha256, file.size_bytes)


def test_a_name_without_a_folder_lies_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage.write_bytes("file", b"here")
    assert (tmp_path / "file").read_bytes() == b"here"


def test_files_are_opened_at_any_place(folder):
    path = storage.join(folder, "file")
    storage.write_bytes(path, b"0123456789")
    with storage.open_read(path) as file:
        file.seek(7)
        assert file.read() == b"789"
        file.seek(2)
        assert file.read(3) == b"234"


def test_what_is_stored_compressed_is_read_as_it_is_stored(tmp_path):
    path = str(tmp_path / "file.gz")
    storage.write_bytes(path, b"\x1f\x8bno gzip at all")
    assert storage.read_bytes(path) == b"\x1f\x8bno gzip at all"


def test_names_are_relative_to_the_part_before_the_first_wildcard(folder):
    for name in ("x/b.txt", "x/y/a.txt", "x/y/c.bin", "xx/d.txt"):
        storage.write_bytes(storage.join(folder, name), b"1")
    cases = {
        "x/*": ["b.txt"],
        "x/**": ["b.txt", "y/a.txt", "y/c.bin"],
        "x/y/*.txt": ["a.txt"],
        "x/b.txt": ["b.txt"],
        "*/b.txt": ["x/b.txt"],
        "x": ["b.txt", "y/a.txt", "y/c.bin"],
        "none/*": [],
    }
    for pattern, expected in cases.items():
        found = storage.list_files([storage.join(folder, pattern)])
        assert names(found) == expected, pattern
        assert all(file.path.endswith(file.name) and file.size_bytes == 1 for file in found)


def test_a_folder_with_a_slash_at_its_end_is_the_same_folder(folder):
    storage.write_bytes(storage.join(folder, "x", "y", "a.txt"), b"1")
    assert names(storage.list_files([folder + "/x/"])) == ["y/a.txt"]


def test_the_listing_does_not_depend_on_the_order_of_patterns_and_has_each_file_once(tmp_path):
    for name in ("b/1", "a/2", "a/c/3", "10", "9"):
        storage.write_bytes(str(tmp_path / name), b"")
    patterns = [str(tmp_path / "a/*"), str(tmp_path / "**"), str(tmp_path), str(tmp_path / "9")]
    found = storage.list_files(patterns)
    assert len(found) == 5
    assert len({file.path for file in found}) == 5
    assert storage.list_files(patterns[::-1] + patterns) == found
    assert found == sorted(found, key=lambda file: (file.name, file.path))


def test_the_same_folder_elsewhere_has_the_same_names(tmp_path):
    listings = []
    for place in ("here", "much/further/away"):
        for name in ("b", "a/x", "a.y"):
            storage.write_bytes(str(tmp_path / place / name), b"12")
        listings.append(
            [(f.name, f.size_bytes) for f in storage.list_files([f"{tmp_path}/{place}"])]
        )
    assert listings[0] == listings[1] == [("a.y", 2), ("a/x", 2), ("b", 2)]


def test_json_of_equal_values_is_equal_bytes(tmp_path):
    left, right = str(tmp_path / "l"), str(tmp_path / "r")
    storage.write_json(left, {"b": [1, 2.5, None], "a": {"ü": True, "c": "x"}})
    storage.write_json(right, {"a": {"c": "x", "ü": True}, "b": [1, 2.5, None]})
    assert storage.read_bytes(left) == storage.read_bytes(right)
    assert storage.read_json(left) == {"a": {"c": "x", "ü": True}, "b": [1, 2.5, None]}
    assert "ü" in storage.read_bytes(left).decode("utf-8")


def test_what_does_not_exist_can_be_deleted(folder):
    path = storage.join(folder, "file")
    storage.write_bytes(path, b"1")
    storage.delete([path, storage.join(folder, "none")])
    assert not storage.exists(path)
    storage.delete([path])


def test_a_missing_file_is_a_file_not_found_error(folder):
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(storage.join(folder, "none"))


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("/a", "b"), "/a/b"),
        (("/a/", "/b/", "c.txt"), "/a/b/c.txt"),
        (("s3://bucket", "x"), "s3://bucket/x"),
        (("s3://bucket/", "x/", "y"), "s3://bucket/x/y"),
        (("/", "x"), "/x"),
        (("a",), "a"),
    ],
)
def test_segments_are_joined_by_one_slash(parts, joined):
    assert storage.join(*parts) == joined


def test_an_empty_aside_goes_and_a_used_one_stays(tmp_path):
    path = str(tmp_path / "alone.bin")
    storage.write_bytes(path, b"x")
    assert (tmp_path / "_aside").is_dir()
    storage.remove_empty_aside(path)
    assert os.listdir(tmp_path) == ["alone.bin"]
    storage.remove_empty_aside(path)
    with storage.write_aside(str(tmp_path / "other.bin")):
        storage.remove_empty_aside(path)
    assert (tmp_path / "other.bin").exists()


def test_a_folder_that_a_source_can_be_called_is_no_aside(tmp_path):
    storage.write_bytes(str(tmp_path / "tokens" / "aside" / "part.npy"), b"1234")
    storage.remove_asides(str(tmp_path))
    assert (tmp_path / "tokens" / "aside" / "part.npy").read_bytes() == b"1234"
    assert not (tmp_path / "tokens" / "aside" / "_aside").exists()


def test_what_lies_below_a_folder_is_told_with_its_size(folder):
    for name in ("one", "a/two", "a/b/three"):
        storage.write_bytes(storage.join(folder, name), name.encode())
    found = storage.files_below(folder)
    assert {name: one.size_bytes for name, one in found.items()} == {
        "one": 3,
        "a/two": 5,
        "a/b/three": 9,
    }
    if "://" not in folder:
        assert found["one"].modified == os.stat(f"{folder}/one").st_mtime_ns
    assert {"one"} <= set(storage.names_in(folder)) <= {"one", "a", "_aside"}
    nowhere = storage.join(folder, "nowhere")
    assert (storage.files_below(nowhere), storage.names_in(nowhere)) == ({}, [])


def test_links_that_lead_in_circles_or_nowhere_are_no_files(tmp_path):
    storage.write_bytes(str(tmp_path / "in/file"), b"x")
    (tmp_path / "in/circle").symlink_to(tmp_path / "in")
    (tmp_path / "in/gone").symlink_to(tmp_path / "nothing")
    storage.write_bytes(str(tmp_path / "in/deep/file"), b"y")
    assert set(storage.files_below(str(tmp_path / "in"))) - {"_aside"} == {"file", "deep/file"}


def test_a_file_is_shared_on_any_filesystem(folder):
    source, target = f"{folder}/a/file", f"{folder}/b/c/file"
    storage.write_bytes(source, b"content")
    storage.write_bytes(target, b"another")
    storage.share(source, target)
    assert storage.read_bytes(target) == b"content"
    if "://" not in folder:
        assert os.path.samefile(source, target)
    # What is written in its place leaves the other alone.
    storage.write_bytes(target, b"new")
    assert storage.read_bytes(source) == b"content"


def test_a_file_is_copied_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    storage.write_bytes(str(tmp_path / "a"), b"content")
    storage.share(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"content"
    assert not os.path.samefile(tmp_path / "a", tmp_path / "b")
