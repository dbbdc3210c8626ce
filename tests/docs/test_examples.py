"""Examples in Python in docs/ run as they stand, beside a small mix of the name that they use."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "mixes"))

from published_mix import publish_mix

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    (page.name, block)
    for page in sorted((ROOT / "docs").glob("*.md"))
    for block in BLOCK.findall(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "block"), EXAMPLES)
def test_an_example_runs(
    page: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    publish_mix("workspace/mixes/demo", {"web": [[1, 2, n] for n in range(40)]}, sequence=16)
    exec(compile(block, page, "exec"), {})


def test_there_is_an_example() -> None:
    assert EXAMPLES
