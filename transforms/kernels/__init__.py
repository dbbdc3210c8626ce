"""Compiled loops (Numba) over Arrow buffers. They know arrays of numbers and no Python object."""

from transforms.kernels.compiled import keep_compiled

keep_compiled()
