"""A whole recipe with inputs, workspace and mix on S3 makes the bytes of a local disk."""

import hashlib
import json
import shutil
from pathlib import Path

import boto3
import pytest
from s3_server import SECRET, credentials
from small_pool import DATASETS, Outcome, Pool, make_pool, vineleaf_here, write_recipe

from pipelines.lock import locked
from transforms import storage

WORKSPACE = "s3://vineleaf/workspace"
INPUT = "{workspace}/pool"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return make_pool(tmp_path_factory.mktemp("pool"))


def run_there(pool: Pool, folder: Path, workspace: str, *beam: str) -> Outcome:
    """The pool's recipe, with what it names in the workspace."""
    recipe = json.loads(json.dumps(pool.recipe()).replace(str(pool.folder), INPUT))
    path = write_recipe(folder / "there.yaml", recipe)
    return vineleaf_here("run", str(path), "-w", workspace, "--json", "--", *beam)


@pytest.fixture(scope="module")
def uploaded(pool: Pool, server: str) -> Pool:
    client = boto3.client("s3")
    for path in sorted(pool.folder.rglob("*")):
        if path.is_file():
            key = f"workspace/pool/{path.relative_to(pool.folder)}"
            client.put_object(Bucket="vineleaf", Key=key, Body=path.read_bytes())
    return pool


def hashes(workspace: str) -> dict[str, str]:
    """SHA-256 of all files of the datasets, manifests and records too."""
    return {
        f"{folder}/{name}": hashlib.sha256(
            storage.read_bytes(f"{workspace}/{folder}/{name}")
        ).hexdigest()
        for folder in DATASETS
        for name in storage.files_below(f"{workspace}/{folder}")
    }


def test_a_recipe_on_s3_makes_the_files_of_a_local_disk(uploaded, tmp_path, bucket):
    local = tmp_path / "local"
    shutil.copytree(uploaded.folder, local / "pool")
    run_there(uploaded, tmp_path, str(local)).good()
    first = run_there(uploaded, tmp_path, WORKSPACE).good()
    assert set(first.states.values()) == {"done"}
    wanted, found = hashes(str(local)), hashes(WORKSPACE)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert sum(name.endswith("manifest.json") for name in wanted) > 50
    again = run_there(uploaded, tmp_path, WORKSPACE).good()
    assert set(again.states.values()) == {"up to date"}
    everything = storage.list_files([WORKSPACE])
    for file in everything:
        assert SECRET.encode() not in storage.read_bytes(file.path), file.path
    assert not [file.path for file in everything if "/_aside/" in file.path]
    mix = first.answer["mix"]
    checked = vineleaf_here("verify", mix, "--json").good()
    assert checked.answer["ok"]


def test_wrong_credentials_end_a_run_with_one_sentence(uploaded, tmp_path, monkeypatch):
    for name, value in credentials("another-secret").items():
        monkeypatch.setenv(name, value)
    said = run_there(uploaded, tmp_path, "s3://vineleaf/other").failed(3)
    assert "S3 refuses access to s3://vineleaf/" in said
    assert "AWS_PROFILE" in said
    assert "another-secret" not in said


def test_a_second_run_is_refused_while_one_works(uploaded, tmp_path, bucket):
    with locked("s3://vineleaf/taken"):
        said = run_there(uploaded, tmp_path, "s3://vineleaf/taken").failed(3)
    assert "another run works in s3://vineleaf/taken" in said
    assert "last sign of life" in said


def test_secrets_are_no_options(uploaded, tmp_path):
    said = run_there(uploaded, tmp_path, WORKSPACE, "--s3_secret_access_key=abc").failed(2)
    assert "--s3_secret_access_key would show a secret" in said
    assert "abc" not in said
