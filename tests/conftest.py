"""What holds for all tests: in continuous integration nothing is skipped for want of a part.

A test that cannot run says why. A reason that starts with "missing:" (or a failed
`pytest.importorskip`) names a part that an installation should have: with CI set, that is a
failure. A reason that starts with "corpus:" names test data that is not part of the project, one
that starts with "second opinion:" a runner whose build takes minutes; both stay a skip.
"""

import os
from collections.abc import Generator

import pytest

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
