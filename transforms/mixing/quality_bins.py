"""Quality bins: bounds that cut a topic's documents into bins of equal tokens, best bin last.

In: for each document its topic (a hash), its score (float32) and its tokens. Out: for each topic
the greatest score of every bin but the last. The bounds are exact over all documents though memory
does not grow with their number: tokens are first summed by the upper 16 bits of a score and then,
where a bound lies, by all 32. Documents of one score stay together, so a score that many share
makes a bin wider, and no bin is empty.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from transforms.rows import sum_equal

__all__ = [
    "LOWER_BITS",
    "SUMS",
    "find_bounds",
    "find_cut_keys",
    "merge_sums",
    "score_keys",
    "sum_keys",
    "unkey",
]

SUMS = np.dtype([("topic", "<u8"), ("key", "<u4"), ("tokens", "<i8")])
LOWER_BITS = 16  # of a key, that the first sums leave out
_SIGN = np.uint32(0x80000000)
Sums = npt.NDArray[np.void]
Keys = npt.NDArray[np.uint32]


def score_keys(scores: npt.NDArray[np.float32]) -> Keys:
    """Whole numbers in the order of the scores, uint32[rows]. NaN is the least; 0 is -0; what is
    infinite is the greatest or least number."""
    least, greatest = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)
    clean = np.nan_to_num(scores, nan=least, neginf=least, posinf=greatest) + np.float32(0.0)
    bits = np.ascontiguousarray(clean, np.float32).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN).astype(np.uint32)


def unkey(keys: Keys) -> npt.NDArray[np.float32]:
    """The scores of keys."""
    bits = np.where(keys & _SIGN, keys ^ _SIGN, ~keys).astype(np.uint32)
    return bits.view(np.float32)


def sum_keys(topics: npt.NDArray[np.uint64], keys: Keys, tokens: npt.NDArray[np.int64]) -> Sums:
    """Tokens by topic and key, sorted by both."""
    rows = np.empty(len(keys), SUMS)
    rows["topic"], rows["key"], rows["tokens"] = topics, keys, tokens
    return merge_sums([rows])


def merge_sums(parts: Iterable[Sums]) -> Sums:
    """The sums of all parts together; the same in whatever order they come."""
    return sum_equal(np.concatenate([np.empty(0, SUMS), *parts]), ("topic", "key"), ("tokens",))


def find_cut_keys(upper: Sums, bins: int) -> Sums:
    """The rows of `upper`, sums by the upper bits of keys, in which a bound lies."""
    found = [its[_cuts(its["tokens"], bins)] for its in _by_topic(upper)]
    return np.concatenate([np.empty(0, SUMS), *found])


def find_bounds(upper: Sums, lower: Sums, bins: int) -> dict[int, Keys]:
    """Topic -> the keys of the greatest scores of its bins but the last, rising, none twice.

    Bound k is the least score up to which a topic has k / `bins` of its tokens. `lower`: sums by
    all bits, of the keys whose upper bits are in `find_cut_keys`.
    """
    cut = find_cut_keys(upper, bins)
    bounds = {}
    for its in _by_topic(upper):
        topic = int(its["topic"][0])
        inside = lower[lower["topic"] == topic]
        coarse = its[~np.isin(its["key"], cut["key"][cut["topic"] == topic])].copy()
        # Nothing is cut in these: that they end in ones keeps them in their place.
        coarse["key"] = (coarse["key"] << LOWER_BITS) | ((1 << LOWER_BITS) - 1)
        rows = np.concatenate([coarse, inside])
        rows = rows[np.argsort(rows["key"])]
        places = _cuts(rows["tokens"], bins)
        bounds[topic] = rows["key"][places[places < len(rows) - 1]]
    return bounds


def _cuts(tokens: npt.NDArray[np.int64], bins: int) -> npt.NDArray[np.int64]:
    """Rows at which the tokens so far first reach k / `bins` of all, each once."""
    sums = np.cumsum(tokens)
    # In whole numbers: `bins` times a sum stays far below 2**63.
    wanted = np.arange(1, bins, dtype=np.int64) * sums[-1]
    return np.unique(np.searchsorted(sums * bins, wanted, side="left"))


def _by_topic(sums: Sums) -> list[Sums]:
    starts = np.flatnonzero(np.diff(sums["topic"])) + 1
    return [its for its in np.split(sums, starts) if len(its)]
