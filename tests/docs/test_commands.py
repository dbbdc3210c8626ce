"""Commands in README.md and docs/ are ones that exist, with options that exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from pipelines.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """(page, command line) of all shell blocks, continued lines joined."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    found.append((page.name, line))
    return found


VINELEAF = [(page, line) for page, line in commands() if re.match(r"(\.venv/bin/)?vineleaf ", line)]
MAKE = [(page, line) for page, line in commands() if re.search(r"(^|&& )make ", line)]


@pytest.mark.parametrize(("page", "line"), VINELEAF)
def test_a_command_of_vineleaf_is_understood(page, line):
    _, name, *arguments = shlex.split(line, comments=True)
    command = typer.main.get_command(app).commands[name]
    command.make_context(name, arguments).close()


@pytest.mark.parametrize(("page", "line"), MAKE)
def test_a_target_of_make_exists(page, line):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"make ([a-z]+)", line.split("#")[0]):
        assert target in targets


def test_there_are_commands_to_check():
    assert len(VINELEAF) > 10
    assert len(MAKE) > 2


def test_every_page_that_is_linked_exists():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
