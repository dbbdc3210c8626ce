"""What was found becomes spans: united, between characters, joined where the recipe asks for it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dedup.passages import (
    FOUND_PASSAGE,
    document_starts,
    documents_of,
    passage_columns,
    place_of,
)

STARTS = np.array([100, 200, 200, 260], np.int64)  # of three documents, the second empty


def columns(found, joined_from=None):
    """`found`: (start, end, first in) or more: head and tail."""
    rows = np.zeros(len(found), FOUND_PASSAGE)
    for k, (start, end, first_in, *edges) in enumerate(found):
        rows[k] = (
            int(place_of(7, np.array([start]))[0]),
            first_in,
            end - start,
            *(edges or (0, 0)),
        )
    table, spans = passage_columns(rows, STARTS, joined_from)
    assert table["cut_bytes"].to_pylist() == [
        sum(one["end"] - one["start"] for one in row) for row in table["spans"].to_pylist()
    ]
    assert spans == sum(len(row) for row in table["spans"].to_pylist())
    shown = [[(one["start"], one["end"]) for one in row] for row in table["spans"].to_pylist()]
    return shown, table["first_in"].to_pylist()


@pytest.mark.parametrize(
    ("found", "spans", "first_in"),
    [
        ([], [[], [], []], [[], [], []]),
        ([(110, 120, 5)], [[(10, 20)], [], []], [[5], [], []]),
        # Overlapping and touching ones are one span; the document of most bytes is named.
        ([(110, 120, 5), (115, 140, 6), (140, 142, 5)], [[(10, 42)], [], []], [[6], [], []]),
        # Neighbouring documents' spans never meet.
        ([(190, 200, 5), (200, 210, 6)], [[(90, 100)], [], [(0, 10)]], [[5], [], [6]]),
        # Of equally many bytes the first in the span.
        ([(120, 130, 4), (110, 120, 5)], [[(10, 30)], [], []], [[5], [], []]),
        # Ends move to characters; only those of the whole span count.
        ([(110, 120, 5, 1, 2), (118, 130, 5, 3, 0)], [[(11, 30)], [], []], [[5], [], []]),
        ([(110, 112, 5, 1, 2)], [[], [], []], [[], [], []]),
    ],
)
def test_found_passages_become_spans(found, spans, first_in):
    assert columns(found) == (spans, first_in)
    assert columns(found[::-1]) == (spans, first_in)


@pytest.mark.parametrize(
    ("share", "spans", "first_in"),
    [
        (None, [(0, 38), (40, 78), (88, 98)], [5, 6, 5]),
        (0.95, [(0, 78), (88, 98)], [5, 5]),  # 76 of 78 bytes are covered; 86 of 98 are not
        (0.85, [(0, 98)], [5]),
        (0.99, [(0, 38), (40, 78), (88, 98)], [5, 6, 5]),
    ],
)
def test_neighbours_are_joined_where_little_lies_between(share, spans, first_in):
    found = [(100, 138, 5), (140, 178, 6), (188, 198, 5), (202, 203, 5)]
    seen = columns(found, share)
    assert seen == ([spans, [], [(2, 3)]], [first_in, [], [5]])


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), min_size=1, max_size=12),
    st.sampled_from([50, 85, 90, 95, 99, 100]),
)
def test_what_is_joined_is_covered_by_the_share_and_nothing_else_is(pieces, percent):
    """Spans of one document, from the left on: each joins those before it if enough is covered."""
    spans, at = [], 100
    for length, gap in pieces:
        spans.append((at, at + length))
        at += length + gap + 1
    wanted, covered = [spans[0]], spans[0][1] - spans[0][0]
    for start, end in spans[1:]:
        joined = end - wanted[-1][0]
        if Fraction(covered + end - start, joined) >= Fraction(percent, 100):
            wanted[-1], covered = (wanted[-1][0], end), covered + end - start
        else:
            wanted.append((start, end))
            covered = end - start
    rows = np.zeros(len(spans), FOUND_PASSAGE)
    for k, (start, end) in enumerate(spans):
        rows[k] = (start, 5, end - start, 0, 0)
    table, _ = passage_columns(rows, np.array([100, at]), percent / 100)
    seen = [(one["start"] + 100, one["end"] + 100) for one in table["spans"].to_pylist()[0]]
    assert seen == wanted


def test_places_lead_back_to_documents():
    starts = document_starts(np.array([5, 0, 3, 0]))
    assert starts.tolist() == [0, 5, 5, 8, 8]
    assert documents_of(np.array([0, 4, 5, 7]), starts).tolist() == [0, 0, 2, 2]
    assert place_of(2, np.array([7])).tolist() == [(2 << 32) + 7]


def test_a_shard_beyond_its_addresses_is_refused():
    with pytest.raises(ValueError, match="less than 4 GiB"):
        document_starts(np.array([1 << 31, 1 << 31]))
