"""Passes find what one comparison of the whole component finds, whatever fits memory at once."""

import tempfile
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.dedup import fuzzy, passes
from transforms.dedup.fuzzy import find_near_duplicates
from transforms.dedup.members import Members, member_dtype, pack_members, unpack_members
from transforms.dedup.passes import compare_components
from transforms.kernels.shingles import Sets
from transforms.kernels.survivors import choose_survivors

BANDS = 3
# A document: component, ranks, bands, shingles.
DOCUMENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.tuples(st.integers(0, 1), st.integers(0, 1 << 20)),
        st.tuples(*[st.integers(0, 2)] * BANDS),
        st.one_of(
            st.sets(st.integers(0, 9), min_size=1),
            st.sampled_from([frozenset(range(k, k + 150)) for k in (0, 4, 30)]),  # of four blocks
        ),
    ),
    min_size=1,
    max_size=24,
    unique_by=lambda one: one[1],
)


PUBLISHED_FROM = np.uint64(10_000)


def rows_of(documents, published=0):
    """Sorted rows, as an exchange gives them; documents of a component stand by their ranks. The
    first ones are `published`, and of clusters of three."""
    documents = sorted(documents, key=lambda one: one[:2])
    sets = [sorted(one[3]) for one in documents]
    return pack_members(
        Members(
            np.array([one[0] for one in documents], np.uint64),
            np.array([(100, 10_000)[k < published] + k for k in range(len(documents))], np.uint64),
            np.array([1 + k % 3 for k in range(len(documents))], np.uint64),
            np.array([one[1] for one in documents], np.uint64),
            np.array([[one[0] * 10 + b for b in one[2]] for one in documents], np.uint64),
            Sets(
                np.array([v for one in sets for v in one], np.uint64),
                np.cumsum([0, *map(len, sets)]).astype(np.int64),
            ),
            np.array([(1, 3)[k < published] for k in range(len(documents))], np.uint64),
        )
    )


def in_pieces(rows, piece_rows):
    return [rows[k : k + piece_rows] for k in range(0, len(rows), piece_rows)]


def found_in(pieces, at_least, most_bytes):
    given = compare_components(pieces, BANDS, at_least, most_bytes, PUBLISHED_FROM)
    found = np.concatenate(list(given))
    return found[np.argsort(found["address"])].tolist()


def found_at_once(rows, at_least):
    found = find_near_duplicates(unpack_members(rows, BANDS), at_least, PUBLISHED_FROM)
    return found[np.argsort(found["address"])].tolist()


@settings(max_examples=300, deadline=None)
@given(
    DOCUMENTS,
    st.sampled_from([0.3, 0.6, 0.9]),
    st.integers(1, 30),
    st.sampled_from([1, 100, 700, 3000, 1 << 20]),
)
def test_what_fits_memory_changes_nothing(documents, at_least, piece_rows, most_bytes):
    rows = rows_of(documents)
    seen = found_in(in_pieces(rows, piece_rows), at_least, most_bytes)
    assert seen == found_at_once(rows, at_least)


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(1, 30), st.sampled_from([1, 100, 700, 1 << 20]), st.integers(0, 24))
def test_published_documents_stay_in_any_number_of_passes(
    documents, piece_rows, most_bytes, published
):
    rows = rows_of([(0, *one[1:]) for one in documents], published)
    seen = found_in(in_pieces(rows, piece_rows), 0.5, most_bytes)
    assert seen == found_at_once(rows, 0.5)
    assert all(row[0] < PUBLISHED_FROM for row in seen)


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.sampled_from([1, 300, 3000]))
def test_every_cluster_has_a_survivor_that_is_similar(documents, most_bytes):
    rows = rows_of(documents)
    members = unpack_members(rows, BANDS)
    bounds, values = members.sets.bounds, members.sets.values
    sets = {
        address: set(values[bounds[k] : bounds[k + 1]].tolist())
        for k, address in enumerate(members.address.tolist())
    }
    found = {row[0]: row[1:] for row in found_in([rows], 0.6, most_bytes)}
    for address, (survivor, similarity, _, size, _) in found.items():
        assert found[survivor][0] == survivor
        one, other = sets[address], sets[survivor]
        assert similarity == np.float32(len(one & other) / len(one | other)) >= 0.6
        assert size == sum(row[0] == survivor for row in found.values()) > 1


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.integers(1, 9), st.sampled_from([1, 100, 700]), st.integers(0, 24))
def test_pieces_and_worse_documents_change_nothing_however_few_a_document_meets(
    documents, piece_rows, most_bytes, first
):
    with pytest.MonkeyPatch.context() as patch:
        for module in (passes, fuzzy):
            patch.setattr(module, "choose_survivors", partial(choose_survivors, most_met=1))
        documents = sorted(((0, *one[1:]) for one in documents), key=lambda one: one[1])
        rows = rows_of(documents)
        found = found_in([rows], 0.5, most_bytes)
        assert found_in(in_pieces(rows, piece_rows), 0.5, most_bytes) == found
        best = found_in([rows_of(documents[:first])], 0.5, most_bytes) if first else []
    gave_way = [[row[:4] for row in its if row[0] != row[1]] for its in (found, best)]
    assert [row for row in gave_way[0] if row[0] < 100 + first] == gave_way[1]


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS, st.integers(1, 9), st.sampled_from([600, 1500, 4000]))
def test_what_stands_beside_a_large_component_changes_nothing(documents, piece_rows, most_bytes):
    """Whether it ends in a piece, where another one of several members begins, or not."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (passes, fuzzy):
            patch.setattr(module, "choose_survivors", partial(choose_survivors, most_met=1))
        rows = rows_of(documents)
        alone = [
            row
            for component in np.unique(rows["component"])
            for row in found_in([rows[rows["component"] == component]], 0.5, most_bytes)
        ]
        for pieces in ([rows], in_pieces(rows, piece_rows)):
            assert found_in(pieces, 0.5, most_bytes) == sorted(alone)


def test_slices_of_a_component_do_not_meet_though_they_are_read_together():
    """They have bands in common, unlike components."""
    rows = rows_of([(0, (0, 0), (1, 1, 1), {1, 2}), (1, (0, 1), (1, 1, 1), {1, 2})])
    members = unpack_members(rows, BANDS)
    same = members._replace(bands=np.ones_like(members.bands))
    assert found_in([pack_members(same)], 0.5, 1 << 20) == []
    assert found_in([pack_members(same)], 0.5, 1) == []


def many(count, like):
    """Documents of one component and one band, each like those of the same number in `like`."""
    return rows_of(
        [
            (0, (0, k), (0, 0, 0), set(range(100 * like(k), 100 * like(k) + 20)))
            for k in range(count)
        ]
    )


@pytest.mark.parametrize(("like", "passes_taken"), [(lambda k: k % 3, 1), (lambda k: k, 10)])
def test_survivors_alone_take_room(monkeypatch, like, passes_taken):
    most, compared, begun = 2000, [], []
    choose, held = passes.choose_survivors, passes._Held

    def recorded(bands, sets, *rest, **more):
        compared.append(sets.values.nbytes + bands.nbytes)
        return choose(bands, sets, *rest, **more)

    monkeypatch.setattr(passes, "choose_survivors", recorded)
    monkeypatch.setattr(passes, "_Held", lambda *given: begun.append(1) or held(*given))
    rows = many(100, like)
    found = found_in(in_pieces(rows, 7), 0.8, most)
    assert found == found_at_once(rows, 0.8)
    assert max(compared) < 2 * most
    # A document takes 184 bytes, so 11 survivors fill a pass.
    assert len(begun) == passes_taken


def test_a_full_disk_of_temporary_files_is_named(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "r+b"))  # noqa: SIM115
    told = f"No space left on device while writing temporary files in {tempfile.gettempdir()}; make"
    with pytest.raises(OSError, match=told):
        found_in([many(100, lambda k: k)], 0.8, 2000)


def test_nothing_gives_nothing():
    assert list(compare_components([], BANDS, 0.8)) == []
    rows = rows_of([(0, (0, 0), (1, 2, 3), {1})])
    assert rows.dtype == member_dtype(2)
    assert found_in([rows], 0.8, 1) == []
