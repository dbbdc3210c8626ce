"""Published mixes: a mix by the folder that a user names, or a sentence that says what to name."""

from __future__ import annotations

from pipelines.command_line import CommandError
from pipelines.reports.absences import workspace_of
from pipelines.stage_names import MIX
from transforms import storage
from transforms.datasets import Dataset, Manifest, MissingDataset

__all__ = ["open_mix"]


def open_mix(folder: str) -> tuple[Dataset, Manifest]:
    """The mix that is published in a folder. CommandError where there is none, or something else;
    DamagedFile when its manifest is none."""
    try:
        dataset, manifest = Dataset.published(folder)
    except MissingDataset:
        raise CommandError(f"no published mix at {folder}: {_remedy(folder)}") from None
    if manifest.stage != MIX:
        raise CommandError(
            f"{folder} is no mix but the dataset {manifest.stage!r}: name the folder of a mix, as"
            " workspace/mixes/demo"
        )
    return dataset, manifest


def _remedy(folder: str) -> str:
    """What to name instead of a folder that is no mix."""
    workspace = workspace_of(folder)
    for uri in [folder, *([workspace.uri] if workspace else [])]:
        pattern = storage.join(storage.escape(uri), "mixes", "*", "manifest.json")
        found = sorted(file.path.rpartition("/")[0] for file in storage.list_files([pattern]))
        if found:
            return f"name a mix of that workspace, {' or '.join(found[:5])}"
    return (
        "name the folder that holds a mix's manifest.json, as workspace/mixes/demo; `vineleaf run`"
        " makes one"
    )
