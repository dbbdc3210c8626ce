"""The demo's code: Python's standard library as a folder, a zip and a tar.gz.

The folder holds the plain modules, the zip the packages, the tar.gz what is generated (character
encodings, the help topics). Planted: benchmark items at the end of modules, exact and near copies
of modules, and files that are no code to learn from: a binary, a minified style sheet, a vendored
copy, text in no known encoding, a name that would leave the archive, an archive that was cut off.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import sysconfig
import tarfile
import zipfile

from pipelines.demo.planting import HALF_CHANGED, NEAR_CHANGED, Plan, change_words

__all__ = ["write_code_files"]

# fmt: off
PACKAGES = (
    "asyncio", "collections", "concurrent", "ctypes", "dbm", "email", "html", "http", "importlib",
    "json", "logging", "multiprocessing", "re", "sqlite3", "tomllib", "unittest", "urllib",
    "wsgiref", "xml", "xmlrpc", "zoneinfo",
)
# fmt: on
GENERATED = ("encodings", "pydoc_data")
FOLDER_NAME, ZIP_NAME, TAR_NAME = "library", "packages.zip", "generated.tar.gz"
FILE_TIME = 1_704_067_200  # 2024-01-01, seconds since 1970: one time for all files
_ZIP_TIME = (2024, 1, 1, 0, 0, 0)

_CONTAMINATED_FOLDER = {"bisect.py": "exact", "queue.py": "prompt only"}
_CONTAMINATED_ZIP = {"json/tool.py": "exact", "html/parser.py": "reformatted"}
# Copies: file -> (its copy, one word in so many is changed, 0 for none).
_COPIES_FOLDER = {
    "fractions.py": ("fractions_copy.py", 0),
    "shutil.py": ("shutil_patched.py", NEAR_CHANGED),
    "tarfile.py": ("tarfile_rewritten.py", HALF_CHANGED),
}


def write_code_files(folder: str, plan: Plan) -> None:
    """Write the folder and both archives below `folder`."""
    os.makedirs(folder)
    library = sysconfig.get_path("stdlib")
    _write_folder(library, os.path.join(folder, FOLDER_NAME), plan)
    _write_zip(library, os.path.join(folder, ZIP_NAME), plan)
    _write_tar(library, os.path.join(folder, TAR_NAME))
    with open(os.path.join(folder, TAR_NAME), "rb") as whole:
        head = whole.read(20_000)
    _write(os.path.join(folder, "broken.tar.gz"), head)
    plan.reject("code", "broken.tar.gz", "truncated gzip")


def _write_folder(library: str, folder: str, plan: Plan) -> None:
    os.makedirs(folder)
    for name in sorted(os.listdir(library)):
        if not name.endswith(".py") or name.startswith("_sysconfigdata"):
            continue  # _sysconfigdata tells about this machine
        content = _read(os.path.join(library, name))
        path = f"{FOLDER_NAME}/{name}"
        if name in _CONTAMINATED_FOLDER:
            how = _CONTAMINATED_FOLDER[name]
            content = _append(content, plan.contaminate("code", path, how), how)
        _write(os.path.join(folder, name), content)
        if name in _COPIES_FOLDER:
            copy_name, every = _COPIES_FOLDER[name]
            text = content.decode()
            copy = change_words(text, every) if every else text
            copy_path = f"{FOLDER_NAME}/{copy_name}"
            plan.duplicate("code", path, "code", copy_path, (text, copy))
            _write(os.path.join(folder, copy_name), copy.encode())
    latin = "# Prix: 5 \xa3, caf\xe9 \xe0 volont\xe9\nprice = 5\n".encode("latin-1")
    _write(os.path.join(folder, "latin_1.py"), latin)
    plan.reject("code", f"{FOLDER_NAME}/latin_1.py", "not valid UTF-8")


def _write_zip(library: str, path: str, plan: Plan) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:

        def add(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, content)

        for name in _python_files(library, PACKAGES):
            content = _read(os.path.join(library, name))
            if name in _CONTAMINATED_ZIP:
                how = _CONTAMINATED_ZIP[name]
                item = plan.contaminate("code", f"{ZIP_NAME}/{name}", how)
                content = _append(content, item, how)
            add(name, content)
        if os.path.exists(os.path.join(library, "LICENSE.txt")):
            add("LICENSE.txt", _read(os.path.join(library, "LICENSE.txt")))
        add("vendor/textwrap.py", _read(os.path.join(library, "textwrap.py")))
        plan.reject("code", f"{ZIP_NAME}/vendor/textwrap.py", "vendored", "rules")
        add("static/style.min.css", _minified_css())
        plan.reject("code", f"{ZIP_NAME}/static/style.min.css", "minified", "rules")
        add("static/icon.py", b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8)
        plan.reject("code", f"{ZIP_NAME}/static/icon.py", "binary", "passed over")
        add("../outside.py", b"print('this name leaves the archive')\n" * 9)
        plan.reject("code", f"{ZIP_NAME}/../outside.py", "unsafe name")


def _write_tar(library: str, path: str) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in _python_files(library, GENERATED):
            content = _read(os.path.join(library, name))
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), FILE_TIME, 0o644
            archive.addfile(entry, io.BytesIO(content))
    _write(path, gzip.compress(plain.getvalue(), compresslevel=6, mtime=0))


def _python_files(library: str, packages: tuple[str, ...]) -> list[str]:
    """Paths of the packages' modules below the library, with `/`, sorted; no tests."""
    found = []
    for package in packages:
        for folder, folders, names in os.walk(os.path.join(library, package)):
            folders[:] = sorted(set(folders) - {"test", "tests", "__pycache__"})
            for name in names:
                if name.endswith(".py"):
                    relative = os.path.relpath(os.path.join(folder, name), library)
                    found.append(relative.replace(os.sep, "/"))
    return sorted(found)


def _append(content: bytes, item: str, how: str) -> bytes:
    """The module with the item below it; as a comment where it is no code any more."""
    if how == "reformatted":
        item = "".join(f"# {line}\n" for line in item.split("\n"))
    return content + b"\n\n" + item.encode()


def _minified_css() -> bytes:
    """A style sheet without a blank that could be left out, on one line."""
    rules = "".join(
        f".column-{width} {{ width: {width}%; margin: 0 auto; padding: {width % 7}px; }}\n"
        for width in range(1, 101)
    )
    return re.sub(r"\s*([{};:,])\s*", r"\1", rules).encode()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (FILE_TIME, FILE_TIME))
