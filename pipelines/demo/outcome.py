"""What a run made of what was planted: `planted.json` against the published datasets.

In: a workspace after its run. Out: one `Finding` per kind of plant. A contaminated document must be
out of the mix with its item named; copies at the recipe's similarity and above must have one
survivor, less similar ones must not be joined; unwanted input must have ended where the plan says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pipelines.demo.planting import document_name
from pipelines.workspace import Workspace
from transforms import storage
from transforms.datasets import Dataset
from transforms.documents import read_batches

__all__ = ["Finding", "check_planted", "find_document"]

_TABLES = ("contamination", "candidates", "exact_duplicates", "fuzzy_duplicates")


@dataclass(frozen=True)
class Finding:
    """How many of one kind were planted and how many ended as they must; the others by name."""

    kind: str
    planted: int
    found: int
    missed: list[str]


@dataclass(frozen=True)
class _Document:
    items: frozenset[str]
    reason: str | None  # why it is no candidate
    address: int
    duplicate_of: int | None
    copies: int  # in the mix


def check_planted(
    workspace: Workspace,
    planted: Mapping[str, list[dict[str, Any]]],
    recipe: str,
    similarity: float,
) -> list[Finding]:
    """Compare the workspace with the plan; copies count from the recipe's `similarity` on."""
    pool = _read_pool(workspace, recipe)
    survivors = {one.address: one.duplicate_of for one in pool.values()}

    def survivor(source: str, name: str) -> int | None:
        found = pool.get((source, name))
        address = found.address if found else None
        while address is not None and (earlier := survivors.get(address)) is not None:
            address = earlier  # the survivor of an exact group may be a near copy of another
        return address

    def is_removed_and_named(entry: Mapping[str, Any]) -> bool:
        found = pool.get((entry["source"], entry["document"]))
        return found is not None and entry["item"] in found.items and found.copies == 0

    def is_joined(entry: Mapping[str, Any]) -> bool:
        one = survivor(entry["source"], entry["original"])
        return one is not None and one == survivor(entry["copy_source"], entry["copy"])

    rejects = {
        source: list(_read_rejects(workspace, source))
        for source in sorted({entry["source"] for entry in planted["rejected"]})
    }

    def ended_as_planned(entry: Mapping[str, Any]) -> bool:
        if entry["ends_in"] == "rules":
            found = pool.get((entry["source"], entry["document"]))
            return found is not None and found.reason is not None and found.copies == 0
        quarantined = entry["ends_in"] == "quarantine"
        return any(
            origin.startswith(entry["document"]) and kind == quarantined
            for origin, kind in rejects[entry["source"]]
        )

    copies = planted["duplicates"]
    near = [entry for entry in copies if entry["similarity"] >= similarity]
    far = [entry for entry in copies if entry["similarity"] < similarity]
    return [
        _finding(
            "benchmark items removed and named",
            {
                f"{e['item']} in {e['document']}": is_removed_and_named(e)
                for e in planted["contaminated"]
            },
        ),
        _finding(
            f"copies at {similarity:g} and above found",
            {f"{e['copy']} of {e['original']}": is_joined(e) for e in near},
        ),
        _finding(
            f"copies below {similarity:g} left alone",
            {f"{e['copy']} of {e['original']}": not is_joined(e) for e in far},
        ),
        _finding(
            "unwanted input kept out",
            {f"{e['document']} ({e['what']})": ended_as_planned(e) for e in planted["rejected"]},
        ),
    ]


def find_document(workspace: Workspace, source: str, name: str) -> str | None:
    """The id of a planted document; None where the workspace does not hold it."""
    dataset, manifest = Dataset.published(workspace.documents(source))
    for file in manifest.files:
        for row in _rows(dataset.path(file.path), ["id", "metadata"]):
            if document_name(row["id"], orjson.loads(row["metadata"])) == name:
                return str(row["id"])
    return None


def _finding(kind: str, verdicts: Mapping[str, bool]) -> Finding:
    missed = sorted(name for name, good in verdicts.items() if not good)
    return Finding(kind, len(verdicts), len(verdicts) - len(missed), missed)


def _read_pool(workspace: Workspace, recipe: str) -> dict[tuple[str, str], _Document]:
    """(source, name) -> what the run knows of the document. Its sources are those of the recipe's
    selection: other recipes may have put theirs into the workspace."""
    pool: dict[tuple[str, str], _Document] = {}
    shard = 0
    selection = storage.escape(workspace.attributes(f"selection-{recipe}", ""))
    manifests = storage.list_files([storage.join(selection, "*", "manifest.json")])
    for source in sorted(file.path.split("/")[-2] for file in manifests):
        dataset, manifest = Dataset.published(workspace.documents(source))
        tables = [
            Dataset.published(workspace.attributes(table, source))[0]
            for table in (*_TABLES, f"selection-{recipe}")
        ]
        for file in manifest.files:
            rows = zip(
                _rows(dataset.path(file.path), ["id", "metadata"]),
                *(_rows(table.path(file.path), None) for table in tables),
                strict=True,
            )
            for row, (document, contamination, judged, exact, fuzzy, selected) in enumerate(rows):
                name = document_name(document["id"], orjson.loads(document["metadata"]))
                duplicate_of = exact["duplicate_of"]
                pool[(source, name)] = _Document(
                    items=frozenset(match["item"] for match in contamination["matches"]),
                    reason=judged["reason"],
                    address=shard << 32 | row,
                    duplicate_of=fuzzy["duplicate_of"] if duplicate_of is None else duplicate_of,
                    copies=selected["copies"],
                )
            shard += 1
    return pool


def _rows(path: str, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    for batch in read_batches(path, columns):
        yield from batch.to_pylist()


def _read_rejects(workspace: Workspace, source: str) -> Iterator[tuple[str, bool]]:
    """(origin, quarantined) of all that became no document."""
    _, manifest = Dataset.published(workspace.documents(source))
    pattern = storage.join(
        storage.escape(workspace.quarantine(source)), manifest.fingerprint, "*.parquet"
    )
    for file in storage.list_files([pattern]):
        for reject in _rows(file.path, ["origin", "quarantined"]):
            yield reject["origin"], reject["quarantined"]
