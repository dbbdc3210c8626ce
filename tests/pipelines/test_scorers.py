"""What `keep` says in words becomes SQL that ranks documents by their times, sizes and scores."""

import datetime

import pyarrow as pa
import pytest

from pipelines.recipes.recipe import load_recipe
from pipelines.scorers import keep_criteria, source_schemas
from transforms.quality.candidates import candidate_columns, judge
from transforms.query import check_expressions

RECIPE = """\
name: x
pool:
  sources:
    first: {ingest: dolma, paths: [a]}
    second: {ingest: dolma, paths: [b]}
  dedup: {exact: true, keep: KEEP}
mix: {tokens: 1, tokenizer: t, shares: {first: 1}}
"""
UTC = datetime.UTC


@pytest.fixture
def best(tmp_path):
    """The name of the document of the second source that survives."""

    def find(keep, **documents):
        path = tmp_path / "r.yaml"
        path.write_text(RECIPE.replace("KEEP", keep))
        recipe = load_recipe(str(path))
        source = recipe.source("second")
        criteria = keep_criteria(recipe, source)
        schemas = {
            **source_schemas(recipe, source),
            "quality": pa.schema([("score", pa.float64())]),
        }
        check_expressions([column for column, _ in criteria], schemas, "number")
        columns = candidate_columns([], criteria, schemas)
        tables = {
            table: pa.RecordBatch.from_pylist(
                [
                    {name: one.get(name) for name in schemas[table].names}
                    for one in documents.values()
                ],
                schemas[table],
            )
            for table in columns
        }
        rows = judge(tables, pa.array(list(documents)), [], criteria).table.to_pylist()
        ranks = [[row[f"rank_{k}"] for k in range(len(recipe.keep) + 1)] for row in rows]
        return list(documents)[ranks.index(min(ranks))]

    return find


def year(number):
    return datetime.datetime(number, 3, 4, tzinfo=UTC)


def test_newest_is_by_created_else_by_added(best):
    assert best("[newest]", a={"created": year(2020)}, b={"created": year(2021)}) == "b"
    assert best("[newest]", a={"created": year(1960)}, b={"added": year(1970)}, c={}) == "b"
    moment = datetime.timedelta(microseconds=1)
    assert best("[newest]", a={"added": year(2024) + moment}, b={"added": year(2024)}) == "a"


def test_longest_is_by_bytes(best):
    assert best("[longest]", a={"bytes": 10}, b={"bytes": 9}) == "a"


def test_a_table_alone_means_its_score(best):
    assert best("[quality desc]", a={"score": 0.25}, b={"score": 0.5}, c={"score": None}) == "b"
    assert best("[quality.score asc]", a={"score": 0.25}, b={"score": 0.5}) == "a"


def test_words_are_asked_in_their_order(best):
    documents = {
        "new": {"created": year(2024), "bytes": 5, "score": 0.1},
        "long": {"created": year(2020), "bytes": 9, "score": 0.2},
        "good": {"created": year(2020), "bytes": 5, "score": 0.9},
    }
    assert best("[source order, newest, longest, quality desc]", **documents) == "new"
    assert best("[longest, newest, source order]", **documents) == "long"
    assert best("[quality desc, newest]", **documents) == "good"
    twin = {**documents, "also": {"created": year(2024), "bytes": 5, "score": 0.3}}
    assert best("[newest, source order, quality desc]", **twin) == "also"


def test_source_order_counts_where_it_stands(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE.replace("KEEP", "[longest, source order]"))
    recipe = load_recipe(str(path))
    places = [keep_criteria(recipe, source)[1] for source in recipe.sources]
    assert places == [("0", False), ("1", False)]
