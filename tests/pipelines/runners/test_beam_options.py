import copy

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
    TypeOptions,
)

from pipelines.dedup.graphs import exact_exchanges, fuzzy_exchanges
from pipelines.dedup.passage_graphs import unit_exchanges
from pipelines.runners.beam_options import KeptViews, PlannedExchange, choose_carrier

ARGUMENTS = ["--runner=DirectRunner", "--direct_num_workers=3", "--job_name=x"]


def test_options_are_those_of_beam():
    assert KeptViews(ARGUMENTS).get_all_options() == PipelineOptions(ARGUMENTS).get_all_options()


def test_a_view_is_made_once_and_is_of_its_class():
    options = KeptViews(ARGUMENTS)
    view = options.view_as(DirectOptions)
    assert type(view) is DirectOptions
    assert view.direct_num_workers == 3
    assert options.view_as(DirectOptions) is view
    assert options.view_as(TypeOptions) is not view


def test_what_one_view_sets_all_see():
    options = KeptViews(ARGUMENTS)
    before = options.view_as(StandardOptions)
    options.view_as(StandardOptions).runner = "Other"
    assert before.runner == "Other"
    assert options.get_all_options()["runner"] == "Other"
    assert before.view_as(StandardOptions).runner == "Other"


def test_a_copy_has_values_of_its_own():
    options = KeptViews(ARGUMENTS)
    options.view_as(DirectOptions)
    copied = copy.deepcopy(options)
    copied.view_as(DirectOptions).direct_num_workers = 7
    assert copied.get_all_options()["direct_num_workers"] == 7
    assert options.view_as(DirectOptions).direct_num_workers == 3


def test_a_pipeline_runs_with_them(capfd):
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

    with beam.Pipeline(runner=FnApiRunner(), options=KeptViews(ARGUMENTS)) as pipeline:
        pipeline | beam.Create([1, 2]) | beam.CombineGlobally(sum) | beam.Map(print)
    assert capfd.readouterr().out == "3\n"


@pytest.mark.parametrize(
    ("flags", "most_bytes", "by_files", "carrier"),
    [
        ([], 1, False, "files"),
        (["--exchange_carrier=groupbykey"], 10**9, False, "groupbykey"),
        (["--exchange_carrier=groupbykey"], 10**9 + 1, False, "files"),
        (
            ["--exchange_carrier=groupbykey", "--max_num_workers=20"],
            2 * 10**10,
            False,
            "groupbykey",
        ),
        (["--exchange_carrier=groupbykey", "--max_num_workers=20"], 1, True, "files"),
        (["--exchange_carrier=files", "--max_num_workers=20"], 1, False, "files"),
    ],
)
def test_the_runner_carries_what_its_workers_can_hold(flags, most_bytes, by_files, carrier):
    planned = PlannedExchange(most_bytes, by_files)
    assert choose_carrier(PipelineOptions(flags), planned) == carrier


@pytest.mark.parametrize(("most_bytes", "carrier"), [(256 * 10**6, "groupbykey"), (10**9, "files")])
def test_what_one_key_may_have_must_fit_one_worker(most_bytes, carrier):
    options = PipelineOptions(["--exchange_carrier=groupbykey", "--max_num_workers=20"])
    assert choose_carrier(options, PlannedExchange(most_bytes)) == "groupbykey"
    assert choose_carrier(options, PlannedExchange(most_bytes, is_hot=True)) == carrier


def test_exchanges_by_what_documents_have_in_common_may_have_a_hot_key():
    planned = {**exact_exchanges([], 2), **fuzzy_exchanges([], 2, 4), **unit_exchanges([], 2, 1)}
    assert {name for name, one in planned.items() if one.is_hot} == {
        "hashes", "bands", "members", "units",
    }  # fmt: skip
