"""Input files: found whatever the order of patterns, and known by what they hold."""

import hashlib
import io
import json
import os

import pytest

from pipelines.inputs import NoInput, find_inputs
from pipelines.workspace import Workspace
from transforms import s3, storage
from transforms.storage import FileInfo


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "workspace"))


@pytest.fixture
def folder(tmp_path):
    for name in ("b.txt", "a/x.txt", "a/y.txt"):
        storage.write_bytes(str(tmp_path / "in" / name), name.encode())
    return tmp_path / "in"


@pytest.fixture
def hashed(monkeypatch):
    """Paths of the files whose content was read, as they are read."""
    paths = []
    read = storage.sha256_of
    monkeypatch.setattr(storage, "sha256_of", lambda path: (paths.append(path), read(path))[1])
    return paths


def test_files_are_sorted_by_name_and_known_by_their_hash(workspace, folder):
    found = find_inputs(workspace, [str(folder)])
    assert [one.file.name for one in found] == ["a/x.txt", "a/y.txt", "b.txt"]
    assert [one.digest for one in found] == [
        hashlib.sha256(one.file.name.encode()).hexdigest() for one in found
    ]


def test_the_order_of_patterns_and_their_overlap_change_nothing(workspace, folder):
    patterns = [str(folder / "b.txt"), str(folder), str(folder / "a/*.txt")]
    found = find_inputs(workspace, patterns)
    assert len(found) == 3
    assert find_inputs(workspace, patterns[::-1] + patterns) == found


def test_a_pattern_without_a_file_is_told(workspace, folder):
    pattern = str(folder / "*.pdf")
    with pytest.raises(NoInput) as raised:
        find_inputs(workspace, [str(folder), pattern])
    assert str(raised.value) == f"no file matches {pattern}"


def test_a_pattern_that_may_be_empty_leaves_the_others_whole(workspace, folder):
    patterns = [str(folder / "*.pdf"), str(folder)]
    found = find_inputs(workspace, patterns, allow_empty=True)
    assert found == find_inputs(workspace, [str(folder)])
    assert find_inputs(workspace, patterns[:1], allow_empty=True) == []


def test_a_file_that_goes_away_is_not_taken_as_none(workspace, folder, monkeypatch):
    def gone(path):
        raise FileNotFoundError(f"no such file: {path}")

    monkeypatch.setattr(storage, "content_digest", gone)
    with pytest.raises(FileNotFoundError):
        find_inputs(workspace, [str(folder)], allow_empty=True)


def test_a_bucket_that_is_not_there_is_not_taken_as_empty(workspace, monkeypatch):
    def refuse(path):
        raise FileNotFoundError(f"{path}: there is no bucket of this name")

    monkeypatch.setattr(s3, "list_objects", refuse)
    with pytest.raises(NoInput, match="there is no bucket of this name"):
        find_inputs(workspace, ["s3://nobody/*"], allow_empty=True)


def test_a_file_is_hashed_once_and_again_when_it_changes(workspace, folder, hashed):
    before = find_inputs(workspace, [str(folder)])
    assert len(hashed) == 3
    assert find_inputs(workspace, [str(folder)]) == before
    assert len(hashed) == 3
    path = folder / "b.txt"
    path.write_bytes(b"B.TXT")  # the same size
    os.utime(path, ns=(1, 1))
    after = find_inputs(workspace, [str(folder)])
    assert hashed[3:] == [str(path)]
    assert [one.digest for one in after[:2]] == [one.digest for one in before[:2]]
    assert after[2].digest == hashlib.sha256(b"B.TXT").hexdigest()


@pytest.fixture
def objects(monkeypatch):
    """Objects of a store by path; each has a checksum of its content."""
    held = {"s3://bucket/a.txt": b"a one", "s3://bucket/b.txt": b"b one"}
    monkeypatch.setattr(
        storage,
        "list_files",
        lambda patterns: [FileInfo(path, len(held[path]), path[-5:]) for path in sorted(held)],
    )
    monkeypatch.setattr(s3, "checksum", lambda path: f'"{hashlib.md5(held[path]).hexdigest()}"')
    monkeypatch.setattr(s3, "stored_sha256", lambda path: None)
    monkeypatch.setattr(s3, "open_object", lambda path: io.BytesIO(held[path]))
    return held


def test_an_object_has_the_hash_of_a_local_file_and_is_read_again_when_it_changes(
    workspace, objects, hashed
):
    path = "s3://bucket/a.txt"
    for content in (b"a one", b"a two"):  # of one size
        objects[path] = content
        for _ in range(2):
            found = find_inputs(workspace, ["s3://bucket/*"])
            assert found[0].digest == hashlib.sha256(content).hexdigest()
    assert sorted(hashed) == [path, path, "s3://bucket/b.txt"]
    known = json.loads(storage.read_bytes(f"{workspace.uri}/work/input_hashes.json"))
    assert len(known) == 2  # what was is forgotten


def test_an_object_that_was_stored_with_its_hash_is_not_read(
    workspace, objects, hashed, monkeypatch
):
    monkeypatch.setattr(s3, "stored_sha256", lambda path: "ab" * 32)
    assert {one.digest for one in find_inputs(workspace, ["s3://bucket/*"])} == {"ab" * 32}
    assert hashed == []


def test_by_checksum_no_object_is_read(workspace, objects, hashed):
    found = find_inputs(workspace, ["s3://bucket/*"], by_checksum=True)
    assert found[0].digest == f'checksum "{hashlib.md5(b"a one").hexdigest()}"'
    assert hashed == []


def test_what_is_known_of_other_files_is_kept(workspace, folder, hashed):
    find_inputs(workspace, [str(folder / "b.txt")])
    find_inputs(workspace, [str(folder / "a/*")])
    find_inputs(workspace, [str(folder)])
    assert len(hashed) == 3


def test_hashes_of_files_that_are_gone_or_changed_are_dropped(workspace, folder):
    find_inputs(workspace, [str(folder)])
    (folder / "a/x.txt").unlink()
    (folder / "b.txt").write_bytes(b"another")
    find_inputs(workspace, [str(folder / "b.txt")])
    (kept,) = (folder.parent / "workspace").rglob("input_hashes.json")
    assert [key.rsplit(" ", 2)[0] for key in json.loads(kept.read_text())] == [
        str(folder / "a/y.txt"),
        str(folder / "b.txt"),
    ]
