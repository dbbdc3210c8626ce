"""Short byte strings as kernels look for them: a padded table of bytes, lengths beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["pad_phrases", "starts_with"]


def pad_phrases(
    phrases: Sequence[bytes], width: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Bytes uint8[phrases, width], zeros after each phrase, and lengths int64[phrases]."""
    table = np.zeros((len(phrases), width), np.uint8)
    for row, phrase in zip(table, phrases, strict=True):
        row[: len(phrase)] = np.frombuffer(phrase, np.uint8)
    return table, np.array([len(phrase) for phrase in phrases], np.int64)


@njit(inline="always")
def starts_with(data, i, end, phrase, length):  # type: ignore[no-untyped-def]
    """Whether data[i:end] begins with phrase[:length]; nothing begins with an empty phrase."""
    if length == 0 or i + length > end:
        return False
    k = 0
    while k < length and data[i + k] == phrase[k]:
        k += 1
    return k == length
