"""Best-fit-decreasing packing, against a plain twin that looks at every sequence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.kernels.packing import pack_best_fit


def pack_plainly(lengths: list[int], length: int) -> tuple[list[int], list[int], int]:
    """The same by going through all sequences for each piece."""
    rooms: list[int] = []
    changed: list[int] = []  # when a sequence got a piece last
    sequences, places = [0] * len(lengths), [0] * len(lengths)
    for turn, piece in enumerate(sorted(range(len(lengths)), key=lambda p: (-lengths[p], p))):
        fitting = [one for one, room in enumerate(rooms) if room >= lengths[piece]]
        if fitting:
            best = min(fitting, key=lambda one: (rooms[one], -changed[one]))
        else:
            best = len(rooms)
            rooms.append(length)
            changed.append(turn)
        sequences[piece], places[piece] = best, length - rooms[best]
        rooms[best] -= lengths[piece]
        changed[best] = turn
    return sequences, places, len(rooms)


@given(
    st.integers(1, 40).flatmap(
        lambda length: st.tuples(st.just(length), st.lists(st.integers(1, length), max_size=40))
    )
)
def test_it_packs_as_the_plain_twin(case: tuple[int, list[int]]) -> None:
    length, lengths = case
    sequences, places, count = pack_best_fit(np.array(lengths, np.int64), length)
    assert (sequences.tolist(), places.tolist(), count) == pack_plainly(lengths, length)


def test_many_pieces_fill_their_sequences() -> None:
    lengths = np.random.default_rng(5).lognormal(9, 1.5, 20_000).astype(np.int64).clip(1, 65_536)
    sequences, places, count = pack_best_fit(lengths, 65_536)
    assert lengths.sum() / (count * 65_536) > 0.999
    held = np.bincount(sequences, lengths, count)
    assert held.max() <= 65_536
    ends = np.sort(sequences * 65_536 + places)
    assert len(np.unique(ends)) == len(lengths)


@pytest.mark.parametrize("lengths", [[0], [9], [3, -1]])
def test_a_piece_that_fits_nowhere_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="must have 1 to 8 tokens"):
        pack_best_fit(np.array(lengths, np.int64), 8)
