"""Spans as columns and as arrays."""

import numpy as np
import pyarrow as pa
import pytest

from transforms.annotators import SPANS
from transforms.kernels.cut import Spans
from transforms.spans import spans_array, unite_spans


def test_spans_are_cut_into_one_list_a_document() -> None:
    column = spans_array(
        Spans(np.array([0, 2, 2, 3]), starts=np.array([0, 5, 2]), ends=np.array([3, 9, 4]))
    )
    assert column.type == SPANS
    assert column.to_pylist() == [
        [{"start": 0, "end": 3}, {"start": 5, "end": 9}],
        [],
        [{"start": 2, "end": 4}],
    ]


def test_no_documents_give_an_empty_column() -> None:
    nothing = np.empty(0, np.int64)
    assert spans_array(Spans(np.array([0]), nothing, nothing)).to_pylist() == []


def test_spans_of_several_columns_are_united_and_null_is_none() -> None:
    one = pa.array([None, [{"start": 4, "end": 6}, {"start": 0, "end": 2}]], SPANS)
    other = pa.array([[{"start": 1, "end": 1}], [{"start": 2, "end": 3}]], SPANS)
    united = unite_spans([one, other], 2)
    assert spans_array(united).to_pylist() == [
        [],
        [{"start": 0, "end": 3}, {"start": 4, "end": 6}],
    ]
    with pytest.raises(ValueError, match="a row per document"):
        unite_spans([one], 3)
