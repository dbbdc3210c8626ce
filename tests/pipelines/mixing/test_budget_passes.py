"""Budget passes: sums of shards are joined exactly, whatever comes first and however wide."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.mixing.budget_passes import IN_CELLS, join_cells


def cells(rows):
    return np.array(rows, IN_CELLS)


def plain_sums(rows):
    totals = {}
    for place, tokens, documents in rows:
        held = totals.get(place, (0, 0))
        totals[place] = (held[0] + tokens, held[1] + documents)
    return [(place, *totals[place]) for place in sorted(totals)]


# Few places, which are summed in an array of all, and such as no array could hold.
PLACES = st.one_of(st.integers(0, 20), st.integers(0, 2**63 - 1))
ROWS = st.lists(st.tuples(PLACES, st.integers(0, 2**40), st.integers(1, 2**20)), max_size=30)


@given(st.lists(ROWS, min_size=1, max_size=5), st.randoms())
def test_sums_are_those_of_a_dictionary_in_any_order(parts, random):
    wanted = plain_sums([row for part in parts for row in part])
    shuffled = random.sample(parts, len(parts))
    joined = join_cells([pickle.loads(pickle.dumps(cells(part))) for part in shuffled])
    assert joined.tolist() == wanted
    halves = [join_cells([cells(part)]) for part in shuffled]
    assert join_cells(halves).tolist() == wanted


@pytest.mark.parametrize("place", [0, 3, 2**60])
def test_one_place_alone_is_found(place):
    assert join_cells([cells([(place, 5, 1)]), cells([(place, 6, 2)])]).tolist() == [(place, 11, 3)]


def test_no_row_at_all_has_no_place():
    assert len(join_cells([cells([])])) == 0
