"""Lines of tables: how much of each line is digits, and which lines stand between two pipes.

In: lines of a batch that are not blank. Out: two numbers a document, over its lines. Digits are
those of str.isdigit; white space at both ends of a line is none of its pipes' concern.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.lines import Lines, trim_left, trim_right
from transforms.kernels.unicode import class_table, decode, digit_table

__all__ = ["measure_tables"]

PIPE = 124


@njit(nogil=True, cache=True)
def _measure(data, starts, ends, characters, bounds, classes, digits, fractions, pipes):  # type: ignore[no-untyped-def]
    for d in range(len(bounds) - 1):
        total = 0.0
        for k in range(bounds[d], bounds[d + 1]):
            i, end = starts[k], ends[k]
            found = 0
            while i < end:
                c = data[i]
                if c < 0x80:
                    found += 48 <= c <= 57
                    i += 1
                else:
                    code, width = decode(data, i, end)
                    found += digits[code] != 255
                    i += width
            total += found / max(characters[k], 1)  # what is no UTF-8 may have none
            start = trim_left(data, starts[k], end, classes)
            if data[start] == PIPE:
                pipes[d] += data[trim_right(data, start, end, classes) - 1] == PIPE
        lines = bounds[d + 1] - bounds[d]
        fractions[d] = total / lines if lines else 0.0


def measure_tables(
    data: npt.NDArray[np.uint8], lines: Lines
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Per document: the mean over its lines of digits among a line's characters, float64, summed
    from the first line to the last and 0 where there is no line; lines that begin and end with a
    pipe (one pipe does both), int64. No memory but the results."""
    documents = len(lines.bounds) - 1
    fractions, pipes = np.zeros(documents, np.float64), np.zeros(documents, np.int64)
    _measure(
        data,
        lines.starts,
        lines.ends,
        lines.characters,
        lines.bounds,
        class_table(),
        digit_table(),
        fractions,
        pipes,
    )
    return fractions, pipes
