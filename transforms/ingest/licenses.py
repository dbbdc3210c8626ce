"""Licences that files state, as SPDX identifiers.

In: the beginning of a source file, or the text of a licence file. Out: an SPDX expression, or None
where nothing is stated or the text is not one of the well-known ones. Nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["is_license_file", "license_of_file", "license_of_path", "license_of_text"]

MAX_HEADER_CHARACTERS = 4_096  # of a source file that are searched for an SPDX line
MAX_LICENSE_BYTES = 1 << 20  # a longer file is no licence
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() -]{1,200})")
_FILES = re.compile(r"(?i)(un)?licen[cs]e(\.(txt|md|rst))?|copying(\.(txt|md|rst))?")
_BLANKS = re.compile(r"\W+")

# What each text says, blanks and punctuation as one space, in lower case: all of these phrases,
# searched in this order; a text that says the phrases of a longer licence comes first.
_TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AGPL-3.0", ("gnu affero general public license version 3 19 november 2007",)),
    ("LGPL-3.0", ("gnu lesser general public license version 3 29 june 2007",)),
    ("LGPL-2.1", ("gnu lesser general public license version 2 1 february 1999",)),
    ("GPL-3.0", ("gnu general public license version 3 29 june 2007",)),
    ("GPL-2.0", ("gnu general public license version 2 june 1991",)),
    ("Apache-2.0", ("apache license version 2 0 january 2004",)),
    ("MPL-2.0", ("mozilla public license version 2 0",)),
    ("CC0-1.0", ("cc0 1 0 universal",)),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    ("PSF-2.0", ("python software foundation license version 2",)),
    (
        "BSD-3-Clause",
        ("redistribution and use in source and binary forms", "endorse or promote products"),
    ),
    (
        "BSD-2-Clause",
        (
            "redistribution and use in source and binary forms",
            "redistributions in binary form must reproduce the above copyright",
        ),
    ),
    (
        "MIT",
        (
            "permission is hereby granted free of charge to any person obtaining a copy",
            "the above copyright notice and this permission notice shall be included in all copies",
        ),
    ),
    (
        "ISC",
        ("permission to use copy modify and or distribute this software for any purpose",),
    ),
)


def license_of_file(text: str) -> str | None:
    """The SPDX expression that the first 4,096 characters of a source file state."""
    found = _SPDX.search(text, 0, MAX_HEADER_CHARACTERS)
    return (found[1].strip(" -") or None) if found else None


def is_license_file(path: str) -> bool:
    """True for a file named LICENSE, LICENCE, COPYING or UNLICENSE, also with .txt, .md, .rst."""
    return _FILES.fullmatch(path.rpartition("/")[2]) is not None


def license_of_text(content: bytes) -> str | None:
    """The licence that a licence file holds, the first of the table above where it holds several;
    None where it is not a well-known one."""
    text = _BLANKS.sub(" ", content[:MAX_LICENSE_BYTES].decode("utf-8", "replace")).lower()
    found = [name for name, phrases in _TEXTS if all(phrase in text for phrase in phrases)]
    return found[0] if found else None


def license_of_path(path: str, licenses: Mapping[str, str | None]) -> str | None:
    """The licence of the nearest folder above `path` that has a licence file; `licenses` maps
    folders ("" is the top) to what their files say."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        if folder in licenses:
            return licenses[folder]
    return None
