"""Why: the story of one document, read off the published datasets of a workspace.

Where it came from, what each stage measured, why it was kept or removed, what it duplicates, which
benchmark items it holds, and how often it is in each mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import orjson
import pyarrow.compute as pc

from pipelines.stage_names import EXACT_DEDUP, FILTER, FUZZY_DEDUP, TABLES, TOKENIZE
from pipelines.workspace import Workspace
from transforms import storage
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.documents import ROWS_DIGEST_KEY, read_batches, split_address

__all__ = ["Story", "tell_story"]

_BOUNDS = {"at_least": "at least", "at_most": "at most", "below": "below"}
_WITHOUT_SCORES = {"exact", "minhash", "tokens", "candidates"}  # tables of keys, ranks and tokens


@dataclass(frozen=True)
class Story:
    """All that the workspace knows of one document."""

    id: str
    source: str
    shard: str
    row: int
    metadata: Mapping[str, Any]
    text_start: str
    scores: Mapping[str, Mapping[str, Any]]  # attribute table -> column -> value
    reasons: list[dict[str, Any]] = field(default_factory=list)  # why it was removed, in order
    duplicate_of: str | None = None
    similarity: float | None = None
    cluster_size: int | None = None
    contamination: list[dict[str, Any]] = field(default_factory=list)
    copies: Mapping[str, int] = field(default_factory=dict)  # mix -> copies

    @property
    def kept(self) -> bool:
        return any(self.copies.values())

    def to_json(self) -> dict[str, Any]:
        """The story as the command's contract has it."""
        return {
            "id": self.id,
            "source": self.source,
            "kept": self.kept,
            "reasons": self.reasons,
            "duplicate_of": self.duplicate_of,
            "similarity": self.similarity,
            "cluster_size": self.cluster_size,
            "contamination": self.contamination,
            "copies": sum(self.copies.values()),
            "mixes": dict(self.copies),
            "shard": self.shard,
            "row": self.row,
            "metadata": dict(self.metadata),
            "scores": {table: dict(columns) for table, columns in self.scores.items()},
        }

    def text(self) -> str:
        """The story for a person."""
        lines = [f"{self.id} of source {self.source}", f"  stored in {self.shard}, row {self.row}"]
        known = {key: value for key, value in self.metadata.items() if value is not None}
        lines += [f"  {key}: {_short(value)}" for key, value in sorted(known.items())]
        lines += [f"  begins: {self.text_start!r}", "measured"]
        for table, columns in sorted(self.scores.items()):
            values = [
                f"{name} {_short(value)}" for name, value in columns.items() if value is not None
            ]
            lines += wrap(
                f"{table}: {', '.join(values)}", 96, initial_indent="  ", subsequent_indent="    "
            )
        if self.contamination:
            lines.append("benchmark items found")
            lines += [
                f"  {one['benchmark']} {one['item']} ({one['field']}):"
                f" {one['words']} words at bytes {one['start']} to {one['end']}"
                for one in self.contamination
            ]
        if self.duplicate_of:
            lines.append(
                f"duplicate of {self.duplicate_of}, similarity {self.similarity:.3f},"
                f" one of {self.cluster_size}"
            )
        lines += [
            f"{'not in' if one['stage'].startswith('mix ') else 'removed by'} {one['message']}"
            for one in self.reasons
        ]
        for mix, copies in sorted(self.copies.items()):
            lines.append(f"in mix {mix}: {copies} time{'' if copies == 1 else 's'}")
        if not self.copies:
            lines.append("no mix has been made from it yet")
        return "\n".join(lines)


def tell_story(workspace: Workspace, identifier: str, recipe: str | None = None) -> Story:
    """The story of the document with this id. ValueError when the workspace has no such document.

    `recipe`: the mix to look at; None for all.
    """
    pool = _pool(workspace)
    if not pool:
        raise ValueError(f"{workspace.uri} holds no documents: is it the workspace of a run?")
    found = _find(pool, identifier)
    if found is None:
        raise ValueError(
            f"no document has the id {identifier} in {workspace.uri}; what could not be read is"
            f" listed in {storage.join(workspace.uri, 'quarantine')}"
        )
    shard, row, document = found
    tables: dict[str, dict[str, Any]] = {}
    made_by: dict[str, Manifest] = {}
    for table, its_row, manifest in _tables(workspace, shard, row):
        tables[table], made_by[table] = its_row, manifest
    reasons: list[dict[str, Any]] = []
    judged = tables.get("candidates", {})
    if judged.get("reason"):
        wanted = _wanted(made_by["candidates"], judged["reason"])
        reasons.append(_reason(FILTER, judged["reason"], judged["value"], wanted))
    duplicate_of = similarity = cluster_size = None
    for stage in (EXACT_DEDUP, FUZZY_DEDUP):
        table = TABLES[stage]
        columns = tables.get(table, {})
        if columns.get("cluster_size") is not None and not duplicate_of:
            cluster_size = max(cluster_size or 0, columns["cluster_size"])
        if columns.get("duplicate_of") is not None:
            duplicate_of = _identifier(workspace, made_by[table].inputs, columns["duplicate_of"])
            similarity, cluster_size = columns["similarity"], columns["cluster_size"]
            reasons.append(_reason(stage, f"duplicate of {duplicate_of}", similarity))
    if tables.get("tokens", {}).get("reason"):
        reasons.append(_reason(TOKENIZE, tables["tokens"]["reason"], None))
    copies = {}
    for table, columns in tables.items():
        if table.startswith("selection-"):
            mix = table.removeprefix("selection-")
            if recipe in (None, mix):
                copies[mix] = int(columns["copies"])
                if not columns["copies"] and not reasons:
                    why = "not drawn" if columns["eligible"] else "where, or a source not mixed"
                    reasons.append(_reason(f"mix {mix}", why, None))
    return Story(
        id=identifier,
        source=shard.source,
        shard=shard.path,
        row=row,
        metadata=orjson.loads(document["metadata"]),
        text_start=document["text"][:80],
        scores={
            table: _scores(columns)
            for table, columns in tables.items()
            if not table.endswith("_duplicates")
            and table not in _WITHOUT_SCORES
            and not table.startswith("selection-")
        },
        reasons=reasons,
        duplicate_of=duplicate_of,
        similarity=similarity,
        cluster_size=cluster_size,
        contamination=list(tables.get("contamination", {}).get("matches") or []),
        copies=copies,
    )


@dataclass(frozen=True)
class _Shard:
    source: str
    path: str
    file: OutputFile


def _pool(workspace: Workspace) -> list[_Shard]:
    """All shards of all published sources."""
    pattern = storage.join(storage.escape(workspace.uri), "documents", "*", "manifest.json")
    shards = []
    for found in storage.list_files([pattern]):
        folder = found.path.rpartition("/")[0]
        dataset, manifest = Dataset.published(folder)
        source = folder.rpartition("/")[2]
        shards += [_Shard(source, dataset.path(file.path), file) for file in manifest.files]
    return shards


def _find(pool: list[_Shard], identifier: str) -> tuple[_Shard, int, dict[str, Any]] | None:
    for shard in pool:
        first = 0
        for group, ids in enumerate(read_batches(shard.path, ["id"])):
            place = pc.index(ids.column("id"), identifier).as_py()
            if place >= 0:
                return shard, first + place, _row(shard.path, group, place)
            first += ids.num_rows
    return None


def _row(path: str, group: int, place: int) -> dict[str, Any]:
    with storage.open_parquet(path) as file:
        return dict(file.read_row_group(group, use_threads=False).slice(place, 1).to_pylist()[0])


def _tables(
    workspace: Workspace, shard: _Shard, row: int
) -> Iterator[tuple[str, dict[str, Any], Manifest]]:
    """Each published attribute table that aligns with the shard, its row, and what it was made
    from.
    """
    pattern = storage.join(
        storage.escape(workspace.uri), "attributes", "*", shard.source, "manifest.json"
    )
    for found in storage.list_files([pattern]):
        folder = found.path.rpartition("/")[0]
        dataset, manifest = Dataset.published(folder)
        path = dataset.path(shard.file.path)
        if not storage.exists(path):
            continue
        with storage.open_parquet(path) as file:
            digest = (file.schema_arrow.metadata or {}).get(ROWS_DIGEST_KEY, b"").decode()
        if digest == shard.file.rows_digest:
            yield folder.split("/")[-2], _row_of(path, row), manifest


def _row_of(path: str, row: int) -> dict[str, Any]:
    with storage.open_parquet(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                return _row(path, group, row)
            row -= rows
    raise ValueError(f"{path} has fewer rows than its documents")


def _identifier(workspace: Workspace, inputs: Mapping[str, str], address: int) -> str:
    """The id at an address in the pool that a table was made from.

    That pool's shards are numbered over its own sources in the order of their names; the workspace
    may hold more sources, and other versions of these.
    """
    number, row = split_address(address)
    shards = []
    for name, fingerprint in sorted(inputs.items()):
        if name.startswith("documents "):
            dataset = Dataset(workspace.documents(name.removeprefix("documents ")), fingerprint)
            manifest = dataset.manifest()
            shards += [dataset.path(file.path) for file in manifest.files] if manifest else []
    return str(_row_of(shards[number], row)["id"])


def _wanted(judged: Manifest, reason: str) -> str:
    """What the condition of this reason wants, in words; "" for one that compares no number."""
    for condition in judged.parameters.get("conditions", ()):
        if condition["reason"] == reason:
            bounds = [
                f"{words} {_short(condition[bound])}"
                for bound, words in _BOUNDS.items()
                if condition.get(bound) is not None
            ]
            return " and ".join(bounds)
    return ""


def _reason(stage: str, reason: str, value: float | None, wanted: str = "") -> dict[str, Any]:
    seen = "" if value is None else f"is {_short(value)}"
    must = f"must be {wanted}" if wanted else ""
    about = f" ({', '.join(part for part in (seen, must) if part)})" if seen or must else ""
    return {
        "stage": stage,
        "reason": reason,
        "value": value,
        "wanted": wanted or None,
        "message": f"{stage}: {reason}{about}",
    }


def _scores(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, bools and labels; evidence and spans are shown elsewhere or counted."""
    return {
        name: len(value) if isinstance(value, list) else value
        for name, value in columns.items()
        if not isinstance(value, bytes)
    }


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
