"""The tiny pool and a workspace after an undisturbed run, made once for each process of tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package: `small_pool` lies beside

from small_pool import Finished, Pool, make_pool, run


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """The tiny pool's sources."""
    return make_pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="session")
def finished(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The tiny pool's workspace after one undisturbed run."""
    workspace = tmp_path_factory.mktemp("finished") / "workspace"
    recipe = pool.recipe()
    return Finished(workspace, recipe, run(recipe, workspace).good())
