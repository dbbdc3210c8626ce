"""S3, really: a server on loopback that checks signatures and conditions, and one that fails."""

import hashlib
import io
import logging
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from s3_server import SECRET, credentials, faulty_proxy, listing_stub

from transforms import s3, storage


def blocks_of(seed: str, count: int, size: int = 100_000) -> list[bytes]:
    return [hashlib.shake_256(f"{seed} {one}".encode()).digest(size) for one in range(count)]


def fail_after(path: str, block: bytes) -> None:
    with storage.write_aside(path) as file:
        file.write(block)
        raise KeyError("mine")


def uploads() -> list[str]:
    """Uploads that are neither finished nor given up."""
    found = boto3.client("s3").list_multipart_uploads(Bucket="vineleaf")
    return [one["UploadId"] for one in found.get("Uploads", ())]


@pytest.fixture
def proxy(server, bucket):
    with faulty_proxy(server) as running:
        FileSystems.set_options(PipelineOptions([f"--s3_endpoint_url={running.address}"]))
        yield running


@pytest.mark.parametrize("size", [0, 1, (5 << 20) + 1])
def test_what_is_written_is_read(bucket, size):
    path = f"{bucket}/read/{size}"
    content = b"".join(blocks_of("x", 1, size))
    storage.write_bytes(path, content)
    assert storage.read_bytes(path) == content
    assert [one.size_bytes for one in storage.list_files([path])] == [size]


def test_any_place_of_an_object_is_read(bucket):
    path, content = f"{bucket}/places", b"".join(blocks_of("places", 3))
    storage.write_bytes(path, content)
    with storage.open_read(path) as file:
        for place in (250_000, 0, 65_535, 65_536, 299_999, 300_000):
            file.seek(place)
            assert file.read(70_000) == content[place : place + 70_000]
        assert file.seek(-10, io.SEEK_END) == 299_990
        assert file.read() == content[-10:]


def test_an_object_that_is_replaced_is_not_read_in_two_versions(bucket):
    path = f"{bucket}/replaced"
    storage.write_bytes(path, b"1" * 300_000)
    with storage.open_read(path) as file:
        assert file.read(10) == b"1" * 10
        storage.write_bytes(path, b"2" * 300_000)
        with pytest.raises(OSError, match="was replaced while it was read: run again"):
            file.read()


def test_a_large_object_goes_up_in_parts_and_shows_when_it_is_whole(bucket, monkeypatch):
    monkeypatch.setattr(s3, "FIRST_PART_BYTES", 5 << 20)  # S3 takes no smaller ones
    monkeypatch.setattr(s3, "PARTS_OF_ONE_SIZE", 1)
    path, blocks = f"{bucket}/large", blocks_of("large", 9, 2_000_000)
    with storage.write_aside(path) as file:
        for block in blocks:
            file.write(block)
        (upload,) = uploads()
        sent = boto3.client("s3").list_parts(Bucket="vineleaf", Key="large", UploadId=upload)
        assert [one["Size"] for one in sent["Parts"]] == [5 << 20, 10 << 20]
        assert not storage.exists(path)
    assert uploads() == []
    assert storage.sha256_of(path)[0] == hashlib.sha256(b"".join(blocks)).hexdigest()


def test_an_upload_that_fails_leaves_nothing(bucket, monkeypatch):
    monkeypatch.setattr(s3, "FIRST_PART_BYTES", 5 << 20)
    path = f"{bucket}/failed"
    with pytest.raises(KeyError, match="mine"):
        fail_after(path, bytes(6 << 20))
    assert uploads() == []
    assert not storage.exists(path)


def test_failing_answers_and_cut_connections_cost_only_time(proxy, bucket, monkeypatch):
    monkeypatch.setattr(s3, "FIRST_PART_BYTES", 5 << 20)
    content = b"".join(blocks_of("proxy", 60))
    for name in ("a", "b"):
        storage.write_bytes(f"{bucket}/faulty/{name}", content)
        assert storage.read_bytes(f"{bucket}/faulty/{name}") == content
    assert len(storage.list_files([f"{bucket}/faulty/*"])) == 2
    storage.delete([f"{bucket}/faulty/a"])
    assert not storage.exists(f"{bucket}/faulty/a")
    assert set(proxy.failures) == {"503", "cut", "half"}


def test_a_store_that_only_fails_is_told_in_one_sentence(proxy, bucket, monkeypatch):
    proxy.every, proxy.kinds = 1, ("503",)
    monkeypatch.setattr(s3, "ATTEMPTS", 2)
    FileSystems.set_options(PipelineOptions([f"--s3_endpoint_url={proxy.address}"]))
    with pytest.raises(OSError, match=r"S3 answered 503 .* for s3://vineleaf/any") as told:
        storage.read_bytes(f"{bucket}/any")
    assert "\n" not in str(told.value)


def test_conditions_hold(bucket):
    path = f"{bucket}/condition"
    first = s3.put_object(path, b"mine")
    assert first is not None
    assert s3.put_object(path, b"yours") is None
    second = s3.put_object(path, b"later", replaces=first)
    assert second is not None
    assert s3.put_object(path, b"too late", replaces=first) is None
    assert storage.read_bytes(path) == b"later"
    storage.delete([path])
    assert s3.put_object(path, b"gone", replaces=second) is None


def test_wrong_credentials_are_one_sentence_without_a_secret(bucket, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    for name, value in credentials("another-secret").items():
        monkeypatch.setenv(name, value)
    FileSystems.set_options(PipelineOptions([]))
    actions = [
        lambda: storage.read_bytes(f"{bucket}/any"),
        lambda: storage.list_files([f"{bucket}/any/*"]),
        lambda: storage.write_bytes(f"{bucket}/any", b"x"),
    ]
    for action in actions:
        with pytest.raises(PermissionError, match="S3 refuses access to s3://vineleaf/any") as told:
            action()
        assert "\n" not in str(told.value)
        assert "another-secret" not in str(told.value) + caplog.text
    assert SECRET not in caplog.text


def test_no_credentials_are_one_sentence(bucket, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    FileSystems.set_options(PipelineOptions([]))
    with pytest.raises(PermissionError, match=r"no credentials for s3://vineleaf/any .*_PROFILE"):
        storage.read_bytes(f"{bucket}/any")


def test_a_bucket_that_is_not_there_is_told(bucket):
    with pytest.raises(FileNotFoundError, match="s3://nobody/x: there is no bucket"):
        storage.read_bytes("s3://nobody/x")
    with pytest.raises(FileNotFoundError, match="no such object: s3://vineleaf/none"):
        storage.read_bytes(f"{bucket}/none")


def test_more_objects_than_one_answer_lists_are_listed_and_deleted(bucket):
    names = [f"{bucket}/many/{number:04d}" for number in range(1005)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: storage.write_bytes(name, b""), names))
    found = storage.list_files([f"{bucket}/many"])
    assert [one.name for one in found] == [name[-4:] for name in names]
    storage.delete(names)
    assert storage.list_files([f"{bucket}/many"]) == []


def test_100_000_objects_are_listed_in_as_few_requests_as_there_are_answers(bucket):
    with listing_stub(100_000) as stub:
        FileSystems.set_options(PipelineOptions([f"--s3_endpoint_url={stub.address}"]))
        found = storage.list_files([f"{bucket}/shards/*.parquet"])
    assert len(found) == 50_000  # every other one has that end
    assert (found[0].name, found[-1].name) == ("000000.parquet", "099998.parquet")
    assert {one.size_bytes for one in found} == {7}
    assert stub.requests == 100


def test_an_object_of_the_most_bytes_that_s3_takes_has_fewer_than_10_000_parts():
    parts, held = 0, 0
    while held < 5 << 40:
        parts += 1
        assert 5 << 20 <= s3.part_bytes(parts) <= 5 << 30  # of a part, the last may be smaller
        held += s3.part_bytes(parts)
    assert parts < 10_000
