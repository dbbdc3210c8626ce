"""A workspace: where things lie."""

import pytest

from pipelines.workspace import Workspace


@pytest.mark.parametrize("uri", ["/data/w", "s3://bucket/w", "gs://bucket/w"])
def test_everything_lies_below_it(uri):
    workspace = Workspace(uri)
    paths = [
        workspace.documents("web"), workspace.attributes("gopher", "web"),
        workspace.quarantine("web"), workspace.mix("demo"), workspace.benchmarks,
        workspace.report("demo"), workspace.work("exact", "f"),
    ]  # fmt: skip
    assert all(path.startswith(f"{uri}/") for path in paths)
    assert len(set(paths)) == len(paths)
