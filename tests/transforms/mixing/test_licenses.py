"""Licences that documents state: counted by copies and tokens, and nothing is lost among many."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.mixing import licenses
from transforms.mixing.licenses import OTHERS, LicenseCounts, licenses_of


def counted(metadata, copies, tokens, batches=1):
    counts = LicenseCounts()
    for rows in np.array_split(np.arange(len(metadata)), batches):
        counts.add(
            pa.array([metadata[row] for row in rows], pa.string()),
            np.array(copies, np.uint32)[rows],
            np.array(tokens, np.int64)[rows],
        )
    return licenses_of(counts.counts())


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("MIT", "MIT"),
        ("  Public\n Domain ", "Public Domain"),
        (["MIT", "Apache-2.0", "MIT"], "Apache-2.0, MIT"),
        ("x" * 500, "x" * 80),
        (None, None),
        ("", None),
        ([], None),
        (7, None),
        ({"name": "MIT"}, None),
    ],
)
def test_a_licence_is_a_text_in_one_line(stated, name):
    found = counted([json.dumps({"license": stated})], [1], [10])
    assert found == ({} if name is None else {name: (1, 10)})


def test_only_what_is_taken_and_states_one_is_counted():
    metadata = [
        '{"license":"MIT"}', '{"license":"MIT"}', '{"license":"GPL-3.0"}', "{}",
        '{"more":{"license":"BSD"}}', '["license"]',
    ]  # fmt: skip
    found = counted(metadata, [2, 0, 1, 1, 1, 1], [10, 20, 50, 1, 1, 1])
    assert list(found.items()) == [("GPL-3.0", (1, 50)), ("MIT", (2, 20))]


DOCUMENTS = st.lists(
    st.tuples(st.sampled_from("ABCDEFG"), st.integers(0, 3), st.integers(1, 99)), min_size=1
)


@settings(deadline=None)
@given(DOCUMENTS, st.integers(1, 4))
def test_counts_are_those_of_a_plain_sum_in_any_batches(documents, batches):
    metadata = [json.dumps({"license": name}) for name, _, _ in documents]
    wanted: dict[str, list[int]] = {}
    for name, copies, tokens in documents:
        if copies:
            its = wanted.setdefault(name, [0, 0])
            its[0] += copies
            its[1] += copies * tokens
    found = counted(metadata, [d[1] for d in documents], [d[2] for d in documents], batches)
    assert found == {name: tuple(its) for name, its in wanted.items()}


@settings(deadline=None)
@given(DOCUMENTS)
def test_beyond_the_most_that_are_told_apart_the_rest_is_counted_together(documents):
    metadata = [json.dumps({"license": name}) for name, _, _ in documents]
    copies, tokens = [d[1] for d in documents], [d[2] for d in documents]
    whole = counted(metadata, copies, tokens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(licenses, "MOST_LICENSES", 3)
        found = counted(metadata, copies, tokens)
    assert len(found.keys() - {OTHERS}) <= 3
    for place in (0, 1):
        assert sum(its[place] for its in found.values()) == sum(n[place] for n in whole.values())
    assert {name: found[name] for name in found if name != OTHERS}.items() <= whole.items()
