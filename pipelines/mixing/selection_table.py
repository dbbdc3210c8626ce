"""The table `selection`: how often each document of the pool is in a mix.

One row a document: `eligible` bool (in the pool and met by the recipe's query), `copies` uint32,
`cell` uint32 (the number of the document's cell in the budget, 0 where neither quality nor
repetition decide; null where it is not eligible); where the source has a window, `outside` bool (it
meets the query and is not eligible since it lies outside); and, of a curriculum, `stage_1`,
`stage_2` ... uint32: how many of the copies stand in each stage, which sum to `copies`.
"""

from __future__ import annotations

import pyarrow as pa

__all__ = ["OUTSIDE", "SELECTION_SCHEMA", "selection_schema", "stage_columns"]

OUTSIDE = "outside"
SELECTION_SCHEMA = pa.schema(
    [
        pa.field("eligible", pa.bool_(), nullable=False),
        pa.field("copies", pa.uint32(), nullable=False),
        pa.field("cell", pa.uint32()),
    ]
)


def stage_columns(stages: int) -> list[str]:
    """The columns of a curriculum's stages, of which there may be none."""
    return [f"stage_{number}" for number in range(1, stages + 1)]


def selection_schema(stages: int, window: bool) -> pa.Schema:
    """The schema of a table whose mix has so many stages, and whose source has a window or none."""
    columns = [pa.field(name, pa.uint32(), nullable=False) for name in stage_columns(stages)]
    outside = [pa.field(OUTSIDE, pa.bool_(), nullable=False)] if window else []
    return pa.schema([*SELECTION_SCHEMA, *outside, *columns])
