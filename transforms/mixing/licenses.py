"""Licences that documents of a mix state, counted.

In: documents' metadata (JSON objects), how often each is taken and its tokens. Out: copies and
tokens by the licence under the key `license`, where ingest puts what a source file or its archive
states and where Dolma's documents have it. What states none is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["OTHERS", "LicenseCounts", "licenses_of"]

MOST_LICENSES = 100  # that a shard tells apart: those of most tokens
MOST_CHARACTERS = 80  # of a licence's name
OTHERS = "other licences"
_DOCUMENTS, _TOKENS = "license.documents.", "license.tokens."


class LicenseCounts:
    """Adds up documents row group by row group, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._documents: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()

    def add(
        self,
        metadata: pa.Array,
        copies: npt.NDArray[np.uint32],
        tokens: npt.NDArray[np.int64],
    ) -> None:
        """Count documents: metadata string[rows], copies uint32[rows], tokens int64[rows]."""
        stating = pc.match_substring(metadata, '"license"').fill_null(False)
        rows = np.flatnonzero(stating.to_numpy(zero_copy_only=False) & (copies > 0))
        for row, text in zip(rows.tolist(), metadata.take(pa.array(rows)).to_pylist(), strict=True):
            stated = orjson.loads(text)
            name = _name_of(stated.get("license") if isinstance(stated, dict) else None)
            if name:
                self._documents[name] += int(copies[row])
                self._tokens[name] += int(copies[row]) * int(tokens[row])
        if len(self._tokens) > MOST_LICENSES:
            order = sorted(self._tokens, key=lambda name: (-self._tokens[name], name))
            kept = [name for name in order if name != OTHERS][:MOST_LICENSES]
            for name in set(order) - {*kept, OTHERS}:
                self._documents[OTHERS] += self._documents.pop(name)
                self._tokens[OTHERS] += self._tokens.pop(name)

    def counts(self) -> dict[str, int]:
        """Counters of a record: `license.documents.MIT`, copies counted, `license.tokens.MIT`."""
        return {
            **{f"{_DOCUMENTS}{name}": count for name, count in self._documents.items()},
            **{f"{_TOKENS}{name}": count for name, count in self._tokens.items()},
        }


def licenses_of(counts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Licence -> (documents, tokens) of a stage's counters, most tokens first."""
    found = {
        name.removeprefix(_DOCUMENTS): (count, counts[_TOKENS + name.removeprefix(_DOCUMENTS)])
        for name, count in counts.items()
        if name.startswith(_DOCUMENTS)
    }
    return dict(sorted(found.items(), key=lambda its: (-its[1][1], its[0])))


def _name_of(stated: Any) -> str:
    """A licence in one line; several, as some data sets list them, with commas between them."""
    several = stated if isinstance(stated, list) else [stated]
    names = sorted({" ".join(one.split()) for one in several if isinstance(one, str)} - {""})
    return ", ".join(names)[:MOST_CHARACTERS].rstrip()
