"""What is compared at once is bounded, and which documents that are depends on them alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dedup.members import MEMBER_BLOCK
from transforms.dedup.parts import MOST_COMPONENT_BYTES, cut_components

SIZES = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=9), max_size=6)


def rows_of(components):
    """Sorted rows of components whose members have so many blocks each."""
    rows = [
        (component, member, 0, 0, block, 1, 0)
        for component, members in enumerate(components)
        for member, blocks in enumerate(members)
        for block in range(blocks)
    ]
    return np.array(rows, MEMBER_BLOCK)


def parts_of(rows, most_rows, piece_rows):
    pieces = [rows[k : k + piece_rows] for k in range(0, len(rows), piece_rows)]
    return list(cut_components(pieces, most_rows * MEMBER_BLOCK.itemsize))


def plain_parts(components, most_rows):
    """(component, member) -> number of its part, by walking over the members."""
    parts = {}
    for component, members in enumerate(components):
        part, rows = 0, 0
        for member, blocks in enumerate(members):
            if rows >= most_rows:
                part, rows = part + 1, 0
            parts[component, member] = part
            rows += blocks
    return parts


@given(SIZES, st.integers(1, 12), st.integers(1, 40))
def test_parts_depend_on_the_components_alone(components, most_rows, piece_rows):
    rows = rows_of(components)
    found = parts_of(rows, most_rows, piece_rows)
    assert b"".join(part.tobytes() for part in found) == rows.tobytes()
    expected = plain_parts(components, most_rows)
    seen = {}
    for number, part in enumerate(found):
        for component, member in part[["component", "least_band"]].tolist():
            seen.setdefault((component, member), set()).add(number)
    assert all(len(numbers) == 1 for numbers in seen.values())  # no member is cut
    for one, other in zip(list(expected)[:-1], list(expected)[1:], strict=True):
        together = seen[one] == seen[other]
        if one[0] == other[0]:
            assert together == (expected[one] == expected[other])


@given(SIZES, st.integers(1, 12), st.integers(1, 40))
def test_no_more_than_the_bound_a_document_and_a_piece_come_at_once(
    components, most_rows, piece_rows
):
    for part in parts_of(rows_of(components), most_rows, piece_rows):
        assert len(part) < most_rows + 4 + piece_rows


def test_the_bound_is_some_forty_thousand_documents():
    blocks = -(-(800 + 26 + 3) // 59)
    assert MOST_COMPONENT_BYTES // (blocks * MEMBER_BLOCK.itemsize) == pytest.approx(
        35_000, rel=0.2
    )
