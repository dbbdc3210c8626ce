"""Datasets on storage: stages named by a fingerprint, task records, manifests.

A stage writes into `<folder>/<fingerprint>/`: its files, one small record per finished task
(`records/<task>.json`, written after the task's files have their final names) and, last of all and
only after its gate has passed, `manifest.json`. `<folder>/manifest.json` is a copy of the manifest
of the version that readers see; it alone makes a dataset exist. So an interrupted stage goes on at
the first task without a record, a failed gate leaves the version aside, and a recipe that goes back
to old parameters finds the old version whole.

Records and manifests carry a digest of their own content, so that one in which anything was changed
counts as none: its work is done again.

Nothing in a record or manifest depends on a clock, a machine or the order of work.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from transforms import storage

__all__ = ["Dataset", "Manifest", "OutputFile", "TaskRecord", "fingerprint_of", "sum_counts"]

FINGERPRINT_HEX = 16  # 64 bits


def fingerprint_of(value: Any) -> str:
    """16 hex digits of a JSON-able value; equal values have equal fingerprints, whatever the order
    of their keys."""
    encoded = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.blake2b(encoded.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()[
        :FINGERPRINT_HEX
    ]


def _write_sealed(path: str, value: dict[str, Any]) -> None:
    """Write a JSON object with the fingerprint of the rest of it under `digest`."""
    digest = fingerprint_of(json.loads(json.dumps(value)))  # of what will be read
    storage.write_json(path, {**value, "digest": digest})


def _read_sealed(path: str) -> dict[str, Any]:
    """What `_write_sealed` wrote, without its digest. DamagedFile when it is no JSON object or has
    another digest than it says."""
    value = storage.read_json(path)
    rest = dict(value) if isinstance(value, dict) else {}
    try:
        good = rest.pop("digest", None) == fingerprint_of(rest)
    except ValueError:  # NaN, say
        good = False
    if not good:
        raise storage.DamagedFile(f"{path} was cut or changed: delete it and run again")
    return rest


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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class TaskRecord:
    """What one task of a stage wrote and counted. `counts` of all its tasks make the stage's: see
    `sum_counts`."""

    task: str
    files: list[OutputFile]
    counts: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> TaskRecord:
        return TaskRecord(
            task=value["task"],
            files=[OutputFile(**file) for file in value["files"]],
            counts=dict(value["counts"]),
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

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Manifest:
        fields = dict(value)
        fields["files"] = [OutputFile(**file) for file in value["files"]]
        for name in ("parameters", "inputs", "counts", "gate", "bounds", "details"):
            if not isinstance(fields[name], dict):
                raise TypeError(f"'{name}' must be a mapping")
        return Manifest(**fields)


@dataclass(frozen=True)
class Dataset:
    """A dataset's folder and one version of it (which may not be finished yet)."""

    folder: str
    fingerprint: str

    @staticmethod
    def published(folder: str) -> tuple[Dataset, Manifest]:
        """The version that readers see. FileNotFoundError when none is published."""
        path = storage.join(folder, "manifest.json")
        if not storage.exists(path):
            raise FileNotFoundError(f"no finished dataset at {folder}: {path} does not exist")
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
        return self.path("aside")

    def path(self, relative: str) -> str:
        return storage.join(self.base, relative)

    def record_path(self, task: str) -> str:
        return self.path(f"records/{task}.json")

    def write_record(self, record: TaskRecord) -> None:
        _write_sealed(self.record_path(record.task), record.to_json())

    def finished_tasks(self) -> set[str]:
        """Names of the tasks that have a record."""
        found = storage.list_files([storage.join(storage.escape(self.base), "records/*.json")])
        return {file.path.rpartition("/")[2].removesuffix(".json") for file in found}

    def whole_tasks(self, proofs: Collection[str] = ()) -> set[str]:
        """Names of the tasks whose record is there, and their files as `holds` wants them.

        Records of the others are deleted: their work is to be done again. With `proofs`, tasks that
        read back what others wrote, files must have the hash recorded, whenever they were written,
        and no proof of an earlier run stands.
        """
        sizes = self._sizes()
        whole = set()
        for task in self.finished_tasks():
            try:
                record = self.read_record(task)
            except (storage.DamagedFile, TypeError, KeyError, ValueError):
                record = None
            if (
                record
                and task not in proofs
                and self._are_whole(record.files, self.record_path(task), sizes)
                and (not proofs or all(self._agrees(one) for one in record.files))
            ):
                whole.add(task)
            else:
                storage.delete([self.record_path(task)])
        return whole

    def _agrees(self, file: OutputFile) -> bool:
        return storage.sha256_of(self.path(file.path)) == (file.sha256, file.size_bytes)

    def holds(self, files: Sequence[OutputFile]) -> bool:
        """Whether all these files, which the manifest lists, are there in the size recorded. Those
        that were written after the manifest (on local disks) must have the hash recorded, too."""
        return self._are_whole(files, self.path("manifest.json"), self._sizes())

    def lost(self, files: Sequence[OutputFile], text: str) -> list[str]:
        """Paths of those of the files that a text names and that lack or have another hash than the
        one recorded: what an error is about."""
        named = [file for file in files if self.path(file.path) in text]
        return [
            self.path(file.path)
            for file in named
            if not storage.exists(self.path(file.path)) or not self._agrees(file)
        ]

    def _sizes(self) -> dict[str, int]:
        """Bytes of each file of this version, by its path below the version's folder."""
        found = storage.list_files([storage.join(storage.escape(self.base), "**")], self.base)
        return {file.name: file.size_bytes for file in found}

    def _are_whole(
        self, files: Sequence[OutputFile], witness: str, sizes: Mapping[str, int]
    ) -> bool:
        """Whether files are as recorded in `witness`, a file that is written after them: all in
        their size, those that have been written since in their content."""
        if any(sizes.get(one.path) != one.size_bytes for one in files):
            return False
        since = storage.modified(witness)
        if since is None:
            return True
        later = [one for one in files if (storage.modified(self.path(one.path)) or 0) > since]
        if not all(self._agrees(one) for one in later):
            return False
        if later:
            storage.touch(witness)  # they are hashed once only
        return True

    def read_record(self, task: str) -> TaskRecord:
        """The record of a task. DamagedFile when it was changed since it was written."""
        return TaskRecord.from_json(_read_sealed(self.record_path(task)))

    def manifest(self) -> Manifest | None:
        """The manifest of this version, None while it is not finished, or when it is damaged."""
        manifest = _read_manifest(self.path("manifest.json"))
        return manifest if manifest and manifest.fingerprint == self.fingerprint else None

    def _shown(self) -> Manifest | None:
        """The manifest that readers see, of this version or another."""
        return _read_manifest(storage.join(self.folder, "manifest.json"))

    def publish(self, manifest: Manifest) -> None:
        """Finish this version and let readers see it."""
        _write_sealed(self.path("manifest.json"), manifest.to_json())
        self.show(manifest)

    def withdraw(self) -> None:
        """Take this version from its readers; its files and records stay."""
        shown = self._shown()
        if shown is None or shown.fingerprint == self.fingerprint:
            storage.delete([storage.join(self.folder, "manifest.json")])
        storage.delete([self.path("manifest.json")])

    def show(self, manifest: Manifest) -> None:
        """Let readers see this finished version."""
        if self._shown() != manifest:
            _write_sealed(storage.join(self.folder, "manifest.json"), manifest.to_json())
            storage.delete([storage.join(self.folder, "aside")])


def _read_manifest(path: str) -> Manifest | None:
    try:
        return Manifest.from_json(_read_sealed(path)) if storage.exists(path) else None
    except (storage.DamagedFile, TypeError, KeyError, ValueError):
        return None
