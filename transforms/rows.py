"""Rows: what changes hands between two passes over a pool, packed.

A structured array of fixed-size rows whose first field is a uint64 key. Rules take and give such
arrays; `exchange` moves them between workers, through files.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

__all__ = ["Rows"]

Rows = npt.NDArray[Any]  # one row of an exchange per element
