"""Compiled code is never that of other sources."""

import hashlib
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
    for name in ("__init__.py", "compiled.py", "kept_code.py"):
        shutil.copy(ROOT / "transforms/kernels" / name, kernels / name)
    (kernels / "called.py").write_text(CALLED)
    (kernels / "words.py").write_text(KERNEL)
    return tmp_path / "tree"


def run(tree: Path, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Print what the kernel makes of 21, whether it was compiled before, where its code is kept;
    `before`: what is done before it is imported."""
    code = (
        f"{before}\n"
        "from transforms.kernels.compiled import cache_folder, is_compiled, note_compiled\n"
        "before = is_compiled()\n"
        "from transforms.kernels.words import kernel\n"
        "made = kernel(21)\n"
        "during = is_compiled()\n"
        "note_compiled()\n"
        "assert before or not during\n"
        "print(made, before, is_compiled(), getattr(cache_folder(), 'parent', None))"
    )
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(tree), **environment},
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    )


def answer(tree: Path, before: str = "", **environment: str) -> str:
    return run(tree, before, **environment).stdout.strip()


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


def files_of_code(tree: Path) -> dict[Path, bytes]:
    beside = tree / "transforms/kernels/__pycache__"
    return {path: path.read_bytes() for path in beside.rglob("kernels-*/*/*")}


DAMAGES = [
    lambda content: b"",
    lambda content: content[:100],
    lambda content: bytes(range(256)) * 12,
    lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
]


def test_a_damaged_file_is_compiled_and_written_anew(tree):
    answer(tree)
    whole = files_of_code(tree)
    assert whole
    for damage in DAMAGES:
        for path, content in whole.items():
            path.write_bytes(damage(content))
        done = run(tree)
        assert done.stdout.startswith("42 True")
        assert "is damaged" in done.stderr
        written = files_of_code(tree)
        assert written.keys() == whole.keys()
        for content in written.values():
            assert content[:32] == hashlib.sha256(content[32:]).digest()


def test_the_code_of_another_signature_is_not_run(tree):
    both = "from transforms.kernels.words import kernel; kernel(1.5)"
    answer(tree, both)
    one, other = files_of_code(tree).items()
    one[0].write_bytes(other[1])
    other[0].write_bytes(one[1])
    assert answer(tree, both).startswith("42 True")


def test_code_is_read_that_was_kept(tree):
    answer(tree)
    told = (
        "from transforms.kernels.words import kernel\n"
        "kernel(21)\n"
        "print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))"
    )
    assert answer(tree, told).startswith("1 0\n42 True")


def test_a_disk_that_is_full_ends_nothing(tree):
    # A limit of the size of files stands for it.
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    done = run(tree, full)
    beside = tree / "transforms/kernels/__pycache__"
    assert done.stdout == f"42 False False {beside}\n"
    assert done.stderr.count("\n") == 1
    assert f"cannot be kept in {beside}/kernels-" in done.stderr


def test_a_place_without_room_is_left_for_another(tree, tmp_path):
    full = (
        "import shutil; of = shutil.disk_usage\n"
        "shutil.disk_usage = lambda path: "
        "of(path)._replace(free=1000) if '/full/' in str(path) else of(path)"
    )
    named = str(tmp_path / "full/kernels")
    done = run(tree, full, NUMBA_CACHE_DIR=named)
    beside = tree / "transforms/kernels/__pycache__"
    assert done.stdout == f"42 False True {beside}\n"
    assert done.stderr == (
        f"There is no room for compiled kernels in {named}: they are kept in {beside}.\n"
    )


def test_a_user_without_a_home_is_no_hindrance(tree, tmp_path):
    (tree / "transforms/kernels/__pycache__").write_text("")
    unknown = (
        "import os, pwd\n"
        "os.environ.pop('HOME', None); os.environ.pop('XDG_CACHE_HOME', None)\n"
        "def unknown(number):\n    raise KeyError(number)\n"
        "pwd.getpwuid = unknown"
    )
    named = str(tmp_path / "named")
    assert answer(tree, unknown, NUMBA_CACHE_DIR=named) == f"42 False True {named}"
    temporary = tmp_path / "temporary"
    temporary.mkdir(mode=stat.S_IRWXU)
    assert answer(tree, unknown, TMPDIR=str(temporary)).startswith(f"42 False True {temporary}")


def test_without_any_place_to_write_each_process_compiles(tree):
    nowhere = (
        "import tempfile\n"
        "from pathlib import Path\n"
        "def refused(*names, **others):\n    raise OSError(30, 'Read-only file system')\n"
        "Path.mkdir = tempfile.mkdtemp = refused"
    )
    assert answer(tree, nowhere) == "42 False False None"
