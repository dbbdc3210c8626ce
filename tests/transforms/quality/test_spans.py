import numpy as np

from transforms.annotators import SPANS
from transforms.quality.spans import spans_array


def test_spans_are_cut_into_one_list_a_document():
    starts, ends = np.array([0, 5, 2]), np.array([3, 9, 4])
    column = spans_array(starts, ends, np.array([0, 2, 2, 3]))
    assert column.type == SPANS
    assert column.to_pylist() == [
        [{"start": 0, "end": 3}, {"start": 5, "end": 9}],
        [],
        [{"start": 2, "end": 4}],
    ]


def test_no_documents_give_an_empty_column():
    nothing = np.empty(0, np.int64)
    assert spans_array(nothing, nothing, np.array([0])).to_pylist() == []
