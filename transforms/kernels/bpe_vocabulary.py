"""Tokens and merges made into the tables that the kernels of byte-level BPE look up.

In: what each token spells, and merges as tiktoken or a `tokenizer.json` has them. Out: a
`kernels.bpe_tables.Vocabulary`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.bpe_merges import begin_symbols, merge_heap
from transforms.kernels.bpe_tables import (
    MOST_IDS,
    MOST_MERGES,
    NOTHING,
    TokenBytes,
    Vocabulary,
    pair_key,
    pair_rank,
    pair_slot,
    piece_key,
    piece_slot,
    token_of,
)
from transforms.kernels.loops import LOOP, LOOP_WITH_ARRAYS

__all__ = ["build_vocabulary"]


@njit(**LOOP)
def _fill_pieces(token_bytes, ids, piece_keys, piece_tokens):  # type: ignore[no-untyped-def]
    data, offsets = token_bytes.data, token_bytes.offsets
    for token in ids:
        low, high = piece_key(data, offsets[token], offsets[token + 1], len(data))
        slot = piece_slot(low, high, len(piece_tokens))
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
            low, high = piece_key(data, start, cut, len(data))
            left = token_of(data, start, cut, low, high, token_bytes, piece_keys, piece_tokens)
            if left < 0:
                continue
            low, high = piece_key(data, cut, end, len(data))
            right = token_of(data, cut, end, low, high, token_bytes, piece_keys, piece_tokens)
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
        key = pair_key(merges[i, 0], merges[i, 1])
        slot = pair_slot(key, pairs)
        while pairs[slot] != NOTHING and pairs[slot] >> uint64(24) != key:
            slot = (slot + uint64(1)) & uint64(len(pairs) - 1)
        pairs[slot] = (key << uint64(24)) | uint64(ranks[i])


@njit(**LOOP)
def _fill_byte_ranks(byte_ids, pairs, byte_ranks):  # type: ignore[no-untyped-def]
    for left in range(256):
        for right in range(256):
            byte_ranks[left << 8 | right] = pair_rank(byte_ids[left], byte_ids[right], pairs)


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
        n = begin_symbols(data, offsets[ids[i]], offsets[ids[i] + 1], v, scratch, ranks)
        n = merge_heap(n, v, scratch, ranks, after, before, heap)
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
    pairs = np.full(_slots(len(merges)), NOTHING, np.uint64)
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
