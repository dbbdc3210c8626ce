"""One pass over the tokens of a file: which stand where they must not.

In: tokens uint32[], and starts and ends int64[documents] (document d is tokens
starts[d]..ends[d]-1). Out: counts, see `TokenCounts`. Any bounds are accepted: a document that
leaves the file, ends before it starts or overlaps one before it is counted and not read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["TokenCounts", "scan_tokens"]


class TokenCounts(NamedTuple):
    """What a scan saw, in tokens or documents."""

    out_of_range: int  # tokens >= vocabulary size
    inner_eos: int  # EOS before a document's last token
    missing_eos: int  # documents that do not close with EOS
    empty: int  # documents without a token beside EOS
    misplaced: int  # documents that leave the file, end before they start or overlap an earlier one
    covered: int  # tokens inside documents


@njit(nogil=True, cache=True)
def _scan(tokens, starts, ends, vocabulary_size, eos_token):  # type: ignore[no-untyped-def]
    out_of_range = 0
    for i in range(len(tokens)):
        if tokens[i] >= vocabulary_size:
            out_of_range += 1
    inner_eos = 0
    missing_eos = 0
    empty = 0
    misplaced = 0
    covered = 0
    reached = 0
    for d in range(len(starts)):
        start, end = starts[d], ends[d]
        if start < reached or end > len(tokens) or end < start:
            misplaced += 1
            continue
        reached = end
        covered += end - start
        text = end - start
        for i in range(start, end):
            if tokens[i] == eos_token:
                text -= 1
                if i < end - 1:
                    inner_eos += 1
        if text == 0:
            empty += 1
        if end == start or tokens[end - 1] != eos_token:
            missing_eos += 1
    return out_of_range, inner_eos, missing_eos, empty, misplaced, covered


def scan_tokens(
    tokens: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    vocabulary_size: int,
    eos_token: int,
) -> TokenCounts:
    """Scan a file's tokens against the bounds of its documents, which are in file order.

    ValueError when `starts` and `ends` are not equally many. No memory beside the arguments.
    """
    if len(starts) != len(ends):
        raise ValueError(f"starts and ends must pair up (got {len(starts)} and {len(ends)})")
    return TokenCounts(*(int(n) for n in _scan(tokens, starts, ends, vocabulary_size, eos_token)))
