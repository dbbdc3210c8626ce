"""Compiled code is never that of other sources."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CALLED = """
from numba import njit

@njit
def double(x):
    return 2 * x
"""
KERNEL = """
from numba import njit
from transforms.kernels.called import double

@njit(cache=True)
def kernel(x):
    return double(x)
"""


@pytest.fixture
def tree(tmp_path):
    """A package of this name with one kernel that calls into another module."""
    kernels = tmp_path / "tree/transforms/kernels"
    kernels.mkdir(parents=True)
    (kernels.parent / "__init__.py").touch()
    for name in ("__init__.py", "compiled.py"):
        shutil.copy(ROOT / "transforms/kernels" / name, kernels / name)
    (kernels / "called.py").write_text(CALLED)
    (kernels / "words.py").write_text(KERNEL)
    return tmp_path / "tree"


def answer(tree: Path, **environment: str) -> str:
    """What the kernel makes of 21, whether it was compiled before, where its code is kept."""
    code = (
        "from transforms.kernels.compiled import cache_folder, is_compiled, note_compiled\n"
        "before = is_compiled()\n"
        "from transforms.kernels.words import kernel\n"
        "made = kernel(21)\n"
        "during = is_compiled()\n"
        "note_compiled()\n"
        "assert before or not during\n"
        "print(made, before, is_compiled(), cache_folder().parent)"
    )
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(tree), **environment},
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_a_change_in_a_module_that_a_kernel_calls_is_compiled_anew(tree):
    beside = tree / "transforms/kernels/__pycache__"
    assert answer(tree) == f"42 False True {beside}"
    assert answer(tree) == f"42 True True {beside}"
    called = tree / "transforms/kernels/called.py"
    called.write_text(CALLED.replace("2 * x", "3 * x"))
    assert answer(tree) == f"63 False True {beside}"
    assert len(list(beside.glob("kernels-*"))) == 1


def test_another_folder_can_be_named(tree, tmp_path):
    elsewhere = str(tmp_path / "elsewhere")
    assert answer(tree, NUMBA_CACHE_DIR=elsewhere) == f"42 False True {elsewhere}"
    assert answer(tree, NUMBA_CACHE_DIR=elsewhere) == f"42 True True {elsewhere}"


def test_where_the_modules_cannot_be_written_the_users_cache_is_used(tree, tmp_path):
    # A file where the folder would be stands for a read-only tree: root may write anywhere.
    (tree / "transforms/kernels/__pycache__").write_text("")
    home = str(tmp_path / "home")
    assert answer(tree, XDG_CACHE_HOME=home).endswith(f"True {home}/vineleaf")


def test_without_a_place_to_write_in_the_home_a_temporary_folder_is_used(tree, tmp_path):
    (tree / "transforms/kernels/__pycache__").write_text("")
    (tmp_path / "home").write_text("")
    temporary = tmp_path / "temporary"
    temporary.mkdir(mode=stat.S_IRWXU)
    said = answer(tree, XDG_CACHE_HOME=str(tmp_path / "home"), TMPDIR=str(temporary))
    assert said.startswith("42 False True")
    assert str(temporary) in said


def test_code_that_others_could_have_put_into_the_temporary_folder_is_not_run(tree, tmp_path):
    (tree / "transforms/kernels/__pycache__").write_text("")
    (tmp_path / "home").write_text("")
    planted = tmp_path / "temporary" / f"vineleaf-{os.getuid()}"
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    said = answer(tree, XDG_CACHE_HOME=str(tmp_path / "home"), TMPDIR=str(planted.parent))
    assert said == f"42 False True {planted.parent}"


def test_a_module_that_kernels_are_made_of_counts_without_a_kernel_of_its_own(tree):
    assert answer(tree).startswith("42 False")
    part = tree / "transforms/kernels/part.py"
    part.write_text("FACTOR = 2")
    assert answer(tree).startswith("42 False")
    assert answer(tree).startswith("42 True")
