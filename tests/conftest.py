"""What holds for all tests: in continuous integration nothing is skipped for want of a part.

A test that cannot run says why. A reason that starts with "missing:" (or a failed
`pytest.importorskip`) names a part that an installation should have: with CI set, that is a
failure. A reason that starts with "corpus:" names test data that is not part of the project, one
that starts with "second opinion:" what takes minutes or gigabytes to get; both stay a skip.

And folders on more than one Beam filesystem, for tests of what must work on any.
"""

import os
import re
from collections.abc import Generator
from unittest import mock

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
REQUIRED = ("missing:", "could not import")  # starts of reasons that CI does not accept


def _fail_if_missing(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not (report.skipped and os.environ.get("CI") and isinstance(report.longrepr, tuple)):
        return
    reason = str(report.longrepr[2]).removeprefix("Skipped: ")
    if reason.startswith(REQUIRED):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not accept: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_missing(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_missing(report)
    return report


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
