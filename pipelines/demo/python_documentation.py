"""What Python's own documentation tools say about the standard library, as HTML and as plain text.

Runs as a process of its own (`write_documentation` starts it), since it imports most of the
standard library and a few hundred modules have effects on the process that imports them. The child
gets a fixed environment, so that what it writes depends on the installed Python alone: no variable
of the user's, no hash seed, no memory address and no path of this machine gets out.

In: a folder. Out: `pages/<module>.html` as pydoc writes it, and `texts/<module>.txt`, the
docstrings of the module and of its public functions and classes, as prose. This file imports
nothing but the standard library: the child runs without the packages of the environment.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import pydoc
import re
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from types import ModuleType

__all__ = ["write_documentation"]

TIMEOUT_SECONDS = 300  # a child that takes longer hangs in an import

# fmt: off
# Never imported. The first lines act when they are imported (print, open a browser or a window, ask
# for a terminal or a server), the next tell about this machine, the last are no library.
_UNWANTED = frozenset([
    "antigravity", "this", "idlelib", "turtle", "turtledemo", "tkinter", "curses", "readline",
    "rlcompleter", "pty", "lib2to3",
    "sys", "os", "posix", "nt", "site", "sysconfig", "pwd", "grp", "spwd", "nis", "platform",
    "test", "ensurepip", "venv", "pydoc_data", "encodings", "msilib", "distutils", "config",
])
# Packages whose public modules have pages of their own.
_PACKAGES = (
    "asyncio", "collections", "concurrent", "ctypes", "dbm", "email", "html", "http", "importlib",
    "json", "logging", "multiprocessing", "re", "sqlite3", "tomllib", "unittest", "urllib",
    "wsgiref", "xml", "xmlrpc", "zoneinfo",
)
# fmt: on
_ADDRESS = re.compile(r"(?:&nbsp;| )(?:at(?:&nbsp;| )0x|handle )[0-9A-Fa-f]{6,}")
_LINK = re.compile(r'<a href="file:[^"]*">(.*?)</a>', re.DOTALL)


def write_documentation(folder: str) -> list[str]:
    """Write pages and texts below `folder`, which must exist; names of the modules, sorted.

    RuntimeError when the child fails.
    """
    environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent"}
    command = [sys.executable, "-B", "-P", "-s", "-S", "-W", "ignore", os.path.abspath(__file__)]
    child = subprocess.run(
        [*command, os.path.abspath(folder)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    names = sorted(name.removesuffix(".html") for name in os.listdir(os.path.join(folder, "pages")))
    if child.returncode or not names:
        message = child.stderr.decode(errors="replace").strip()[-2000:]
        raise RuntimeError(f"pydoc could not write the demo's pages: {message}")
    return names


def _module_names() -> Iterator[str]:
    """Public modules of the standard library that may be imported, sorted."""
    names = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    for package in _PACKAGES:
        paths = [os.path.join(sysconfig.get_path("stdlib"), package)]
        for found in pkgutil.walk_packages(paths, package + "."):
            names.add(found.name)
    for name in sorted(names):
        parts = name.split(".")
        private = any(part.startswith("_") or part in {"test", "tests"} for part in parts)
        if not private and parts[0] not in _UNWANTED:
            yield name


def _machine_paths() -> list[str]:
    """Folders of this machine that may show in a page, longest first."""
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, os.getcwd()}
    found.update([sysconfig.get_path("stdlib"), os.path.dirname(sys.executable)])
    found.update(os.path.realpath(path) for path in list(found))
    return sorted((path for path in found if len(path) > 1), key=lambda path: (-len(path), path))


def _scrub(text: str, paths: list[str]) -> str:
    """The text without addresses in memory and without folders of this machine."""
    text = _ADDRESS.sub("", _LINK.sub(r"\1", text))
    for path in paths:
        text = text.replace(path, "/python")
    return text


def _prose(module: ModuleType) -> str:
    """Docstrings of a module and of its own public functions and classes, in order of name."""
    parts = [f"{module.__name__}\n\n{inspect.getdoc(module) or ''}"]
    for name, member in sorted(vars(module).items()):
        home = getattr(member, "__module__", None) or ""
        own = home.removeprefix("_") == module.__name__  # `_bisect` is the compiled `bisect`
        if name.startswith("_") or not own or not callable(member):
            continue
        parts.append(f"{name}\n\n{_own_doc(member)}")
        if inspect.isclass(member):
            for method_name, method in sorted(vars(member).items()):
                documentation = _own_doc(method)
                if callable(method) and not method_name.startswith("_") and documentation:
                    parts.append(f"{name}.{method_name}\n\n{documentation}")
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _own_doc(member: object) -> str:
    """The docstring of the member itself (none that it inherits), without indentation."""
    documentation = getattr(member, "__doc__", None)
    return inspect.cleandoc(documentation) if isinstance(documentation, str) else ""


def _write(path: str, text: str) -> None:
    with open(path, "wb") as file:
        file.write(text.encode("utf-8", "replace"))


def _main(folder: str) -> None:
    warnings.simplefilter("ignore")
    pages, texts = os.path.join(folder, "pages"), os.path.join(folder, "texts")
    os.makedirs(pages)
    os.makedirs(texts)
    paths = _machine_paths()
    writer = pydoc.HTMLDoc()
    for name in _module_names():
        try:
            module = importlib.import_module(name)
            page = writer.page(name, writer.document(module, name))
            text = _prose(module)
        except (Exception, SystemExit):  # not built into this Python, or for another system
            continue
        _write(os.path.join(pages, name + ".html"), _scrub(page, paths))
        _write(os.path.join(texts, name + ".txt"), _scrub(text, paths))


if __name__ == "__main__":
    _main(sys.argv[1])
