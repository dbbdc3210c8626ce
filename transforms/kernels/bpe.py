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
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import int32, int64, njit, types, uint32, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from transforms.kernels.eight_bytes import load_eight
from transforms.kernels.loops import INLINE, LOOP, LOOP_WITH_ARRAYS
from transforms.kernels.split import find_pieces
from transforms.kernels.words import GOLDEN_RATIO, read_only

__all__ = [
    "MOST_IDS",
    "MOST_MERGES",
    "Cache",
    "TokenBytes",
    "Vocabulary",
    "build_vocabulary",
    "decode_tokens",
    "encode_texts",
    "new_cache",
    "pack_tokens",
]

WINDOW_BYTES = 1 << 16  # bytes of a long piece that are encoded at once; 40 bytes of scratch each
SHORT_BYTES = 63  # pieces up to here are merged many at a time, longer ones with a heap
LANES = 64  # places of a short piece's scratch, one more than it has bytes
LANES_AT_ONCE = 16  # of these as many as hold the piece and one more are in use
CACHE_BITS = 16  # 2**16 pieces are remembered per thread
CACHED_TOKENS = 11  # tokens of a remembered piece, at most
EXACT_BYTES = 15  # pieces up to here are their own key in hash tables
PIECES = 1 << 14  # pieces that are cut at a time
AHEAD = 256  # pieces whose place in the cache is asked for before they are looked up
PENDING = 64  # pieces that are merged at a time
MOST_IDS = (1 << 20) - 1  # ids of a vocabulary, at most: two of them and a rank are one uint64
MOST_MERGES = (1 << 24) - 1

_K2 = np.uint64(0xFF51AFD7ED558CCD)  # a factor of MurmurHash3's finaliser
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)  # also: an empty slot of the table of pairs
_HASHED = np.uint64(0xFF << 56)  # second words of keys from here on: the first is a hash
_NO_RANK = np.uint32(0xFFFFFF)  # of a pair that does not merge
_NONE = np.uint32(0xFFFFFF00)  # the same as rank << 8 | place
_ALL_BITS = np.uint32(0xFFFFFFFF)


class TokenBytes(NamedTuple):
    """What each token spells: token t is data[offsets[t]:offsets[t + 1]], empty where an id is
    unused. data uint8[], offsets int64[ids + 1]."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


class Vocabulary(NamedTuple):
    """Tokens and merges as kernels want them.

    `byte_ids` int32[256] are the tokens of single bytes, `byte_ranks` uint32[65536] the ranks of
    two of them (first byte << 8 | second). `piece_keys` uint64[slots, 2] and `piece_tokens`
    int32[slots] are a hash table: the tokens that a whole piece may become at once. `pairs`
    uint64[slots] is one of left << 44 | right << 24 | rank, and `merged` int32[] what the pair of a
    rank becomes. `longest`: bytes of the longest token.
    """

    token_bytes: TokenBytes
    byte_ids: npt.NDArray[np.int32]
    byte_ranks: npt.NDArray[np.uint32]
    piece_keys: npt.NDArray[np.uint64]
    piece_tokens: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.uint64]
    merged: npt.NDArray[np.int32]
    longest: int


Cache = npt.NDArray[np.uint64]


class _Pending(NamedTuple):
    """Pieces whose tokens are not known yet, and scratch for their merges: a row each.

    Piece k is `lengths[k]` bytes from `starts[k]` of the data on, its key `keys[k]`. It has as many
    places in the output from `places[k]` on, of which its tokens take `counts[k]`. The symbol that
    begins at its byte i is at p = LANES * k + i of the other columns: `ids[p]` its token,
    `before[p]` and `after[p]` the bytes where its neighbours begin, `ranks[p]` the rank of it and
    the one after << 8 | i. `going` are the pieces that are not done, `last` where each merged last.
    """

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    places: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    going: npt.NDArray[np.int64]
    last: npt.NDArray[np.uint64]
    ids: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.uint32]
    after: npt.NDArray[np.uint8]
    before: npt.NDArray[np.uint8]


def _new_pending() -> _Pending:
    return _Pending(
        starts=np.empty(PENDING, np.int64),
        lengths=np.empty(PENDING, np.int64),
        keys=np.empty((PENDING, 2), np.uint64),
        places=np.empty(PENDING, np.int64),
        counts=np.empty(PENDING, np.int64),
        going=np.empty(PENDING, np.int64),
        last=np.empty(PENDING, np.uint64),
        ids=np.empty(PENDING * LANES, np.int32),
        ranks=np.empty(PENDING * LANES, np.uint32),
        after=np.empty(PENDING * LANES, np.uint8),
        before=np.empty(PENDING * LANES, np.uint8),
    )


def new_cache() -> Cache:
    """Pieces met before and their tokens, for one thread; it never changes what comes out. 4 MB.

    uint64[slots, 8]: the two words of a piece's key, then uint32: how many tokens, and they.
    """
    return np.zeros((1 << CACHE_BITS, 3 + CACHED_TOKENS // 2), np.uint64)


def _type_prefetch(typing_context: Any, array: Any, place: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        struct = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(struct.data, [arguments[1]])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0",
        )
        for_reading, keep, data = number(0), number(3), number(1)
        builder.call(function, [builder.bitcast(address, byte), for_reading, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.uint64), emit


# Begin to load the element at a place (uint64) of an array, which will be wanted soon.
_prefetch: Any = intrinsic(_type_prefetch)


@njit(**INLINE)
def _piece_key(data, start, end, limit):  # type: ignore[no-untyped-def]
    """Two words: the bytes of a piece and their number, or a hash where there are more than 15.

    So keys of short pieces are equal exactly when the pieces are. `data` can be read up to `limit`.
    """
    n = end - start
    if n <= EXACT_BYTES:
        low = load_eight(data, start, limit) & (_ALL >> uint64(64 - 8 * min(n, 8)))
        high = uint64(n) << uint64(56)
        if n > 8:
            high |= load_eight(data, start + 8, limit) & (_ALL >> uint64(128 - 8 * n))
        return low, high
    h = uint64(n) * GOLDEN_RATIO
    for i in range(start, end, 8):
        h = (h ^ load_eight(data, i, end)) * GOLDEN_RATIO
        h ^= h >> uint64(32)
    return h, _HASHED | uint64(n)


@njit(**INLINE)
def _slot(low, high, slots):  # type: ignore[no-untyped-def]
    h = (low ^ (high * _K2)) * GOLDEN_RATIO
    return (h ^ (h >> uint64(32))) & uint64(slots - 1)


@njit(**INLINE)
def _token_of(data, start, end, low, high, token_bytes, piece_keys, piece_tokens):  # type: ignore[no-untyped-def]
    """The token whose bytes are data[start:end] (low, high: their key), -1 if none is."""
    slot = _slot(low, high, len(piece_tokens))
    while piece_keys[slot, 1] != 0:
        if piece_keys[slot, 0] == low and piece_keys[slot, 1] == high:
            token = int64(piece_tokens[slot])
            if high < _HASHED or _equal(data, start, end, token_bytes, token):
                return token
        slot = (slot + uint64(1)) & uint64(len(piece_tokens) - 1)
    return int64(-1)


@njit(**LOOP)
def _equal(data, start, end, token_bytes, token):  # type: ignore[no-untyped-def]
    """The token spells data[start:end]."""
    first, n = token_bytes.offsets[token], end - start
    if token_bytes.offsets[token + 1] - first != n:
        return False
    i = 0
    while i < n and token_bytes.data[first + i] == data[start + i]:
        i += 1
    return i == n


@njit(**INLINE)
def _pair_key(left, right):  # type: ignore[no-untyped-def]
    return (uint64(left) << uint64(20)) | uint64(right)


@njit(**INLINE)
def _pair_slot(key, pairs):  # type: ignore[no-untyped-def]
    h = key * GOLDEN_RATIO
    return (h ^ (h >> uint64(32))) & uint64(len(pairs) - 1)


@njit(**INLINE)
def _rank(left, right, pairs):  # type: ignore[no-untyped-def]
    """Rank of two neighbours, _NO_RANK where they do not merge."""
    key = _pair_key(left, right)
    slot = _pair_slot(key, pairs)
    while True:
        found = pairs[slot]
        if found >> uint64(24) == key:
            return uint32(found) & _NO_RANK
        if found == _ALL:
            return _NO_RANK
        slot = (slot + uint64(1)) & uint64(len(pairs) - 1)


@njit(**LOOP)
def _merge_together(data, pending, words, v, out):  # type: ignore[no-untyped-def]
    """Encode the pieces pending.going[:words], of at most 63 bytes, each to its place in `out`.

    One merge of each piece after the other: what a merge needs from the table of pairs is asked for
    a round before, so that pieces wait for the memory together and not one by one.
    """
    going, last, ids, ranks = pending.going, pending.last, pending.ids, pending.ranks
    after, before = pending.after, pending.before
    for a in range(words):
        k = going[a]
        row = uint64(k) * uint64(LANES)  # places are unsigned, which needs no check of their sign
        start, n = pending.starts[k], pending.lengths[k]
        for i in range(n // LANES_AT_ONCE * LANES_AT_ONCE + LANES_AT_ONCE):
            ranks[row + uint64(i)] = _NONE | uint32(i)
        for i in range(n):
            at = row + uint64(i)
            ids[at] = v.byte_ids[data[start + i]]
            after[at] = i + 1
            before[at] = max(i - 1, 0)
        for i in range(n - 1):
            rank = v.byte_ranks[uint64(data[start + i]) << uint64(8) | uint64(data[start + i + 1])]
            ranks[row + uint64(i)] = (rank << uint32(8)) | uint32(i)
    while words > 0:
        left = 0
        for a in range(words):
            k = going[a]
            row = uint64(k) * uint64(LANES)
            n = pending.lengths[k]
            best = _ALL_BITS
            for i in range(LANES_AT_ONCE):
                best = min(best, ranks[row + uint64(i)])
            for first in range(LANES_AT_ONCE, n + 1, LANES_AT_ONCE):
                for i in range(LANES_AT_ONCE):
                    best = min(best, ranks[row + uint64(first + i)])
            if best >= _NONE:
                o = pending.places[k]
                at = uint64(0)
                while at < uint64(n):
                    out[o] = uint32(ids[row + at])
                    o += 1
                    at = uint64(after[row + at])
                pending.counts[k] = o - pending.places[k]
                continue
            at = uint64(best & uint32(0xFF))
            token = v.merged[uint64(best >> uint32(8))]
            ids[row + at] = token
            gone = uint64(after[row + at])
            right = uint64(after[row + gone])
            ranks[row + gone] = _NONE | uint32(gone)
            after[row + at] = right
            if right < uint64(n):
                before[row + right] = at
                key = _pair_key(token, ids[row + right])
                _prefetch(v.pairs, _pair_slot(key, v.pairs))
            if at > uint64(0):
                key = _pair_key(ids[row + uint64(before[row + at])], token)
                _prefetch(v.pairs, _pair_slot(key, v.pairs))
            going[left] = k
            last[left] = row + at
            left += 1
        words = left
        for a in range(words):
            at = last[a]
            k = going[a]
            row = uint64(k) * uint64(LANES)
            right = uint64(after[at])
            rank = _NO_RANK
            if right < uint64(pending.lengths[k]):
                rank = _rank(ids[at], ids[row + right], v.pairs)
            ranks[at] = (rank << uint32(8)) | uint32(at - row)
            if at > row:
                other = row + uint64(before[at])
                rank = _rank(ids[other], ids[at], v.pairs)
                ranks[other] = (rank << uint32(8)) | uint32(other - row)


@njit(**LOOP)
def _settle(data, pending, missing, v, cache, out, o, bounds, first, last):  # type: ignore[no-untyped-def]
    """Encode the pieces that are pending, close the gaps behind their tokens, remember them.

    bounds[first:last] are those of documents that ended since the first of them. Returns the new o.
    """
    places, lengths, keys = pending.places, pending.lengths, pending.keys
    words = 0
    for k in range(missing):
        start = pending.starts[k]
        token = _token_of(
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
    _merge_together(data, pending, words, v, out)
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
    slot = _slot(low, high, len(cache))
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
    slot = _slot(low, high, len(cache))
    if cache[slot, 0] != low or cache[slot, 1] != high:
        return 0
    n = _recall(cache, slot, out, o)
    at = start
    for x in range(o, o + n):
        token = int64(out[x])
        stop = at + v.token_bytes.offsets[token + 1] - v.token_bytes.offsets[token]
        if stop > end or not _equal(data, at, stop, v.token_bytes, token):
            return 0
        at = stop
    return n if at == end else 0


@njit(**INLINE)
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


@njit(**INLINE)
def _push(heap, size, rank, at):  # type: ignore[no-untyped-def]
    value = (uint64(rank) << uint64(32)) | uint64(at)
    i = size
    while i > 0:
        parent = (i - 1) // 2
        if heap[parent] <= value:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = value
    return size + 1


@njit(**INLINE)
def _begin(data, start, end, v, ids, ranks):  # type: ignore[no-untyped-def]
    """Symbols of data[start:end] for `_merge_heap`: bytes. Returns how many."""
    n = end - start
    for i in range(n):
        ids[i] = v.byte_ids[data[start + i]]
        ranks[i] = _NO_RANK
    for i in range(n - 1):
        ranks[i] = v.byte_ranks[int64(data[start + i]) << 8 | int64(data[start + i + 1])]
    return n


@njit(**LOOP)
def _merge_heap(n, v, ids, ranks, after, before, heap):  # type: ignore[no-untyped-def]
    """Encode a piece of n bytes, whose symbols `_begin` has set, into ids[0:m], returns m. ids,
    ranks, after, before hold n entries, heap three times as many: entries are rank << 32 | place,
    those overtaken by another merge are recognised by their rank when they come up."""
    size = 0
    for i in range(n):
        after[i] = i + 1
        before[i] = i - 1
        if ranks[i] != _NO_RANK:
            heap[size] = (uint64(ranks[i]) << uint64(32)) | uint64(i)
            size += 1
    for i in range(size // 2 - 1, -1, -1):
        _sift_down(heap, size, i)
    while size > 0:
        top = heap[0]
        size -= 1
        heap[0] = heap[size]
        _sift_down(heap, size, 0)
        i = int64(top & uint64(0xFFFFFFFF))
        if uint64(ranks[i]) != top >> uint64(32):
            continue
        ids[i] = v.merged[ranks[i]]
        gone = int64(after[i])
        ranks[gone] = _NO_RANK
        after[i] = after[gone]
        ranks[i] = _NO_RANK
        if after[i] < n:
            before[after[i]] = i
            ranks[i] = _rank(ids[i], ids[after[i]], v.pairs)
            if ranks[i] != _NO_RANK:
                size = _push(heap, size, ranks[i], i)
        if i > 0:
            left = int64(before[i])
            ranks[left] = _rank(ids[left], ids[i], v.pairs)
            if ranks[left] != _NO_RANK:
                size = _push(heap, size, ranks[left], left)
    count = 0
    i = 0
    while i < n:
        ids[count] = ids[i]
        count += 1
        i = int64(after[i])
    return count


@njit(**LOOP_WITH_ARRAYS)
def _merge_long(data, start, end, v, window, out, o):  # type: ignore[no-untyped-def]
    """Encode a long piece data[start:end] into out[o:], window by window; returns the new o.

    The last eighth of a window is encoded again with the next, so that its end leaves no mark. A
    seam that does not hold starts the piece anew with windows twice as long.
    """
    two = 2 * v.longest  # bytes of the tokens at a seam, at most
    seam = np.empty(two, np.uint8)
    seam_ids = np.empty(two, np.int32)
    while True:
        room = min(window, end - start)
        ids = np.empty(room, np.int32)
        after = np.empty(max(room, two), np.int32)
        before = np.empty(max(room, two), np.int32)
        ranks = np.empty(max(room, two), np.uint32)
        heap = np.empty(3 * max(room, two), np.uint64)
        at, q, holds = start, o, True
        while at < end:
            stop = min(at + room, end)
            n = _begin(data, at, stop, v, ids, ranks)
            n = _merge_heap(n, v, ids, ranks, after, before, heap)
            if at > start:
                m = 0
                for token in (int64(out[q - 1]), int64(ids[0])):
                    for i in range(v.token_bytes.offsets[token], v.token_bytes.offsets[token + 1]):
                        seam[m] = v.token_bytes.data[i]
                        m += 1
                k = _begin(seam, 0, m, v, seam_ids, ranks)
                k = _merge_heap(k, v, seam_ids, ranks, after, before, heap)
                if k != 2 or seam_ids[0] != int32(out[q - 1]) or seam_ids[1] != ids[0]:
                    holds = False
                    break
            keep = end if stop == end else stop - room // 8
            i = 0
            while i < n and at < keep:
                out[q] = uint32(ids[i])
                at += v.token_bytes.offsets[ids[i] + 1] - v.token_bytes.offsets[ids[i]]
                q += 1
                i += 1
        if holds:
            return q
        window *= 2


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
                low, high = _piece_key(data, start, ends[p], limit)
                ahead[p - first, 0] = low
                ahead[p - first, 1] = high
                _prefetch(cache, _slot(low, high, len(cache)) * uint64(cache.shape[1]))
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
                    low, high = _piece_key(data, start, i, limit)
                    token = _token_of(
                        data, start, i, low, high, v.token_bytes, v.piece_keys, v.piece_tokens
                    )
                if token >= 0:
                    out[o] = uint32(token)
                    o += 1
                else:
                    o = _merge_long(data, start, i, v, window, out, o)
                continue
            low = ahead[p - first, 0]
            high = ahead[p - first, 1]
            if high < _HASHED:
                slot = _slot(low, high, len(cache))
                if cache[slot, 0] == low and cache[slot, 1] == high:
                    o += _recall(cache, slot, out, o)
                    continue
            else:
                known = _recall_hashed(data, start, i, low, high, v, cache, out, o)
                if known > 0:
                    o += known
                    continue
            _prefetch(v.piece_keys, _slot(low, high, len(v.piece_tokens)) * uint64(2))
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
    nothing else.
    """
    data, text_offsets = read_only(data), read_only(text_offsets)
    tokens = np.empty(int(text_offsets[-1] - text_offsets[0]) + 2, np.uint32)
    bounds = np.zeros(len(text_offsets), np.int64)
    ends, ahead = np.empty(PIECES, np.int64), np.empty((AHEAD, 2), np.uint64)
    pending = _new_pending()
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


@njit(**LOOP)
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


@njit(**LOOP)
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


@njit(**LOOP)
def _fill_pieces(token_bytes, ids, piece_keys, piece_tokens):  # type: ignore[no-untyped-def]
    data, offsets = token_bytes.data, token_bytes.offsets
    for token in ids:
        low, high = _piece_key(data, offsets[token], offsets[token + 1], len(data))
        slot = _slot(low, high, len(piece_tokens))
        while piece_keys[slot, 1] != 0:
            slot = (slot + uint64(1)) & uint64(len(piece_tokens) - 1)
        piece_keys[slot, 0] = low
        piece_keys[slot, 1] = high
        piece_tokens[slot] = token


@njit(**LOOP)
def _split_tokens(token_bytes, ids, piece_keys, piece_tokens, out):  # type: ignore[no-untyped-def]
    """All (left, right, token) with left and right tokens that join to a token; returns how many.
    Counts alone where `out` has no rows."""
    data, offsets = token_bytes.data, token_bytes.offsets
    n = 0
    for token in ids:
        start, end = offsets[token], offsets[token + 1]
        for cut in range(start + 1, end):
            low, high = _piece_key(data, start, cut, len(data))
            left = _token_of(data, start, cut, low, high, token_bytes, piece_keys, piece_tokens)
            if left < 0:
                continue
            low, high = _piece_key(data, cut, end, len(data))
            right = _token_of(data, cut, end, low, high, token_bytes, piece_keys, piece_tokens)
            if right < 0:
                continue
            if len(out) > 0:
                out[n, 0] = left
                out[n, 1] = right
                out[n, 2] = token
            n += 1
    return n


@njit(**LOOP)
def _fill_pairs(merges, ranks, pairs):  # type: ignore[no-untyped-def]
    """A pair that comes twice has its last rank, as in the libraries."""
    for i in range(len(merges)):
        key = _pair_key(merges[i, 0], merges[i, 1])
        slot = _pair_slot(key, pairs)
        while pairs[slot] != _ALL and pairs[slot] >> uint64(24) != key:
            slot = (slot + uint64(1)) & uint64(len(pairs) - 1)
        pairs[slot] = (key << uint64(24)) | uint64(ranks[i])


@njit(**LOOP)
def _fill_byte_ranks(byte_ids, pairs, byte_ranks):  # type: ignore[no-untyped-def]
    for left in range(256):
        for right in range(256):
            byte_ranks[left << 8 | right] = _rank(byte_ids[left], byte_ids[right], pairs)


@njit(**LOOP_WITH_ARRAYS)
def _reached(v, ids, out):  # type: ignore[no-untyped-def]
    """out[i]: merges alone make the token ids[i] of its bytes."""
    scratch = np.empty(v.longest, np.int32)
    ranks = np.empty(v.longest, np.uint32)
    after = np.empty(v.longest, np.int32)
    before = np.empty(v.longest, np.int32)
    heap = np.empty(3 * v.longest, np.uint64)
    data, offsets = v.token_bytes.data, v.token_bytes.offsets
    for i in range(len(ids)):
        n = _begin(data, offsets[ids[i]], offsets[ids[i] + 1], v, scratch, ranks)
        n = _merge_heap(n, v, scratch, ranks, after, before, heap)
        out[i] = n == 1 and scratch[0] == ids[i]


def _slots(entries: int) -> int:
    return 1 << max(4, (2 * entries).bit_length())


def _piece_table(
    token_bytes: TokenBytes, ids: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    slots = _slots(len(ids))
    keys, tokens = np.zeros((slots, 2), np.uint64), np.zeros(slots, np.int32)
    _fill_pieces(token_bytes, ids, keys, tokens)
    return keys, tokens


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

    `mergeable`: the ids that text may become (no special tokens), each with bytes of its own; all
    256 single bytes are among them. `merges` int32[merges, 3]: (left, right, merged) in order of
    rank, None where the rank of a pair is the id of what it joins to (tiktoken). `whole_pieces`: a
    piece that is a token becomes that token even where merges lead elsewhere (tiktoken, or
    `ignore_merges` of a `tokenizer.json`). ValueError where a byte is missing or there are more
    than MOST_IDS ids or MOST_MERGES merges.
    """
    data, offsets = token_bytes
    if len(offsets) - 1 > MOST_IDS or (merges is not None and len(merges) > MOST_MERGES):
        raise ValueError(f"it must have at most {MOST_IDS} ids and {MOST_MERGES} merges")
    lengths = offsets[mergeable + 1] - offsets[mergeable]
    byte_ids = np.full(256, -1, np.int32)
    singles = mergeable[lengths == 1]
    byte_ids[data[offsets[singles]]] = singles
    if (byte_ids < 0).any():
        raise ValueError(f"byte {int(np.argmin(byte_ids))} must be a token of the vocabulary")
    keys, tokens = _piece_table(token_bytes, mergeable)
    if merges is None:
        empty = np.empty((0, 3), np.int32)
        count = _split_tokens(token_bytes, mergeable, keys, tokens, empty)
        merges = np.empty((count, 3), np.int32)
        _split_tokens(token_bytes, mergeable, keys, tokens, merges)
        ranks = merges[:, 2].copy()
        merged = np.arange(len(offsets) - 1, dtype=np.int32)
    else:
        ranks = np.arange(len(merges), dtype=np.int32)
        merged = merges[:, 2].copy()
    pairs = np.full(_slots(len(merges)), _ALL, np.uint64)
    _fill_pairs(merges, ranks, pairs)
    byte_ranks = np.empty(1 << 16, np.uint32)
    _fill_byte_ranks(byte_ids, pairs, byte_ranks)
    longest = int(lengths.max())
    vocabulary = Vocabulary(token_bytes, byte_ids, byte_ranks, keys, tokens, pairs, merged, longest)
    if whole_pieces:
        return vocabulary
    reached = np.empty(len(mergeable), np.bool_)
    _reached(vocabulary, mergeable, reached)
    keys, tokens = _piece_table(token_bytes, mergeable[reached])
    return vocabulary._replace(piece_keys=keys, piece_tokens=tokens)
