"""A mix is streamed from a real S3 server, from one that fails, and in forked processes."""

import json
import subprocess
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


# In a process of its own: this one runs threads of other libraries, after which none may fork.
FORKED = """
import json, multiprocessing, sys
from mixes.reader import MixReader

def ids_of(rank):
    reader = MixReader(sys.argv[1], rank=rank, world_size=3, shuffle=True)
    return [one.id for one in reader]

if __name__ == "__main__":
    before = [ids_of(rank) for rank in range(3)]
    with multiprocessing.get_context("fork").Pool(3) as pool:
        at_once = pool.map_async(ids_of, range(3)).get(timeout=60)
    print(json.dumps([before, at_once]))
"""


def test_forked_workers_read_at_once_what_their_parent_reads(mix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, mix],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, at_once = json.loads(done.stdout)
    assert at_once == before == [ids_of(rank, mix) for rank in range(3)]
