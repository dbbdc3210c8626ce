"""Fill-in-the-middle: documents whose middle stands last, so that a model learns to insert.

In: texts with their ids. Out: their tokens, some of them rearranged. A document is cut into prefix,
middle and suffix at two places; then it stands as prefix-suffix-middle
`<prefix> p <suffix> s <middle> m`, or as suffix-prefix-middle `<prefix> <suffix> s <middle> p m`,
where `<...>` are the tokenizer's sentinels. Bavarian et al. 2022, "Efficient training of language
models to fill in the middle"; the second form is the one of StarCoder and Megatron-LM. Whether a
document is rearranged, how and where it is cut is a keyed hash of its id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.checks.documents import id_hashes
from transforms.documents import text_buffers
from transforms.kernels.hashing import hash_keys
from transforms.mixing.budget import order_key
from transforms.tokens.specification import TokenizerError
from transforms.tokens.tokenizer import Tokenizer

__all__ = ["FillInMiddle", "encode_with_middles", "find_token"]

_CHOICES = 4  # hashes of a document: whether, which form, both cuts
_ONE = 2.0**64
Tokens = npt.NDArray[np.uint32]
Bounds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FillInMiddle:
    """What a recipe asks for. `rate`: share of documents that are rearranged; `spm`: share of these
    in which the suffix comes first; `split`: `characters` (then the parts are tokenized, each by
    itself) or `tokens` (of the whole, not within a character); ids of the sentinels."""

    rate: float
    spm: float
    split: str
    prefix: int
    middle: int
    suffix: int
    seed: int


def find_token(tokenizer: Tokenizer, name: str) -> int:
    """The id of the token that is called so. TokenizerError where the tokenizer has none."""
    size = tokenizer.identity.vocabulary_size
    everything = np.arange(size, dtype=np.uint32)
    data, offsets = tokenizer.decode_documents(everything, np.arange(size + 1))
    wanted = name.encode()
    for number in np.flatnonzero(np.diff(offsets) == len(wanted)).tolist()[::-1]:
        if data[offsets[number] : offsets[number + 1]].tobytes() == wanted:
            return int(number)
    raise TokenizerError(
        f"the tokenizer has no token {name!r}, by which parts of a document are told apart: name"
        " one that it has, or choose a tokenizer that was made for filling in"
    )


def encode_with_middles(
    tokenizer: Tokenizer, ids: pa.Array, texts: pa.Array, asked: FillInMiddle
) -> tuple[Tokens, Bounds, int]:
    """Tokens uint32[], bounds int64[texts + 1], and how many documents are rearranged. `texts`:
    large_string without nulls."""
    hashes = _hashes(ids, asked.seed)
    chosen = hashes[0] < asked.rate * _ONE
    first_suffix = hashes[1] < asked.spm * _ONE
    if asked.split == "characters":
        pieces, counts = _cut_texts(texts, chosen, hashes)
        tokens, bounds = tokenizer.encode(pieces)
    else:
        tokens, whole = tokenizer.encode(texts)
        bounds, counts = _cut_tokens(tokenizer, tokens, whole, chosen, hashes)
    parts: list[Tokens] = []
    lengths = np.zeros(len(counts), np.int64)
    sentinels = [np.array([one], np.uint32) for one in (asked.prefix, asked.suffix, asked.middle)]
    place = 0
    for row, count in enumerate(counts.tolist()):
        its = [tokens[bounds[piece] : bounds[piece + 1]] for piece in range(place, place + count)]
        place += count
        if count == 3:
            head, middle, tail = its
            before, after, last = sentinels
            its = (
                [before, after, tail, last, head, middle]
                if first_suffix[row]
                else [before, head, after, tail, last, middle]
            )
        parts += its
        lengths[row] = sum(map(len, its))
    out = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return np.concatenate([np.empty(0, np.uint32), *parts]), out, int(chosen.sum())


def _hashes(ids: pa.Array, seed: int) -> list[npt.NDArray[np.uint64]]:
    """Independent hashes of each document."""
    one = order_key(id_hashes(ids)[1], seed)
    found = []
    for number in range(_CHOICES):
        one = hash_keys(one ^ np.uint64(0x46494D00 + number))
        found.append(one)
    return found


def _cuts(
    row: int, hashes: list[npt.NDArray[np.uint64]], places: npt.NDArray[np.int64]
) -> tuple[int, int]:
    """Two of these places, in their order."""
    first, second = (int(places[int(one[row]) % len(places)]) for one in hashes[2:])
    return min(first, second), max(first, second)


def _cut_texts(
    texts: pa.Array, chosen: npt.NDArray[np.bool_], hashes: list[npt.NDArray[np.uint64]]
) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Texts with those chosen in three pieces, and how many pieces each is."""
    data, offsets = text_buffers(texts)
    edges: list[int] = []
    for row in range(len(texts)):
        start, end = int(offsets[row]), int(offsets[row + 1])
        edges.append(start)
        if chosen[row]:
            begins = np.flatnonzero((data[start:end] & 0xC0) != 0x80)  # of characters
            edges += [start + cut for cut in _cuts(row, hashes, np.append(begins, end - start))]
    edges.append(int(offsets[-1]))
    counts = np.where(chosen, 3, 1).astype(np.int64)
    pieces = pa.LargeStringArray.from_buffers(
        len(edges) - 1, pa.py_buffer(np.array(edges, np.int64)), pa.py_buffer(data)
    )
    return pieces, counts


def _cut_tokens(
    tokenizer: Tokenizer,
    tokens: Tokens,
    bounds: Bounds,
    chosen: npt.NDArray[np.bool_],
    hashes: list[npt.NDArray[np.uint64]],
) -> tuple[Bounds, npt.NDArray[np.int64]]:
    """Bounds of pieces, and how many each document is."""
    data, offsets = tokenizer.decode_documents(tokens, np.arange(len(tokens) + 1))
    begins = np.diff(offsets) > 0
    begins[begins] = (data[offsets[:-1][begins]] & 0xC0) != 0x80  # tokens that begin a character
    edges: list[int] = []
    for row in range(len(bounds) - 1):
        start, end = int(bounds[row]), int(bounds[row + 1])
        edges.append(start)
        if chosen[row]:
            places = np.append(np.flatnonzero(begins[start:end]), end - start)
            edges += [start + cut for cut in _cuts(row, hashes, places)]
    edges.append(int(bounds[-1]))
    return np.array(edges, np.int64), np.where(chosen, 3, 1).astype(np.int64)
