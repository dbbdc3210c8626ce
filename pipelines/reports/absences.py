"""Absences: why documents of a pool are not in a mix, read off the tables that it was made from.

In: a mix that lies in its workspace, and places of documents (shard and row). Out: the stage and
reason that left each out, as the funnel calls them. The tables are those that the mix's manifest
names by fingerprint, over all its inputs, whatever the workspace shows by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.mixing.selection_table import OUTSIDE
from pipelines.stage_names import (
    EXACT_DEDUP,
    FILTER,
    FUZZY_DEDUP,
    SELECT,
    TABLES,
    TOKENIZE,
    URL_DEDUP,
)
from pipelines.table_versions import Version, made_from
from pipelines.workspace import Workspace
from transforms import storage
from transforms.attributes import read_aligned
from transforms.datasets import Dataset, Manifest
from transforms.documents import StoredTable

__all__ = [
    "NOT_KNOWN",
    "NO_SOURCE",
    "OTHER_INPUT",
    "Absences",
    "removal_reasons",
    "workspace_of",
]

SHARDS_KEPT = 4  # whose reasons stay in memory
NO_SOURCE = "its source is not in the recipe"
OTHER_INPUT = "its source was read from other files, or in another way"
NOT_KNOWN = "not known: the tables that the mix was made from are not there"
# Stage -> columns that say whom it removed, in the order in which stages run.
_COLUMNS: dict[str, list[str] | None] = {
    FILTER: ["reason"],
    URL_DEDUP: ["duplicate_of"],
    EXACT_DEDUP: ["duplicate_of"],
    FUZZY_DEDUP: ["duplicate_of"],
    TOKENIZE: ["reason"],
    SELECT: None,  # all: some have columns that others lack
}


def workspace_of(mix: str) -> Workspace | None:
    """The workspace in which a mix lies; None where its folder is none of a workspace."""
    above, _, _ = mix.rstrip("/").rpartition("/")
    uri, _, folder = above.rpartition("/")
    return Workspace(uri or ".") if folder == "mixes" else None


class Absences:
    """Tells why documents are not in one mix."""

    def __init__(self, mix: str, manifest: Manifest) -> None:
        self._workspace = workspace_of(mix)
        self._inputs = manifest.inputs
        self._recipe = manifest.parameters["recipe"].get("name", "")
        self._tables = lru_cache(None)(self._find_tables)
        self._shard = lru_cache(SHARDS_KEPT)(self._read_shard)

    def reasons(self, path: str, rows: npt.NDArray[np.int64]) -> pa.Array:
        """Why the documents at these rows (from 0) of a shard are not in the mix, string[rows].
        `path`: the shard as token files name it, `documents/<source>/<version>/<file>`."""
        _, source, version, _ = path.split("/", 3)
        known = self._inputs.get(f"documents {source}")
        if known is None:
            return _all(NO_SOURCE, len(rows))
        if known != version:
            return _all(OTHER_INPUT, len(rows))
        found = self._shard(path)
        if found is None or (len(rows) and int(rows.max()) >= len(found)):
            return _all(NOT_KNOWN, len(rows))
        return found.take(pa.array(rows)).cast(pa.string())

    def _find_tables(self, source: str) -> dict[str, Version]:
        """By stage the tables of a source that the mix was made from, as far as they are there."""
        assert self._workspace is not None
        folder = self._workspace.attributes(f"{TABLES[SELECT]}-{self._recipe}", source)
        selection = Dataset(folder, self._inputs.get(f"{TABLES[SELECT]} {source}", ""))
        manifest = selection.manifest()
        if manifest is None:
            return {}
        before = made_from(self._workspace, source, manifest.inputs)
        found = {stage: before[TABLES[stage]] for stage in _COLUMNS if TABLES[stage] in before}
        found[SELECT] = selection, manifest
        named = {name for _, its in found.values() for name in its.inputs}
        gone = [one for one in _COLUMNS if f"{TABLES[one]} {source}" in named and one not in found]
        return {} if gone else found  # without one of them others would be blamed

    def _read_shard(self, path: str) -> pa.Array | None:
        """The reason of each document of a shard, null where it has none; None where tables of the
        mix are gone."""
        if self._workspace is None:
            return None
        _, source, _, file = path.split("/", 3)
        tables = self._tables(source)
        paths = {stage: dataset.path(file) for stage, (dataset, _) in tables.items()}
        if SELECT not in tables or not all(map(storage.exists, paths.values())):
            return None
        with StoredTable(paths[SELECT]) as table:
            digest = table.rows_digest
        manifests = {stage: manifest for stage, (_, manifest) in tables.items()}
        columns = {stage: _COLUMNS[stage] for stage in paths}
        parts = [
            removal_reasons(batches, manifests).dictionary_encode()
            for batches in read_aligned(paths, digest, columns)
        ]
        return (
            pa.chunked_array(parts).unify_dictionaries().combine_chunks() if parts else _all("", 0)
        )


def removal_reasons(
    batches: Mapping[str, pa.RecordBatch], manifests: Mapping[str, Manifest]
) -> pa.Array:
    """The first stage that left each document out, with its reason, string[rows]; null for what is
    in the mix. `batches`: rows of the tables of stages in their order."""
    return pc.coalesce(*_by_stage(batches, manifests))


def _by_stage(
    batches: Mapping[str, pa.RecordBatch], manifests: Mapping[str, Manifest]
) -> Iterator[pa.Array]:
    for stage, batch in batches.items():
        if stage == SELECT:
            yield _unselected(batch, manifests[stage])
        elif "reason" in batch.schema.names:
            yield _told(stage, batch.column("reason"))
        else:
            gone = batch.column("duplicate_of").is_valid()
            yield pc.if_else(gone, pa.scalar(f"{stage}: duplicate"), pa.scalar(None, pa.string()))


def _told(stage: str, reasons: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(stage), reasons.cast(pa.string()), ": ")


def _unselected(batch: pa.RecordBatch, manifest: Manifest) -> pa.Array:
    """As `pipelines.mixing.select` counts them."""
    copies = batch.column("copies").to_numpy()
    eligible = batch.column("eligible").to_numpy(zero_copy_only=False)
    cells = batch.column("cell").fill_null(0).to_numpy()
    budget = manifest.details.get("budget", {})
    wanted = np.array([cell["wanted_tokens"] for cell in budget.get("cells", [])], np.int64)
    reasons = np.where(eligible, "not drawn", "where").astype(object)
    if OUTSIDE in batch.schema.names:
        reasons[batch.column(OUTSIDE).to_numpy(zero_copy_only=False)] = "window"
    if len(wanted):
        reasons[eligible & (wanted[cells] == 0)] = "quality"
    if not manifest.parameters.get("wanted_tokens"):
        reasons[:] = "not in this mix"
    reasons[copies > 0] = None
    return _told(SELECT, pa.array(reasons, pa.string()))


def _all(reason: str, rows: int) -> pa.Array:
    return pa.array([reason] * rows, pa.string())
