"""Datasets on storage: stages named by a fingerprint, task records, manifests.

A stage writes into `<folder>/<fingerprint>/`: its files, one small record per finished task
(`records/<task>.json`, written after the task's files have their final names) and, last of all and
only after its gate has passed, `manifest.json`. `<folder>/manifest.json` is a copy of the manifest
of the version that readers see; it alone makes a dataset exist. So an interrupted stage goes on at
the first task without a record, a failed gate leaves the version aside, and a recipe that goes back
to old parameters finds the old version whole. A version that holds a `README.md` has that shown
beside the manifest as well, its links leading into the version.

Records and manifests carry a digest of their own content, so that one in which anything was changed
counts as none: its work is done again.

Nothing in a record or manifest depends on a clock, a machine or the order of work.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from transforms import storage
from transforms.sealed_json import fingerprint_of, read_sealed, sealed

__all__ = [
    "README",
    "Dataset",
    "Manifest",
    "MissingDataset",
    "OutputFile",
    "TaskRecord",
    "fingerprint_of",
    "sum_counts",
]

README = "README.md"  # of a dataset that tells people what it is
_LINK = re.compile(rb"(?<=[^\\]\]\()(?![a-zA-Z+.-]+:|[/#])")  # before where a relative one leads


def sum_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add counters key by key; keys sorted. Of those named `largest_...` the largest is kept."""
    total: Counter[str] = Counter()
    for one in counts:
        for key, value in one.items():
            if key.startswith("largest_"):
                total[key] = max(total[key], value)
            else:
                total[key] += value
    return dict(sorted(total.items()))


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A finished file: path below the version's folder, size and SHA-256; rows and their digest for
    Parquet shards."""

    path: str
    size_bytes: int
    sha256: str
    rows: int = 0
    rows_digest: str = (
        ""  # transforms.documents.rows_digest of the documents it holds or aligns with
    )
    text_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What one task of a stage wrote and counted. `counts` of all its tasks make the stage's: see
    `sum_counts`."""

    task: str
    files: list[OutputFile]
    counts: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        files = [file.to_json() for file in self.files]
        return {"task": self.task, "files": files, "counts": self.counts}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> TaskRecord:
        return TaskRecord(
            task=value["task"],
            files=[OutputFile(**file) for file in value["files"]],
            # 200,000 records have the same names, each parsed on its own.
            counts={sys.intern(name): count for name, count in value["counts"].items()},
        )


@dataclass(frozen=True)
class Manifest:
    """A published version of a dataset. `files` are in task order; for documents their index is the
    shard number."""

    stage: str
    fingerprint: str
    version: int
    parameters: dict[str, Any]
    inputs: dict[str, str]  # name -> fingerprint
    files: list[OutputFile]
    counts: dict[str, int]
    gate: dict[str, Any]
    bounds: dict[str, Any]  # of the recipe, that the gate applied
    code: str  # version of the package that wrote it
    details: dict[str, Any] = field(default_factory=dict)  # what a stage tells its readers

    @property
    def is_described(self) -> bool:
        """Whether the dataset has a page for people among its files."""
        return any(file.path == README for file in self.files)

    def to_json(self) -> dict[str, Any]:
        rest = asdict(replace(self, files=[]))  # which would copy each value of each file
        return {**rest, "files": [file.to_json() for file in self.files]}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Manifest:
        fields = dict(value)
        fields["files"] = [OutputFile(**file) for file in value["files"]]
        for name in ("parameters", "inputs", "counts", "gate", "bounds", "details"):
            if not isinstance(fields[name], dict):
                raise TypeError(f"'{name}' must be a mapping")
        return Manifest(**fields)


class MissingDataset(FileNotFoundError):
    """No dataset is published in a folder."""


@dataclass(frozen=True)
class Dataset:
    """A dataset's folder and one version of it (which may not be finished yet)."""

    folder: str
    fingerprint: str

    @staticmethod
    def published(folder: str) -> tuple[Dataset, Manifest]:
        """The version that readers see. MissingDataset when none is published."""
        storage.check_uri(folder)
        path = storage.join(folder, "manifest.json")
        if not storage.exists(path):
            raise MissingDataset(f"no finished dataset at {folder}: {path} does not exist")
        manifest = _read_manifest(path)
        if manifest is None:
            raise storage.DamagedFile(
                f"{path} is no manifest, it was cut or changed: delete it and run again"
            )
        return Dataset(folder, manifest.fingerprint), manifest

    @property
    def base(self) -> str:
        """Folder of this version; paths of `OutputFile` are below it."""
        return storage.join(self.folder, self.fingerprint)

    @property
    def aside(self) -> str:
        """Folder of what is needed only until this version is published; nobody reads it then."""
        return self.path(storage.ASIDE)

    def path(self, relative: str) -> str:
        return storage.join(self.base, relative)

    def record_path(self, task: str) -> str:
        return self.path(f"records/{task}.json")

    def write(self, relative: str, content: bytes) -> OutputFile:
        """Write a small file of this version."""
        with storage.write_aside(self.path(relative)) as file:
            file.write(content)
        return OutputFile(relative, file.size_bytes, file.sha256)

    def write_record(self, record: TaskRecord) -> None:
        storage.write_bytes(self.record_path(record.task), sealed(record.to_json()))

    def finished_tasks(self) -> set[str]:
        """Names of the tasks that have a record."""
        names = storage.names_in(self.path("records"))
        return {name.removesuffix(".json") for name in names if name.endswith(".json")}

    def whole_records(self, proofs: Collection[str] = ()) -> dict[str, TaskRecord]:
        """The records, by task, of the tasks whose files are there as `holds` wants them.

        Records of the others are deleted: their work is to be done again. With `proofs`, tasks that
        read back what others wrote, files must have the hash recorded, whenever they were written,
        and no proof of an earlier run stands.
        """
        found = self._files()
        whole = {}
        for task in self.finished_tasks():
            try:
                record = self.read_record(task)
            except (storage.DamagedFile, TypeError, KeyError, ValueError):
                record = None
            if (
                record
                and task not in proofs
                and self._are_whole(record.files, f"records/{task}.json", found)
                and (not proofs or all(self._agrees(one) for one in record.files))
            ):
                whole[task] = record
            else:
                storage.delete([self.record_path(task)])
        return whole

    def _agrees(self, file: OutputFile) -> bool:
        return storage.sha256_of(self.path(file.path)) == (file.sha256, file.size_bytes)

    def holds(self, files: Sequence[OutputFile]) -> bool:
        """Whether all these files, which the manifest lists, are there in the size recorded. Those
        that were written after the manifest (on local disks) must have the hash recorded, too."""
        return self._are_whole(files, "manifest.json", self._files())

    def lost(self, files: Sequence[OutputFile], text: str) -> list[str]:
        """Paths of those of the files that a text names and that lack or have another hash than the
        one recorded: what an error is about."""
        named = [file for file in files if self.path(file.path) in text]
        return [
            self.path(file.path)
            for file in named
            if not storage.exists(self.path(file.path)) or not self._agrees(file)
        ]

    def _files(self) -> dict[str, storage.StoredFile]:
        """All files of this version, by their path below the version's folder."""
        return storage.files_below(self.base)

    def _are_whole(
        self, files: Sequence[OutputFile], witness: str, found: Mapping[str, storage.StoredFile]
    ) -> bool:
        """Whether files are as recorded in `witness`, a file that is written after them: all in
        their size, those that have been written since in their content."""
        stored = [found.get(one.path) for one in files]
        for one, its in zip(files, stored, strict=True):
            if its is None or its.size_bytes != one.size_bytes:
                return False
        since = found[witness].modified if witness in found else None
        if since is None:
            return True
        later = [
            one
            for one, its in zip(files, stored, strict=True)
            if its is not None and (its.modified or 0) > since
        ]
        if not all(self._agrees(one) for one in later):
            return False
        if later:
            storage.touch(self.path(witness))  # they are hashed once only
        return True

    def read_record(self, task: str) -> TaskRecord:
        """The record of a task. DamagedFile when it was changed since it was written."""
        return TaskRecord.from_json(read_sealed(self.record_path(task)))

    def manifest(self) -> Manifest | None:
        """The manifest of this version, None while it is not finished, or when it is damaged."""
        manifest = _read_manifest(self.path("manifest.json"))
        return manifest if manifest and manifest.fingerprint == self.fingerprint else None

    def _shown(self) -> Manifest | None:
        """The manifest that readers see, of this version or another."""
        return _read_manifest(storage.join(self.folder, "manifest.json"))

    def publish(self, manifest: Manifest) -> None:
        """Finish this version and let readers see it."""
        content = sealed(manifest.to_json())
        storage.write_bytes(self.path("manifest.json"), content)
        self._show(manifest, content)

    def withdraw(self) -> None:
        """Take this version from its readers; its files and records stay."""
        shown = self._shown()
        if shown is None or shown.fingerprint == self.fingerprint:
            names = ["manifest.json", *([README] if shown and shown.is_described else [])]
            storage.delete([storage.join(self.folder, name) for name in names])
        storage.delete([self.path("manifest.json")])

    def show(self, manifest: Manifest) -> None:
        """Let readers see this version, which is finished and has this manifest."""
        self._show(manifest, storage.read_bytes(self.path("manifest.json")))

    def readme_shown(self) -> bytes:
        """What the `README.md` beside the manifest that readers see must hold."""
        inside = f"{self.fingerprint}/".encode()
        return _LINK.sub(lambda found: inside, storage.read_bytes(self.path(README)))

    def _show(self, manifest: Manifest, content: bytes) -> None:
        path, readme = (storage.join(self.folder, name) for name in ("manifest.json", README))
        page = {readme: self.readme_shown()} if manifest.is_described else {}
        for place, its in {**page, path: content}.items():  # the manifest last
            if not storage.exists(place) or storage.read_bytes(place) != its:
                before = None if manifest.is_described else self._shown()
                if before is not None and before.is_described:
                    storage.delete([readme])  # any other page is not ours
                storage.write_bytes(place, its)
                storage.delete([storage.join(self.folder, storage.ASIDE)])


def _read_manifest(path: str) -> Manifest | None:
    try:
        return Manifest.from_json(read_sealed(path)) if storage.exists(path) else None
    except (storage.DamagedFile, TypeError, KeyError, ValueError):
        return None
