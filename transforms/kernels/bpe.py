"""Byte-level BPE: from text to tokens and back, equal token for token to the libraries.

A text is cut by a split pattern (`transforms.kernels.split`); inside a piece the pair of symbols
with the lowest rank is merged first, the leftmost of equals, until no pair has a rank. Ranks are
those of tiktoken (the rank of the merged token) or of a list of merges (its index). In go Arrow
buffers, out come uint32 tokens and int64 bounds.

A piece of any length takes time in proportion to n log n and scratch memory for one window. That is
exact: a sequence of tokens is the encoding of its bytes if, and only if, each two neighbours are
the encoding of their own bytes. (Were a merge across a boundary ever made, the first one would be
made in the same way when the two neighbours are encoded alone, since nothing else reached them.)
So windows are encoded one after the other and only the pair at each seam is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int32, int64, njit, uint32, uint64

from transforms.kernels.split import find_pieces, piece_classes

__all__ = [
    "Cache",
    "TokenBytes",
    "Vocabulary",
    "build_vocabulary",
    "decode_tokens",
    "encode_texts",
    "new_cache",
    "pack_tokens",
]

WINDOW_BYTES = 1 << 16  # bytes of a long piece that are encoded at once; 44 bytes of scratch each
SHORT_BYTES = 64  # pieces up to here are merged by scanning, longer ones with a heap
CACHE_SLOTS = 1 << 17  # pieces remembered per thread
CACHED_TOKENS = 15  # tokens of a remembered piece, at most
PIECES = 4096  # pieces that are cut at a time
EXACT_BYTES = 7  # pieces up to here are their own key in hash tables

_K1 = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio
_K2 = np.uint64(0xFF51AFD7ED558CCD)  # a factor of MurmurHash3's finaliser
_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)  # no such pair
_HASHED = np.uint64(0xFF << 56)  # keys from here on are hashes


class TokenBytes(NamedTuple):
    """What each token spells: token t is data[offsets[t]:offsets[t + 1]], empty where an id is
    unused. data uint8[], offsets int64[ids + 1]."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


class Vocabulary(NamedTuple):
    """Tokens and merges as kernels want them.

    `byte_ids` int32[256] are the tokens of single bytes, `byte_pairs` uint64[65536] the entries of
    `pairs` for two of them (first byte << 8 | second). `pieces` is
    a hash table of (key of its bytes, token), interleaved: the tokens that a whole piece may become
    at once. `pairs` is one of (left << 32 | right, rank << 32 | merged).
    """

    token_bytes: TokenBytes
    byte_ids: npt.NDArray[np.int32]
    byte_pairs: npt.NDArray[np.uint64]
    pieces: npt.NDArray[np.uint64]
    pairs: npt.NDArray[np.uint64]
    longest: int


class Cache(NamedTuple):
    """Pieces met before and their tokens, for one thread; it never changes what comes out.

    `keys` uint64[slots, 2], see `_long_key`; `tokens` int32[slots, 16]: how many, then the tokens.
    """

    keys: npt.NDArray[np.uint64]
    tokens: npt.NDArray[np.int32]


def new_cache() -> Cache:
    """An empty cache; 10 MB when full."""
    return Cache(
        np.zeros((CACHE_SLOTS, 2), np.uint64), np.empty((CACHE_SLOTS, CACHED_TOKENS + 1), np.int32)
    )


@njit(inline="always")
def _key(data, start, end):  # type: ignore[no-untyped-def]
    """The bytes themselves and their number where there are at most 7, else a hash.

    So keys of short pieces are equal exactly when the pieces are; the highest byte of a hash is
    255, which no number of bytes is.
    """
    n = end - start
    if n <= EXACT_BYTES:
        key = uint64(0)
        for i in range(start, end):
            key = (key << uint64(8)) | uint64(data[i])
        return key | (uint64(n) << uint64(56))
    h = uint64(n) * _K1
    for i in range(start, end):
        h = (h ^ uint64(data[i])) * _K1
        h ^= h >> uint64(32)
    h *= _K2
    return (h ^ (h >> uint64(29))) | _HASHED


@njit(inline="always")
def _scramble(key):  # type: ignore[no-untyped-def]
    h = key * _K1
    return h ^ (h >> uint64(32))


@njit(inline="always")
def _token_of(data, start, end, key, vocabulary, offsets, pieces):  # type: ignore[no-untyped-def]
    """The token whose bytes are data[start:end] (key: theirs), -1 if the table holds none."""
    mask = uint64(len(pieces) // 2 - 1)
    slot = int64(_scramble(key) & mask)
    while True:
        found = pieces[2 * slot]
        if found == key:
            token = int64(pieces[2 * slot + 1])
            if key < _HASHED or _equal(data, start, end, vocabulary, offsets, token):
                return token
        elif found == 0:
            return int64(-1)
        slot = int64(uint64(slot + 1) & mask)


@njit(nogil=True)
def _equal(data, start, end, vocabulary, offsets, token):  # type: ignore[no-untyped-def]
    first, n = offsets[token], end - start
    if offsets[token + 1] - first != n:
        return False
    i = 0
    while i < n and vocabulary[first + i] == data[start + i]:
        i += 1
    return i == n


@njit(inline="always")
def _pair(left, right, pairs):  # type: ignore[no-untyped-def]
    """rank << 32 | merged token of two neighbours, _NONE where they do not merge."""
    key = (uint64(left) << uint64(32)) | uint64(right)
    mask = uint64(len(pairs) // 2 - 1)
    slot = int64(_scramble(key) & mask)
    while True:
        found = pairs[2 * slot]
        if found == key:
            return pairs[2 * slot + 1]
        if found == _NONE:
            return _NONE
        slot = int64(uint64(slot + 1) & mask)


@njit(inline="always")
def _merge_scanning(data, start, end, byte_ids, byte_pairs, pairs, ids, ranks):  # type: ignore[no-untyped-def]
    """Encode data[start:end] into ids[0:n], returns n. For short pieces: a scan for each merge."""
    n = end - start
    for i in range(n):
        ids[i] = byte_ids[data[start + i]]
    for i in range(n - 1):
        ranks[i] = byte_pairs[int64(data[start + i]) << 8 | int64(data[start + i + 1])]
    while n > 1:
        best, at = _NONE, -1
        for i in range(n - 1):
            if ranks[i] < best:
                best, at = ranks[i], i
        if at < 0:
            break
        ids[at] = int32(best & uint64(0xFFFFFFFF))
        n -= 1
        for i in range(at + 1, n):
            ids[i] = ids[i + 1]
        for i in range(at + 1, n - 1):
            ranks[i] = ranks[i + 1]
        if at < n - 1:
            ranks[at] = _pair(ids[at], ids[at + 1], pairs)
        if at > 0:
            ranks[at - 1] = _pair(ids[at - 1], ids[at], pairs)
    return n


@njit(inline="always")
def _sift_down(heap, size, i):  # type: ignore[no-untyped-def]
    value = heap[i]
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = value


@njit(inline="always")
def _push(heap, size, value):  # type: ignore[no-untyped-def]
    i = size
    while i > 0:
        parent = (i - 1) // 2
        if heap[parent] <= value:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = value
    return size + 1


@njit(nogil=True, cache=True)
def _merge_heap(  # type: ignore[no-untyped-def]
    data, start, end, byte_ids, byte_pairs, pairs, ids, ranks, after, before, heap
):
    """Encode data[start:end] into ids[0:n], returns n. ids, ranks, after, before hold end - start
    entries, heap three times as many: entries are rank << 32 | place, those overtaken by another
    merge are recognised by their rank when they come up."""
    n = end - start
    for i in range(n):
        ids[i] = byte_ids[data[start + i]]
        after[i] = i + 1
        before[i] = i - 1
    size = 0
    for i in range(n):
        ranks[i] = _NONE
        if i + 1 < n:
            ranks[i] = byte_pairs[int64(data[start + i]) << 8 | int64(data[start + i + 1])]
        if ranks[i] != _NONE:
            heap[size] = (ranks[i] & uint64(0xFFFFFFFF00000000)) | uint64(i)
            size += 1
    for i in range(size // 2 - 1, -1, -1):
        _sift_down(heap, size, i)
    while size > 0:
        top = heap[0]
        size -= 1
        heap[0] = heap[size]
        _sift_down(heap, size, 0)
        i = int64(top & uint64(0xFFFFFFFF))
        if ranks[i] == _NONE or (ranks[i] >> uint64(32)) != (top >> uint64(32)):
            continue
        ids[i] = int32(ranks[i] & uint64(0xFFFFFFFF))
        gone = int64(after[i])
        ranks[gone] = _NONE
        after[i] = after[gone]
        ranks[i] = _NONE
        if after[i] < n:
            before[after[i]] = i
            ranks[i] = _pair(ids[i], ids[after[i]], pairs)
            if ranks[i] != _NONE:
                size = _push(heap, size, (ranks[i] & uint64(0xFFFFFFFF00000000)) | uint64(i))
        if i > 0:
            left = int64(before[i])
            ranks[left] = _pair(ids[left], ids[i], pairs)
            if ranks[left] != _NONE:
                size = _push(heap, size, (ranks[left] & uint64(0xFFFFFFFF00000000)) | uint64(left))
    count = 0
    i = 0
    while i < n:
        ids[count] = ids[i]
        count += 1
        i = int64(after[i])
    return count


@njit(nogil=True, cache=True)
def _merge_long(  # type: ignore[no-untyped-def]
    data, start, end, vocabulary, offsets, byte_ids, byte_pairs, pairs, window, longest, out, o
):
    """Encode a long piece data[start:end] into out[o:], window by window; returns the new o.

    The last eighth of a window is encoded again with the next, so that its end leaves no mark. A
    seam that does not hold starts the piece anew with windows twice as long.
    """
    seam = np.empty(2 * longest, np.uint8)
    seam_ids = np.empty(2 * longest, np.int32)
    seam_ranks = np.empty(2 * longest, np.uint64)
    while True:
        room = min(window, end - start)
        ids = np.empty(room, np.int32)
        after = np.empty(room, np.int32)
        before = np.empty(room, np.int32)
        ranks = np.empty(room, np.uint64)
        heap = np.empty(3 * room, np.uint64)
        at, q, holds = start, o, True
        while at < end:
            stop = min(at + room, end)
            n = _merge_heap(
                data, at, stop, byte_ids, byte_pairs, pairs, ids, ranks, after, before, heap
            )
            if at > start:
                m = 0
                for token in (int64(out[q - 1]), int64(ids[0])):
                    for i in range(offsets[token], offsets[token + 1]):
                        seam[m] = vocabulary[i]
                        m += 1
                k = _merge_scanning(seam, 0, m, byte_ids, byte_pairs, pairs, seam_ids, seam_ranks)
                if k != 2 or seam_ids[0] != int32(out[q - 1]) or seam_ids[1] != ids[0]:
                    holds = False
                    break
            keep = end if stop == end else stop - room // 8
            i = 0
            while i < n and at < keep:
                out[q] = uint32(ids[i])
                at += offsets[ids[i] + 1] - offsets[ids[i]]
                q += 1
                i += 1
        if holds:
            return q
        window *= 2


@njit(inline="always")
def _long_key(data, start, end, key):  # type: ignore[no-untyped-def]
    """A second word for the key of a piece; together they hold the bytes of up to 15.

    (the last 8 bytes, those before them with the number of bytes), or (0, `key`) for more bytes.
    """
    n = end - start
    if n > EXACT_BYTES + 8:
        return uint64(0), key
    low, high = uint64(0), uint64(0)
    middle = max(start, end - 8)
    for i in range(start, middle):
        high = (high << uint64(8)) | uint64(data[i])
    for i in range(middle, end):
        low = (low << uint64(8)) | uint64(data[i])
    return low, high | (uint64(n) << uint64(56))


@njit(inline="always")
def _spell(data, start, end, vocabulary, offsets, tokens, slot):  # type: ignore[no-untyped-def]
    """The tokens of a slot, joined, are data[start:end]."""
    at = start
    same = True
    for x in range(1, tokens[slot, 0] + 1):
        for b in range(offsets[tokens[slot, x]], offsets[tokens[slot, x] + 1]):
            same = same and at < end and data[at] == vocabulary[b]
            at += 1
    return same and at == end


@njit(nogil=True, cache=True)
def _encode(  # type: ignore[no-untyped-def]
    data,
    text_offsets,
    classes,
    kind,
    vocabulary,
    offsets,
    byte_ids,
    byte_pairs,
    pieces,
    pairs,
    longest,
    keys,
    tokens,
    window,
    short,
    out,
    bounds,
):
    """Fill out (room for a token a byte) and bounds; returns the number of tokens."""
    ids = np.empty(short, np.int32)
    ranks = np.empty(short, np.uint64)
    ends = np.empty(PIECES, np.int64)
    cache_mask = uint64(len(keys) - 1)
    o = 0
    bounds[0] = 0
    for d in range(len(text_offsets) - 1):
        i, end = text_offsets[d], text_offsets[d + 1]
        while i < end:
            for p in range(find_pieces(data, i, end, classes, kind, ends)):
                start = i
                i = ends[p]
                n = i - start
                if n == 1:
                    out[o] = uint32(byte_ids[data[start]])
                    o += 1
                    continue
                key = uint64(0)
                if n <= longest or n <= short:
                    key = _key(data, start, i)
                    token = _token_of(data, start, i, key, vocabulary, offsets, pieces)
                    if token >= 0:
                        out[o] = uint32(token)
                        o += 1
                        continue
                if n > short:
                    o = _merge_long(
                        data,
                        start,
                        i,
                        vocabulary,
                        offsets,
                        byte_ids,
                        byte_pairs,
                        pairs,
                        window,
                        longest,
                        out,
                        o,
                    )
                    continue
                low, high = _long_key(data, start, i, key)
                slot = int64((_scramble(key) >> uint64(40)) & cache_mask)
                if (
                    keys[slot, 0] == low
                    and keys[slot, 1] == high
                    and (
                        high < _HASHED or _spell(data, start, i, vocabulary, offsets, tokens, slot)
                    )
                ):
                    n = int64(tokens[slot, 0])
                    for x in range(n):
                        out[o + x] = uint32(tokens[slot, x + 1])
                    o += n
                    continue
                n = _merge_scanning(data, start, i, byte_ids, byte_pairs, pairs, ids, ranks)
                for x in range(n):
                    out[o + x] = uint32(ids[x])
                o += n
                if n < tokens.shape[1]:
                    keys[slot, 0] = low
                    keys[slot, 1] = high
                    tokens[slot, 0] = n
                    for x in range(n):
                        tokens[slot, x + 1] = ids[x]
        bounds[d + 1] = o
    return o


def encode_texts(
    data: npt.NDArray[np.uint8],
    text_offsets: npt.NDArray[np.int64],
    kind: int,
    vocabulary: Vocabulary,
    cache: Cache,
    window_bytes: int = WINDOW_BYTES,
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Encode the texts data[text_offsets[d]:text_offsets[d + 1]] with a split pattern's kind.

    Returns tokens uint32[] and bounds int64[texts + 1]; text d is tokens[bounds[d]:bounds[d + 1]].
    Nothing in a text is taken for a special token. `window_bytes` bounds scratch memory and changes
    nothing else.
    """
    v = vocabulary
    tokens = np.empty(int(text_offsets[-1] - text_offsets[0]), np.uint32)
    bounds = np.empty(len(text_offsets), np.int64)
    total = _encode(
        data,
        text_offsets,
        piece_classes(),
        kind,
        v.token_bytes.data,
        v.token_bytes.offsets,
        v.byte_ids,
        v.byte_pairs,
        v.pieces,
        v.pairs,
        v.longest,
        cache.keys,
        cache.tokens,
        window_bytes,
        SHORT_BYTES,
        tokens,
        bounds,
    )
    tokens.resize(total, refcheck=False)  # gives the room that was not needed back, without a copy
    return tokens, bounds


@njit(nogil=True, cache=True)
def _decoded_bounds(tokens, bounds, offsets, out_bounds):  # type: ignore[no-untyped-def]
    """Fill out_bounds; returns the place of the first token beyond the vocabulary, -1 if none."""
    total = 0
    out_bounds[0] = 0
    for d in range(len(bounds) - 1):
        for i in range(bounds[d], bounds[d + 1]):
            token = int64(tokens[i])
            if token >= len(offsets) - 1:
                return i
            total += offsets[token + 1] - offsets[token]
        out_bounds[d + 1] = total
    return -1


@njit(nogil=True, cache=True)
def _decode(tokens, first, last, vocabulary, offsets, out):  # type: ignore[no-untyped-def]
    o = 0
    for i in range(first, last):
        token = int64(tokens[i])
        for b in range(offsets[token], offsets[token + 1]):
            out[o] = vocabulary[b]
            o += 1


def decode_tokens(
    tokens: npt.NDArray[np.uint32], bounds: npt.NDArray[np.int64], token_bytes: TokenBytes
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of the documents tokens[bounds[d]:bounds[d + 1]].

    Returns data uint8[] and offsets int64[documents + 1]. An id that the vocabulary leaves unused
    has no bytes; one beyond it raises ValueError.
    """
    offsets = np.empty(len(bounds), np.int64)
    wrong = _decoded_bounds(tokens, bounds, token_bytes.offsets, offsets)
    if wrong >= 0:
        raise ValueError(
            f"token {int(tokens[wrong])} at place {wrong} is outside the vocabulary of "
            f"{len(token_bytes.offsets) - 1} tokens"
        )
    data = np.empty(int(offsets[-1]), np.uint8)
    first, last = int(bounds[0]), int(bounds[-1])
    _decode(tokens, first, last, token_bytes.data, token_bytes.offsets, data)
    return data, offsets


@njit(nogil=True, cache=True)
def _fill_pieces(vocabulary, offsets, ids, pieces):  # type: ignore[no-untyped-def]
    mask = uint64(len(pieces) // 2 - 1)
    for token in ids:
        key = _key(vocabulary, offsets[token], offsets[token + 1])
        slot = int64(_scramble(key) & mask)
        while pieces[2 * slot] != 0:
            slot = int64(uint64(slot + 1) & mask)
        pieces[2 * slot] = key
        pieces[2 * slot + 1] = token


@njit(nogil=True, cache=True)
def _split_tokens(vocabulary, offsets, ids, pieces, out):  # type: ignore[no-untyped-def]
    """All (left, right, token) with left and right tokens that join to a token; returns how many.
    Counts alone where `out` has no rows."""
    n = 0
    for token in ids:
        start, end = offsets[token], offsets[token + 1]
        for cut in range(start + 1, end):
            key = _key(vocabulary, start, cut)
            left = _token_of(vocabulary, start, cut, key, vocabulary, offsets, pieces)
            if left < 0:
                continue
            key = _key(vocabulary, cut, end)
            right = _token_of(vocabulary, cut, end, key, vocabulary, offsets, pieces)
            if right < 0:
                continue
            if len(out) > 0:
                out[n, 0] = left
                out[n, 1] = right
                out[n, 2] = token
            n += 1
    return n


@njit(nogil=True, cache=True)
def _fill_pairs(left, right, merged, ranks, pairs):  # type: ignore[no-untyped-def]
    """A pair that comes twice has its last rank, as in the libraries."""
    mask = uint64(len(pairs) // 2 - 1)
    for i in range(len(left)):
        key = (uint64(left[i]) << uint64(32)) | uint64(right[i])
        slot = int64(_scramble(key) & mask)
        while pairs[2 * slot] != _NONE and pairs[2 * slot] != key:
            slot = int64(uint64(slot + 1) & mask)
        pairs[2 * slot] = key
        pairs[2 * slot + 1] = (uint64(ranks[i]) << uint64(32)) | uint64(merged[i])


@njit(nogil=True, cache=True)
def _fill_byte_pairs(byte_ids, pairs, byte_pairs):  # type: ignore[no-untyped-def]
    for left in range(256):
        for right in range(256):
            byte_pairs[left << 8 | right] = _pair(byte_ids[left], byte_ids[right], pairs)


@njit(nogil=True, cache=True)
def _reached(vocabulary, offsets, ids, byte_ids, byte_pairs, pairs, longest, out):  # type: ignore[no-untyped-def]
    """out[i]: merges alone make the token ids[i] of its bytes."""
    merged = np.empty(longest, np.int32)
    ranks = np.empty(longest, np.uint64)
    for i in range(len(ids)):
        token = ids[i]
        n = _merge_scanning(
            vocabulary,
            offsets[token],
            offsets[token + 1],
            byte_ids,
            byte_pairs,
            pairs,
            merged,
            ranks,
        )
        out[i] = n == 1 and merged[0] == token


def _slots(entries: int) -> int:
    return 1 << max(4, (2 * entries).bit_length())


def _piece_table(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], ids: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint64]:
    pieces = np.zeros(2 * _slots(len(ids)), np.uint64)
    _fill_pieces(data, offsets, ids, pieces)
    return pieces


def pack_tokens(tokens: Sequence[bytes]) -> TokenBytes:
    """`tokens[t]`: the bytes of id t, b"" where the id is unused."""
    offsets = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum([len(token) for token in tokens], out=offsets[1:])
    return TokenBytes(np.frombuffer(b"".join(tokens), np.uint8), offsets)


def build_vocabulary(
    token_bytes: TokenBytes,
    mergeable: npt.NDArray[np.int32],
    merges: npt.NDArray[np.int32] | None,
    whole_pieces: bool,
) -> Vocabulary:
    """Prepare tokens and merges for the kernels.

    `mergeable`: the ids that text may
    become (no special tokens), each with bytes of its own; all 256 single bytes are among them.
    `merges` int32[merges, 3]: (left, right, merged) in order of rank, None where the rank of a pair
    is the id of what it joins to (tiktoken). `whole_pieces`: a piece that is a token becomes that
    token even where merges lead elsewhere (tiktoken, or `ignore_merges` of a `tokenizer.json`).
    """
    data, offsets = token_bytes
    lengths = offsets[mergeable + 1] - offsets[mergeable]
    byte_ids = np.full(256, -1, np.int32)
    singles = mergeable[lengths == 1]
    byte_ids[data[offsets[singles]]] = singles
    if (byte_ids < 0).any():
        raise ValueError(f"byte {int(np.argmin(byte_ids))} must be a token of the vocabulary")
    longest = int(lengths.max())
    pieces = _piece_table(data, offsets, mergeable)
    if merges is None:
        empty = np.empty((0, 3), np.int32)
        count = _split_tokens(data, offsets, mergeable, pieces, empty)
        merges = np.empty((count, 3), np.int32)
        _split_tokens(data, offsets, mergeable, pieces, merges)
        ranks = merges[:, 2].astype(np.int64)
    else:
        ranks = np.arange(len(merges), dtype=np.int64)
    pairs = np.full(2 * _slots(len(merges)), _NONE, np.uint64)
    _fill_pairs(merges[:, 0], merges[:, 1], merges[:, 2], ranks, pairs)
    byte_pairs = np.empty(1 << 16, np.uint64)
    _fill_byte_pairs(byte_ids, pairs, byte_pairs)
    if not whole_pieces:
        reached = np.empty(len(mergeable), np.bool_)
        _reached(data, offsets, mergeable, byte_ids, byte_pairs, pairs, longest, reached)
        pieces = _piece_table(data, offsets, mergeable[reached])
    return Vocabulary(token_bytes, byte_ids, byte_pairs, pieces, pairs, longest)
