"""A whole recipe with inputs, workspace and mix on S3 makes the bytes of a local disk."""

import gzip
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from s3_server import SECRET, credentials
from small_pool import DATASETS, Outcome, Pool, make_pool, vineleaf_here, write_recipe

from pipelines.lock import locked
from transforms import storage

PREFIX = "s3://vineleaf/pool"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return make_pool(tmp_path_factory.mktemp("pool"))


def run_on_s3(pool: Pool, folder: Path, workspace: str, *beam: str) -> Outcome:
    """The pool's recipe, with what it names on S3."""
    recipe = json.loads(json.dumps(pool.recipe()).replace(str(pool.folder), PREFIX))
    path = write_recipe(folder / "s3.yaml", recipe)
    return vineleaf_here("run", str(path), "-w", workspace, "--json", "--", *beam)


@pytest.fixture(scope="module")
def uploaded(pool: Pool, server: str) -> Pool:
    client = boto3.client("s3")
    for path in sorted(pool.folder.rglob("*")):
        if path.is_file():
            key = f"pool/{path.relative_to(pool.folder)}"
            client.put_object(Bucket="vineleaf", Key=key, Body=path.read_bytes())
    return pool


def contents(workspace: str) -> dict[str, bytes | str]:
    """SHA-256 of all files that the published manifests list. Of the tables beside the tokens the
    content, without the versions of documents in it: these are named after the inputs' digests, and
    a store's objects are identified by the store's own checksum. Without the mix's recipe, which
    names where its inputs lie."""
    found: dict[str, bytes | str] = {}
    versions = {}
    for folder in DATASETS:
        for file in storage.list_files([f"{workspace}/{folder}"]):
            if file.path.endswith("/manifest.json"):
                manifest: dict[str, Any] = storage.read_json(file.path)
                versions[manifest["fingerprint"].encode()] = manifest["stage"].encode()
                base = file.path.removesuffix("/manifest.json").removesuffix(
                    manifest["fingerprint"]
                )
                for one in manifest["files"]:
                    if one["path"] != "about/recipe.json":
                        path = storage.join(base, manifest["fingerprint"], one["path"])
                        is_table = path.endswith(".csv.gz")
                        name = f"{base.removeprefix(workspace).strip('/')} {one['path']}"
                        found[name] = storage.read_bytes(path) if is_table else one["sha256"]
    for name, content in found.items():
        if isinstance(content, bytes):
            table = gzip.decompress(content)
            for version, stage in versions.items():
                table = table.replace(version, stage)
            found[name] = table
    return found


def test_a_recipe_on_s3_makes_the_files_of_a_local_disk(uploaded, tmp_path, bucket):
    local = tmp_path / "local"
    recipe = write_recipe(tmp_path / "local.yaml", uploaded.recipe())
    vineleaf_here("run", str(recipe), "-w", str(local), "--json").good()
    workspace = f"{bucket}/workspace"
    first = run_on_s3(uploaded, tmp_path, workspace).good()
    assert set(first.states.values()) == {"done"}
    wanted, found = contents(str(local)), contents(workspace)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert len(wanted) > 50
    again = run_on_s3(uploaded, tmp_path, workspace).good()
    assert set(again.states.values()) == {"up to date"}
    everything = storage.list_files([workspace])
    for file in everything:
        assert SECRET.encode() not in storage.read_bytes(file.path), file.path
    assert not [file.path for file in everything if "/aside/" in file.path]
    mix = first.answer["mix"]
    checked = vineleaf_here("verify", mix, "--json").good()
    assert checked.answer["ok"]


def test_wrong_credentials_end_a_run_with_one_sentence(uploaded, tmp_path, monkeypatch):
    for name, value in credentials("another-secret").items():
        monkeypatch.setenv(name, value)
    said = run_on_s3(uploaded, tmp_path, "s3://vineleaf/other").failed(3)
    assert "S3 refuses access to s3://vineleaf/" in said
    assert "AWS_PROFILE" in said
    assert "another-secret" not in said


def test_a_second_run_is_refused_while_one_works(uploaded, tmp_path, bucket):
    with locked("s3://vineleaf/taken"):
        said = run_on_s3(uploaded, tmp_path, "s3://vineleaf/taken").failed(3)
    assert "another run works in s3://vineleaf/taken" in said
    assert "last sign of life" in said


def test_secrets_are_no_options(uploaded, tmp_path):
    said = run_on_s3(uploaded, tmp_path, "s3://vineleaf/x", "--s3_secret_access_key=abc").failed(2)
    assert "--s3_secret_access_key would show a secret" in said
    assert "abc" not in said
