"""Verify the records of a mix's tasks, which the run leaves beside the mix's files.

In: a mix and its manifest. Out: one check. The manifest lists no record, so each is proven by the
digest that it carries, its files by what the manifest says of them, and that none lacks by the
manifest's files and counts. Readers need no record: a copy of a mix may lack the whole folder.
"""

from __future__ import annotations

from pipelines.mixing.about import DESCRIBED
from pipelines.verification.check import Check
from transforms import storage
from transforms.datasets import Dataset, Manifest, sum_counts

__all__ = ["check_records"]


def check_records(dataset: Dataset, manifest: Manifest) -> Check:
    """Whether all records below `records/` are whole and of this mix."""
    problems = []
    listed = {file.path: file for file in manifest.files}
    counts, recorded = [], set(DESCRIBED)
    tasks = sorted(dataset.finished_tasks())
    for task in tasks:
        name = f"records/{task}.json"
        try:
            record = dataset.read_record(task)
        except (storage.DamagedFile, TypeError, KeyError, ValueError, OSError):
            problems.append(f"{name} is no record, or was cut or changed")
            continue
        if record.task != task:
            problems.append(f"{name} is the record of another task, {record.task}")
        other = [file.path for file in record.files if listed.get(file.path) != file]
        problems += [f"{name} tells otherwise of {path} than the manifest" for path in other[:1]]
        if not record.files and not record.counts:
            problems.append(f"{name} tells of nothing, as no task of a mix does")
        counts.append(record.counts)
        recorded |= {file.path for file in record.files}
    lost = sorted(listed.keys() - recorded) if tasks and not problems else []
    problems += [f"the record of {path} is not there" for path in lost]
    if tasks and not problems and sum_counts(counts) != manifest.counts:
        problems.append("the counts of all records are not those of the manifest")
    return Check("records are of the tasks of this mix", not problems, problems[:10], [])
