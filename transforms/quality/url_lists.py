"""URL lists: which documents come from addresses that a list bans, and what the list says of them.

In: metadata (`url`, or the keys that a WARC's URL goes by elsewhere) and lists that the recipe
names, text files with an entry a line. Out: the columns of `SCHEMA`, one row a document. The kinds
of lists are those of Dolma 3 (datamap-rs, `url_substring_filter`; the lists of RefinedWeb and
FineWeb): hosts, hosts above, whole URLs, words, soft words of which two are needed, parts of words.
A document without a URL has no hit.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import storage
from transforms.annotators import RuleFile
from transforms.documents import DocumentBatch
from transforms.ingest.compression import BrokenStream, read_blocks
from transforms.kernels.url_lookup import (
    KINDS,
    UrlTables,
    find_entries,
    hash_hosts,
    hash_parts,
    hash_phrases,
    hash_urls,
    look_up,
)

__all__ = ["LIST_KINDS", "SCHEMA", "UrlList", "UrlLists", "find_url", "load_lists"]

LIST_KINDS = tuple(kind for kind in KINDS if kind != "subdomains")  # which a file can hold
URL_KEYS = ("url", "WARC-Target-URI", "warc_url")  # of the metadata, the first that is a text
CHUNK_BYTES = 8 << 20  # of a list's text that are in memory at a time, about
_URL = re.compile(r"(\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//|\s*)([^/?#\\]*)(.*)", re.DOTALL)
_LABEL_BYTES = 63  # of a host's label (RFC 1035)
_lock = threading.Lock()

_HIT = pa.struct(
    [
        pa.field("kind", pa.string()),  # of KINDS
        pa.field("list", pa.string()),  # name of the file
        pa.field("found", pa.string()),  # what of the URL is in it
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("has_url", pa.bool_(), nullable=False),
        pa.field("domain", pa.bool_(), nullable=False),  # the host is in a list of domains
        pa.field("subdomain", pa.bool_(), nullable=False),  # a host above it is
        pa.field("url", pa.bool_(), nullable=False),
        pa.field("word", pa.bool_(), nullable=False),
        pa.field("soft_word_count", pa.int64(), nullable=False),  # places
        pa.field("subword", pa.bool_(), nullable=False),
        pa.field("hit", _HIT),  # the first, in the order of KINDS; null where there is none
    ]
)


@dataclass(frozen=True)
class UrlList:
    """A list: its kind, one of LIST_KINDS, and its file."""

    kind: str
    file: RuleFile


@dataclass(frozen=True)
class UrlLists:
    """Annotator `url_lists`. `subdomains`: whether a list of domains bans what is below them."""

    name: ClassVar[str] = "url_lists"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = SCHEMA

    lists: tuple[UrlList, ...] = ()
    subdomains: bool = True

    @property
    def files(self) -> tuple[RuleFile, ...]:
        return tuple(one.file for one in self.lists)

    def with_files(self, files: tuple[RuleFile, ...]) -> Self:
        pairs = zip(self.lists, files, strict=True)
        return replace(self, lists=tuple(replace(one, file=file) for one, file in pairs))

    def check_files(self) -> None:
        load_lists(self.lists, self.subdomains)

    def parameters(self) -> dict[str, Any]:
        return {
            "lists": [[one.kind, one.file.name, one.file.digest] for one in self.lists],
            "subdomains": self.subdomains,
        }

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        urls = [find_url(metadata) for metadata in batch.metadata]
        data, offsets = _joined(urls)
        hits = look_up(data, offsets, load_lists(self.lists, self.subdomains))
        found = hits.counts > 0
        first = np.argmax(found, axis=1)
        rows = np.flatnonzero(found.any(axis=1))
        evidence: list[dict[str, str] | None] = [None] * batch.rows
        for row in rows.tolist():
            kind = int(first[row])
            start, end = (offsets[row] + one[row, kind] for one in (hits.starts, hits.ends))
            evidence[row] = {
                "kind": KINDS[kind],
                "list": self.lists[hits.lists[row, kind]].file.name,
                "found": bytes(data[start:end]).decode("utf-8", "replace"),
            }
        columns = {
            kind: pa.array((hits.counts if kind == "soft_words" else found)[:, place])
            for place, kind in enumerate(KINDS)
        }
        return pa.RecordBatch.from_arrays(
            [
                pa.array(np.diff(offsets) > 0),
                *columns.values(),
                pa.array(evidence, _HIT),
            ],
            schema=SCHEMA,
        )


def find_url(metadata: dict[str, Any]) -> str:
    """The document's URL, its host in ASCII; empty where it has none."""
    found = (metadata.get(key) for key in URL_KEYS)
    url = next((one.strip() for one in found if isinstance(one, str) and one.strip()), "")
    return url if url.isascii() else _with_ascii_host(url)


def _joined(urls: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    column = pa.array(urls, pa.large_string())
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[: len(urls) + 1] if urls else np.zeros(1, np.int64)
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), bounds


def _with_ascii_host(url: str) -> str:
    """The URL with its host in punycode, the rest as it is."""
    matched = _URL.fullmatch(url)
    assert matched is not None  # it matches any text
    scheme, authority, rest = matched.groups()
    user, at, host = authority.rpartition("@")
    return f"{scheme}{user}{at}{'.'.join(map(_ascii_label, re.split('[.。．｡]', host)))}{rest}"


def _ascii_label(label: str) -> str:
    """A label of a host in punycode (RFC 3490), as it is where it has none."""
    name, colon, port = label.partition(":")
    if name.isascii() or len(name) > _LABEL_BYTES:
        return label
    try:
        return name.encode("idna").decode() + colon + port
    except UnicodeError:
        return label


@cache
def _loaded(lists: tuple[UrlList, ...], subdomains: bool) -> UrlTables:
    hashes, kinds, most_words = [], [], 0
    starts, lengths = np.zeros(1 << 16, np.bool_), np.zeros(256, np.bool_)
    for one in lists:
        parts = []
        for chunk in _chunks(one.file.path):
            with_hosts = one.kind in ("domains", "urls")
            data = np.frombuffer(_with_ascii_hosts(chunk) if with_hosts else chunk, np.uint8)
            entries = find_entries(data)
            if one.kind == "domains":
                parts.append(hash_hosts(data, *entries))
            elif one.kind == "urls":
                parts.append(hash_urls(data, *entries))
            elif one.kind == "subwords":
                parts.append(hash_parts(data, *entries, starts, lengths))
            else:
                phrases, words = hash_phrases(data, *entries)
                most_words = max(most_words, words)
                parts.append(phrases)
        if storage.content_digest(one.file.path) != one.file.digest:
            raise ValueError(f"{one.file.path} was changed while the run went on: run again")
        its = np.concatenate(parts)
        its.sort()  # entries that stand twice may stay: look-ups end at the first
        hashes.append(its)
        kinds.append(KINDS.index(one.kind))
    bounds = np.cumsum([0, *map(len, hashes)]).astype(np.int64)
    return UrlTables(
        np.concatenate(hashes) if hashes else np.empty(0, np.uint64),
        bounds,
        np.array(kinds, np.int64),
        most_words,
        starts,
        lengths,
        subdomains,
    )


def load_lists(lists: tuple[UrlList, ...], subdomains: bool) -> UrlTables:
    """Read lists, plain, gzip or zstd, once a process.

    Memory: 16 bytes an entry while they are read and some 40 MiB, 8 bytes an entry after; 5 million
    hosts take about a second. ValueError, in one sentence, for a file that cannot be decompressed,
    and for one that is no longer the one that was found.
    """
    with _lock:
        return _loaded(lists, subdomains)


def _chunks(path: str) -> Iterator[bytes]:
    """The text of a list in runs of whole lines."""
    with storage.open_read(path) as file:
        kept: list[bytes] = []
        size = 0
        try:
            for block in read_blocks(file, path):
                head, feed, tail = block.rpartition(b"\n")
                kept.append(head + feed)
                size += len(block)
                if feed and size >= CHUNK_BYTES:
                    yield b"".join(kept)
                    kept, size = [], 0
                kept.append(tail)
        except BrokenStream as error:
            raise ValueError(f"{path} cannot be decompressed ({error})") from error
        yield b"".join(kept)


def _with_ascii_hosts(text: bytes) -> bytes:
    if text.isascii():
        return text
    lines = text.decode("utf-8", "replace").split("\n")
    return "\n".join(line if line.isascii() else _with_ascii_host(line) for line in lines).encode()
