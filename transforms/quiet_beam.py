"""Beam's import without what it says of Google's clients, which are an extra of this package.

Where `google-apitools` is not installed Beam warns of it on the root logger as it is imported, and
gives that logger a handler with it, so that the logging of the program that imports it is no more
its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quietly"]


@contextmanager
def quietly() -> Iterator[None]:
    """Import Beam in here: the root logger says nothing and is left as it was."""
    root = logging.getLogger()
    nothing = logging.NullHandler()  # with a handler there, none is added
    root.addFilter(_nothing)
    root.addHandler(nothing)
    try:
        yield
    finally:
        root.removeHandler(nothing)
        root.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False
