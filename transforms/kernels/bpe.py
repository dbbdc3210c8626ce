"""Byte-level BPE: from text to tokens, equal token for token to the libraries.

A text is cut by a split pattern (`kernels.split`), the pieces are merged (`kernels.bpe_merges`) or
remembered from before: most come again. Ranks are those of tiktoken (the rank of the merged token)
or of a list of merges (its index). In go Arrow buffers, out come uint32 tokens and int64 bounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import int64, njit, uint32, uint64

from transforms.kernels.bpe_merges import (
    SHORT_BYTES,
    WINDOW_BYTES,
    merge_long,
    merge_together,
    new_pending,
)
from transforms.kernels.bpe_tables import (
    HASHED,
    Vocabulary,
    equals_token,
    piece_key,
    piece_slot,
    token_of,
)
from transforms.kernels.loops import INLINE, LOOP
from transforms.kernels.prefetch import prefetch
from transforms.kernels.split import find_pieces
from transforms.kernels.words import read_only

__all__ = ["Cache", "encode_texts", "new_cache"]

CACHE_BITS = 17  # 2**17 pieces are remembered per thread
CACHED_TOKENS = 11  # tokens of a remembered piece, at most
PIECES = 1 << 14  # pieces that are cut at a time
AHEAD = 256  # pieces whose place in the cache is asked for before they are looked up
Cache = npt.NDArray[np.uint64]


def new_cache() -> Cache:
    """Pieces met before and their tokens, for one thread; it never changes what comes out. 8 MB.

    uint64[slots, 8]: the two words of a piece's key, then uint32: how many tokens, and they.
    """
    return np.zeros((1 << CACHE_BITS, 3 + CACHED_TOKENS // 2), np.uint64)


@njit(**LOOP)
def _settle(data, pending, missing, v, cache, out, o, bounds, first, last):  # type: ignore[no-untyped-def]
    """Encode the pieces that are pending, close the gaps behind their tokens, remember them.

    bounds[first:last] are those of documents that ended since the first of them. Returns the new o.
    """
    places, lengths, keys = pending.places, pending.lengths, pending.keys
    words = 0
    for k in range(missing):
        start = pending.starts[k]
        token = token_of(
            data,
            start,
            start + lengths[k],
            keys[k, 0],
            keys[k, 1],
            v.token_bytes,
            v.piece_keys,
            v.piece_tokens,
        )
        if token >= 0:
            out[places[k]] = uint32(token)
            pending.counts[k] = 1
        else:
            pending.going[words] = k
            words += 1
    merge_together(data, pending, words, v, out)
    shift = 0
    for k in range(missing):
        place, count = places[k], pending.counts[k]
        while first < last and bounds[first] <= place:
            bounds[first] -= shift
            first += 1
        if count <= CACHED_TOKENS:
            _remember(cache, keys[k, 0], keys[k, 1], out, place, count)
        for x in range(count):
            out[uint64(place - shift + x)] = out[uint64(place + x)]
        gap_end = place + lengths[k]
        shift += lengths[k] - count
        stop = places[k + 1] if k + 1 < missing else o
        for x in range(stop - gap_end):
            out[uint64(gap_end - shift + x)] = out[uint64(gap_end + x)]
    for x in range(first, last):
        bounds[x] -= shift
    return o - shift


@njit(**INLINE)
def _recall(cache, slot, out, o):  # type: ignore[no-untyped-def]
    """Write the tokens of a slot to out[o:] (and up to two more); returns how many there are."""
    u = uint64(o)
    word = cache[slot, 2]
    out[u] = uint32(word >> uint64(32))
    n = int64(word & uint64(0xFFFFFFFF))
    word = cache[slot, 3]
    out[u + uint64(1)] = uint32(word)
    out[u + uint64(2)] = uint32(word >> uint64(32))
    for x in range(3, n):
        word = cache[slot, 2 + (x + 1) // 2]
        out[o + x] = uint32(word >> uint64(32 * ((x + 1) % 2)))
    return n


@njit(**INLINE)
def _remember(cache, low, high, out, o, n):  # type: ignore[no-untyped-def]
    """Put the tokens out[o:o + n] of a piece into its slot, whatever is there."""
    slot = piece_slot(low, high, len(cache))
    cache[slot, 0] = low
    cache[slot, 1] = high
    cache[slot, 2] = uint64(n)
    for x in range(3, cache.shape[1]):
        cache[slot, x] = 0
    for x in range(n):
        cache[slot, 2 + (x + 1) // 2] |= uint64(out[o + x]) << uint64(32 * ((x + 1) % 2))


@njit(**LOOP)
def _recall_hashed(data, start, end, low, high, v, cache, out, o):  # type: ignore[no-untyped-def]
    """`_recall` of a piece whose key is a hash: 0 unless the tokens spell its bytes."""
    slot = piece_slot(low, high, len(cache))
    if cache[slot, 0] != low or cache[slot, 1] != high:
        return 0
    n = _recall(cache, slot, out, o)
    at = start
    for x in range(o, o + n):
        token = int64(out[x])
        stop = at + v.token_bytes.offsets[token + 1] - v.token_bytes.offsets[token]
        if stop > end or not equals_token(data, at, stop, v.token_bytes, token):
            return 0
        at = stop
    return n if at == end else 0


@njit(**LOOP)
def _encode(  # type: ignore[no-untyped-def]
    data, text_offsets, d, i, pieces, ends, v, cache, window, ahead, pending, out, o, bounds
):
    """Encode pieces, the first of which begins at data[i] of text d, into out[o:] (room for a token
    a byte and two more) and fill the bounds of the texts that end with them; returns the new o.

    Pieces that the cache does not hold get a place in `out` for each byte, to be settled when there
    are enough of them to be merged together.
    """
    limit = text_offsets[len(text_offsets) - 1]
    missing = 0
    settled = d + 1
    for first in range(0, pieces, len(ahead)):
        last = min(first + len(ahead), pieces)
        start = i
        for p in range(first, last):
            if ends[p] - start <= SHORT_BYTES:
                low, high = piece_key(data, start, ends[p], limit)
                ahead[p - first, 0] = low
                ahead[p - first, 1] = high
                prefetch(cache, piece_slot(low, high, len(cache)) * uint64(cache.shape[1]))
            start = ends[p]
        for p in range(first, last):
            while i == text_offsets[d + 1]:
                d += 1
                bounds[d] = o
            start = i
            i = ends[p]
            n = i - start
            if n > SHORT_BYTES:
                token = int64(-1)
                if n <= v.longest:
                    low, high = piece_key(data, start, i, limit)
                    token = token_of(
                        data, start, i, low, high, v.token_bytes, v.piece_keys, v.piece_tokens
                    )
                if token >= 0:
                    out[o] = uint32(token)
                    o += 1
                else:
                    o = merge_long(data, start, i, v, window, out, o)
                continue
            low = ahead[p - first, 0]
            high = ahead[p - first, 1]
            if high < HASHED:
                slot = piece_slot(low, high, len(cache))
                if cache[slot, 0] == low and cache[slot, 1] == high:
                    o += _recall(cache, slot, out, o)
                    continue
            else:
                known = _recall_hashed(data, start, i, low, high, v, cache, out, o)
                if known > 0:
                    o += known
                    continue
            prefetch(v.piece_keys, piece_slot(low, high, len(v.piece_tokens)) * uint64(2))
            pending.keys[missing, 0] = low
            pending.keys[missing, 1] = high
            pending.starts[missing] = start
            pending.lengths[missing] = n
            pending.places[missing] = o
            missing += 1
            o += n
            if missing == len(pending.starts):
                o = _settle(data, pending, missing, v, cache, out, o, bounds, settled, d + 1)
                settled = d + 1
                missing = 0
    while d < len(text_offsets) - 1 and i == text_offsets[d + 1]:
        d += 1
        bounds[d] = o
    return _settle(data, pending, missing, v, cache, out, o, bounds, settled, d + 1)


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
    nothing else. Room (address space) for a token a byte is reserved, and given back at the end.
    """
    data, text_offsets = read_only(data), read_only(text_offsets)
    tokens = np.empty(int(text_offsets[-1] - text_offsets[0]) + 2, np.uint32)
    bounds = np.zeros(len(text_offsets), np.int64)
    ends, ahead = np.empty(PIECES, np.int64), np.empty((AHEAD, 2), np.uint64)
    pending = new_pending()
    d, i, o = 0, int(text_offsets[0]), 0
    while d < len(text_offsets) - 1:
        pieces, next_d, next_i = find_pieces(data, text_offsets, d, i, kind, ends)
        o = _encode(
            data,
            text_offsets,
            d,
            i,
            pieces,
            ends,
            vocabulary,
            cache,
            window_bytes,
            ahead,
            pending,
            tokens,
            o,
            bounds,
        )
        d, i = next_d, next_i
    tokens.resize(o, refcheck=False)  # gives the room that was not needed back, without a copy
    return tokens, bounds
