"""Slices of very large components, so that no worker compares more than so many documents.

A component is compared in one worker (passes.py), in time that grows with its documents and their
survivors. One of more than `MOST_TOGETHER` documents, as all chains of a pool of billions may make,
is dealt to several, each slice taken for a component of its own: documents of two slices are not
compared. A document's slice follows from its least shingle, which two documents of similarity s
have in common with the probability s (Broder 1997). So of the pairs that share a band, those of
similarity s are compared with the probability s (of two slices, some more by chance): at 0.8 one in
five is missed, in such components alone. A band that both have would serve no better, since it is
equal with the probability of all its rows, s to the power of their number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.kernels.hashing import hash_keys
from transforms.kernels.shingles import Sets

__all__ = ["MOST_TOGETHER", "slice_components"]

MOST_TOGETHER = 1 << 20  # documents of a component, and of a slice on average


def slice_components(
    component: npt.NDArray[np.uint64],
    documents: npt.NDArray[np.uint64],
    sets: Sets,
    most_together: int = MOST_TOGETHER,
) -> npt.NDArray[np.uint64]:
    """What each document is compared within, uint64[documents]: its component, or a slice of it.

    `documents`: how many its component has; `sets`: its shingles.
    """
    slices = -(-documents.astype(np.int64) // most_together)
    large = np.flatnonzero(slices > 1)
    found = component.copy()
    if len(large):
        first = sets.bounds[:-1][large]
        filled = first < sets.bounds[1:][large]
        least = np.zeros(len(large), np.uint64)
        least[filled] = sets.values[first[filled]]
        share = hash_keys(least) >> np.uint64(32)
        number = (share * slices[large].astype(np.uint64)) >> np.uint64(32)
        # Should it be the name of another component, these are read together and share no band.
        found[large] = hash_keys(component[large] ^ hash_keys(number + np.uint64(1)))
    return found
