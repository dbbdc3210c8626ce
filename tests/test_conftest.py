"""The rule on skipped tests of tests/conftest.py."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SKIPS = """
import pytest
def test_part(): pytest.skip("missing: an engine")
def test_package(): pytest.importorskip("no_such_package")
def test_data(): pytest.skip("corpus: not here")
@pytest.mark.skipif(True, reason="missing: a model")
def test_marked(): pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(SKIPS)
    return pytester


def test_without_ci_a_missing_part_is_a_skip(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    project.runpytest("-p", "no:xdist").assert_outcomes(skipped=4)


def test_in_ci_a_missing_part_fails_and_missing_data_does_not(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    result = project.runpytest("-p", "no:xdist")
    result.assert_outcomes(skipped=1, failed=2, errors=1)
    result.stdout.fnmatch_lines(["*skipped, which CI does not accept: missing: an engine"])


def test_in_ci_a_module_that_skips_itself_for_a_missing_part_fails(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    project.makepyfile(test_whole='import pytest; pytest.importorskip("no_such_package")')
    project.runpytest("-p", "no:xdist", "test_whole.py").assert_outcomes(errors=1)
