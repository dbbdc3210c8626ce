"""Cloud Storage: conditional writes and the lock made of them, against a stub of its JSON API."""

import json
from datetime import timedelta

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

pytest.importorskip("google.cloud.storage")

from gcs_stub import gcs_stub

from pipelines import lock
from pipelines.lock import locked
from pipelines.stages import RunFailed
from transforms import gcs

PATH = "gs://bucket/w/work/lock"


@pytest.fixture
def stub(monkeypatch):
    with gcs_stub() as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.address)
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        FileSystems.set_options(PipelineOptions(["--no_auth"]))
        yield running
        FileSystems.set_options(PipelineOptions([]))


def enter(workspace: str = "gs://bucket/w") -> None:
    with locked(workspace):
        pass


def test_conditions_hold(stub):
    first = gcs.put_object(PATH, b"mine")
    assert first is not None
    assert gcs.put_object(PATH, b"yours") is None
    second = gcs.put_object(PATH, b"later", replaces=first)
    assert second not in {None, first}
    assert gcs.put_object(PATH, b"too late", replaces=first) is None
    assert gcs.look(PATH).data == b"later"
    gcs.delete_objects([PATH, PATH])
    assert gcs.look(PATH) is None
    assert gcs.put_object(PATH, b"gone", replaces=second) is None


def test_the_age_is_told_by_the_stores_clock_and_nothing_is_left_of_asking(stub):
    stub.ahead = timedelta(hours=5)
    gcs.put_object(PATH, b"x")
    assert gcs.look(PATH).age_seconds < 60
    stub.ahead += timedelta(hours=1)
    assert 3600 <= gcs.look(PATH).age_seconds < 3660
    assert set(stub.objects) == {("bucket", "w/work/lock")}


def test_a_second_run_is_refused_while_one_works_and_welcome_after(stub):
    with locked("gs://bucket/w"), pytest.raises(RunFailed, match="another run works in gs://"):
        enter()
    enter()
    assert stub.objects == {}


def test_the_lock_of_a_killed_run_is_taken_over_when_it_was_not_renewed(stub):
    gcs.put_object(PATH, json.dumps({"host": "elsewhere"}).encode())
    with pytest.raises(RunFailed, match=rf"or delete {PATH} to take over now"):
        enter()
    stub.ahead = timedelta(seconds=lock.LEASE_SECONDS + 1)
    enter()


def test_a_lock_whose_answer_was_lost_is_held(stub):
    stub.loses = 1
    enter()
    assert stub.written >= 2  # it was asked for again, and found its own
    assert stub.objects == {}


@pytest.mark.parametrize(
    ("status", "told_as"), [(401, "no credentials for"), (403, "refuses access to")]
)
def test_credentials_that_lack_or_are_refused_are_one_sentence(stub, status, told_as):
    stub.refuses = status
    actions = [lambda: gcs.put_object(PATH, b"x"), lambda: gcs.look(PATH), enter]
    for action in actions:
        with pytest.raises(PermissionError, match=f"{told_as} {PATH}") as told:
            action()
        assert "GOOGLE_APPLICATION_CREDENTIALS" in str(told.value)
        assert "\n" not in str(told.value)


def test_a_bucket_that_is_not_there_is_told(stub):
    with pytest.raises(FileNotFoundError, match="gs://nobody/w/work/lock: there is no bucket"):
        enter("gs://nobody/w")


def test_a_store_that_does_not_answer_is_told_in_one_sentence(stub, monkeypatch):
    stub.refuses = 500
    with pytest.raises(OSError, match="can not be asked for gs://bucket/w/work/lock") as told:
        gcs.put_object(PATH, b"x", quick=True)
    assert "\n" not in str(told.value)
