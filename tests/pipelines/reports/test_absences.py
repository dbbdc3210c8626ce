"""Why documents are not in a mix: the first stage that left them out, as the funnel calls it."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.mixing.selection_table import SELECTION_SCHEMA
from pipelines.reports.absences import (
    NO_SOURCE,
    NOT_KNOWN,
    OTHER_INPUT,
    Absences,
    removal_reasons,
    workspace_of,
)
from pipelines.stage_names import EXACT_DEDUP, FILTER, FUZZY_DEDUP, SELECT, TOKENIZE
from transforms.attributes import write_table
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.dedup.exact import EXACT_SCHEMA
from transforms.dedup.fuzzy import FUZZY_SCHEMA


def column(schema, name, values):
    return pa.RecordBatch.from_pydict(
        {name: values}, pa.schema([schema.field(name)])
    )  # fmt: skip


def selected(parameters, details=None):
    return Manifest("selection web", "f", 1, parameters, {}, [], {}, {}, {}, "0", details or {})


BATCHES = {
    FILTER: pa.RecordBatch.from_pydict({"reason": ["gopher.words", *[None] * 7]}),
    EXACT_DEDUP: column(EXACT_SCHEMA, "duplicate_of", [None, 5, *[None] * 6]),
    FUZZY_DEDUP: column(FUZZY_SCHEMA, "duplicate_of", [None, None, 6, *[None] * 5]),
    TOKENIZE: pa.RecordBatch.from_pydict({"reason": [*[None] * 3, "nothing left", *[None] * 4]}),
    SELECT: pa.RecordBatch.from_pydict(
        {
            "eligible": [False] * 5 + [True] * 3,
            "copies": [0] * 7 + [2],
            "cell": [None] * 5 + [0, 1, 1],
        },
        SELECTION_SCHEMA,
    ),
}  # fmt: skip
BEFORE = [
    "filter: gopher.words", "exact-dedup: duplicate", "fuzzy-dedup: duplicate",
    "tokenize: nothing left",
]  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "details", "last"),
    [
        ({"wanted_tokens": 9}, {}, ["select: where", *["select: not drawn"] * 2]),
        (
            {"wanted_tokens": 9},
            {"budget": {"cells": [{"wanted_tokens": 0}, {"wanted_tokens": 9}]}},
            ["select: where", "select: quality", "select: not drawn"],
        ),
        ({"wanted_tokens": 0}, {}, ["select: not in this mix"] * 3),
    ],
)
def test_the_first_stage_that_left_a_document_out_is_named(parameters, details, last):
    manifests = {SELECT: selected(parameters, details)}
    found = removal_reasons(BATCHES, manifests).to_pylist()
    assert found == [*BEFORE, *last, None]


def test_stages_that_a_recipe_leaves_out_are_not_asked():
    batches = {SELECT: BATCHES[SELECT]}
    found = removal_reasons(batches, {SELECT: selected({"wanted_tokens": 9})}).to_pylist()
    assert found == [*["select: where"] * 5, *["select: not drawn"] * 2, None]


@pytest.mark.parametrize(
    ("mix", "workspace"),
    [
        ("/data/w/mixes/demo", "/data/w"),
        ("w/mixes/demo/", "w"),
        ("mixes/demo", "."),
        ("s3://bucket/w/mixes/demo", "s3://bucket/w"),
        ("/data/copies/demo", None),
        ("demo", None),
    ],
)
def test_the_workspace_is_the_folder_of_the_mixes(mix, workspace):
    found = workspace_of(mix)
    assert (found.uri if found else None) == workspace


@pytest.mark.parametrize("is_there", [True, False])
def test_no_stage_is_blamed_for_what_a_table_that_is_gone_would_tell(tmp_path, is_there):
    """A document that filter removed is not eligible either."""
    file = OutputFile("00000-000.parquet", 0, "", 2, "digest")
    rows = {"eligible": [False, True], "copies": [0, 0], "cell": [None, 0]}
    schema = pa.schema([pa.field("reason", pa.string())])
    reasons = pa.RecordBatch.from_pydict({"reason": ["c4.lines", None]}, schema)
    tables = {
        "candidates": (Dataset(f"{tmp_path}/attributes/candidates/web", "c1"), schema, reasons, {}),
        "selection": (
            Dataset(f"{tmp_path}/attributes/selection-m/web", "s1"), SELECTION_SCHEMA,
            pa.RecordBatch.from_pydict(rows, SELECTION_SCHEMA), {"candidates web": "c1"},
        ),
    }  # fmt: skip
    for name, (dataset, its_schema, batch, inputs) in tables.items():
        if name == "selection" or is_there:
            write_table(dataset, file, its_schema, [batch])
            parameters = {"wanted_tokens": 9}
            dataset.publish(
                Manifest(name, dataset.fingerprint, 1, parameters, inputs, [], {}, {}, {}, "0")
            )
    inputs = {"documents web": "v1", "selection web": "s1"}
    mix = Manifest("mix", "f", 1, {"recipe": {"name": "m"}}, inputs, [], {}, {}, {}, "0", {})
    found = Absences(f"{tmp_path}/mixes/m", mix).reasons(
        "documents/web/v1/00000-000.parquet", np.array([1, 0])
    )
    known = ["select: not drawn", "filter: c4.lines"]
    assert found.to_pylist() == (known if is_there else [NOT_KNOWN] * 2)


def test_what_cannot_be_known_is_said(tmp_path):
    inputs = {"documents web": "v1", "selection web": "s1"}
    manifest = Manifest("mix", "f", 1, {"recipe": {"name": "m"}}, inputs, [], {}, {}, {}, "0", {})
    rows = np.array([0, 3])
    for mix in (f"{tmp_path}/mixes/m", f"{tmp_path}/elsewhere/m"):
        absences = Absences(mix, manifest)
        for path, reason in (
            ("documents/web/v1/00000-000.parquet", NOT_KNOWN),
            ("documents/web/v2/00000-000.parquet", OTHER_INPUT),
            ("documents/code/v1/00000-000.parquet", NO_SOURCE),
        ):
            assert absences.reasons(path, rows).to_pylist() == [reason] * 2
