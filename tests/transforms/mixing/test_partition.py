"""Cells: every document falls into the one whose bounds it fits."""

import numpy as np
import pytest

from transforms.mixing.partition import NO_TOPIC, CellPlace, Partition

PARTITION = Partition(
    topics=("art", "science"),
    bounds=((0.5,), (0.25, 0.75)),
    steps=((0, 1), (2, 2), (5, 3), (100, 1)),
)


def test_cells_are_listed_topic_by_topic_bin_by_bin_and_by_times():
    places = PARTITION.places()
    assert len(places) == (2 + 3) * 3
    assert places[0] == CellPlace("art", 0, None, 0.5, 1)
    assert places[5] == CellPlace("art", 1, 0.5, None, 3)
    assert places[-1] == CellPlace("science", 2, 0.75, None, 3)


@pytest.mark.parametrize("topic", [0, 1])
@pytest.mark.parametrize("score", [0.1, 0.25, 0.5, 0.50001, 0.75, 0.9, np.nan])
@pytest.mark.parametrize(("number", "times"), [(0, 1), (1, 1), (2, 2), (4, 2), (5, 3), (100, 1)])
def test_a_document_is_in_the_cell_whose_bounds_it_fits(topic, score, number, times):
    (cell,) = PARTITION.cells_of(
        np.array([topic]), np.array([score], np.float32), np.array([number])
    )
    place = PARTITION.places()[cell]
    assert place.topic == PARTITION.topics[topic]
    assert place.times == times
    value = -1.0 if np.isnan(score) else float(np.float32(score))
    assert place.low is None or value > place.low
    assert place.high is None or value <= place.high


def test_no_document_is_in_no_cell():
    nothing = np.empty(0, np.int64)
    assert len(PARTITION.cells_of(nothing, np.empty(0, np.float32), nothing)) == 0


def test_one_cell_holds_everything():
    one = Partition((NO_TOPIC,), ((),))
    assert one.cells_of(
        np.zeros(3, np.int64), np.zeros(3, np.float32), np.ones(3, np.int64)
    ).tolist() == [0, 0, 0]


def test_it_comes_back_from_json():
    import json
    from dataclasses import asdict

    assert Partition.from_json(json.loads(json.dumps(asdict(PARTITION)))) == PARTITION
