"""The identity of a mix: one number for which documents it holds, with which tokens, how often.

In: ids and token hashes of documents, and how often each is taken. Out: a sum modulo 2**64 of a
hash per document, so that order and split into files do not matter. Found once from the tables
`tokens` and `selection` and again from token files alone, the two are equal, unless a document is
missing, repeated, renamed or has other tokens. For honest files, not against forged collisions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.checks.documents import id_hashes
from transforms.kernels.hashing import hash_keys, hash_rows

__all__ = ["digest_hashes", "document_digests", "hash_tokens", "sum_digests"]

_TOKEN_BYTES = 4


def hash_tokens(
    tokens: npt.NDArray[np.uint32], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """A hash of each run tokens[starts[d]:ends[d]], without the EOS; uint64[documents].

    Runs come in order and do not overlap; what lies between them does not matter. ValueError when
    they do not.
    """
    edges = np.empty(2 * len(starts), np.int64)
    edges[::2], edges[1::2] = starts, ends
    data = np.ascontiguousarray(tokens, "<u4").view(np.uint8)
    return hash_rows(data, edges * _TOKEN_BYTES)[0][::2]


def document_digests(ids: pa.Array, token_hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A hash of each document's id and tokens, uint64[documents]."""
    return digest_hashes(*id_hashes(ids), token_hashes)


def digest_hashes(
    upper: npt.NDArray[np.uint64],
    lower: npt.NDArray[np.uint64],
    token_hashes: npt.NDArray[np.uint64],
) -> npt.NDArray[np.uint64]:
    """The same from the two halves of the hashes of ids, where these are known."""
    return hash_keys(upper ^ hash_keys(lower ^ hash_keys(token_hashes)))


def sum_digests(digests: npt.NDArray[np.uint64], copies: npt.NDArray[np.uint32]) -> int:
    """The digest of documents that are taken `copies` times each, 0..2**64 - 1; those of parts add
    up, modulo 2**64."""
    return int(np.sum(digests * copies.astype(np.uint64), dtype=np.uint64))
