"""Tokens back to bytes: document by document, into buffers as Arrow has them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import int64, njit

from transforms.kernels.bpe_tables import TokenBytes
from transforms.kernels.loops import LOOP

__all__ = ["decode_tokens"]


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
