"""Object stores are tried with the pool and the helpers of end_to_end."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import boto3
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

sys.path.insert(0, str(Path(__file__).parents[1] / "end_to_end"))
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running S3 server; boto3 finds its credentials in the environment."""
    from s3_server import credentials, s3_server

    with (
        s3_server(tmp_path_factory.mktemp("s3") / "server") as address,
        mock.patch.dict(os.environ, {**credentials(), "AWS_ENDPOINT_URL_S3": address}),
    ):
        boto3.client("s3").create_bucket(Bucket="vineleaf")
        yield address


@pytest.fixture
def bucket(server: str) -> Iterator[str]:
    """A place of a bucket, asked for without a proxy."""
    FileSystems.set_options(PipelineOptions([]))
    yield "s3://vineleaf"
    FileSystems.set_options(PipelineOptions([]))
