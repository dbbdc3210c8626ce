"""Datasets: records, manifests, and the order in which a version is published."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from transforms import storage
from transforms.datasets import Dataset, Manifest, OutputFile, TaskRecord, sum_counts

FILE = OutputFile("part-0.parquet", 12, "ab" * 32, 3, "cd" * 16, 99)
MANIFEST = Manifest(
    stage="documents web",
    fingerprint="f1",
    version=2,
    parameters={"a": [1, 2], "b": None},
    inputs={"raw": "f0"},
    files=[FILE, replace(FILE, path="part-1.parquet")],
    counts={"documents": 6},
    gate={"ok": True},
    bounds={"removed": {"at_most": 0.5}},
    code="0.1",
    details={"text": "ü"},
)


def test_counters_are_added_key_by_key_and_sorted():
    total = sum_counts([{"b": 1, "a": 2}, {}, {"c": 0, "b": -3}])
    assert list(total.items()) == [("a", 2), ("b", -2), ("c", 0)]
    assert sum_counts([]) == {}


def test_manifests_and_records_come_back_as_they_were_written(folder):
    dataset = Dataset(folder, "f1")
    record = TaskRecord("00000", [FILE], {"documents": 3})
    dataset.write_record(record)
    assert dataset.read_record("00000") == record
    dataset.publish(MANIFEST)
    assert dataset.manifest() == MANIFEST
    assert Dataset.published(folder) == (dataset, MANIFEST)


def test_a_dataset_without_a_manifest_does_not_exist_for_readers(folder):
    dataset = Dataset(folder, "f1")
    dataset.write_record(TaskRecord("00000", [FILE], {}))
    assert dataset.manifest() is None
    with pytest.raises(FileNotFoundError, match="no finished dataset"):
        Dataset.published(folder)


@pytest.mark.parametrize("content", ["[]", "{}", "[{}]", "7", '{"files": []}', "{"])
def test_a_damaged_manifest_is_one_sentence(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(storage.DamagedFile, match="is no manifest, it was cut or changed"):
        Dataset.published(str(tmp_path))


def test_finished_tasks_are_those_with_a_record(folder):
    dataset = Dataset(folder, "f1")
    for task in ("00001-00000", "web-0.rescan"):
        dataset.write_record(TaskRecord(task, [], {}))
    Dataset(folder, "f2").write_record(TaskRecord("other", [], {}))
    assert dataset.finished_tasks() == {"00001-00000", "web-0.rescan"}


def test_a_record_that_is_half_written_does_not_count(tmp_path):
    dataset = Dataset(str(tmp_path), "f1")
    with storage.write_aside(dataset.record_path("00000")) as file:
        file.write(b"{")
        assert dataset.finished_tasks() == set()


def test_a_version_is_finished_before_readers_see_it(tmp_path, monkeypatch):
    dataset = Dataset(str(tmp_path), "f1")
    written = []
    write = storage.write_bytes
    monkeypatch.setattr(
        storage, "write_bytes", lambda path, content: (written.append(path), write(path, content))
    )
    dataset.publish(MANIFEST)
    assert written == [f"{tmp_path}/f1/manifest.json", f"{tmp_path}/manifest.json"]


def test_an_old_version_is_shown_again_without_being_written_again(tmp_path):
    old, new = Dataset(str(tmp_path), "f1"), Dataset(str(tmp_path), "f2")
    old.publish(MANIFEST)
    new.publish(replace(MANIFEST, fingerprint="f2"))
    assert Dataset.published(str(tmp_path))[0] == new
    before = storage.read_bytes(old.path("manifest.json"))
    old.show(MANIFEST)
    assert Dataset.published(str(tmp_path)) == (old, MANIFEST)
    assert storage.read_bytes(old.path("manifest.json")) == before


def test_readers_see_the_verdict_of_the_last_gate(tmp_path):
    # Other bounds, same data, same fingerprint.
    dataset = Dataset(str(tmp_path), "f1")
    dataset.publish(MANIFEST)
    judged_again = replace(MANIFEST, bounds={"removed": {"at_most": 0.1}}, gate={"ok": "again"})
    dataset.publish(judged_again)
    assert Dataset.published(str(tmp_path)) == (dataset, judged_again)


def test_showing_what_is_shown_writes_nothing(tmp_path, monkeypatch):
    dataset = Dataset(str(tmp_path), "f1")
    dataset.publish(MANIFEST)
    monkeypatch.setattr(storage, "write_bytes", lambda path, content: pytest.fail(path))
    dataset.show(MANIFEST)


def test_a_readme_is_shown_with_the_manifest_of_its_version_and_leads_into_it(folder):
    page = b"[a](about/a.json) ![b](about/b.svg) [c](https://c.org/d) [e](#e) [f](/g)\n"
    for name, told in (("f1", page), ("f2", b"another\n"), ("f3", None)):
        dataset = Dataset(folder, name)
        files = [dataset.write("README.md", told)] if told else []
        manifest = replace(MANIFEST, fingerprint=name, files=files)
        dataset.publish(manifest)
        if name == "f1":
            first = manifest
            shown = storage.read_bytes(f"{folder}/README.md")
            assert shown == (
                b"[a](f1/about/a.json) ![b](f1/about/b.svg) [c](https://c.org/d) [e](#e) [f](/g)\n"
            )
        elif told:
            assert storage.read_bytes(f"{folder}/README.md") == told
    assert not storage.exists(f"{folder}/README.md")  # the version that is shown has none
    Dataset(folder, "f1").show(first)
    assert storage.read_bytes(f"{folder}/README.md") == shown
    Dataset(folder, "f1").withdraw()
    assert not storage.exists(f"{folder}/README.md")


def test_a_page_that_somebody_put_beside_a_dataset_stays(folder):
    path = f"{folder}/README.md"
    storage.write_bytes(path, b"mine")
    for name in ("f1", "f2"):
        Dataset(folder, name).publish(replace(MANIFEST, fingerprint=name))
    Dataset(folder, "f2").withdraw()
    assert storage.read_bytes(path) == b"mine"


def written(folder, content=b"whole"):
    """A finished version of one file, written in the order in which stages write."""
    dataset = Dataset(str(folder), "f1")
    with storage.write_aside(dataset.path("part")) as file:
        file.write(content)
    stored = OutputFile("part", file.size_bytes, file.sha256)
    dataset.write_record(TaskRecord("t", [stored], {}))
    dataset.publish(replace(MANIFEST, files=[stored]))
    return dataset, stored


@pytest.mark.parametrize(
    ("content", "seconds", "holds"),
    [
        (b"whole", 0, True),
        (b"whole", 9, True),  # written again with what it held
        (b"WHOLE", 9, False),
        (b"WHOLE", -9, True),  # nothing tells: `verify` does
        (b"whol", -9, False),
        (None, 0, False),
    ],
)
def test_a_file_that_was_written_after_its_witness_is_hashed(tmp_path, content, seconds, holds):
    dataset, stored = written(tmp_path)
    path = Path(dataset.path("part"))
    time = path.stat().st_mtime_ns + seconds * 10**9
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
    assert dataset.holds([stored]) is holds
    assert set(dataset.whole_records()) == ({"t"} if holds else set())


def test_a_file_that_was_written_again_is_hashed_once(tmp_path, monkeypatch):
    dataset, stored = written(tmp_path)
    os.utime(dataset.path("manifest.json"), ns=(1, 1))
    assert dataset.holds([stored])
    monkeypatch.setattr(storage, "sha256_of", lambda path: pytest.fail(path))
    assert dataset.holds([stored])


def test_of_the_files_that_an_error_names_those_that_changed_are_lost(tmp_path):
    dataset, stored = written(tmp_path)
    path = dataset.path("part")
    assert dataset.lost([stored], f"task x: {path} is broken") == []
    Path(path).write_bytes(b"WHOLE")
    assert dataset.lost([stored], f"task x: {path} is broken") == [path]
    assert dataset.lost([stored], "task x: something else is broken") == []
    Path(path).unlink()
    assert dataset.lost([stored], f"task x: no such file: '{path}'") == [path]


def changed(path, *keys):
    """Change one value of a JSON file."""
    value = json.loads(Path(path).read_text())
    inner = value
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = 5
    Path(path).write_text(json.dumps(value))


@pytest.mark.parametrize(
    "keys",
    [
        ("counts", "documents"),
        ("fingerprint",),
        ("details", "x"),
        ("files", 0, "path"),
        ("digest",),
    ],
)
def test_a_manifest_with_a_changed_value_is_none(tmp_path, keys):
    dataset, _ = written(tmp_path)
    changed(dataset.path("manifest.json"), *keys)
    assert dataset.manifest() is None
    changed(tmp_path / "manifest.json", *keys)
    with pytest.raises(storage.DamagedFile, match="cut or changed"):
        Dataset.published(str(tmp_path))


def test_a_manifest_of_another_version_is_none(tmp_path):
    written(tmp_path)
    (tmp_path / "f2").mkdir()
    (tmp_path / "f2/manifest.json").write_bytes((tmp_path / "f1/manifest.json").read_bytes())
    assert Dataset(str(tmp_path), "f2").manifest() is None


@pytest.mark.parametrize("keys", [("task",), ("counts", "x"), ("files", 0, "path"), ("digest",)])
def test_a_record_with_a_changed_value_does_not_count(tmp_path, keys):
    dataset, _ = written(tmp_path)
    assert dataset.whole_records() == {"t": dataset.read_record("t")}
    changed(dataset.record_path("t"), *keys)
    assert dataset.whole_records() == {}
    assert dataset.finished_tasks() == set()


def test_a_digest_holds_for_values_that_json_writes_as_others(tmp_path):
    dataset = Dataset(str(tmp_path), "f1")
    dataset.publish(replace(MANIFEST, details={"n": {10: (1, 2), 9: 0.1}}))
    assert dataset.manifest().details == {"n": {"10": [1, 2], "9": 0.1}}
