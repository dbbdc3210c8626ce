"""The lock: one run works in a workspace, and one that was killed keeps nobody out for long."""

import errno
import json
import os
import re
import signal
import socket
import threading
import time

import boto3
import moto
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import lock
from pipelines.command_line import CommandError
from pipelines.lock import locked
from pipelines.stages import RunFailed
from transforms import s3, storage

WORKSPACE = "s3://bucket/w"
PATH = "s3://bucket/w/work/lock"
SELF = re.escape(f"process {os.getpid()} on {socket.gethostname()} since 20")


@pytest.fixture
def store(monkeypatch):
    """An S3 in this process. tests/stores tries the conditions on a server."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)  # a server's of tests/stores
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="bucket")
        FileSystems.set_options(PipelineOptions([]))
        yield


@pytest.fixture(params=["local", "s3"])
def workspace(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "w")
    request.getfixturevalue("store")
    return WORKSPACE


def enter(workspace):
    with locked(workspace):
        pass


def wait_until(ready):
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_run_is_refused_while_one_works_and_welcome_after(workspace):
    with locked(workspace), pytest.raises(RunFailed, match=rf"another run works in .*{SELF}"):
        enter(workspace)
    enter(workspace)


def test_a_workspace_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="is no folder"):
        enter(str(tmp_path / "file"))


def test_a_workspace_that_cannot_be_written_is_told_with_its_name(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("pipelines.lock.os.makedirs", refuse)
    with pytest.raises(RunFailed, match=f"{tmp_path} cannot be written: Read-only file system"):
        enter(str(tmp_path))


def test_the_lock_ends_with_the_run_however_that_ends(workspace):
    def fail():
        with locked(workspace):
            raise KeyError("broken")

    with pytest.raises(KeyError):
        fail()
    enter(workspace)


def test_a_killed_runs_lock_on_a_store_is_told_with_host_age_and_what_to_do(store):
    left = {"host": "elsewhere", "process": 7, "since": "2026-01-02T03:04:05+00:00"}
    storage.write_json(PATH, left)
    with pytest.raises(RunFailed) as told:
        enter(WORKSPACE)
    assert re.search(
        r"process 7 on elsewhere since 2026-01-02T03:04:05\+00:00, last sign of life \d+ seconds"
        rf" ago.* run again in 1[12]\d seconds, or delete {PATH} to take over now",
        str(told.value),
    )


@pytest.mark.parametrize("content", [b"", b"{}", b'"text"', b"\xff"])
def test_a_lock_that_says_nothing_is_a_lock(store, content):
    storage.write_bytes(PATH, content)
    with pytest.raises(RunFailed, match="which does not tell of itself"):
        enter(WORKSPACE)


def test_a_lock_that_was_not_renewed_in_time_is_taken_over(store, monkeypatch):
    storage.write_json(PATH, {"host": "elsewhere", "process": 7, "since": "long ago"})
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.0)
    with locked(WORKSPACE):
        assert storage.read_json(PATH)["process"] == os.getpid()
    assert not storage.exists(PATH)


def test_only_one_of_two_takes_an_expired_lock_over(store, monkeypatch):
    storage.write_json(PATH, {"host": "elsewhere"})
    look = s3.look

    def overtaken(path):
        found = look(path)
        storage.write_json(PATH, {"host": "a third"})
        return found

    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.0)
    monkeypatch.setattr(s3, "look", overtaken)
    with pytest.raises(RunFailed, match="another run has just begun"):
        enter(WORKSPACE)
    assert storage.read_json(PATH) == {"host": "a third"}


def test_a_running_run_renews_its_lock(store, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    with locked(WORKSPACE):
        wait_until(lambda: json.loads(s3.look(PATH).data).get("beats", 0) > 2)
    assert not storage.exists(PATH)


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["heard", "ignored"])
def interrupts(request):
    """What the process does when it is interrupted: one in the background may ignore that."""
    before = signal.signal(signal.SIGINT, request.param)
    try:
        yield
        assert signal.getsignal(signal.SIGINT) == request.param
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_whose_lock_was_taken_ends_and_leaves_the_others(store, interrupts, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)

    def lose() -> None:
        with locked(WORKSPACE):
            storage.write_json(PATH, {"host": "another"})
            threading.Event().wait(20)

    with pytest.raises(RunFailed, match=r"another run may work in .* run the same command again"):
        lose()
    assert storage.read_json(PATH) == {"host": "another"}


def test_a_run_ends_before_its_lease_does_though_a_request_hangs(store, monkeypatch):
    hanging, answered = threading.Event(), threading.Event()

    def hang(*arguments, **named):
        hanging.set()
        answered.wait(20)
        raise OSError("cut")

    def lose() -> None:
        with locked(WORKSPACE):
            monkeypatch.setattr(s3, "put_object", hang)
            hanging.wait(20)
            threading.Event().wait(20)

    assert lock.GIVE_UP_SECONDS + lock.BEAT_SECONDS < lock.LEASE_SECONDS
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(lock, "GIVE_UP_SECONDS", 0.2)
    try:
        with pytest.raises(RunFailed, match="could not renew its lock"):
            lose()
        assert not answered.is_set()
    finally:
        answered.set()


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_a_store_that_does_not_answer_for_a_while_costs_nothing(store, monkeypatch, error):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    put, asked = s3.put_object, []

    def sometimes(*arguments, **named):
        asked.append(1)
        if len(asked) in {2, 3, 4}:
            raise error("cut")
        return put(*arguments, **named)

    monkeypatch.setattr(s3, "put_object", sometimes)
    with locked(WORKSPACE):
        wait_until(lambda: len(asked) > 6)


def test_an_interrupt_from_the_keyboard_stays_one(store):
    def interrupt():
        with locked(WORKSPACE):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert not storage.exists(PATH)
