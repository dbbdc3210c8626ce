"""Links are stars over equal keys; components are those of scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from transforms.dedup import components
from transforms.dedup.components import BAND, LINK, find_components, link_bands


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([(1, 5), (2, 5), (3, 6)], []),
        ([(1, 5), (1, 6), (1, 7)], [(5, 6), (5, 7)]),
        ([(1, 5), (1, 6), (2, 5), (2, 6)], [(5, 6)]),  # two bands, one link
        ([(0, 0), (0, 2**64 - 1)], [(0, 2**64 - 1)]),  # no key and no address is special
        ([(2, 7), (2, 9), (1, 9), (1, 8)], [(7, 9), (8, 9)]),
    ],
)
def test_links(rows, expected):
    assert link_bands(np.array(sorted(rows), BAND)).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.integers(1, 5))
def test_components_are_named_by_their_least_address(pairs, pieces):
    pairs = sorted({(min(p), max(p)) for p in pairs if p[0] != p[1]})
    links = np.array(pairs, LINK)
    found = list(find_components(lambda: np.array_split(links, pieces)))
    seen = dict(np.concatenate(found).tolist()) if found else {}
    a, b = links["address"].astype(int), links["other"].astype(int)
    _, labels = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(31, 31)), False)
    assert seen == {int(node): int(np.flatnonzero(labels == labels[node])[0]) for node in {*a, *b}}


def test_components_come_in_pieces_by_address(monkeypatch):
    monkeypatch.setattr(components, "PIECE_ROWS", 3)
    links = np.array([(1, k) for k in range(2, 9)], LINK)
    found = [piece.tolist() for piece in find_components(lambda: [links])]
    assert [len(piece) for piece in found] == [3, 3, 2]
    assert [row for piece in found for row in piece] == [(k, 1) for k in range(1, 9)]
