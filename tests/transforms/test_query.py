"""SQL over attributes: what is refused, what nulls do, and that a row's value is its own."""

import math
import threading

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.query import (
    QueryError,
    check_expressions,
    columns_used,
    evaluate,
    tables_named,
)

SCHEMAS = {
    "size": pa.schema(
        [("bytes", pa.int64()), ("words", pa.int64()), ("label", pa.string()), ("a.b", pa.int64())]
    ),
    "language": pa.schema([("en", pa.float64()), ("is", pa.float64())]),
}
GOOD = [
    "size.bytes > 1",
    "size.bytes between 1 and 2 or not (size.words is null)",
    "size.bytes + size.words * 2 >= 3 and language.en >= 0.65",
    "size.label in ('a', 'b') or size.label like 'c%' or size.label ilike 'D'",
    "case when size.bytes > 1 then language.en > 0.5 else true end",
    "coalesce(size.words, 0) = 0",
    "greatest(language.en, language.is) > 0.5",
    'language."is" > 0.5',
    'size."a.b" = 1',
    "length(lower(size.label)) > 2 and regexp_matches(size.label, 'x+')",
    "size.bytes::double / 2 > 1",
    "true",
    "size.bytes > 1 /* a comment */",
    "size.bytes > 1 -- a comment",
    "ln(size.words) > 1",  # which fails for 0
    "cast(size.label as int) > 1",  # which fails for what is no number
    "case when size.label <> '' then cast(size.label as int) > 1 and ln(size.words) > 1 end",
]


def rows_of(**columns):
    return {
        "size": pa.RecordBatch.from_pydict(columns, schema=pa.schema(
            [SCHEMAS["size"].field(name) for name in columns]
        ))
    }  # fmt: skip


@pytest.mark.parametrize("expression", GOOD)
def test_conditions_over_one_document_are_taken(expression):
    check_expressions([expression], SCHEMAS)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("size.bytes > (select 1)", "a subquery"),
        ("exists(select 1)", "a subquery"),
        ("size.bytes in (select 1)", "a subquery"),
        ("exists(from '/etc/passwd')", "a subquery"),
        ("(select count(*) from read_csv('/etc/passwd')) > 0", "a subquery"),
        ("size.bytes > avg(size.bytes)", "the function avg"),
        ("count(*) > 1", "the function count_star"),
        ("row_number() over () < 10", "a window function"),
        ("sum(size.bytes) over () > 1", "a window function"),
        ("COLUMNS(*) > 1", "* cannot"),
        ("size.* = 1", "* cannot"),
        ("random() < 0.5", "the function random"),
        ("now() > timestamptz '2020-01-01'", "the function now"),
        ("today() > date '2020-01-01'", "the function today"),
        ("current_timestamp > timestamptz '2020-01-01'", "current_timestamp"),
        ("current_localtimestamp() > timestamp '2020-01-01'", "current_localtimestamp"),
        ("age(timestamp '2020-01-01') > interval 1 day", "the function age"),
        ("uuid() = 'x'", "the function uuid"),
        ("nextval('s') = 1", "the function nextval"),
        ("getenv('HOME') = 'x'", "the function getenv"),
        ("current_setting('threads') = '1'", "the function current_setting"),
        ("read_text('/etc/passwd') = 'x'", "the function read_text"),
    ],
)
def test_what_does_not_depend_on_one_document_alone_is_refused(expression, reason):
    with pytest.raises(QueryError, match=r"cannot stand|no attribute") as raised:
        check_expressions([expression], SCHEMAS)
    assert reason in str(raised.value)
    assert str(raised.value).endswith(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "true), (false",
        "true) AS x, (true",
        "true; drop table x",
        "true; select 1",
        "1) UNION SELECT (2",
        "1) UNION ALL SELECT (2",
        "true) FROM range(10) t(i) WHERE (true",
        "true) FROM read_csv('/etc/passwd') WHERE (true",
        "true) WHERE (false",
        "true) ORDER BY (1",
        "true) LIMIT (1",
        "true) FROM range(10) --",
        "true) /*",
        "size.bytes > ?",
        "$1",
        "",
        "  ",
        ")",
        "(",
        "size.bytes >",
        "size.bytes > 1 and",
        "select 1",
        "'unclosed",
        "\x00",
    ],
)
def test_what_is_not_one_expression_is_refused(expression):
    with pytest.raises(QueryError):
        check_expressions([expression], SCHEMAS)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("bytes > 1", "no attribute 'bytes' (columns are named table.column; tables: language,"),
        ("siz.bytes > 1", "no attribute 'siz.bytes'; did you mean 'size.bytes'?"),
        ("size.byte > 1", "no column 'byte' in size (it has bytes, words, label, a.b)"),
        ("size > 1", "no attribute 'size'"),
        ('"row number" > 1', "no attribute 'row number'"),
        ("attributes.size.bytes > 1", "no attribute 'attributes.size.bytes'"),
    ],
)
def test_unknown_columns_are_told_with_what_there_is(expression, message):
    with pytest.raises(QueryError) as raised:
        check_expressions([expression], SCHEMAS)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "expression", ["size.bytes", "size.label", "null", "'text'", "size.bytes + 1"]
)
def test_a_condition_must_be_true_or_false(expression):
    with pytest.raises(QueryError, match="a boolean is wanted"):
        check_expressions([expression], SCHEMAS)


def test_a_score_may_be_a_number_or_a_bool_but_no_text():
    check_expressions(["size.bytes", "size.bytes * 2", "size.bytes > 1"], SCHEMAS, "number")
    with pytest.raises(QueryError, match="a number is wanted"):
        check_expressions(["size.label"], SCHEMAS, "number")


def test_a_number_of_times_may_be_no_fraction():
    whole = ["size.bytes", "size.bytes // 2", "CAST(size.bytes / 2 AS BIGINT)", "size.bytes > 1"]
    check_expressions(whole, SCHEMAS, "whole number")
    for fraction in ("size.bytes / 2", "0.5", "language.en"):
        with pytest.raises(
            QueryError, match=r"a whole number is wanted .* CAST\(\.\.\. AS BIGINT\)"
        ):
            check_expressions([fraction], SCHEMAS, "whole number")


def test_only_the_columns_that_are_named_are_read():
    used = columns_used(["size.words > 1 or language.is > 0", "size.bytes < size.words"], SCHEMAS)
    assert used == {"language": ["is"], "size": ["bytes", "words"]}
    assert columns_used(["true"], SCHEMAS) == {}
    assert tables_named(["size.words > 1", "language.is > 0 or size.bytes > 1"]) == [
        "language",
        "size",
    ]


def test_files_are_out_of_reach_even_of_an_expression_that_was_not_checked(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("a\n1\n")
    for expression in (f"(select count(*) from '{path}')", f"(select * from read_text('{path}'))"):
        with pytest.raises(QueryError):
            evaluate([expression], {}, rows=1)


def test_nulls_are_sqls_nulls():
    tables = rows_of(bytes=[1, None, 3], label=["a", None, "c"])
    expressions = [
        "size.bytes >= 2",
        "size.bytes is null",
        "size.bytes >= 2 or true",
        "size.bytes >= 2 and false",
        "coalesce(size.bytes >= 2, true)",
        "size.label = 'a'",
    ]
    assert [value.to_pylist() for value in evaluate(expressions, tables, 3)] == [
        [False, None, True],
        [False, True, False],
        [True, True, True],
        [False, False, False],
        [False, True, True],
        [True, None, False],
    ]


def test_rows_keep_their_order():
    values = [(k * 7919) % 5003 for k in range(5003)]  # more than one of DuckDB's vectors
    (result,) = evaluate(["size.bytes + 1"], rows_of(bytes=values), len(values))
    assert result.to_pylist() == [value + 1 for value in values]


def test_rows_keep_their_order_where_the_database_reads_them_in_many_pieces():
    numbers = [(row * 7919) % 300_007 for row in range(300_000)]
    batch = pa.record_batch({"bytes": numbers, "words": numbers, "label": [""] * len(numbers)})
    values = evaluate(["size.bytes % 1000", "size.words"], {"size": batch}, len(numbers))
    assert values[0].to_pylist() == [number % 1000 for number in numbers]
    assert values[1].to_pylist() == numbers


def test_constants_have_a_value_per_row_and_no_expression_has_none():
    assert evaluate(["true", "1 + 1"], {}, 3)[0].to_pylist() == [True] * 3
    assert evaluate([], {}, 3) == []
    assert evaluate(["size.bytes > 1"], rows_of(bytes=[]), 0)[0].to_pylist() == []


def test_comments_end_with_their_expression():
    tables = rows_of(bytes=[1, 5])
    both = evaluate(["size.bytes > 2 -- first", "size.bytes < 2 /* second */"], tables, 2)
    assert [value.to_pylist() for value in both] == [[False, True], [True, False]]


def test_slices_of_batches_are_read_from_their_own_first_row():
    (batch,) = rows_of(bytes=[1, 2, 3, 4]).values()
    (result,) = evaluate(["size.bytes"], {"size": batch.slice(1, 2)}, 2)
    assert result.to_pylist() == [2, 3]


def test_what_fails_in_evaluation_is_one_sentence():
    with pytest.raises(QueryError) as raised:
        evaluate(["size.label::int > 1"], rows_of(label=["x"]), 1)
    assert "\n" not in str(raised.value)


def test_threads_do_not_see_each_others_rows():
    found = {}

    def work(number):
        for _ in range(20):
            (value,) = evaluate(["size.bytes"], rows_of(bytes=[number] * 100), 100)
            found.setdefault(number, set()).update(value.to_pylist())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: {number} for number in range(4)}


# The same condition as SQL and as Python, where None is null.
COMPARISONS = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
}


def comparison(column, operator, bound):
    def python(row):
        return None if row[column] is None else COMPARISONS[operator](row[column], bound)

    return f"size.{column} {operator} {bound}", python


def negation(inner):
    def python(row):
        value = inner[1](row)
        return None if value is None else not value

    return f"not ({inner[0]})", python


def junction(word, left, right):
    def python(row):
        values = {left[1](row), right[1](row)}
        decisive = word == "or"
        return decisive if decisive in values else None if None in values else not decisive

    return f"({left[0]}) {word} ({right[0]})", python


conditions = st.recursive(
    st.builds(
        comparison,
        st.sampled_from(["bytes", "words"]),
        st.sampled_from(sorted(COMPARISONS)),
        st.integers(-3, 3),
    ),
    lambda inner: (
        st.builds(negation, inner)
        | st.builds(junction, st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=6,
)
numbers = st.none() | st.integers(-4, 4)


@settings(max_examples=60, deadline=None)
@given(conditions, st.lists(st.tuples(numbers, numbers), max_size=20))
def test_conditions_agree_with_python(condition, rows):
    sql, python = condition
    tables = rows_of(bytes=[row[0] for row in rows], words=[row[1] for row in rows])
    check_expressions([sql], SCHEMAS)
    (result,) = evaluate([sql], tables, len(rows))
    assert result.to_pylist() == [python({"bytes": a, "words": b}) for a, b in rows]


def test_doubles_are_compared_as_doubles():
    value = 0.1 + 0.2
    batch = pa.record_batch({"en": [value, math.nextafter(value, 0), None]})
    (result,) = evaluate([f"language.en >= {value!r}"], {"language": batch}, 3)
    assert result.to_pylist() == [True, False, None]


@pytest.mark.parametrize(
    "expression",
    [
        "size.words > 'abc'",
        "size.words > cast('x' || size.label as int)",
        "case when size.bytes >= 0 then 'a'::int > 1 end",
    ],
)
def test_what_fails_for_all_documents_is_refused_before_any_is_seen(expression):
    with pytest.raises(QueryError, match="Could not convert string"):
        check_expressions([expression], SCHEMAS)


def test_of_expressions_that_are_asked_together_the_one_that_fails_is_named():
    tables = rows_of(words=[1, 2], bytes=[3, 4])
    with pytest.raises(QueryError) as raised:
        evaluate(["size.bytes > 3", "cast('x' || size.words as int)"], tables, 2)
    assert str(raised.value).endswith(": cast('x' || size.words as int)")
    assert evaluate(["size.bytes > 3"], tables, 2)[0].to_pylist() == [False, True]
