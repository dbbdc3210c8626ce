"""The step that deduplication tells while it works."""

import pytest

from pipelines.dedup.jobs import exact_job, fuzzy_job, repeats_job
from pipelines.recipes.pool_part import Fuzzy, Repeats
from pipelines.stage_names import EXACT_DEDUP, URL_DEDUP
from pipelines.workspace import Workspace
from transforms.datasets import Manifest, OutputFile
from transforms.dedup.pool import PoolShard

DOCUMENTS = {"web": Manifest("documents web", "f", 1, {}, {}, [], {}, {}, {}, "0")}


def jobs(folder):
    workspace = Workspace(str(folder))
    return {
        "url": exact_job(workspace, {}, DOCUMENTS, [], 2, URL_DEDUP, {}),
        "exact": exact_job(workspace, {}, DOCUMENTS, [], 2, EXACT_DEDUP, {}),
        "substring": repeats_job(
            workspace, {}, DOCUMENTS, [], 2, Repeats("substring", 500, None), {}
        ),
        "lines": repeats_job(workspace, {}, DOCUMENTS, [], 2, Repeats("lines", 1, None), {}),
        "fuzzy": fuzzy_job(workspace, {}, DOCUMENTS, [], 2, Fuzzy(5, 26, 11, 0.8), {}),
    }


def write_runs(folder, name, step, number):
    """As an exchange does, in the scratch folder of the job."""
    (work,) = {job.cleanup.args[0] for kind, job in jobs(folder).items() if kind == name}
    for run in range(number):
        path = folder.joinpath(work, step, f"{run:08d}-64.run")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("name", "steps", "told"),
    [
        ("exact", {}, ""),
        ("exact", {"hashes": 3}, "step 1 of 2, reading hashes: 3 written"),
        ("exact", {"hashes": 3, "found": 1}, "step 2 of 2, grouping equal ones: 1 written"),
        ("url", {"hashes": 3}, "step 1 of 2, reading hashes: 3 written"),
        ("substring", {"anchors": 4}, "step 1 of 3, reading texts: 4 written"),
        ("substring", {"places": 4}, "step 2 of 3, finding places that meet: 4 written"),
        ("lines", {"found": 1}, "step 2 of 2, grouping them: 1 written"),
        ("fuzzy", {"bands": 4}, "step 1 of 6, reading signatures: 4 written"),
        ("fuzzy", {"bands": 4, "members": 2}, "step 5 of 6, reading linked texts: 2 written"),
        ("fuzzy", {"rounds/0002/arcs": 5}, "step 3 of 6, joining links in rounds: 5 written"),
        ("fuzzy", {"found": 2}, "step 6 of 6, comparing them: 2 written"),
    ],
)
def test_the_last_step_that_has_written_is_told(tmp_path, name, steps, told):
    for step, number in steps.items():
        write_runs(tmp_path, name, step, number)
    assert jobs(tmp_path)[name].step() == told


def test_clusters_of_earlier_runs_are_counted_first(tmp_path):
    file = OutputFile("00000.parquet", 0, "", 0)
    shards = [PoolShard(0, "@old", "ids.parquet", file, {}, numbering=((0, 0),))]
    workspace = Workspace(str(tmp_path))
    job = fuzzy_job(workspace, {}, DOCUMENTS, shards, 2, Fuzzy(5, 26, 11, 0.8), {})
    run = tmp_path.joinpath(job.cleanup.args[0], "gone/00000000-1.run")
    run.parent.mkdir(parents=True)
    run.write_bytes(b"x")
    assert job.step() == "step 1 of 7, counting published clusters: 1 written"
    job.cleanup()
    assert not run.exists()


def test_nothing_of_it_is_left_when_the_job_is_done(tmp_path):
    write_runs(tmp_path, "exact", "hashes", 2)
    job = jobs(tmp_path)["exact"]
    job.cleanup()
    assert job.step() == ""
