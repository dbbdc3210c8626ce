"""Parts of an earlier mix that hold the same documents are shared, not written again.

In: a slice of a shard (the documents whose order, by which documents are chosen, lies in one of
equal ranges). What its parts hold depends on the shard's documents and tokens, on which of them are
taken how often, and on how they are written; the digest of all that names them. Out: links to the
files of the mix that wrote them first, or copies where a store has no links. A change of budget
moves the cut within one slice of each source: with `slices` in the recipe the others stay.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import NamedTuple

from transforms import storage
from transforms.datasets import Dataset, OutputFile

__all__ = ["Written", "remember_parts", "reuse_parts"]


class Written(NamedTuple):
    """Files of parts, and what was counted as they were written."""

    files: list[OutputFile]
    counts: dict[str, int]


def remember_parts(memory: str, key: str, dataset: Dataset, group: str, written: Written) -> None:
    """Note where parts lie whose names have `group` in them. A later note replaces an earlier."""
    files = [asdict(file) for file in written.files]
    entry = {"base": dataset.base, "group": group, "files": files, "counts": written.counts}
    storage.write_json(storage.join(memory, f"{key}.json"), entry)


def reuse_parts(memory: str, key: str, dataset: Dataset, group: str) -> Written | None:
    """Share the parts of this key with a mix, under names with its `group`. None where there are
    none, or where one of their files is no longer what was written: nothing is shared then."""
    path = storage.join(memory, f"{key}.json")
    if not storage.exists(path):
        return None
    try:
        entry = storage.read_json(path)
        found = [OutputFile(**file) for file in entry["files"]]
        old, counts = f"/part-{entry['group']}-", dict(entry["counts"])
    except (storage.DamagedFile, TypeError, KeyError):
        return None
    renamed = [replace(file, path=file.path.replace(old, f"/part-{group}-")) for file in found]
    pairs = [
        (storage.join(entry["base"], before.path), dataset.path(after.path), after)
        for before, after in zip(found, renamed, strict=True)
    ]
    for source, _, file in pairs:
        try:
            if storage.sha256_of(source) != (file.sha256, file.size_bytes):
                return None
        except OSError:
            return None
    for source, target, _ in pairs:
        if source != target:
            storage.share(source, target)
    return Written(renamed, counts)
