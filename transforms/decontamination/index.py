"""The index of benchmark n-grams: which runs of words must not appear in a mix, and whose they are.

In: items of benchmarks. Out: an index of their word n-grams (8 by default) that attributes each to
(benchmark, item, field), stored as one file of which equal items and parameters make equal bytes.
Words are those of transforms.kernels.words on both sides, so case, layout and punctuation do not
matter; texts with marks of markup, escapes or disguise are also taken in their plain reading
(readings.py).

Texts shorter than an n-gram have a rule of their own. A field that identifies its item (a question)
counts from WHOLE_FIELD_WORDS words on, fields joined (a question and its answer) from
WHOLE_JOINED_WORDS on, when exactly these words stand in a row. An answer or option alone never
counts. What is left can not be matched, and the index reports how many items that are.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import storage
from transforms.decontamination.benchmarks import Item
from transforms.decontamination.readings import hidden_rows, plain_rows, plain_texts
from transforms.kernels.ngram_lookup import (
    Lookup,
    Owners,
    build_lookup,
    collect_grams,
    count_hits,
)
from transforms.kernels.unicode import WORDS_VERSION
from transforms.kernels.words import find_words, hash_words, read_only
from transforms.once import once_per_process

__all__ = [
    "INDEX_VERSION",
    "NGRAM_WORDS",
    "WHOLE_FIELD_WORDS",
    "WHOLE_JOINED_WORDS",
    "Coverage",
    "IndexParameters",
    "NgramIndex",
    "build_index",
    "count_document_hits",
    "load_index",
]

INDEX_VERSION = 7  # raised when equal items and parameters make another index
NGRAM_WORDS = 8  # words
WHOLE_FIELD_WORDS = 5  # words from which a question of fewer than n words counts by itself
WHOLE_JOINED_WORDS = 4  # words from which fields joined count when they have fewer than n
MAX_NGRAM_WORDS = 64
MAX_FIELDS = 32  # field names of one benchmark: bits of a mask
# An index fits one definition of words only, which the tables of Unicode are a part of.
_STORED_VERSION = f"{INDEX_VERSION}.{WORDS_VERSION}.{unicodedata.unidata_version}"


@dataclass(frozen=True)
class IndexParameters:
    """What an index depends on besides its items.

    `ngram`: words of an n-gram. `ignore`: phrases; n-grams that lie inside one whole are left out.
    """

    ngram: int = NGRAM_WORDS
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= self.ngram <= MAX_NGRAM_WORDS:
            raise ValueError(f"'ngram' must be 2 to {MAX_NGRAM_WORDS} words (got {self.ngram})")

    def check_ignore(self) -> None:
        """ValueError for a phrase that is too short to ignore anything; apart, as it needs words to
        be found."""
        fewest = min(self.ngram, WHOLE_JOINED_WORDS)
        for phrase in self.ignore:
            if len(hash_words(phrase)) < fewest:
                raise ValueError(
                    f"'ignore' phrase {phrase!r} has no effect: it must have {fewest} words or more"
                )


@dataclass(frozen=True)
class Coverage:
    """How far one benchmark can be matched. `whole_items` have no n-gram and are matched only by a
    shorter text as a whole; `unmatchable_items` by nothing (`unmatchable`: ids of the first
    ones)."""

    benchmark: str
    items: int
    whole_items: int
    unmatchable_items: int
    unmatchable: tuple[str, ...]


UNMATCHABLE_NAMED = 20  # ids per benchmark in `Coverage.unmatchable`


@dataclass(frozen=True, eq=False)
class NgramIndex:
    """N-grams of benchmarks and their owners; made by `build_index`, handed to workers by path.

    `lookup` and `owners` are what kernels take (an owner is an item). Item i is `item_ids[i]` of
    `benchmarks[item_benchmarks[i]]`, whose field names are `fields[item_benchmarks[i]]`: bit b of a
    field mask is the b-th. `left_out`: n-grams of items that the parameters left out.
    """

    parameters: IndexParameters
    lookup: Lookup
    owners: Owners
    benchmarks: tuple[str, ...]
    fields: tuple[tuple[str, ...], ...]
    item_benchmarks: npt.NDArray[np.int32]
    item_ids: pa.Array
    prefixes: npt.NDArray[np.uint64]
    coverage: tuple[Coverage, ...]
    left_out: int
    fingerprint: str

    def field_names(self, benchmark: int, mask: int) -> str:
        """The field names of a benchmark (by number) that are in a mask, joined by "+"."""
        names = self.fields[benchmark]
        return "+".join(name for bit, name in enumerate(names) if mask >> bit & 1)

    def report(self) -> dict[str, Any]:
        """What the user should know, JSON-able: n-grams, and per benchmark what cannot be
        matched."""
        return {
            "ngrams": len(self.lookup.keys),
            "left_out": self.left_out,
            "benchmarks": [asdict(coverage) for coverage in self.coverage],
        }

    def save(self, path: str) -> None:
        """Write the index as one Arrow IPC file; equal indexes are equal bytes."""
        storage.write_bytes(path, _encode(self))

    @staticmethod
    def load(path: str) -> NgramIndex:
        """Read an index. ValueError when the file is none, or another version's."""
        return _decode(storage.read_bytes(path), path)


def build_index(items: Iterable[Item], parameters: IndexParameters) -> NgramIndex:
    """Index all items.

    An n-gram that an item holds in several texts is attributed to the first, so texts joined, which
    come after their parts, own only what crosses the seam, and plain readings, which come last,
    only what no text holds as it stands. ValueError for a benchmark of more than
    32 fields, and for an ignored phrase without effect.
    """
    parameters.check_ignore()
    texts: list[bytes] = []
    text_items: list[int] = []
    text_masks: list[int] = []
    whole_from: list[int] = []
    benchmarks: dict[str, dict[str, int]] = {}
    fields: dict[tuple[str, str], tuple[int, int]] = {}  # (mask, words from which they count whole)
    numbers: dict[tuple[str, str], int] = {}
    for benchmark, item_id, field, text, whole in items:
        named = (benchmark, field)
        if named not in fields:
            names = benchmarks.setdefault(benchmark, {})
            fields[named] = _mask_of(field, names), _fewest_words(field)
            if len(names) > MAX_FIELDS:
                raise ValueError(f"benchmark {benchmark!r} has more than {MAX_FIELDS} fields")
        mask, fewest = fields[named]
        texts.append(text.encode())
        text_items.append(numbers.setdefault((benchmark, item_id), len(numbers)))
        text_masks.append(mask)
        whole_from.append(fewest if whole else 0)
    for number, plain in plain_texts(texts).items():
        texts.append(plain)
        for column in (text_items, text_masks, whole_from):
            column.append(column[number])
    # By item, each item's texts in their order: so the first that holds an n-gram comes first.
    order = np.argsort(np.array(text_items, np.int32), kind="stable")
    sorted_texts = [texts[number] for number in order]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in sorted_texts], out=offsets[1:])
    words = find_words(np.frombuffer(b"".join(sorted_texts), np.uint8), offsets)
    grams = collect_grams(words, np.array(whole_from, np.int64)[order], parameters.ngram)
    hashes, lengths, gram_texts = grams.hashes, grams.lengths, grams.texts
    ignored = _ignored(hashes, lengths, parameters)
    if ignored.any():
        kept = ~ignored
        hashes, lengths, gram_texts = hashes[kept], lengths[kept], gram_texts[kept]
    by_key = np.lexsort((lengths, hashes))  # stable: equal ones stay in the order of their texts
    hashes, lengths, gram_texts = hashes[by_key], lengths[by_key], gram_texts[by_key]
    owner = np.array(text_items, np.int32)[order][gram_texts]
    masks = np.array(text_masks, np.uint32)[order][gram_texts]
    new_key = np.ones(len(by_key), bool)
    new_key[1:] = (hashes[1:] != hashes[:-1]) | (lengths[1:] != lengths[:-1])
    new_owner = new_key.copy()
    new_owner[1:] |= owner[1:] != owner[:-1]
    bounds = np.append(np.flatnonzero(new_key[new_owner]), np.count_nonzero(new_owner))
    names_of = tuple(benchmarks)
    position = {name: number for number, name in enumerate(names_of)}
    item_benchmarks = np.array([position[name] for name, _ in numbers], np.int32)
    item_ids = pa.array([item_id for _, item_id in numbers], pa.string())
    owners = Owners(bounds.astype(np.int64), owner[new_owner], masks[new_owner], len(numbers))
    return _assemble(
        parameters,
        hashes[new_key],
        lengths[new_key],
        np.unique(grams.prefixes),
        grams.prefix_words,
        owners,
        names_of,
        tuple(tuple(names) for names in benchmarks.values()),
        item_benchmarks,
        item_ids,
        int(ignored.sum()),
    )


def _mask_of(field: str, names: dict[str, int]) -> int:
    """The mask of a field, or of several joined by "+"; new names get the next bits."""
    mask = 0
    for part in field.split("+"):
        mask |= 1 << names.setdefault(part, len(names))
    return mask


def _fewest_words(field: str) -> int:
    return WHOLE_JOINED_WORDS if "+" in field else WHOLE_FIELD_WORDS


def _ignored(
    hashes: npt.NDArray[np.uint64], lengths: npt.NDArray[np.uint8], parameters: IndexParameters
) -> npt.NDArray[np.bool_]:
    """True for grams that lie inside an ignored phrase."""
    ignored = np.zeros(len(hashes), bool)
    phrases = [phrase.encode() for phrase in parameters.ignore]
    offsets = np.zeros(len(phrases) + 1, np.int64)
    np.cumsum([len(phrase) for phrase in phrases], out=offsets[1:])
    words = find_words(np.frombuffer(b"".join(phrases), np.uint8), offsets)
    never = np.zeros(len(phrases), np.int64)
    for length in np.unique(lengths):
        inside = collect_grams(words, never, int(length)).hashes
        ignored |= (lengths == length) & np.isin(hashes, inside)
    return ignored


def _coverage(
    benchmarks: tuple[str, ...],
    item_benchmarks: npt.NDArray[np.int32],
    item_ids: pa.Array,
    lengths: npt.NDArray[np.uint8],
    owners: Owners,
    n: int,
) -> tuple[Coverage, ...]:
    longest = np.zeros(owners.size, np.uint8)  # words of the longest gram of each item
    np.maximum.at(longest, owners.owner, np.repeat(lengths, np.diff(owners.bounds)))
    coverages = []
    for number, name in enumerate(benchmarks):
        own = item_benchmarks == number
        missing = np.flatnonzero(own & (longest == 0))
        coverages.append(
            Coverage(
                benchmark=name,
                items=int(own.sum()),
                whole_items=int((own & (longest > 0) & (longest < n)).sum()),
                unmatchable_items=len(missing),
                unmatchable=tuple(item_ids.take(pa.array(missing[:UNMATCHABLE_NAMED])).to_pylist()),
            )
        )
    return tuple(coverages)


def _assemble(
    parameters: IndexParameters,
    keys: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.uint8],
    prefixes: npt.NDArray[np.uint64],
    prefix_words: int,
    owners: Owners,
    benchmarks: tuple[str, ...],
    fields: tuple[tuple[str, ...], ...],
    item_benchmarks: npt.NDArray[np.int32],
    item_ids: pa.Array,
    left_out: int,
) -> NgramIndex:
    digest = hashlib.blake2b(digest_size=8, person=b"vineleaf.ngrams")
    digest.update(
        json.dumps(
            [_STORED_VERSION, asdict(parameters), benchmarks, fields, prefix_words, left_out],
            sort_keys=True,
        ).encode()
    )
    for array in (
        keys,
        lengths,
        prefixes,
        owners.bounds,
        owners.owner,
        owners.fields,
        item_benchmarks,
    ):
        digest.update(len(array).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(json.dumps(item_ids.to_pylist()).encode())
    return NgramIndex(
        parameters=parameters,
        lookup=build_lookup(keys, lengths, parameters.ngram, prefixes, prefix_words),
        owners=Owners(
            read_only(owners.bounds),
            read_only(owners.owner),
            read_only(owners.fields),
            owners.size,
        ),
        benchmarks=benchmarks,
        fields=fields,
        item_benchmarks=item_benchmarks,
        item_ids=item_ids,
        prefixes=prefixes,
        coverage=_coverage(
            benchmarks, item_benchmarks, item_ids, lengths, owners, parameters.ngram
        ),
        left_out=left_out,
        fingerprint=digest.hexdigest(),
    )


_ARRAYS = {
    "keys": pa.uint64(),
    "lengths": pa.uint8(),
    "prefixes": pa.uint64(),
    "owner_bounds": pa.int64(),
    "owner": pa.int32(),
    "owner_fields": pa.uint32(),
    "item_benchmarks": pa.int32(),
    "item_ids": pa.string(),
}
_HEADER_KEY = b"vineleaf.ngram_index"


def _encode(index: NgramIndex) -> bytes:
    """One Arrow IPC file with a single row: a list column for each array, the rest as JSON in the
    schema's metadata."""
    header = {
        "version": _STORED_VERSION,
        "parameters": asdict(index.parameters),
        "prefix_words": index.lookup.prefix_words,
        "benchmarks": index.benchmarks,
        "fields": index.fields,
        "left_out": index.left_out,
        "fingerprint": index.fingerprint,
    }
    arrays: dict[str, Any] = {
        "keys": index.lookup.keys,
        "lengths": index.lookup.lengths,
        "prefixes": index.prefixes,
        "owner_bounds": index.owners.bounds,
        "owner": index.owners.owner,
        "owner_fields": index.owners.fields,
        "item_benchmarks": index.item_benchmarks,
        "item_ids": index.item_ids,
    }
    columns = []
    for name, kind in _ARRAYS.items():
        values = pa.array(arrays[name], kind)
        columns.append(
            pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
        )
    schema = pa.schema(
        [pa.field(name, column.type) for name, column in zip(_ARRAYS, columns, strict=True)],
        metadata={_HEADER_KEY: json.dumps(header, sort_keys=True).encode()},
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _decode(stored: bytes, path: str) -> NgramIndex:
    try:
        with pa.ipc.open_file(pa.py_buffer(stored)) as reader:
            header = json.loads((reader.schema.metadata or {})[_HEADER_KEY])
            index = _stored(header, reader.get_batch(0)) if _is_current(header) else None
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no n-gram index ({error}): build it anew") from error
    if index is None:
        raise ValueError(
            f"{path} is an n-gram index of version {header['version']}, not {_STORED_VERSION}: "
            "build it anew"
        )
    if index.fingerprint != header["fingerprint"]:
        raise ValueError(f"{path}: the n-gram index is damaged: build it anew")
    return index


def _is_current(header: Mapping[str, Any]) -> bool:
    return bool(header["version"] == _STORED_VERSION)


def _stored(header: Mapping[str, Any], batch: pa.RecordBatch) -> NgramIndex:
    """The index of `_encode`'s parts."""
    arrays = {name: batch.column(name).flatten() for name in _ARRAYS}
    numbers = {
        name: array.to_numpy(zero_copy_only=True)
        for name, array in arrays.items()
        if name != "item_ids"
    }
    parameters = IndexParameters(
        ngram=header["parameters"]["ngram"],
        ignore=tuple(header["parameters"]["ignore"]),
    )
    return _assemble(
        parameters,
        numbers["keys"],
        numbers["lengths"],
        numbers["prefixes"],
        header["prefix_words"],
        Owners(
            numbers["owner_bounds"],
            numbers["owner"],
            numbers["owner_fields"],
            len(arrays["item_ids"]),
        ),
        tuple(header["benchmarks"]),
        tuple(tuple(names) for names in header["fields"]),
        numbers["item_benchmarks"],
        arrays["item_ids"],
        header["left_out"],
    )


@once_per_process
def load_index(path: str, fingerprint: str) -> NgramIndex:
    """The index at `path`, read once per process. ValueError when it has another fingerprint."""
    index = NgramIndex.load(path)
    if index.fingerprint != fingerprint:
        raise ValueError(
            f"{path} is another n-gram index (fingerprint {index.fingerprint}, wanted "
            f"{fingerprint}): build it anew"
        )
    return index


def count_document_hits(
    index: NgramIndex, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Benchmark n-grams in each text data[offsets[d]:offsets[d + 1]] (UTF-8), or in its plain
    reading where that alone holds some; int32[documents].

    Words are found anew: this is the gate's rescan of texts as they were published.
    """
    hits, _ = count_hits(find_words(data, offsets), index.lookup)
    rows = hidden_rows(index.lookup, data, offsets, hits)
    hits[rows] = count_hits(find_words(*plain_rows(data, offsets, rows)), index.lookup)[0]
    return hits
