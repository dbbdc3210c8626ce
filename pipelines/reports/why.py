"""Why: the story of one document, read off the published datasets of a workspace.

The document is found by its id; then the row of each attribute table that aligns with its shard is
read. Rules are asked anew of its stored scores, so that the story has what each of them says and
not the first reason alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.command_line import CommandError
from pipelines.mixing.selection_table import OUTSIDE
from pipelines.recipes.pool_part import REPEATS
from pipelines.reports.story import Cut, Draw, Reason, Repeated, RuleVerdict, Story, wanted_by
from pipelines.stage_names import (
    EXACT_DEDUP,
    FILTER,
    FUZZY_DEDUP,
    MIX,
    SELECT,
    TABLES,
    TOKENIZE,
    URL_DEDUP,
)
from pipelines.table_versions import Version, made_from
from pipelines.workspace import Workspace
from transforms import storage
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.dedup.published import IDS, keys_path
from transforms.documents import StoredTable, read_batches, split_address
from transforms.mixing.window import WindowBounds
from transforms.quality.conditions import Condition
from transforms.query import QueryError, evaluate

__all__ = ["tell_story"]

BEGINS = 80  # characters of a text that are shown
_DEDUP = (URL_DEDUP, EXACT_DEDUP, FUZZY_DEDUP)
MOST_TOLD = 5  # documents of which a path or URL ends as asked
_ORIGINS = ("path", "url")  # keys of metadata that say where a document is from
_SELECTIONS = f"{TABLES[SELECT]}-"  # and the name of the mix
# Tables of keys, ranks, tokens and evidence, which the story has in words.
_WITHOUT_SCORES = {
    "exact",
    "minhash",
    "url",
    *(TABLES[stage] for stage in (FILTER, TOKENIZE, *_DEDUP, *REPEATS.values())),
}


@dataclass(frozen=True)
class _Row:
    """One document's row of a published table, and what the table was made from."""

    batch: pa.RecordBatch
    manifest: Manifest

    @property
    def values(self) -> dict[str, Any]:
        return dict(self.batch.to_pylist()[0])


def tell_story(workspace: Workspace, identifier: str, recipe: str | None = None) -> Story:
    """The story of the document with this id, or of the one whose path or URL ends with it.
    CommandError when the workspace has no such document, several, or no such mix.

    `recipe`: the mix to look at, in the versions of the tables that it was made from; None for all,
    in the versions of the last run.
    """
    pool = _pool(workspace)
    if not pool:
        raise CommandError(f"{workspace.uri} holds no documents: is it the workspace of a run?")
    places = list(_find(pool, identifier)) or [_find_origin(workspace, pool, identifier)]
    # Several sources may read the same file: the one that the mix was made from, else the first.
    shard, row, document = next(
        (one for one in places if f"{_SELECTIONS}{recipe}" in _published(workspace, one[0].source)),
        places[0],
    )
    others = tuple(sorted({one[0].source for one in places} - {shard.source}))
    identifier = document["id"]
    tables = dict(_tables(workspace, shard, row, recipe))
    selections = {
        name.removeprefix(_SELECTIONS): its
        for name, its in sorted(tables.items())
        if name.startswith(_SELECTIONS)
    }
    if recipe is not None and recipe not in selections:
        known = ", ".join(selections) or "none yet"
        raise CommandError(f"no mix {recipe!r} was selected from this document; mixes: {known}")
    selections = {mix: its for mix, its in selections.items() if recipe in (None, mix)}
    text = document["text"]
    rules = _rules(tables)
    reasons = list(_removals(tables, rules))
    duplicate_of = similarity = cluster_size = published_in = None
    for stage in _DEDUP:
        its = tables.get(TABLES[stage])
        values = its.values if its else {}
        if values.get("cluster_size") is not None and not duplicate_of:
            cluster_size = max(cluster_size or 0, values["cluster_size"])
        if its and values.get("duplicate_of") is not None:
            named = _named(workspace, its.manifest, values["duplicate_of"])
            duplicate_of, published_in = named.id, named.run
            similarity, cluster_size = values["similarity"], values["cluster_size"]
            seen = "same URL" if similarity is None else f"similarity {similarity:.3f}"
            told = (
                f"removed by {stage}: duplicate of {named.shown}, {seen},"
                f" one of {cluster_size} documents alike"
            )
            reasons.append(Reason(stage, f"duplicate of {duplicate_of}", told, value=similarity))
    tokens = tables[TABLES[TOKENIZE]].values if TABLES[TOKENIZE] in tables else {}
    if tokens.get("reason"):
        told = f"removed by {TOKENIZE}: {tokens['reason']}"
        reasons.append(Reason(TOKENIZE, tokens["reason"], told))
    copies = {mix: int(its.values["copies"]) for mix, its in selections.items()}
    superseded = tuple(_superseded(selections, tables, shard.source))
    if not reasons:
        reasons = [
            _unselected(mix, its, mix in superseded)
            for mix, its in selections.items()
            if not copies[mix]
        ]
    return Story(
        id=identifier,
        source=shard.source,
        shard=shard.path,
        row=row,
        metadata=orjson.loads(document["metadata"]),
        text_start=text[:BEGINS],
        characters=len(text),
        scores={
            name: _scores(its.values)
            for name, its in tables.items()
            if name not in _WITHOUT_SCORES and not name.startswith(_SELECTIONS)
        },
        rules=rules,
        cuts=_cuts(tables, text) if tokens.get("cut_bytes") else (),
        repeated=tuple(_repeated(workspace, tables)),
        reasons=reasons,
        duplicate_of=duplicate_of,
        published_in=published_in,
        similarity=similarity,
        cluster_size=cluster_size,
        contamination=_contamination(tables, text),
        copies=copies,
        draws=tuple(_draws(selections)),
        superseded=superseded,
        other_sources=others,
    )


def _rules(tables: Mapping[str, _Row]) -> tuple[RuleVerdict, ...]:
    """What each condition says of the stored scores, in the order in which filter asks them."""
    judged = tables.get(TABLES[FILTER])
    if judged is None:
        return ()
    batches = {name: its.batch for name, its in tables.items()}
    verdicts = []
    for parameters in judged.manifest.parameters.get("conditions", ()):
        condition = Condition(**{**parameters, "or_columns": tuple(parameters["or_columns"])})
        unit, wanted = wanted_by(condition)
        try:
            seen, met = evaluate([condition.value_sql(), condition.to_sql()], batches, 1)
        except QueryError:  # its scores were made anew, without this column
            continue
        passes = bool(met[0].as_py())
        verdicts.append(RuleVerdict(condition.reason, seen[0].as_py(), unit, wanted, passes))
    return tuple(verdicts)


def _removals(tables: Mapping[str, _Row], rules: Sequence[RuleVerdict]) -> Iterator[Reason]:
    """The rule that removed the document, if one did, with the value that it saw then."""
    judged = tables[TABLES[FILTER]].values if TABLES[FILTER] in tables else {}
    reason = judged.get("reason")
    if reason is None:
        return
    told, value = f"removed by {FILTER}: {reason}", judged["value"]
    for one in rules:
        if one.reason == reason:
            seen = one if value is None or one.value is True else replace(one, value=value)
            told = f"{told} {seen.message}"
            yield Reason(FILTER, reason, told, seen.value, seen.wanted, seen.unit)
            return
    yield Reason(FILTER, reason, told, value)


def _unselected(mix: str, selection: _Row, superseded: bool) -> Reason:
    """Why a document of the pool has no copy in a mix, as the funnel calls it. One that is
    `superseded` had a pool of its own, whose verdicts are not told here."""
    parameters = selection.manifest.parameters
    if not parameters.get("wanted_tokens"):
        reason, told = "not in this mix", "its source has no share in it"
    elif selection.values["eligible"] and not _cell(selection).get("wanted_tokens", 1):
        reason, told = "quality", f"nothing is taken of {_described(_cell(selection))}"
    elif selection.values["eligible"]:
        reason, told = "not drawn", "its source holds more tokens than the mix takes"
    elif selection.values.get(OUTSIDE):
        bounds = WindowBounds.from_json(selection.manifest.details["window"])
        reason, told = "window", f"its {parameters['window']['score']} is not {bounds.told}"
    elif superseded:
        reason, told = "another pool", "its pool's rules or the mix's may have removed it"
    else:
        reason, told = "where", f"it does not meet {parameters.get('where')}"
    message = f"not in {MIX} {mix}, by {SELECT}: {reason} ({told})"
    return Reason(SELECT, reason, message, mix=mix)


def _cell(selection: _Row) -> dict[str, Any]:
    """The cell of a document's quality and repetition in a mix; empty where there is none."""
    budget = selection.manifest.details.get("budget", {})
    number = selection.values.get("cell")
    cells = budget.get("cells", [])
    return dict(cells[number]) if cells and number is not None else {}


def _described(cell: Mapping[str, Any]) -> str:
    """`topic science, quality bin 3 (scores above 0.2, up to 0.4)`."""
    topic = f"topic {cell['topic']}, " if cell["topic"] else ""
    bounds = [
        f"{word} {cell[name]:.4g}"
        for name, word in (("low", "above"), ("high", "up to"))
        if cell[name] is not None
    ]
    scores = f" (scores {', '.join(bounds)})" if bounds else ""
    often = f", {cell['times']} times in the pool" if cell["times"] != 1 else ""
    return f"{topic}quality bin {cell['number'] + 1}{scores}{often}"


def _draws(selections: Mapping[str, _Row]) -> Iterator[Draw]:
    """By which epochs each mix takes what is like the document."""
    for mix, its in selections.items():
        budget = its.manifest.details.get("budget")
        if budget is None or not its.values["eligible"]:
            continue
        cell = _cell(its)
        epochs = (cell or budget).get("epochs", 0.0)
        group = _described(cell) if cell else None
        yield Draw(mix, int(its.values["copies"]), epochs, group)


def _cuts(tables: Mapping[str, _Row], text: str) -> tuple[Cut, ...]:
    """What of the text the stage tokenize cut, by the column that had the spans."""
    content = text.encode()
    cuts = []
    for table, column in tables[TABLES[TOKENIZE]].manifest.parameters.get("cuts", ()):
        spans = tables[table].values.get(column) if table in tables else None
        pieces = [content[one["start"] : one["end"]].decode() for one in spans or ()]
        if pieces:
            characters = sum(len(piece) for piece in pieces)
            cuts.append(Cut(f"{table}.{column}", len(pieces), characters, pieces[0][:BEGINS]))
    return tuple(cuts)


def _repeated(workspace: Workspace, tables: Mapping[str, _Row]) -> Iterator[Repeated]:
    """Passages that are cut, each with the document in which it stands first."""
    for stage in REPEATS.values():
        its = tables.get(TABLES[stage])
        values = its.values if its else {}
        if its and values["spans"]:
            for span, address in zip(values["spans"], values["first_in"], strict=True):
                first_in = _named(workspace, its.manifest, address).shown
                yield Repeated(stage, span["start"], span["end"], first_in)


def _contamination(tables: Mapping[str, _Row], text: str) -> list[dict[str, Any]]:
    """The benchmark items that were found, each with the beginning of what it shares."""
    found = tables.get("contamination")
    content = text.encode()
    return [
        {**one, "begins": content[one["start"] : one["end"]].decode(errors="replace")[:BEGINS]}
        for one in (found.values.get("matches") if found else None) or ()
    ]


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


def _find(pool: list[_Shard], identifier: str) -> Iterator[tuple[_Shard, int, dict[str, Any]]]:
    """The document of this id in each source that has it."""
    seen: set[str] = set()
    for shard in pool:
        if shard.source in seen:
            continue
        first = 0
        for group, ids in enumerate(read_batches(shard.path, ["id"])):
            place = pc.index(ids.column("id"), identifier).as_py()
            if place >= 0:
                document = _read_row(shard.path, group, place).to_pylist()[0]
                seen.add(shard.source)
                yield shard, first + place, document
                break
            first += ids.num_rows


def _find_origin(
    workspace: Workspace, pool: list[_Shard], name: str
) -> tuple[_Shard, int, dict[str, Any]]:
    """The document whose path or URL ends with a name; CommandError when none or several do."""
    found: list[tuple[_Shard, int, dict[str, Any]]] = []
    told: list[str] = []
    needle, count = orjson.dumps(name)[1:-1].decode(), 0
    for shard in pool if name else []:
        first = 0
        for group, batch in enumerate(read_batches(shard.path, ["id", "metadata"])):
            its = batch.column("metadata")
            for row in np.flatnonzero(pc.match_substring(its, needle).to_numpy(False)).tolist():
                metadata = orjson.loads(its[row].as_py())
                origins = [str(metadata.get(key, "")) for key in _ORIGINS]
                origin = next((one for one in origins if one.endswith(name)), None)
                if origin is None:
                    continue
                count += 1
                if not found:
                    document = _read_row(shard.path, group, row).to_pylist()[0]
                    found.append((shard, first + row, document))
                if len(told) < MOST_TOLD:
                    told.append(f"{batch.column('id')[row].as_py()!r} ({origin})")
            first += batch.num_rows
    if count > 1:
        more = f" and {count - len(told):,} more" if count > len(told) else ""
        raise CommandError(
            f"no document has the id {name!r}, and {count:,} have a path or URL that ends so:"
            f" {', '.join(told)}{more}"
        )
    return found[0] if found else _no_such(workspace, name)


def _no_such(workspace: Workspace, name: str) -> NoReturn:
    quarantine = storage.join(workspace.uri, "quarantine")
    told = f"no document has the id {name!r}, or a path or URL that ends so, in {workspace.uri}"
    if storage.names_in(quarantine):
        told += f"; what became no document is listed in {quarantine}, by its place in the input"
    raise CommandError(told)


def _read_row(path: str, group: int, place: int) -> pa.RecordBatch:
    with StoredTable(path) as table:
        return table.read(group).slice(place, 1)


def _tables(
    workspace: Workspace, shard: _Shard, row: int, recipe: str | None
) -> Iterator[tuple[str, _Row]]:
    """Each attribute table that aligns with the shard, and the document's row of it."""
    versions = _published(workspace, shard.source)
    if recipe is not None and f"{_SELECTIONS}{recipe}" in versions:
        versions = _made_from(workspace, shard.source, f"{_SELECTIONS}{recipe}", versions)
    for name, (dataset, manifest) in sorted(versions.items()):
        path = dataset.path(shard.file.path)
        if not storage.exists(path):
            continue
        with StoredTable(path) as table:
            digest = table.rows_digest
        if digest == shard.file.rows_digest:
            yield name, _Row(_row_of(path, row), manifest)


def _published(workspace: Workspace, source: str) -> dict[str, Version]:
    """The version of each attribute table of a source that the last run made or found."""
    pattern = storage.join(storage.escape(workspace.uri), "attributes", "*", source)
    found = storage.list_files([storage.join(pattern, "manifest.json")])
    folders = [one.path.rpartition("/")[0] for one in found]
    return {folder.split("/")[-2]: Dataset.published(folder) for folder in folders}


def _made_from(
    workspace: Workspace, source: str, selection: str, published: Mapping[str, Version]
) -> dict[str, Version]:
    """A selection and, in their versions, all tables of the source that it comes from; of the rest
    those that hold scores, which are no verdicts."""
    scored = {name for name in published if name not in _WITHOUT_SCORES | {"contamination"}}
    inputs = published[selection][1].inputs
    found = {selection: published[selection], **made_from(workspace, source, inputs)}
    others = {name for name in scored - set(found) if not name.startswith(_SELECTIONS)}
    return found | {name: published[name] for name in others}


def _superseded(
    selections: Mapping[str, _Row], tables: Mapping[str, _Row], source: str
) -> Iterator[str]:
    """Mixes that were selected from other versions of the tables than those that are told."""
    told = {f"{name} {source}": its.manifest.fingerprint for name, its in tables.items()}
    for mix, its in selections.items():
        made_from = its.manifest.inputs
        if any(made_from.get(name, version) != version for name, version in told.items()):
            yield mix


def _row_of(path: str, row: int) -> pa.RecordBatch:
    with StoredTable(path) as table:
        return table.read_row(row)


class _Named(NamedTuple):
    """Another document: its id, and the published run that it is of, {"recipe", "keys"}."""

    id: str
    run: Mapping[str, str] | None = None

    @property
    def shown(self) -> str:
        if self.run is None:
            return self.id
        return f"{self.id} of the published run {self.run['recipe']} (keys at {self.run['keys']})"


def _named(workspace: Workspace, made: Manifest, address: int) -> _Named:
    """The document at an address in the pool that a table, of this manifest, was made from.

    That pool's shards are numbered over its own sources in the order of their names, then over the
    earlier runs that it was compared with; the workspace may hold more sources, and other versions
    of these.
    """
    number, row = split_address(address)
    shards = []
    for name, fingerprint in sorted(made.inputs.items()):
        if name.startswith("documents "):
            dataset = Dataset(workspace.documents(name.removeprefix("documents ")), fingerprint)
            manifest = dataset.manifest()
            if manifest is None:
                raise CommandError(
                    f"{dataset.base}, from which {made.stage} was made, is gone: without it no"
                    " survivor can be named; run the recipe again"
                )
            shards += [dataset.path(file.path) for file in manifest.files]
    if number < len(shards):
        return _Named(str(_row_of(shards[number], row).column("id")[0].as_py()))
    number -= len(shards)
    runs = made.details["published"]
    for place, run in enumerate(runs):
        if number < run["shards"]:
            where = {"recipe": run["recipe"], "keys": run["keys"]}
            version = Dataset(run["keys"], made.inputs[f"keys {place}"])
            try:
                batch = _row_of(version.path(keys_path(IDS, number)), row)
            except FileNotFoundError:
                return _Named(f"row {row} of shard {number}, whose keys are gone,", where)
            return _Named(str(batch.column("id")[0].as_py()), where)
        number -= run["shards"]
    raise CommandError(f"no document has the address {address} in the pool of {made.stage}")


def _scores(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, bools and labels; evidence and spans are shown elsewhere or counted."""
    return {
        name: len(value) if isinstance(value, list) else value
        for name, value in columns.items()
        if not isinstance(value, bytes)
    }
