"""What an annotator is: a rule from a batch of documents to a batch of attributes, row for row.

An annotator is a frozen dataclass whose fields are its parameters (JSON-able, picklable, small);
what is the same for all of a kind (`name`, `version`, `schema`) is a class attribute.
Models and tables that it needs are loaded lazily in the worker (`functools.cache` on a module
function), never in `__init__`. It knows no Beam and no files. Its table is stored under
`attributes/<name>/<source>/`; a column's type says what it is: a number or bool is a score,
`list<struct<start, end>>` is spans of the text (byte offsets into its UTF-8, half-open), a struct
or list of structs is evidence. An annotator that reads files which the recipe names has them as
`RuleFile`s (`ReadsFiles`): their content, not their place, goes into its parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import pyarrow as pa

from transforms.documents import DocumentBatch

__all__ = ["SPANS", "Annotator", "ReadsFiles", "RuleFile"]

SPANS = pa.list_(pa.struct([pa.field("start", pa.int64()), pa.field("end", pa.int64())]))


class Annotator(Protocol):
    """A rule over batches. `version` is raised by hand when the output of the same parameters
    changes."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def schema(self) -> pa.Schema: ...

    def parameters(self) -> dict[str, Any]:
        """All that the output depends on, JSON-able; goes into the stage's fingerprint."""
        ...

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `schema` per row of the batch, in the same order."""
        ...


@dataclass(frozen=True)
class RuleFile:
    """A file that an annotator reads. `path`: as the recipe has it, and once it is found where
    workers find it; `name`: its name without its folder; `digest`: of its content. Both are empty
    until it is found."""

    path: str
    name: str = ""
    digest: str = ""


@runtime_checkable
class ReadsFiles(Protocol):
    """What an annotator with files has besides: they are found before any work is done."""

    @property
    def files(self) -> tuple[RuleFile, ...]: ...

    def with_files(self, files: tuple[RuleFile, ...]) -> Self:
        """The same annotator with these files in the place of its own, one for one. ValueError, in
        one sentence, for a file that it cannot use."""
        ...

    def check_files(self) -> None:
        """Read the files, once they are found, to their ends. ValueError, in one sentence that
        names the file, for one that is damaged."""
        ...
