"""The keys of a JSON text, counted without parsing it: colons that stand in no string."""

from __future__ import annotations

import numpy as np
from numba import njit

from transforms.kernels.eight_bytes import (
    byte_number,
    equal_bytes,
    load_eight,
    lowest,
    repeat_byte,
)
from transforms.kernels.loops import LOOP

__all__ = ["count_keys"]

_QUOTE, _BACKSLASH, _COLON = ord('"'), ord("\\"), ord(":")
_QUOTES, _BACKSLASHES = repeat_byte(_QUOTE), repeat_byte(_BACKSLASH)


@njit(**LOOP)
def _count(data):  # type: ignore[no-untyped-def]
    keys, i, end = 0, 0, len(data)
    while i < end:
        if data[i] == _QUOTE:
            i += 1
            while i < end and data[i] != _QUOTE:
                x = load_eight(data, i, end)
                mask = equal_bytes(x, _QUOTES) | equal_bytes(x, _BACKSLASHES)
                if mask:
                    i += byte_number(lowest(mask))
                    if data[i] == _BACKSLASH:
                        i += 2  # with what it escapes
                else:
                    i += 8
        elif data[i] == _COLON:
            keys += 1
        i += 1
    return keys


def count_keys(text: bytes) -> int:
    """Keys of all objects of a valid JSON text (UTF-8), each as often as it is written."""
    return int(_count(np.frombuffer(text, np.uint8)))
