"""How a loop over buffers is compiled: options for `numba.njit`.

Numba counts references to arrays also inside loops, with an atomic instruction each time; whoever
takes a name for an array in an inlined function, or leaves it early, pays for it on every character
(twice the time of the split patterns). A loop that makes no array needs no count: it is compiled
without. One that does make arrays fails to compile, so that its caller hands them in.
"""

from __future__ import annotations

from typing import Any

__all__ = ["INLINE", "LOOP", "LOOP_WITH_ARRAYS"]

# A kernel that Python calls, or a part of one that is compiled apart.
LOOP: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False}
# The same where arrays are made inside.
LOOP_WITH_ARRAYS: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": True}
# A few lines that become a part of each loop that uses them; Python cannot call it.
INLINE: dict[str, Any] = {
    "nogil": True,
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}
