"""Two mixes compared: nothing is lost, A with B mirrors B with A, and equal mixes differ in
nothing, whatever the order of rows and the size of pieces."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.mixing.comparison import (
    KINDS,
    SourceCounts,
    compare_rows,
    document_rows,
    kind_rows,
)

SETTINGS = settings(max_examples=60, deadline=None)
# (source, id) of each time that a document stands in a mix.
MIX = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcdefgh")), max_size=30)
PIECES = st.sampled_from([1, 100, 300, 1 << 20])  # bytes; 52 a row


def tokens_of(one):
    return 1 + ord(one[1][-1]) % 5 + one[0]


def blocks_of(mix, of_b, file=0):
    """Rows of a mix in files of four."""
    for start in range(0, len(mix), 4):
        its = mix[start : start + 4]
        yield document_rows(
            pa.array([f"{name}" for _, name in its], pa.large_string()),
            np.array([source for source, _ in its], np.uint32),
            np.array([tokens_of(one) for one in its], np.int64),
            file + start // 4,
            of_b,
        )


def compared(a, b, most_bytes=1 << 20, examples=2):
    seen = []
    blocks = [*blocks_of(a, False), *blocks_of(b, True, 100)]
    found = compare_rows(blocks, examples, lambda rows: seen.append(rows.copy()), most_bytes)
    return found, seen


def plain(a, b):
    """The same with plain Python."""
    in_a, in_b = Counter(a), Counter(b)
    counts = {}
    for one in {*a, *b}:
        its = counts.setdefault(one[0], SourceCounts())
        n, m, tokens = in_a[one], in_b[one], tokens_of(one)
        its.documents_a += n
        its.documents_b += m
        its.tokens_a += n * tokens
        its.tokens_b += m * tokens
        its.both += n > 0 and m > 0
        its.both_tokens_a += n * tokens if m else 0
        its.both_tokens_b += m * tokens if n else 0
        its.only_a += m == 0
        its.only_b += n == 0
        its.only_a_tokens += n * tokens if not m else 0
        its.only_b_tokens += m * tokens if not n else 0
        its.more += 0 < n < m
        its.fewer += 0 < m < n
    return counts


@SETTINGS
@given(MIX, MIX, PIECES)
def test_counts_are_those_of_plain_python(a, b, most_bytes):
    assert compared(a, b, most_bytes)[0].sources == plain(a, b)


@SETTINGS
@given(MIX, PIECES)
def test_a_mix_differs_from_itself_in_nothing(mix, most_bytes):
    found, _ = compared(mix, mix[::-1], most_bytes)
    for its in found.sources.values():
        assert [getattr(its, kind) for kind in KINDS] == [0] * len(KINDS)
        assert its.tokens_a == its.tokens_b == its.both_tokens_a == its.both_tokens_b
    assert found.examples == {}


@SETTINGS
@given(MIX, MIX, PIECES)
def test_b_with_a_mirrors_a_with_b(a, b, most_bytes):
    turned = {
        "only_a": "only_b", "only_b": "only_a", "more": "fewer", "fewer": "more", "both": "both",
        "documents_a": "documents_b", "documents_b": "documents_a",
        "tokens_a": "tokens_b", "tokens_b": "tokens_a",
        "both_tokens_a": "both_tokens_b", "both_tokens_b": "both_tokens_a",
        "only_a_tokens": "only_b_tokens", "only_b_tokens": "only_a_tokens",
    }  # fmt: skip
    there, back = compared(a, b, most_bytes)[0], compared(b, a, most_bytes)[0]
    assert there.sources.keys() == back.sources.keys()
    for number, its in there.sources.items():
        assert vars(its) == {turned[key]: one for key, one in vars(back.sources[number]).items()}
    assert {(number, turned[kind]) for number, kind in there.examples} == back.examples.keys()


@SETTINGS
@given(MIX, MIX, PIECES)
def test_what_a_mix_holds_is_what_both_hold_and_what_it_alone_does(a, b, most_bytes):
    found, seen = compared(a, b, most_bytes)
    for its in found.sources.values():
        assert its.tokens_a == its.both_tokens_a + its.only_a_tokens
        assert its.tokens_b == its.both_tokens_b + its.only_b_tokens
        assert its.more + its.fewer <= its.both
    assert sum(len(rows) for rows in seen) == len({*a, *b})
    told = Counter(
        kind for rows in seen for kind in KINDS for _ in range(kind_rows(rows)[kind].sum())
    )
    assert told == Counter(
        kind for its in found.sources.values() for kind in KINDS for _ in range(getattr(its, kind))
    )


@SETTINGS
@given(MIX, MIX, PIECES, st.integers(0, 4))
def test_examples_are_of_their_kind_and_the_same_in_any_pieces(a, b, most_bytes, number):
    found, _ = compared(a, b, most_bytes, number)
    assert found.examples == compared(a, b, 1 << 20, number)[0].examples
    in_a, in_b = Counter(a), Counter(b)
    for (source, kind), places in found.examples.items():
        its = found.sources[source]
        assert len(places) == min(number, getattr(its, kind))
        names = set()
        for place in places:
            mix, first = (a, 0) if place.file < 100 else (b, 100)
            one = mix[4 * (place.file - first) + place.row]
            names.add(one)
            assert one[0] == source
            assert (place.copies_a, place.copies_b) == (in_a[one], in_b[one])
        assert len(names) == len(places)


def test_examples_do_not_depend_on_what_else_there_is():
    """The first of a few are the first among many, where they are among the first."""
    names = [(0, f"document {n}") for n in range(500)]
    (few,) = compared(names, [], examples=5)[0].examples.values()
    (more,) = compared(names, [], examples=50)[0].examples.values()
    assert more[:5] == few
