"""Benchmark files to items: the texts of a benchmark that must not appear in a mix.

In: JSONL, JSON or Parquet files in a published layout, or with text fields named by the recipe.
Out: `Item` (benchmark, id, field, text), also for what a contaminated page would show together: a
question with its answer, a context with each ending, a sentence with its blank filled. A benchmark
must be whole, so a bad line or a missing field is an error that names its place.
"""

from __future__ import annotations

import itertools
import math
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from transforms import storage
from transforms.ingest.compression import BrokenStream, read_blocks

__all__ = [
    "LAYOUTS",
    "Benchmark",
    "BenchmarkError",
    "Field",
    "Item",
    "Layout",
    "named_fields",
    "read_benchmark",
]

_COMPRESSIONS = (".gz", ".zst")
_FORMATS = (".jsonl", ".ndjson", ".json", ".parquet")
_PARQUET_ROWS = 1024  # rows that are decoded at once
MOST_JOINED = 10_000  # texts of joined fields that one record gives
_SHOWN_CHARACTERS = 60  # of a value in a message


class BenchmarkError(ValueError):
    """A benchmark cannot be read whole or looked for; the message is one sentence for the user:
    where (file and line, row or record), what is wrong, what to do."""


class Item(NamedTuple):
    """One text of one benchmark item. An item has several: its fields, and fields joined."""

    benchmark: str
    item_id: str
    field: str  # name of the field, or of several joined by "+"
    text: str
    whole: bool  # it identifies the item, so that it counts even when shorter than an n-gram


@dataclass(frozen=True)
class Field:
    """A text field of a layout.

    `columns`: names it goes by in published files; the first that a record has is read. `whole`:
    see `Item`; true for questions, not for answers, which are often words of everyday. `without`:
    regular expression of markup that pages drop; the text is taken with and without it.
    """

    name: str
    columns: tuple[str, ...]
    whole: bool = False
    required: bool = True
    without: str = ""


@dataclass(frozen=True)
class Layout:
    """How a published file holds its items.

    `joined`: fields that a page shows one after the other; of a list each value is joined in turn.
    `lettered`: (question, options): also joined as a multiple-choice page shows them, "A." and so
    on before each option. `blank`: (sentence, options ...): `_` in the sentence is filled with each
    option. `ids`: columns that name an item within its file; without one it is named by file and
    row, from 0.
    `records`: in a JSON object, the key under which the list of records lies.
    """

    fields: tuple[Field, ...]
    joined: tuple[tuple[str, ...], ...] = ()
    lettered: tuple[str, str] | None = None
    blank: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    records: str = ""


LAYOUTS: Mapping[str, Layout] = {
    "aime": Layout(
        fields=(
            Field("problem", ("problem", "Problem", "question"), whole=True),
            Field("solution", ("solution", "Solution"), required=False),
            Field("answer", ("answer", "Answer"), required=False),
        ),
        joined=(("problem", "solution"), ("problem", "answer")),
        ids=("ID", "id", "unique_id"),
    ),
    "bbh": Layout(
        fields=(Field("input", ("input",), whole=True), Field("target", ("target",))),
        joined=(("input", "target"),),
        records="examples",
    ),
    # allenai/decon's references: one record for each question with one of its answers.
    "decon": Layout(
        fields=(
            Field("passage", ("passage",), required=False),
            Field("question", ("question",), whole=True),
            Field("answer", ("answer",), required=False),
        ),
        joined=(("question", "answer"), ("passage", "question"), ("passage", "question", "answer")),
        ids=("eval_instance_index",),
    ),
    "gsm8k": Layout(
        fields=(
            Field("question", ("question",), whole=True),
            Field("answer", ("answer",), without=r"<<[^<>]*>>"),
        ),
        joined=(("question", "answer"),),
    ),
    "hellaswag": Layout(
        fields=(Field("ctx", ("ctx",), whole=True), Field("endings", ("endings",))),
        joined=(("ctx", "endings"),),
        ids=("ind",),
    ),
    "humaneval": Layout(
        fields=(
            Field("prompt", ("prompt",), whole=True),
            Field("canonical_solution", ("canonical_solution",)),
            Field("test", ("test",), required=False),
        ),
        joined=(("prompt", "canonical_solution"),),
        ids=("task_id",),
    ),
    "math": Layout(
        fields=(
            Field("problem", ("problem",), whole=True),
            Field("solution", ("solution",)),
        ),
        joined=(("problem", "solution"),),
        ids=("unique_id",),
    ),
    "mmlu": Layout(
        fields=(Field("question", ("question",), whole=True), Field("choices", ("choices",))),
        joined=(("question", "choices"),),
        lettered=("question", "choices"),
    ),
    "omega": Layout(
        fields=(
            Field("messages", ("messages",), whole=True),
            Field("ground_truth", ("ground_truth",)),
        ),
        joined=(("messages", "ground_truth"),),
        ids=("id",),
    ),
    "piqa": Layout(
        fields=(
            Field("goal", ("goal",), whole=True),
            Field("sol1", ("sol1",)),
            Field("sol2", ("sol2",)),
        ),
        joined=(("goal", "sol1"), ("goal", "sol2")),
    ),
    "winogrande": Layout(
        fields=(
            Field("sentence", ("sentence",), whole=True),
            Field("option1", ("option1",)),
            Field("option2", ("option2",)),
        ),
        blank=("sentence", "option1", "option2"),
        ids=("qID",),
    ),
}


def named_fields(fields: tuple[str, ...], identifier: str = "") -> Layout:
    """The layout of a file whose text fields the recipe names, the question first.

    All fields are also joined in the order given. `identifier`: column of the item's id.
    """
    return Layout(
        fields=tuple(
            Field(name, (name,), whole=position == 0) for position, name in enumerate(fields)
        ),
        joined=(fields,) if len(fields) > 1 else (),
        ids=(identifier,) if identifier else (),
    )


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as a recipe names it: files in one of `LAYOUTS`, or with named text fields.

    `paths`: paths or glob patterns. Exactly one of `layout` and `fields` is given; `identifier`
    goes with `fields`.
    """

    name: str
    paths: tuple[str, ...]
    layout: str = ""
    fields: tuple[str, ...] = ()
    identifier: str = ""

    def __post_init__(self) -> None:
        if bool(self.layout) == bool(self.fields):
            raise BenchmarkError(
                f"benchmark {self.name!r}: give either 'layout' (one of {', '.join(LAYOUTS)}) or "
                "'fields'"
            )
        if self.layout and self.layout not in LAYOUTS:
            raise BenchmarkError(
                f"benchmark {self.name!r}: layout {self.layout!r} is none of {', '.join(LAYOUTS)}"
            )
        if self.identifier and not self.fields:
            raise BenchmarkError(f"benchmark {self.name!r}: 'id' goes with 'fields'")


def read_benchmark(benchmark: Benchmark) -> Iterator[Item]:
    """All texts of a benchmark, file by file in order of path.

    Records of one id in one file are one item (a question once for each of its answers, say);
    where there are several files, an id begins with its file's name. BenchmarkError for a file or
    line that cannot be read, a missing field, or a benchmark without an item.
    """
    layout = LAYOUTS.get(benchmark.layout) or named_fields(benchmark.fields, benchmark.identifier)
    files = [file.path for file in storage.list_files(list(benchmark.paths))]
    if not files:
        raise BenchmarkError(
            f"benchmark {benchmark.name!r}: no file at {', '.join(benchmark.paths)}: correct its"
            " paths"
        )
    items = 0
    for path, name in zip(files, _short_names(files), strict=True):
        prefix = f"{name}/" if len(files) > 1 else ""
        for row, (place, record) in enumerate(_read_records(path, layout.records)):
            if not isinstance(record, dict):
                raise BenchmarkError(
                    f"{place}: an item must be an object with named fields (got "
                    f"{repr(record)[:_SHOWN_CHARACTERS]}): write it as one, or take it out"
                )
            given = next((record[c] for c in layout.ids if record.get(c) is not None), None)
            item_id = f"{name}/{row}" if given is None else f"{prefix}{given}"
            items += 1
            for field, text, whole in _texts(record, layout, place):
                yield Item(benchmark.name, item_id, field, text, whole)
    if not items:
        raise BenchmarkError(
            f"benchmark {benchmark.name!r}: no item in {', '.join(files)}: name the files that hold"
            " its items"
        )


def _short_names(paths: list[str]) -> list[str]:
    """Paths without what they share and without their endings: how items without an id are
    named."""
    folders = [path.split("/")[:-1] for path in paths]
    shared = len(
        list(itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False)))
    )
    return [_without_ending("/".join(path.split("/")[shared:])) for path in paths]


def _without_ending(path: str) -> str:
    for ending in _COMPRESSIONS + _FORMATS:
        path = path.removesuffix(ending)
    return path


def _read_records(path: str, key: str) -> Iterator[tuple[str, Any]]:
    """(place for messages, record) of each record of a file."""
    plain = path
    for ending in _COMPRESSIONS:
        plain = plain.removesuffix(ending)
    if plain.endswith(".parquet") and plain == path:
        yield from _read_parquet(path)
    elif plain.endswith((".jsonl", ".ndjson")):
        yield from _read_lines(path)
    elif plain.endswith(".json"):
        yield from _read_json(path, key)
    else:
        raise BenchmarkError(
            f"{path}: a benchmark file must end in .jsonl, .json (also with .gz or .zst) or "
            ".parquet: convert it, or name other files under 'paths'"
        )


def _read_parquet(path: str) -> Iterator[tuple[str, Any]]:
    try:
        with storage.open_parquet(path) as file:
            batches = file.iter_batches(_PARQUET_ROWS, use_threads=False)
            for row, record in enumerate(
                record for batch in batches for record in batch.to_pylist()
            ):
                yield f"{path}: row {row}", record
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise BenchmarkError(
            f"{path}: not a readable Parquet file ({error}): fetch it again"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _read_content(path: str) -> bytes:
    try:
        with storage.open_read(path) as file:
            content = b"".join(read_blocks(file, path))
    except BrokenStream as error:
        raise BenchmarkError(f"{path}: cannot be decompressed ({error}): fetch it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    return content.removeprefix(BOM_UTF8)


def _unreadable(path: str, error: OSError) -> BenchmarkError:
    reason = error.strerror or str(error)
    return BenchmarkError(f"{path}: cannot be read ({reason}): make it readable, or leave it out")


def _read_lines(path: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_read_content(path).split(b"\n"), start=1):
        if line.strip():
            place = f"{path}: line {number}"
            yield place, _parse(line, place)


def _read_json(path: str, key: str) -> Iterator[tuple[str, Any]]:
    value = _parse(_read_content(path), path)
    if isinstance(value, dict) and key and key in value:
        value = value[key]
    for row, record in enumerate(value if isinstance(value, list) else [value]):
        yield f"{path}: record {row}", record


def _parse(encoded: bytes, place: str) -> Any:
    try:
        encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BenchmarkError(
            f"{place}: not UTF-8 (byte {error.start}): save the file as UTF-8"
        ) from error
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise BenchmarkError(f"{place}: not JSON ({error}): mend it, or take it out") from error


def _texts(
    record: Mapping[str, Any], layout: Layout, place: str
) -> Iterator[tuple[str, str, bool]]:
    """(field, text, whole) of one record: fields by themselves, then joined ones."""
    values: dict[str, list[str]] = {}
    for field in layout.fields:
        column = next((name for name in field.columns if record.get(name) is not None), None)
        if column is None:
            if field.required:
                raise _missing(record, field, place)
            values[field.name] = []
            continue
        texts = _strings(record[column])
        if field.without:
            stripped = [re.sub(field.without, "", text) for text in texts]
            texts = list(dict.fromkeys(texts + stripped))
        values[field.name] = texts
        for text in texts:
            yield field.name, text, field.whole
    for names in layout.joined:
        texts_joined = math.prod(len(values[name]) for name in names)
        if texts_joined > MOST_JOINED:
            raise BenchmarkError(
                f"{place}: the lists of {', '.join(names)} make {texts_joined:,} texts when each "
                f"value is joined to each, {MOST_JOINED:,} at most: give each pair a record, or "
                "name fewer fields"
            )
        for parts in itertools.product(*(values[name] for name in names)):
            yield "+".join(names), "\n".join(parts), True
    if layout.lettered:
        question, options = layout.lettered
        listed = [f"{chr(ord('A') + k)}. {text}" for k, text in enumerate(values[options])]
        yield f"{question}+{options}", "\n".join([*values[question], *listed]), True
    if layout.blank:
        sentence, *options_of_blank = layout.blank
        for option in options_of_blank:
            for text, filling in itertools.product(values[sentence], values[option]):
                yield f"{sentence}+{option}", text.replace("_", filling), True


def _missing(record: Mapping[str, Any], field: Field, place: str) -> BenchmarkError:
    """What to say of a record in which a field is null or that has none of its columns."""
    empty = [name for name in field.columns if name in record]
    if empty:
        return BenchmarkError(
            f"{place}: field {' and '.join(map(repr, empty))} is null: fill it in, or take the "
            "record out"
        )
    return BenchmarkError(
        f"{place}: no field {' or '.join(map(repr, field.columns))}; the record has "
        f"{', '.join(sorted(record)) or 'no field at all'}: choose the 'layout' that fits, or name "
        "the text fields under 'fields'"
    )


def _strings(value: Any) -> list[str]:
    """The texts of a field: of a list or an object all that it holds, of a chat message its
    content."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple):
        return [text for element in value for text in _strings(element)]
    if isinstance(value, dict):
        for key in ("content", "text"):
            if key in value:
                return _strings(value[key])
        return [text for key in sorted(value) for text in _strings(value[key])]
    return [str(value)]
