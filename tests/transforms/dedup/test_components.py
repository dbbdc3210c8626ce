"""Links are stars over equal keys; components are those of scipy, joined in one worker or in
rounds."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from transforms.dedup import components
from transforms.dedup.components import (
    ARC,
    BAND,
    COMPONENT,
    LINK,
    STAR,
    both_ways,
    count_stars,
    find_components,
    large_star,
    link_bands,
    open_nodes,
    small_star,
    star_components,
)
from transforms.sorted_pieces import sorted_pieces, with_heads

CHAIN_NODES = 1 << 16
ONE_PIECE = 1 << 40
LINKS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40)


def links_of(pairs):
    ends = np.array(sorted({(min(p), max(p)) for p in pairs if p[0] != p[1]}), np.uint64)
    links = np.empty(len(ends), LINK)
    links["address"], links["other"] = ends.reshape(-1, 2).T
    return links


def in_pieces(rows, size):
    return [rows[k : k + size] for k in range(0, len(rows), size)]


def joined(links, most_bytes=ONE_PIECE):
    """Components by rounds of stars, and how many rounds changed something."""
    arcs, rounds = [both_ways(links)], 0
    while True:
        pieces = list(sorted_pieces(arcs, ARC, most_bytes))
        if not sum(map(open_nodes, with_heads(pieces, ["node"]))):
            stars = list(star_components(pieces))
            by_component = list(sorted_pieces(stars, STAR, most_bytes))
            counted = count_stars(partial(iter, by_component))
            return sorted(row for piece in counted for row in piece.tolist()), rounds
        rounds += 1
        stars = sorted_pieces(large_star(pieces), ARC, most_bytes)
        arcs = list(small_star(stars))


def least_of_components(links):
    """The oracle: (node, least node of its component, nodes of that) for all."""
    nodes, ends = np.unique(np.concatenate([links["address"], links["other"]]), return_inverse=True)
    a, b = ends[: len(links)], ends[len(links) :]
    shape = (len(nodes), len(nodes))
    _, labels = connected_components(coo_array((np.ones(len(a)), (a, b)), shape), directed=False)
    _, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    columns = nodes, nodes[first[labels]], sizes[labels]
    return list(zip(*(one.tolist() for one in columns), strict=True))


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
    bands = np.array(sorted(rows), BAND)
    assert [
        row for some in link_bands([bands] if rows else []) for row in some.tolist()
    ] == expected


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=40),
    st.integers(0, 13),
    st.integers(1, 9),
)
def test_a_band_of_published_documents_alone_links_nothing(rows, first, size):
    bands = np.array(sorted(set(rows)), BAND)
    groups = {key: sorted(a for k, a in set(rows) if k == key) for key, _ in rows}
    expected = {
        (group[0], other) for group in groups.values() for other in group[1:] if group[0] < first
    }
    found = link_bands(in_pieces(bands, size), np.uint64(first))
    assert {row for some in found for row in some.tolist()} == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=40), st.integers(1, 9))
def test_a_band_may_go_on_over_any_number_of_pieces(rows, size):
    bands = np.array(sorted(set(rows)), BAND)
    whole = {row for some in link_bands(in_pieces(bands, 100)) for row in some.tolist()}
    assert {row for some in link_bands(in_pieces(bands, size)) for row in some.tolist()} == whole


@settings(max_examples=60, deadline=None)
@given(LINKS, st.integers(1, 5))
def test_components_are_named_by_their_least_address(pairs, pieces):
    links = links_of(pairs)
    found = list(find_components(lambda: np.array_split(links, pieces)))
    seen = np.concatenate(found).tolist() if found else []
    assert seen == least_of_components(links)
    arcs = both_ways(links)
    found = list(find_components(lambda: np.array_split(arcs, pieces)))
    assert (np.concatenate(found).tolist() if found else []) == seen


@settings(max_examples=100, deadline=None)
@given(LINKS, st.integers(1, 9))
def test_rounds_give_the_same_components_whatever_a_piece_holds(pairs, piece_rows):
    links = links_of(pairs)
    found, _ = joined(links, piece_rows * ARC.itemsize)
    assert found == least_of_components(links)


def chain(order):
    return _between(order[:-1], order[1:])


def _between(a, b):
    links = np.empty(len(a), LINK)
    links["address"], links["other"] = np.minimum(a, b), np.maximum(a, b)
    return links


@pytest.mark.parametrize(
    "order",
    [
        np.arange(CHAIN_NODES),
        np.random.default_rng(1).permutation(CHAIN_NODES),
        np.arange(CHAIN_NODES).reshape(2, -1).T.reshape(-1),  # from one half to the other
    ],
    ids=["in order", "shuffled", "to and fro"],
)
def test_chains_are_joined_in_as_many_rounds_as_their_length_has_bits(order):
    found, rounds = joined(chain(order))
    assert found == [(node, 0, CHAIN_NODES) for node in range(CHAIN_NODES)]
    assert rounds <= math.log2(CHAIN_NODES)


@pytest.mark.parametrize("center", [0, CHAIN_NODES // 2, CHAIN_NODES - 1])
def test_stars_are_joined_in_one_round_in_pieces_far_smaller_than_they(center):
    leaves = np.delete(np.arange(CHAIN_NODES), center)
    links = _between(leaves, np.full(len(leaves), center))
    found, rounds = joined(links, most_bytes=CHAIN_NODES * ARC.itemsize // 50)
    assert found == [(node, 0, CHAIN_NODES) for node in range(CHAIN_NODES)]
    assert rounds <= 1


def test_rows_stay_as_many_as_the_links():
    rng = np.random.default_rng(3)
    arcs = [both_ways(links_of(rng.integers(0, 3000, (5000, 2)).tolist()))]
    links = sum(map(len, arcs)) // 2
    for _ in range(5):
        stars = list(large_star(sorted_pieces(arcs, ARC, ONE_PIECE)))
        assert sum(map(len, stars)) <= links
        arcs = list(small_star(sorted_pieces(stars, ARC, ONE_PIECE)))
        assert sum(map(len, arcs)) <= 2 * links


def test_components_come_in_pieces_by_address(monkeypatch):
    monkeypatch.setattr(components, "PIECE_ROWS", 3)
    links = np.array([(1, k) for k in range(2, 9)], LINK)
    found = [piece.tolist() for piece in find_components(lambda: [links])]
    assert [len(piece) for piece in found] == [3, 3, 2]
    assert [row for piece in found for row in piece] == [(k, 1, 8) for k in range(1, 9)]


def test_a_component_may_hold_more_documents_than_a_shard_may_have_rows():
    assert np.iinfo(COMPONENT["documents"]).max >= 1 << 40
