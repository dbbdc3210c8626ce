"""What byte-level BPE looks up: the tokens that pieces are, and the ranks of pairs.

A `Vocabulary` is made by `kernels.bpe_vocabulary`; the kernels of `bpe` and `bpe_merges` read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int64, njit, uint32, uint64

from transforms.kernels.eight_bytes import load_eight
from transforms.kernels.loops import INLINE, LOOP
from transforms.kernels.words import GOLDEN_RATIO

__all__ = [
    "ALL_BITS",
    "HASHED",
    "MOST_IDS",
    "MOST_MERGES",
    "NOTHING",
    "NO_RANK",
    "TokenBytes",
    "Vocabulary",
    "equals_token",
    "pair_key",
    "pair_rank",
    "pair_slot",
    "piece_key",
    "piece_slot",
    "token_of",
]

EXACT_BYTES = 15  # pieces up to here are their own key in hash tables
MOST_IDS = (1 << 20) - 1  # ids of a vocabulary, at most: two of them and a rank are one uint64
MOST_MERGES = (1 << 24) - 1


_K2 = np.uint64(0xFF51AFD7ED558CCD)  # a factor of MurmurHash3's finaliser


NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)  # also: an empty slot of the table of pairs
HASHED = np.uint64(0xFF << 56)  # second words of keys from here on: the first is a hash
NO_RANK = np.uint32(0xFFFFFF)  # of a pair that does not merge
ALL_BITS = np.uint32(0xFFFFFFFF)


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


@njit(**INLINE)
def piece_key(data, start, end, limit):  # type: ignore[no-untyped-def]
    """Two words: the bytes of a piece and their number, or a hash where there are more than 15.

    So keys of short pieces are equal exactly when the pieces are. `data` can be read up to `limit`.
    """
    n = end - start
    if n <= EXACT_BYTES:
        low = load_eight(data, start, limit) & (NOTHING >> uint64(64 - 8 * min(n, 8)))
        high = uint64(n) << uint64(56)
        if n > 8:
            high |= load_eight(data, start + 8, limit) & (NOTHING >> uint64(128 - 8 * n))
        return low, high
    h = uint64(n) * GOLDEN_RATIO
    for i in range(start, end, 8):
        h = (h ^ load_eight(data, i, end)) * GOLDEN_RATIO
        h ^= h >> uint64(32)
    return h, HASHED | uint64(n)


@njit(**INLINE)
def piece_slot(low, high, slots):  # type: ignore[no-untyped-def]
    """Where a piece's key is sought first in a hash table of so many slots, a power of two."""
    h = (low ^ (high * _K2)) * GOLDEN_RATIO
    return (h ^ (h >> uint64(32))) & uint64(slots - 1)


@njit(**INLINE)
def token_of(data, start, end, low, high, token_bytes, piece_keys, piece_tokens):  # type: ignore[no-untyped-def]
    """The token whose bytes are data[start:end] (low, high: their key), -1 if none is."""
    slot = piece_slot(low, high, len(piece_tokens))
    while piece_keys[slot, 1] != 0:
        if piece_keys[slot, 0] == low and piece_keys[slot, 1] == high:
            token = int64(piece_tokens[slot])
            if high < HASHED or equals_token(data, start, end, token_bytes, token):
                return token
        slot = (slot + uint64(1)) & uint64(len(piece_tokens) - 1)
    return int64(-1)


@njit(**LOOP)
def equals_token(data, start, end, token_bytes, token):  # type: ignore[no-untyped-def]
    """The token spells data[start:end]."""
    first, n = token_bytes.offsets[token], end - start
    if token_bytes.offsets[token + 1] - first != n:
        return False
    i = 0
    while i < n and token_bytes.data[first + i] == data[start + i]:
        i += 1
    return i == n


@njit(**INLINE)
def pair_key(left, right):  # type: ignore[no-untyped-def]
    """The key of two neighbouring tokens, 40 bits."""
    return (uint64(left) << uint64(20)) | uint64(right)


@njit(**INLINE)
def pair_slot(key, pairs):  # type: ignore[no-untyped-def]
    """Where a pair's key is sought first."""
    h = key * GOLDEN_RATIO
    return (h ^ (h >> uint64(32))) & uint64(len(pairs) - 1)


@njit(**INLINE)
def pair_rank(left, right, pairs):  # type: ignore[no-untyped-def]
    """Rank of two neighbours, NO_RANK where they do not merge."""
    key = pair_key(left, right)
    slot = pair_slot(key, pairs)
    while True:
        found = pairs[slot]
        if found >> uint64(24) == key:
            return uint32(found) & NO_RANK
        if found == NOTHING:
            return NO_RANK
        slot = (slot + uint64(1)) & uint64(len(pairs) - 1)


def pack_tokens(tokens: Sequence[bytes]) -> TokenBytes:
    """`tokens[t]`: the bytes of id t, b"" where the id is unused."""
    offsets = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum([len(token) for token in tokens], out=offsets[1:])
    return TokenBytes(np.frombuffer(b"".join(tokens), np.uint8), offsets)
