"""Folders on more than one Beam filesystem, for tests of what must work on any."""

import os
import re
from unittest import mock

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def bucket():
    """A bucket of an S3 that lives in this process; boto3 and Beam's S3 code are the real ones."""
    moto = pytest.importorskip("moto")
    import boto3

    with mock.patch.dict(os.environ, CREDENTIALS), moto.mock_aws():
        os.environ.pop("AWS_ENDPOINT_URL_S3", None)  # a server's of tests/stores
        boto3.client("s3").create_bucket(Bucket="bucket")
        FileSystems.set_options(PipelineOptions([]))
        yield "s3://bucket"


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path):
    """A folder of this test alone, on a local disk and on S3."""
    if request.param == "local":
        return str(tmp_path)
    name = re.sub(r"\W+", "-", request.node.name)  # a bracket is a wildcard in listings
    return f"{request.getfixturevalue('bucket')}/{name}"
