import math

import pyarrow as pa

from transforms.annotators import SPANS
from transforms.checks.attributes import count_attributes

SCORES = [0.5, math.nan, None, math.inf]
TABLE = pa.RecordBatch.from_arrays(
    [
        pa.array(SCORES),
        pa.array(SCORES, pa.float32()),
        pa.array([1, None, None, 4]),
        pa.array([1, None, None, 4]),
        pa.array([None, [], [{"start": 0, "end": 1}], []], SPANS),
        pa.array([None, None, None, {"of": "x"}], pa.struct([("of", pa.string())])),
    ],
    schema=pa.schema(
        [
            pa.field("score", pa.float64(), nullable=False),
            pa.field("maybe", pa.float32()),
            pa.field("words", pa.int64(), nullable=False),
            pa.field("page", pa.int64()),
            pa.field("cut", SPANS, nullable=False),
            pa.field("evidence", pa.struct([("of", pa.string())])),
        ]
    ),
)
COUNTS = {
    "rows": 4,
    "checked.values": 16,
    "null.score": 1,
    "nan.score": 2,
    "nan.maybe": 2,
    "null.words": 2,
    "null.cut": 1,
}


def test_broken_promises_and_non_finite_numbers_are_counted() -> None:
    assert count_attributes(TABLE) == COUNTS


def test_counts_of_slices_add_up_and_have_the_same_keys() -> None:
    parts = [count_attributes(TABLE.slice(row, 1)) for row in range(4)]
    assert all(part.keys() == COUNTS.keys() for part in parts)
    assert {key: sum(part[key] for part in parts) for key in COUNTS} == COUNTS


def test_a_batch_without_rows_has_all_counters() -> None:
    assert count_attributes(TABLE.slice(0, 0)) == dict.fromkeys(COUNTS, 0)
