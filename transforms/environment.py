"""What outside this project decides about bytes: Unicode's tables and the versions of libraries.

Stages put it into their fingerprints, so that another Python or another extractor makes another
version of a dataset and never half of one.
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
