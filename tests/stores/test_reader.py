"""A mix is streamed from a real S3 server, from one that fails, and in forked processes."""

import sys
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from s3_server import faulty_proxy

from mixes.reader import MixReader

sys.path.insert(0, str(Path(__file__).parents[1] / "mixes"))

from published_mix import publish_mix

SOURCES = {"web": [[n % 7, 1, 2] * 900 for n in range(120)]}


@pytest.fixture
def mix(bucket: str) -> str:
    publish_mix(f"{bucket}/mix", SOURCES, file_tokens=100_000)
    return f"{bucket}/mix"


def ids_of(rank: int, mix: str) -> list[str]:
    return [one.id for one in MixReader(mix, rank=rank, world_size=3, shuffle=True)]


def test_a_server_that_fails_costs_only_time(server: str, mix: str) -> None:
    wanted = [ids_of(rank, mix) for rank in range(3)]
    with faulty_proxy(server) as running:
        FileSystems.set_options(PipelineOptions([f"--s3_endpoint_url={running.address}"]))
        assert [ids_of(rank, mix) for rank in range(3)] == wanted
    assert running.failures
    assert sorted(one for its in wanted for one in its) == sorted(f"web-{n}" for n in range(120))
