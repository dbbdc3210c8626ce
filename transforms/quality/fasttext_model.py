"""fastText model files (`.bin`, `.ftz`): read, checked and turned into arrays for kernels.fasttext.

In: the path of a supervised model on any Beam filesystem. Out: `Model`, whose labels are without
fastText's prefix. Dense and quantised matrices, pruned vocabularies and all four losses are read
(formats 11 and 12 of Joulin et al. 2016 and 2017). Every size that a file declares is checked
against the file's own before memory is taken; a file that does not hold is a `ModelError`. A dense
matrix lies once in memory for all threads; a quantised one is unpacked where that stays small.
"""

from __future__ import annotations

import hashlib
import mmap
import threading
from dataclasses import dataclass
from typing import IO, Any, NoReturn

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms import storage
from transforms.kernels.fasttext import (
    HIERARCHICAL,
    ONE_VS_ALL,
    SOFTMAX,
    Network,
    build_tree,
    place_words,
)
from transforms.kernels.words import read_only

__all__ = ["LABEL_PREFIX", "Model", "ModelError", "load_model", "read_labels"]

LABEL_PREFIX = "__label__"
MAX_LONGEST = 64  # characters of a subword, at most; models have 3 to 6
MAX_PRUNED_BUCKETS = 1 << 28  # of n-grams, at most; models have 2 million
MAX_WORD_NGRAMS = 64  # words of an n-gram, at most; models have 1 to 5
UNPACKED_BYTES = 64 << 20  # of a quantised matrix, at most, that is kept unpacked
_MAGIC = 793712314
_VERSIONS = (11, 12)
_OLD = 11  # its supervised models have no subwords
_SUPERVISED = 3
_NEGATIVE_SAMPLING = 2  # predicts as one-vs-all does
_CENTROIDS = 256
_READ_BYTES = 1 << 20
_HUGE_PAGE_BYTES = 2 << 20


class ModelError(ValueError):
    """A model file that cannot be used, in one sentence."""


@dataclass(frozen=True)
class Model:
    """A classifier: its labels in the order of their numbers, and its arrays."""

    labels: tuple[str, ...]
    network: Network


_loaded: dict[tuple[str, str], Model] = {}
_loading = threading.Lock()  # threads share a model; two would read it twice


def load_model(path: str, digest: str) -> Model:
    """The model at `path`, read once a process. ModelError where the file cannot be used or
    `digest` is another one's: SHA-256 in hex, or "checksum " and an object store's own checksum."""
    with _loading:
        model = _loaded.get((path, digest))
        if model is None:
            with storage.open_read(path) as file:
                reader = _Reader(path, file)
                model = _read_model(reader)
            if reader.sha256 != digest:
                raise ModelError(f"{path} was changed while the run went on: run again")
            _loaded[path, digest] = model
        return model


def read_labels(path: str) -> tuple[str, ...]:
    """The labels of the model at `path`; its matrices are not read. ModelError as `load_model`."""
    with storage.open_read(path) as file:
        reader = _Reader(path, file)
        return _read_vocabulary(reader, _read_settings(reader)).labels


class _Reader:
    """A file that is read forwards, hashed on the way, and knows how many bytes are left."""

    def __init__(self, path: str, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._digest = hashlib.sha256()
        self._ahead = b""  # read from the file and not yet taken
        file.seek(0, 2)
        self.left = file.tell()
        file.seek(0)

    @property
    def sha256(self) -> str:
        """Of all that was read (hex)."""
        return self._digest.hexdigest()

    def refuse(self, reason: str) -> NoReturn:
        raise ModelError(f"{self._path} is no fastText model that can be used: {reason}")

    def array(self, what: str, count: int, dtype: str) -> npt.NDArray[Any]:
        """The next values; refuses, before it takes memory, where the file is too short."""
        self._check(what, count, np.dtype(dtype).itemsize)
        values = np.empty(count, dtype)
        if count:
            self._fill(values.view(np.uint8).data)
        return values

    def numbers(self, what: str, dtype: str) -> tuple[Any, ...]:
        """The next record of a structured dtype, as Python numbers."""
        return tuple(self.array(what, 1, dtype)[0].tolist())

    def flag(self, what: str) -> bool:
        """The next byte, which is 0 or 1."""
        value = int(self.array(what, 1, "u1")[0])
        if value > 1:
            self.refuse(f"it is damaged ({what} is {value}, not 0 or 1)")
        return value == 1

    def matrix(self, what: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
        """float32[rows, columns] in memory of its own, in huge pages where the system has them:
        rows are read in no order, and finding small pages costs as much as reading them."""
        self._check(what, rows * columns, 4)
        size_bytes = rows * columns * 4
        memory = mmap.mmap(-1, max(size_bytes, 1))
        if size_bytes >= _HUGE_PAGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._fill(memoryview(memory)[:size_bytes])
        return np.frombuffer(memory, np.float32, rows * columns).reshape(rows, columns)

    def look(self, most: int) -> npt.NDArray[np.uint8]:
        """Up to `most` of the next bytes, uint8; they are not taken."""
        while len(self._ahead) < min(most, self.left):
            self._ahead += self._read(most - len(self._ahead))
        return np.frombuffer(self._ahead, np.uint8)[:most]

    def skip(self, count: int) -> None:
        """Take bytes that were looked at."""
        self._ahead = self._ahead[count:]
        self.left -= count

    def _check(self, what: str, count: int, width: int) -> None:
        if count < 0 or count * width > self.left:
            self.refuse(f"it is truncated or damaged ({what}: {count} values announced)")

    def _fill(self, target: memoryview) -> None:
        done = min(len(target), len(self._ahead))
        target[:done] = self._ahead[:done]
        self._ahead = self._ahead[done:]
        while done < len(target):
            block = self._read(len(target) - done)
            target[done : done + len(block)] = block
            done += len(block)
        self.left -= done

    def _read(self, most: int) -> bytes:
        block = self._file.read(min(most, _READ_BYTES))
        if not block:
            self.refuse("it ends early")
        self._digest.update(block)
        return block


@dataclass(frozen=True)
class _Settings:
    dim: int
    word_ngrams: int
    loss: int
    bucket: int
    shortest: int
    longest: int


@dataclass(frozen=True)
class _Vocabulary:
    words: int
    labels: tuple[str, ...]
    label_counts: npt.NDArray[np.int64]
    text: npt.NDArray[np.uint8]
    text_bounds: npt.NDArray[np.int64]
    pruned: npt.NDArray[np.int32] | None  # [n-grams, (bucket, row behind the words)]


def _read_settings(reader: _Reader) -> _Settings:
    if reader.left < 8:
        reader.refuse(f"it has {reader.left} bytes only")
    magic, version = reader.numbers("header", "<i4, <i4")
    if magic != _MAGIC:
        reader.refuse("it does not begin as one (was a text file or an archive meant?)")
    if version not in _VERSIONS:
        reader.refuse(f"its format is version {version}; versions 11 and 12 can be read")
    dim, _, _, _, _, word_ngrams, loss, model, bucket, shortest, longest, _, _ = reader.numbers(
        "settings", ", ".join(["<i4"] * 12 + ["<f8"])
    )
    if model != _SUPERVISED:
        reader.refuse("it holds word vectors; only classifiers (supervised models) have labels")
    longest = 0 if version == _OLD else longest
    if loss not in (HIERARCHICAL, _NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL):
        reader.refuse(f"its loss is number {loss}, which fastText does not have")
    bounds = {
        "dim": (dim, 1, 1 << 16),
        "wordNgrams": (word_ngrams, 0, MAX_WORD_NGRAMS),
        "bucket": (bucket, 0, (1 << 31) - 1),
        "minn": (shortest, 0, (1 << 31) - 1),
        "maxn": (longest, 0, MAX_LONGEST),
    }
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:
            reader.refuse(f"its {name} is {value}, not {least} to {most}")
    if longest > 0 and bucket == 0:
        reader.refuse("it has subwords (maxn above 0) but no buckets for them")
    loss = ONE_VS_ALL if loss == _NEGATIVE_SAMPLING else loss
    return _Settings(dim, word_ngrams, loss, bucket, shortest, longest)


@njit(nogil=True, cache=True)
def _walk_entries(data, done, starts, ends, counts, kinds):  # type: ignore[no-untyped-def]
    """Find entries (word, NUL, count of 8 bytes, kind of 1) in data from number `done` on.

    Returns (entries done, bytes read); stops before the first that data does not hold whole.
    """
    i = 0
    while done < len(starts):
        end = i
        while end < len(data) and data[end] != 0:
            end += 1
        if end + 10 > len(data):
            break
        count = np.int64(0)
        for k in range(8):
            count |= np.int64(data[end + 1 + k]) << np.int64(8 * k)
        starts[done], ends[done] = i, end
        counts[done] = count
        kinds[done] = data[end + 9]
        done += 1
        i = end + 10
    return done, i


def _read_vocabulary(reader: _Reader, settings: _Settings) -> _Vocabulary:
    size, words, labels, _, pruned = reader.numbers("vocabulary", "<i4, <i4, <i4, <i8, <i8")
    if words < 0 or labels < 1 or size != words + labels:
        reader.refuse(f"it is damaged ({size} entries, {words} words, {labels} labels)")
    if size * 10 > reader.left:  # of an entry at least
        reader.refuse(f"it is truncated or damaged ({size} entries announced)")
    text, text_bounds, counts, kinds = _read_entries(reader, size)
    if (kinds[:words] != 0).any() or (kinds[words:] != 1).any():
        reader.refuse("its labels do not follow its words")
    names = []
    for label in range(words, size):
        name = text[text_bounds[label] : text_bounds[label + 1]].tobytes()
        names.append(name.decode("utf-8", "backslashreplace").removeprefix(LABEL_PREFIX))
    pairs = None
    if pruned >= 0:
        pairs = reader.array("pruned n-grams", 2 * pruned, "<i4").reshape(-1, 2)
        if (pairs < 0).any() or (pruned and int(pairs[:, 0].max()) >= settings.bucket):
            reader.refuse("it is damaged (its pruned n-grams)")
    return _Vocabulary(words, tuple(names), counts[words:], text, text_bounds, pairs)


def _read_entries(
    reader: _Reader, size: int
) -> tuple[
    npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]
]:
    """(bytes of all words, their bounds, counts, kinds)."""
    starts, ends, counts = np.empty((3, size), np.int64)
    kinds = np.empty(size, np.uint8)
    pieces, bounds, done, total, most = [], [np.zeros(1, np.int64)], 0, 0, _READ_BYTES
    while done < size:
        data = reader.look(most)
        first = done
        done, used = _walk_entries(data, done, starts, ends, counts, kinds)
        if used == 0:
            if len(data) == reader.left:
                reader.refuse(f"it ends in entry {done} of {size} of its vocabulary")
            most *= 2  # one word is longer than that
            continue
        inside = np.zeros(used + 1, np.int8)
        np.add.at(inside, starts[first:done], 1)
        np.add.at(inside, ends[first:done], -1)
        pieces.append(data[:used][np.cumsum(inside[:-1]) > 0])
        bounds.append(total + np.cumsum(ends[first:done] - starts[first:done]))
        total = int(bounds[-1][-1])
        reader.skip(used)
    return np.concatenate(pieces), np.concatenate(bounds), counts, kinds


class _Quantised:
    """A product-quantised matrix: codes, centroids, and a norm a row."""

    def __init__(self, reader: _Reader, what: str, dim: int) -> None:
        with_norms = reader.flag(f"{what}'s norms")
        rows, columns, size = reader.numbers(what, "<i8, <i8, <i4")
        if columns != dim:
            reader.refuse(f"its {what} has {columns} columns, not {dim}")
        codes = reader.array(f"{what}'s codes", size, "u1")
        self.part, parts, self.centroids = self._read_quantiser(reader, what, dim)
        if rows < 0 or rows * parts != size:
            reader.refuse(f"it is damaged ({what}: {size} codes for {rows} rows)")
        self.codes = codes.reshape(rows, parts)
        self.norms = np.ones(rows, np.float32)
        if with_norms:
            norm_codes = reader.array(f"{what}'s norms", rows, "u1")
            self.norms = self._read_quantiser(reader, f"{what}'s norms", 1)[2][norm_codes]

    @staticmethod
    def _read_quantiser(
        reader: _Reader, what: str, dim: int
    ) -> tuple[int, int, npt.NDArray[np.float32]]:
        """(values of a part, parts, centroids)."""
        columns, parts, part, last = reader.numbers(what, "<i4, <i4, <i4, <i4")
        if (
            columns != dim
            or part < 1
            or parts != -(-dim // part)
            or last != dim - (parts - 1) * part
        ):
            reader.refuse(f"it is damaged ({what}: {parts} parts of {part} and {last} values)")
        return part, parts, reader.array(f"{what}'s centroids", dim * _CENTROIDS, "<f4")

    def unpack(self) -> npt.NDArray[np.float32]:
        """The matrix float32[rows, dim]."""
        dim = len(self.centroids) // _CENTROIDS
        dense = np.empty((len(self.codes), dim), np.float32)
        for place in range(self.codes.shape[1]):
            start, end = place * self.part, min((place + 1) * self.part, dim)
            table = self.centroids[start * _CENTROIDS : end * _CENTROIDS]
            dense[:, start:end] = table.reshape(_CENTROIDS, -1)[self.codes[:, place]]
        with np.errstate(invalid="ignore"):  # a damaged file's norms may be of any bits
            dense *= self.norms[:, None]
        return dense


def _read_dense(reader: _Reader, what: str, dim: int) -> npt.NDArray[np.float32]:
    rows, columns = reader.numbers(what, "<i8, <i8")
    if columns != dim or rows < 0:
        reader.refuse(f"its {what} is {rows} x {columns}, not of {dim} columns")
    return reader.matrix(what, rows, columns)


def _read_model(reader: _Reader) -> Model:
    settings = _read_settings(reader)
    vocabulary = _read_vocabulary(reader, settings)
    dim = settings.dim
    packed = None
    if reader.flag("quantised"):
        packed = _Quantised(reader, "input matrix", dim)
        bucket, kept, kept_ends, order = _find_kept(reader, settings, vocabulary, len(packed.codes))
        if len(order):
            packed.codes, packed.norms = packed.codes[order], packed.norms[order]
        rows = np.empty((0, dim), np.float32)
        if len(packed.codes) * dim * 4 <= UNPACKED_BYTES:
            rows, packed.codes = packed.unpack(), packed.codes[:0]
    else:
        if vocabulary.pruned is not None:
            reader.refuse("it is pruned but not quantised, which fastText itself refuses")
        rows = _read_dense(reader, "input matrix", dim)
        bucket, kept, kept_ends, _ = _find_kept(reader, settings, vocabulary, len(rows))
    if reader.flag("quantised output") and packed is not None:
        output = _Quantised(reader, "output matrix", dim).unpack()
    else:
        output = _read_dense(reader, "output matrix", dim)
    if len(output) != len(vocabulary.labels):
        reader.refuse(f"it has {len(vocabulary.labels)} labels but {len(output)} rows for them")
    if reader.left:
        reader.refuse(f"{reader.left} bytes follow where it should end")
    left = right = np.empty(0, np.int32)
    try:
        if settings.loss == HIERARCHICAL:
            left, right = build_tree(vocabulary.label_counts)
        slots = place_words(vocabulary.text, vocabulary.text_bounds)
    except ValueError as error:
        reader.refuse(f"its vocabulary is damaged ({error})")
    network = Network(
        rows=read_only(rows),
        codes=read_only(packed.codes if packed else np.empty((0, 1), np.uint8)),
        centroids=read_only(packed.centroids if packed else np.empty(0, np.float32)),
        norms=read_only(packed.norms if packed else np.empty(0, np.float32)),
        part=packed.part if packed else 1,
        output=read_only(output),
        slots=read_only(slots),
        text=read_only(vocabulary.text),
        text_bounds=read_only(vocabulary.text_bounds),
        kept=read_only(kept),
        kept_ends=read_only(kept_ends),
        left=read_only(left),
        right=read_only(right),
        words=vocabulary.words,
        bucket=bucket,
        shortest=settings.shortest,
        longest=settings.longest if bucket else 0,
        word_ngrams=settings.word_ngrams,
        loss=settings.loss,
    )
    return Model(vocabulary.labels, network)


def _find_kept(
    reader: _Reader, settings: _Settings, vocabulary: _Vocabulary, rows: int
) -> tuple[int, npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(buckets that n-grams are hashed into, 0 where they have no rows; kept and kept_ends of
    `Network`; the rows in the order that it wants, empty where they have it).

    Refuses where a word or n-gram would have a row that the matrix lacks.
    """
    words = vocabulary.words
    bucket = settings.bucket if settings.longest > 0 or settings.word_ngrams > 1 else 0
    nothing = np.empty(0, np.int64)
    if vocabulary.pruned is None:
        needed, kept, kept_ends, order = words + bucket, np.empty(0, np.uint64), nothing, nothing
    else:
        buckets, places = vocabulary.pruned[np.argsort(vocabulary.pruned[:, 0])].T
        if (np.diff(buckets) == 0).any() or (len(buckets) and settings.bucket > MAX_PRUNED_BUCKETS):
            reader.refuse("it is damaged (its pruned n-grams)")
        needed = words + int(places.max(initial=-1)) + 1
        bucket = bucket if len(buckets) else 0
        kept = np.zeros(-(-bucket // 64), np.uint64)
        if bucket:
            np.bitwise_or.at(kept, buckets // 64, np.uint64(1) << (buckets % 64).astype(np.uint64))
        kept_ends = np.cumsum(np.bitwise_count(kept), dtype=np.int64)
        order = np.concatenate([np.arange(words), words + places.astype(np.int64)])
    if rows < needed:
        reader.refuse(f"its input matrix has {rows} rows but {needed} are needed")
    return bucket, kept, kept_ends, order
