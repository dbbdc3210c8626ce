"""Each table belongs to one stage, under one name everywhere."""

import pytest

from pipelines import stage_names
from pipelines.stage_names import STAGES, TABLES, split_name, stage_of


def test_every_stage_has_a_constant_of_its_own():
    names = {name for name in stage_names.__all__ if name.isupper()} - {"STAGES", "TABLES"}
    assert sorted(getattr(stage_names, name) for name in names) == sorted(STAGES)


@pytest.mark.parametrize("stage", TABLES)
def test_a_table_belongs_to_the_stage_that_makes_it(stage):
    assert stage_of(TABLES[stage]) == stage


@pytest.mark.parametrize("table", ["gopher", "contamination", "exact", "minhash", "my_classifier"])
def test_what_no_other_stage_makes_is_an_annotators(table):
    assert stage_of(table) == "annotate"


@pytest.mark.parametrize(
    ("name", "parts"), [("gopher web", ("gopher", "web")), ("mix", ("mix", ""))]
)
def test_a_dataset_is_named_by_table_and_source(name, parts):
    assert split_name(name) == parts
