"""What Beam ships to its workers: the source distribution made from setup.py."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from apache_beam.runners.portability.stager import Stager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("setup.py", "MANIFEST.in", "pyproject.toml", "constraints.txt", "README.md")
PACKAGES = ("pipelines", "transforms", "expectations", "mixes")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The source distribution as Beam's `--setup_file` builds it, unpacked."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in SHIPPED:
        shutil.copy(ROOT / name, checkout / name)
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    built = Stager._build_setup_package(str(checkout / "setup.py"), str(checkout / "built"))
    target = tmp_path_factory.mktemp("worker")
    with tarfile.open(built) as archive:
        archive.extractall(target, filter="data")
    (folder,) = target.iterdir()
    return folder


def test_the_shipped_package_pins_what_it_imports_to_the_tested_versions(unpacked):
    pins = {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, version in re.findall(
            r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M
        )
    }
    metadata = (unpacked / "PKG-INFO").read_text()
    required = re.findall(r"^Requires-Dist: ([\w.-]+)(?:\[\w+\])?==(\S+)$", metadata, re.M)
    assert len(required) > 20
    for name, version in required:
        assert pins[re.sub(r"[-_.]+", "-", name).lower()] == version
    unpinned = re.findall(r"^Requires-Dist: ([\w.\[\]-]+)$", metadata, re.M)
    assert unpinned == []


def test_a_worker_that_installs_it_has_every_module_and_data_file(unpacked, tmp_path):
    offline = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    target = ["--target", str(tmp_path / "site"), str(unpacked)]
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, *target], check=True)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                assert (tmp_path / "site" / path.relative_to(ROOT)).is_file(), path


def needed_distributions(requirements):
    """The installed distributions that requirements need, directly or not, by name."""
    found = {}
    wanted = [Requirement(line) for line in requirements]
    seen = set()
    while wanted:
        asked = wanted.pop()
        name, extras = canonicalize_name(asked.name), frozenset(asked.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        for one in map(Requirement, found[name].requires or ()):
            environments = [{"extra": extra} for extra in ("", *extras)]
            if one.marker is None or any(map(one.marker.evaluate, environments)):
                wanted.append(one)
    return found


def built_here(found):
    """Those that pip compiled on this machine: the index gave a source distribution alone, and its
    wheel is for this very platform instead of the ones that an index accepts."""
    wheels = {name: one.read_text("WHEEL") or "" for name, one in found.items()}
    return sorted(
        name for name, wheel in wheels.items() if re.search(r"^Tag: .*-linux_", wheel, re.M)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells wheels of an index by name")
def test_no_dependency_is_compiled_as_it_is_installed(unpacked):
    """A worker has no compiler. fasttext, which only training needs, shows what would be found."""
    pytest.importorskip("fasttext")
    metadata = (unpacked / "PKG-INFO").read_text()
    required = re.findall(r"^Requires-Dist: ([^;\n]+)$", metadata, re.M)
    found = needed_distributions(required)
    assert {"apache-beam", "boto3", "numba", "grpcio"} <= set(found)
    assert built_here(found) == []
    assert built_here(needed_distributions(["fasttext"])) == ["fasttext"]


def test_a_dependency_without_a_tested_version_is_refused(tmp_path):
    for name in SHIPPED:
        shutil.copy(ROOT / name, tmp_path / name)
    constraints = (ROOT / "constraints.txt").read_text()
    (tmp_path / "constraints.txt").write_text(re.sub(r"^numba==.*$", "", constraints, flags=re.M))
    ended = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert "constraints.txt names no version of numba" in ended.stderr


def test_the_same_pythons_are_named_wherever_they_are_named():
    setup, make = (ROOT / "setup.py").read_text(), (ROOT / "Makefile").read_text()
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', setup)
    lowest, above = named[0], f"3.{int(named[-1].split('.')[1]) + 1}"
    assert f'python_requires=">={lowest},<{above}"' in setup
    allowed = [f"({one.replace('.', ', ')})" for one in (lowest, above)]
    assert f"{allowed[0]} <= sys.version_info[:2] < {allowed[1]}" in make
    assert f"Vineleaf needs Python {' or '.join(named)}:" in make
    assert f"Python {' or '.join(named)}," in (ROOT / "README.md").read_text()
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert checked["ruff"]["target-version"] == f"py{lowest.replace('.', '')}"
    assert checked["mypy"]["python_version"] == lowest
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in named


@pytest.mark.skipif(not shutil.which("make"), reason="missing: make")
@pytest.mark.parametrize(("goal", "works"), [("lint", False), ("clean", True)])
def test_make_does_not_test_with_another_python_than_the_one_named(tmp_path, goal, works):
    there = tmp_path / "bin/python"
    there.parent.mkdir()
    there.write_text("#!/bin/sh\necho 3.9\n")
    there.chmod(0o755)
    named = [f"VENV={tmp_path}", f"PYTHON={sys.executable}"]
    ended = subprocess.run(
        ["make", "--dry-run", goal, *named], cwd=ROOT, capture_output=True, text=True
    )
    assert (ended.returncode == 0) == works
    assert (f"{tmp_path} is of Python 3.9, {sys.executable} is not" in ended.stderr) != works
