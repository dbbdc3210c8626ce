"""Scratch: folders that their makers hold, and that nobody holds once these were killed."""

import fcntl
import os
import signal
import subprocess
import sys
import textwrap

import boto3
import moto
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import scratch as module
from pipelines.runners.submission import RunFailed
from pipelines.scratch import remove_left, scratch
from pipelines.workspace import Workspace
from transforms import storage


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "w"))


def test_a_folder_goes_when_its_block_ends_however_it_ends(workspace):
    with scratch(workspace, "budget") as folder:
        storage.write_bytes(storage.join(folder, "facts", "shards", "0"), b"x")
        remove_left(workspace)
        assert storage.exists(storage.join(folder, "facts", "shards", "0"))
    assert not os.path.exists(folder)
    with pytest.raises(KeyError), scratch(workspace, "window") as folder:
        raise KeyError
    assert not os.path.exists(folder)


def test_a_folder_stays_while_its_maker_lives_and_goes_once_that_is_killed(workspace):
    code = f"""
        from pipelines.scratch import scratch
        from pipelines.workspace import Workspace
        from transforms import storage

        with scratch(Workspace({workspace.uri!r}), "what-if") as folder:
            storage.write_bytes(storage.join(folder, "x"), b"x")
            print(folder, flush=True)
            input()
    """
    maker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = maker.stdout.readline().strip()
    remove_left(workspace)
    assert os.path.exists(os.path.join(folder, "x"))
    maker.send_signal(signal.SIGKILL)
    maker.communicate()
    assert os.path.exists(folder)
    remove_left(workspace)
    assert not os.path.exists(folder)


def test_a_folder_that_was_removed_while_it_was_made_is_made_once_more(workspace, monkeypatch):
    """By a plan that begins at the same time: before the lock is held it seems to be left."""
    flock, seen = fcntl.flock, []

    def late(file, how):
        if not seen:
            seen.append(os.path.dirname(file.name))
            remove_left(workspace)
        flock(file, how)

    monkeypatch.setattr(module.fcntl, "flock", late)
    with scratch(workspace, "budget") as folder:
        assert not os.path.exists(seen[0])
        assert folder != seen[0]
        assert os.path.exists(os.path.join(folder, "lock"))


def test_a_folder_that_has_no_lock_yet_is_held_while_it_is_removed(workspace, monkeypatch):
    """So whoever is just making it does not take it for its own."""
    folder = workspace.work("budget", "made")
    os.makedirs(folder)
    rmtree, held = module.shutil.rmtree, []

    def remove(path, **options):
        with open(os.path.join(path, "lock"), "a") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(path)
        rmtree(path, **options)

    monkeypatch.setattr(module.shutil, "rmtree", remove)
    remove_left(workspace)
    assert held == [folder]
    assert not os.path.exists(folder)


def test_a_folder_that_cannot_be_removed_keeps_no_other(workspace):
    os.makedirs(storage.join(workspace.work("budget", "a"), "lock"))  # no file can be opened there
    other = workspace.work("budget", "b")
    os.makedirs(other)
    remove_left(workspace)
    assert not os.path.exists(other)


def test_a_workspace_that_cannot_be_written_is_told_in_a_sentence(tmp_path):
    (tmp_path / "w").write_text("no folder")
    told = f"the workspace {tmp_path}/w cannot be written: "
    with pytest.raises(RunFailed, match=told), scratch(Workspace(str(tmp_path / "w")), "budget"):
        pass


def test_folders_of_a_store_are_left_when_they_are_old(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="bucket")
        FileSystems.set_options(PipelineOptions([]))
        workspace = Workspace("s3://bucket/w")
        with scratch(workspace, "budget") as folder:
            remove_left(workspace)
            assert storage.exists(storage.join(folder, "lock"))
            storage.write_bytes(storage.join(folder, "facts", "0"), b"x")
            monkeypatch.setattr(module, "LEFT_SECONDS", -60.0)
            remove_left(workspace)
            assert not storage.exists(storage.join(folder, "lock"))
            assert not storage.exists(storage.join(folder, "facts", "0"))
