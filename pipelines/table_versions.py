"""Table versions: which versions of its tables a selection or a mix was made from.

In: the inputs that a manifest names by fingerprint. Out: the datasets of these versions, and of
those that they were made from in turn, whatever the workspace shows by now.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.workspace import Workspace
from transforms.datasets import Dataset, Manifest

__all__ = ["Version", "made_from"]

Version = tuple[Dataset, Manifest]


def made_from(workspace: Workspace, source: str, inputs: Mapping[str, str]) -> dict[str, Version]:
    """By name each attribute table of a source that follows from `inputs` ("candidates web" ->
    fingerprint), as far as it is still there."""
    found: dict[str, Version] = {}
    left = [inputs]
    while left:
        for name, fingerprint in left.pop().items():
            table, of, its = name.rpartition(" ")
            if not of or its != source or table in found or table == "documents":
                continue
            dataset = Dataset(workspace.attributes(table, source), fingerprint)
            manifest = dataset.manifest()
            if manifest is not None:
                found[table] = dataset, manifest
                left.append(manifest.inputs)
    return found
