"""Candidates: the first condition that fails is the reason, and what it saw is the value."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.dedup.survivors import WORST
from transforms.quality.candidates import candidate_columns, candidate_schema, judge
from transforms.quality.conditions import Condition

SCHEMAS = {
    "gopher": pa.schema([("words", pa.int64()), ("share", pa.float64())]),
    "code": pa.schema([("minified", pa.bool_()), ("comments", pa.float64())]),
    "language": pa.schema([("en", pa.float64()), ("de", pa.float64())]),
}
WORDS = Condition("words", "gopher.words", at_least=50, at_most=100)
SHARE = Condition("share", "gopher.share", at_most=0.5)
MINIFIED = Condition("minified", "code.minified", equals=False)
COMMENTS = Condition("comments", "code.comments", at_least=0.01, keep_unknown=True)
LANGUAGE = Condition("language", "language.en", at_least=0.65, or_columns=("language.de",))


def tables_of(rows):
    """Tables of rows of dotted columns."""
    tables = {}
    for name, schema in SCHEMAS.items():
        columns = {f.name: [row.get(f"{name}.{f.name}") for row in rows] for f in schema}
        tables[name] = pa.RecordBatch.from_pydict(columns, schema)
    return tables


def judged(rows, conditions, criteria=(), ids=None):
    ids = pa.array(ids or [f"id{k}" for k in range(len(rows))], pa.string())
    return judge(tables_of(rows), ids, conditions, criteria).table


def verdicts(rows, conditions):
    table = judged(rows, conditions)
    return [(row["candidate"], row["reason"], row["value"]) for row in table.to_pylist()]


def test_bounds_are_inclusive():
    rows = [{"gopher.words": words} for words in (49, 50, 100, 101)]
    assert verdicts(rows, [WORDS]) == [
        (False, "words", 49.0), (True, None, None), (True, None, None), (False, "words", 101.0)
    ]  # fmt: skip


def test_the_first_condition_that_fails_gives_the_reason_and_its_value():
    row = {"gopher.words": 7, "gopher.share": 0.9}
    assert verdicts([row], [WORDS, SHARE]) == [(False, "words", 7.0)]
    assert verdicts([row], [SHARE, WORDS]) == [(False, "share", 0.9)]
    assert verdicts([{**row, "gopher.words": 60}], [WORDS, SHARE]) == [(False, "share", 0.9)]


def test_every_condition_counts_all_that_do_not_meet_it():
    rows = [{"gopher.words": words, "gopher.share": share} for words, share in
            ((7, 0.9), (60, 0.9), (60, 0.1), (7, 0.1))]  # fmt: skip
    ids = pa.array(["a", "b", "c", "d"], pa.string())
    assert judge(tables_of(rows), ids, [WORDS, SHARE], ()).found == {"words": 2, "share": 2}


def test_what_was_not_measured_is_not_believed_unless_the_condition_says_so():
    assert verdicts([{}], [WORDS]) == [(False, "words", None)]
    assert verdicts([{}], [MINIFIED]) == [(False, "minified", None)]
    assert verdicts([{}], [COMMENTS]) == [(True, None, None)]
    assert verdicts([{"code.comments": 0.0}], [COMMENTS]) == [(False, "comments", 0.0)]


def test_of_several_columns_the_greatest_counts_and_is_what_was_seen():
    rows = [
        {"language.en": 0.1, "language.de": 0.9},
        {"language.en": 0.3, "language.de": 0.2},
        {"language.en": None, "language.de": 0.7},
        {"language.en": None, "language.de": None},
    ]
    assert verdicts(rows, [LANGUAGE]) == [
        (True, None, None), (False, "language", 0.3), (True, None, None), (False, "language", None)
    ]  # fmt: skip


def test_bools_are_seen_as_0_and_1():
    assert verdicts([{"code.minified": True}], [MINIFIED]) == [(False, "minified", 1.0)]


def test_without_conditions_all_are_candidates_and_no_row_is_no_row():
    assert verdicts([{}, {}], []) == [(True, None, None)] * 2
    assert judged([], [WORDS]).num_rows == 0


def test_the_schema_is_what_it_says_with_a_rank_per_criterion():
    criteria = [("gopher.words", True), ("code.comments", False)]
    table = judged([{"gopher.words": 5}], [WORDS], criteria)
    assert table.schema == candidate_schema(2)
    assert table.schema.names == [
        "candidate", "reason", "value", "rank_0", "rank_1", "rank_2"
    ]  # fmt: skip


def test_ranks_are_the_criteria_in_their_order_then_the_id():
    rows = [{"gopher.words": words} for words in (5, 70, None)]
    table = judged(rows, [], [("3", False), ("gopher.words", True)])
    assert len(set(table["rank_0"].to_pylist())) == 1  # a source's place is the same for all of it
    best = np.argsort(table["rank_1"].to_numpy())
    assert best.tolist() == [1, 0, 2]
    assert table["rank_1"].to_pylist()[2] == int(WORST)
    ascending = judged(rows, [], [("gopher.words", False)])["rank_0"].to_pylist()
    assert ascending[0] < ascending[1] < ascending[2]
    assert len(set(table["rank_2"].to_pylist())) == 3


def test_the_last_rank_depends_on_the_id_alone():
    one = judged([{}] * 3, [], ids=["a", "b", "c"])["rank_0"].to_pylist()
    other = judged([{"gopher.words": 5}] * 3, [WORDS], ids=["c", "a", "b"])["rank_0"].to_pylist()
    assert other == [one[2], one[0], one[1]]


def test_the_columns_that_are_read_are_those_named():
    columns = candidate_columns([WORDS, COMMENTS, LANGUAGE], [("gopher.share", True)], SCHEMAS)
    assert columns == {
        "code": ["comments"], "gopher": ["words", "share"], "language": ["en", "de"]
    }  # fmt: skip


numbers = st.none() | st.floats(-2, 2)
cases = st.lists(st.tuples(numbers, numbers), max_size=12)
bounds = st.none() | st.sampled_from([-1.0, -0.5, 0.0, 0.1, 0.5, 1.0])


@settings(max_examples=60, deadline=None)
@given(cases, bounds, bounds, st.booleans())
def test_verdicts_agree_with_plain_python(rows, at_least, at_most, keep_unknown):
    if at_least is None and at_most is None:
        at_least = 0.0
    if at_least is not None and at_most is not None and at_least > at_most:
        at_least, at_most = at_most, at_least
    first = Condition("first", "gopher.share", at_least, at_most, keep_unknown=keep_unknown)
    second = Condition("second", "code.comments", at_least=0.0)

    def plainly(share, comments):
        if share is None:
            if not keep_unknown:
                return False, "first", None
        elif not (at_least is None or share >= at_least) or not (
            at_most is None or share <= at_most
        ):
            return False, "first", share
        if comments is None or comments < 0:
            return False, "second", comments
        return True, None, None

    dotted = [{"gopher.share": a, "code.comments": b} for a, b in rows]
    assert verdicts(dotted, [first, second]) == [plainly(a, b) for a, b in rows]


@pytest.mark.parametrize("reason", ["it's", 'say "no"', "semi;colon", "ü"])
def test_reasons_may_hold_any_character(reason):
    condition = Condition(reason, "gopher.words", at_least=5)
    assert verdicts([{"gopher.words": 1}], [condition]) == [(False, reason, 1.0)]
