"""A workspace: where things lie, and one run at a time."""

import pytest

from pipelines.stages import RunFailed
from pipelines.workspace import Workspace


@pytest.mark.parametrize("uri", ["/data/w", "s3://bucket/w", "gs://bucket/w"])
def test_everything_lies_below_it(uri):
    workspace = Workspace(uri)
    paths = [
        workspace.documents("web"), workspace.attributes("gopher", "web"),
        workspace.quarantine("web"), workspace.mix("demo"), workspace.benchmarks("demo"),
        workspace.report("demo"), workspace.work("exact", "f"),
    ]  # fmt: skip
    assert all(path.startswith(f"{uri}/") for path in paths)
    assert len(set(paths)) == len(paths)


def test_a_second_run_is_refused_while_one_works_and_welcome_after(tmp_path):
    uri = str(tmp_path / "w")
    with (
        Workspace(uri).locked(),
        pytest.raises(RunFailed, match="another run works in"),
        Workspace(uri).locked(),
    ):
        pass
    with Workspace(uri).locked():
        pass


def test_the_lock_ends_with_the_run_however_that_ends(tmp_path):
    workspace = Workspace(str(tmp_path))

    def fail():
        with workspace.locked():
            raise KeyError("broken")

    with pytest.raises(KeyError):
        fail()
    with workspace.locked():
        pass
