"""Compare: what an ablation changed, told from two published mixes.

In: the folders of two mixes, A and B. Out: tokens, documents, shares and epochs per source in both;
documents that only one of them holds, or holds another number of times; why, where the workspace of
the mix that lacks them is there; in which keys the recipes differ; and examples, the same ones in
each run. Documents are told apart by source and id. Their tables are read file by file and sorted
in pieces, so that memory does not grow with the mixes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from pipelines.mixing.about import PLAN_FILE, stored_tokenizer
from pipelines.mixing.outputs import csv_of, is_token_file
from pipelines.mixing.published_mixes import open_mix
from pipelines.recipes.differences import Difference, recipe_differences
from pipelines.reports.absences import Absences, workspace_of
from pipelines.workspace import Workspace
from transforms import storage
from transforms.datasets import Dataset, Manifest
from transforms.documents import StoredTable
from transforms.mixing.comparison import (
    KINDS,
    MOST_BYTES,
    Compared,
    Place,
    SourceCounts,
    compare_rows,
    document_rows,
    kind_rows,
)
from transforms.rows import Rows
from transforms.sorted_pieces import sorted_pieces
from transforms.spools import Spool
from transforms.tokens.token_files import (
    TOKEN_BYTES,
    DocumentBounds,
    read_document_bounds,
    source_of_document,
)
from transforms.tokens.tokenizer import Tokenizer

__all__ = ["Comparison", "Example", "Side", "SourceComparison", "compare_mixes"]

EXAMPLE_TOKENS = 60  # that are decoded
EXAMPLE_CHARACTERS = 160  # that are told
_ORIGINS = ("url", "path")  # keys of metadata that say where a document is from
_PLACE = np.dtype([("file", "<u4"), ("row", "<u4")])


@dataclass(frozen=True)
class Side:
    """One of two mixes: its folder, recipe, fingerprint, and what was counted in it (copies
    counted)."""

    mix: str
    name: str
    fingerprint: str
    tokens: int
    documents: int


@dataclass(frozen=True)
class SourceComparison:
    """A source in both mixes: counts (`transforms.mixing.comparison`), its shares of their tokens,
    its epochs as planned, None where it is not in the recipe; and why documents that one mix holds
    are not in the other: reasons with the number of different documents, most first."""

    counts: SourceCounts
    share_a: float
    share_b: float
    epochs_a: float | None
    epochs_b: float | None
    why_not_in_a: Mapping[str, int]
    why_not_in_b: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        rest = {name: its for name, its in vars(self).items() if name != "counts"}
        return {**asdict(self.counts), **rest}


@dataclass(frozen=True)
class Example:
    """A document that one mix holds more often than the other. `kind`: see
    `transforms.mixing.comparison`; `reason`: why it is not in the other one at all; `origin`: its
    URL or path, and `begins`: its text, null where they cannot be reached."""

    source: str
    kind: str
    id: str
    copies_a: int
    copies_b: int
    reason: str | None
    origin: str | None
    begins: str | None


@dataclass(frozen=True)
class Comparison:
    """All that was found. `made_of`: what the mixes were made of, where it differs, beside the
    recipe."""

    a: Side
    b: Side
    sources: Mapping[str, SourceComparison]
    recipe: Sequence[Difference]
    made_of: Sequence[Difference]
    examples: Sequence[Example]

    def to_json(self) -> dict[str, Any]:
        """As the command's contract has it."""
        return {
            "a": asdict(self.a),
            "b": asdict(self.b),
            "same_documents": self.same_documents,
            "sources": {name: its.to_json() for name, its in self.sources.items()},
            "recipe": [one._asdict() for one in self.recipe],
            "made_of": [one._asdict() for one in self.made_of],
            "examples": [asdict(one) for one in self.examples],
        }

    @property
    def same_documents(self) -> bool:
        """Whether both hold the same documents equally often."""
        changed = (getattr(its.counts, kind) for its in self.sources.values() for kind in KINDS)
        return not any(changed)


@dataclass(frozen=True)
class _Mix:
    """A mix that is compared. `files`: its token files, numbered from `first` on."""

    folder: str
    dataset: Dataset
    manifest: Manifest
    files: Sequence[str]
    first: int
    absences: Absences
    plan: Mapping[str, Any]

    @property
    def recipe(self) -> Mapping[str, Any]:
        return dict(self.manifest.parameters["recipe"])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """That it carries; see `stored_tokenizer` for what it raises."""
        return stored_tokenizer(self.dataset, self.manifest)

    def bounds(self, number: int) -> tuple[str, DocumentBounds]:
        """Path and documents of a file."""
        path = self.files[number - self.first]
        try:
            return path, read_document_bounds(self.dataset.path(csv_of(path)))
        except ValueError as error:
            raise storage.DamagedFile(str(error)) from error


def compare_mixes(a: str, b: str, examples: int = 3, most_bytes: int = MOST_BYTES) -> Comparison:
    """Compare two mixes. `examples`: of each source and kind, at most; `most_bytes`: of rows that
    are sorted at once.

    CommandError, in a sentence that says what to do, where a folder is no published mix;
    DamagedFile where its manifest, or a table of its documents, was changed.
    """
    one = _open(a, 0)
    other = _open(b, len(one.files))
    names = sorted({*_sources(one), *_sources(other)})
    numbers = {name: number for number, name in enumerate(names)}
    with ExitStack() as stack:
        spools = {kind: stack.enter_context(Spool(_PLACE)) for kind in ("only_a", "only_b")}

        def watch(documents: Rows) -> None:
            for kind, spool in spools.items():
                its = documents[kind_rows(documents)[kind]]
                places = np.empty(len(its), _PLACE)
                places["file"], places["row"] = its["file"], its["row"]
                spool.write(places)

        blocks = (rows for mix in (one, other) for rows in _blocks(mix, numbers, mix is other))
        compared = compare_rows(blocks, examples, watch, most_bytes)
        not_in_b = _why(one, other.absences, spools["only_a"], most_bytes)
        not_in_a = _why(other, one.absences, spools["only_b"], most_bytes)
    counts = {name: compared.sources.get(numbers[name], SourceCounts()) for name in names}
    total_a = sum(its.tokens_a for its in counts.values())
    total_b = sum(its.tokens_b for its in counts.values())
    return Comparison(
        a=_side(one, total_a, sum(its.documents_a for its in counts.values())),
        b=_side(other, total_b, sum(its.documents_b for its in counts.values())),
        sources={
            name: SourceComparison(
                its,
                its.tokens_a / total_a if total_a else 0.0,
                its.tokens_b / total_b if total_b else 0.0,
                one.plan.get(name, {}).get("epochs"),
                other.plan.get(name, {}).get("epochs"),
                _most_first(not_in_a.get(name, Counter())),
                _most_first(not_in_b.get(name, Counter())),
            )
            for name, its in counts.items()
        },
        recipe=recipe_differences(one.recipe, other.recipe),
        made_of=_made_of(one.manifest, other.manifest),
        examples=list(_examples(one, other, names, compared)),
    )


def _open(folder: str, first: int) -> _Mix:
    dataset, manifest = open_mix(folder)
    files = [file.path for file in manifest.files if is_token_file(file.path)]
    plan: Mapping[str, Any] = {}
    if storage.exists(dataset.path(PLAN_FILE)):
        plan = storage.read_json(dataset.path(PLAN_FILE))["sources"]
    return _Mix(folder, dataset, manifest, files, first, Absences(folder, manifest), plan)


def _sources(mix: _Mix) -> list[str]:
    return list(mix.manifest.details["sources"])


def _blocks(mix: _Mix, numbers: Mapping[str, int], of_b: bool) -> Iterator[Rows]:
    """The documents of each token file of a mix. DamagedFile for a source that its manifest does
    not name."""
    for number in range(mix.first, mix.first + len(mix.files)):
        path, bounds = mix.bounds(number)
        sources = [source_of_document(path, one) for one in bounds.paths]
        unknown = sorted({*sources} - numbers.keys())
        if unknown:
            raise storage.DamagedFile(
                f"{path} of {mix.folder} holds documents of {unknown[0]!r}, a source that its"
                " manifest does not name: `vineleaf verify` tells what is wrong"
            )
        of_source = np.array([numbers[one] for one in sources], np.uint32)
        ids = pa.array(bounds.ids, pa.large_string())
        yield document_rows(ids, of_source, bounds.ends - bounds.starts, number, of_b)


def _why(mix: _Mix, absences: Absences, places: Spool, most_bytes: int) -> dict[str, Counter[str]]:
    """By source why documents of a mix, at `places`, are not in the other one."""
    found: dict[str, Counter[str]] = {}
    blocks = places.blocks(max(1, most_bytes // _PLACE.itemsize))
    for piece in sorted_pieces(blocks, _PLACE, most_bytes):
        for number in np.unique(piece["file"]).tolist():
            path, bounds = mix.bounds(number)
            rows = piece["row"][piece["file"] == number].tolist()
            shards: dict[str, list[int]] = {}
            for row in rows:
                shards.setdefault(bounds.paths[row], []).append(row)
            for shard, its in shards.items():
                source = source_of_document(path, shard)
                reasons = absences.reasons(shard, bounds.lines[its] - 1)
                counter = found.setdefault(source, Counter())
                for entry in reasons.value_counts().to_pylist():
                    counter[str(entry["values"])] += int(entry["counts"])
    return found


def _most_first(reasons: Counter[str]) -> dict[str, int]:
    return dict(sorted(reasons.items(), key=lambda its: (-its[1], its[0])))


def _side(mix: _Mix, tokens: int, documents: int) -> Side:
    name = str(mix.recipe.get("name", ""))
    return Side(mix.folder, name, mix.manifest.fingerprint, tokens, documents)


def _made_of(a: Manifest, b: Manifest) -> list[Difference]:
    """What two mixes were made of beside their recipes, where it differs."""

    def told(manifest: Manifest) -> dict[str, Any]:
        documents = {
            name: fingerprint
            for name, fingerprint in manifest.inputs.items()
            if name.startswith(("documents ", "keys "))
        }
        return {
            "tokenizer": manifest.parameters.get("tokenizer"),
            "benchmark index": manifest.parameters.get("index"),
            "code": f"{manifest.code}, mixes of version {manifest.version}",
            **documents,
        }

    return recipe_differences(told(a), told(b))


# Examples


def _examples(
    one: _Mix, other: _Mix, names: Sequence[str], compared: Compared
) -> Iterator[Example]:
    """By source and kind, in the order in which they were chosen."""
    for (number, kind), places in sorted(
        compared.examples.items(), key=lambda its: (its[0][0], KINDS.index(its[0][1]))
    ):
        for place in places:
            mix, lacking = (one, other) if place.file < other.first else (other, one)
            is_lacked = kind in ("only_a", "only_b")
            yield _example(mix, names[number], kind, place, lacking.absences if is_lacked else None)


def _example(mix: _Mix, source: str, kind: str, place: Place, absences: Absences | None) -> Example:
    path, bounds = mix.bounds(place.file)
    shard, line = bounds.paths[place.row], int(bounds.lines[place.row])
    reason = None
    if absences is not None:
        reason = absences.reasons(shard, np.array([line - 1]))[0].as_py()
    start, end = int(bounds.starts[place.row]), int(bounds.ends[place.row])
    return Example(
        source=source,
        kind=kind,
        id=bounds.ids[place.row],
        copies_a=place.copies_a,
        copies_b=place.copies_b,
        reason=reason,
        origin=_reached(lambda: _origin(workspace_of(mix.folder), shard, line - 1)),
        begins=_reached(lambda: _beginning(mix, path, start, min(end - 1, start + EXAMPLE_TOKENS))),
    )


def _reached(read: Callable[[], str | None]) -> str | None:
    """What is read, None where it is not there or not whole: an example does not need it."""
    try:
        return read()
    except (OSError, ValueError, KeyError, TypeError, storage.DamagedFile):
        return None


def _origin(workspace: Workspace | None, shard: str, row: int) -> str | None:
    """URL or path of a document, by its metadata."""
    if workspace is None:
        return None
    with StoredTable(storage.join(workspace.uri, shard)) as table:
        metadata = orjson.loads(table.read_row(row, ["metadata"]).column("metadata")[0].as_py())
    return next((str(metadata[key]) for key in _ORIGINS if metadata.get(key)), None)


def _beginning(mix: _Mix, path: str, start: int, end: int) -> str:
    """What the first tokens of a document say, in one line."""
    with storage.open_read(mix.dataset.path(path)) as file:
        file.seek(start * TOKEN_BYTES)
        content = file.read((end - start) * TOKEN_BYTES)
    tokens: npt.NDArray[np.uint32] = np.frombuffer(content, "<u4")
    text = " ".join(mix.tokenizer.decode(tokens).decode("utf-8", "ignore").split())
    return text[:EXAMPLE_CHARACTERS]
