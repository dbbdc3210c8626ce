"""What outside this project decides about bytes: Unicode's tables and the versions of libraries.

Stages put it into their fingerprints, so that another Python or another extractor makes another
version of a dataset and never half of one. Each series of Python has Unicode tables of its own
(3.11: 14.0, 3.12: 15.0, 3.13: 15.1), so their version stands for Python, too. From 14.0 to 15.0
4,489 code points were assigned, and none of those that were there before is another letter, case,
digit or blank: texts without any of these have the same words on both.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from importlib.metadata import version

from transforms.kernels.unicode import WORDS_VERSION

__all__ = ["environment"]


def environment(packages: Iterable[str] = ()) -> dict[str, str]:
    """Name -> version of Unicode's tables and of these installed distributions."""
    return {
        "unicode": unicodedata.unidata_version,
        "words": str(WORDS_VERSION),
        **{package: version(package) for package in sorted(packages)},
    }
