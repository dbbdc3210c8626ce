"""Compiled loops (Numba) over Arrow buffers. They know arrays of numbers and no Python object."""
