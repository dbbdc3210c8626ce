"""Blank rows: text that is empty or holds nothing but white space.

White space is what `str.isspace` of the running Python says (`kernels.unicode`). A row is left at
its first other character, so text costs next to nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.unicode import SPACE, class_table, decode

__all__ = ["count_blank"]


@njit(nogil=True, cache=True)
def _count(data, offsets, classes):  # type: ignore[no-untyped-def]
    blank = 0
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        while i < end:
            code, width = decode(data, i, end)
            if classes[code] != SPACE:
                break
            i += width
        if i >= end:
            blank += 1
    return blank


def count_blank(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> int:
    """How many rows data[offsets[r]:offsets[r + 1]] (UTF-8) hold no character but white space."""
    return int(_count(data, offsets, class_table()))
