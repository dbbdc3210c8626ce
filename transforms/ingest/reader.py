"""What a reader is: from a group of input files to documents and rejects, one record at a time.

A reader is a frozen dataclass whose fields are its parameters. It never raises for bad data: what
cannot be read is yielded as `Rejected` with its reason and the reader goes on with the next record
or file. (A full disk, a lost network or a defect of ours does raise, and fails the run.) Records
seen = documents + rejects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from transforms.documents import Document
from transforms.storage import FileInfo

__all__ = [
    "LEAST_TASK_BYTES",
    "MAX_DOCUMENT_BYTES",
    "MAX_TASK_BYTES",
    "Reader",
    "Rejected",
    "group_by_size",
]

MAX_DOCUMENT_BYTES = 256 << 20  # bytes of UTF-8 in one document, at most; larger goes to quarantine
# Bytes of input files that one task reads, unless a single file is larger: a part of the source, so
# that all cores of a machine have work also where there is little. By the input alone, so that
# shards are the same whatever the machine.
MAX_TASK_BYTES = 64 << 20
LEAST_TASK_BYTES = 4 << 20
TASKS = 16  # of a source, at least, where their bytes lie between these


class Rejected(NamedTuple):
    """A record that became no document.

    `quarantined` True: it could not be read (broken, encrypted, too large). False: it was read and
    is none of ours by its kind (a WARC request, a binary file in a code archive).
    """

    origin: str  # file and place in it, as in ids
    reason: str  # a few plain words, from a small fixed set per reader; counted
    detail: str  # the error's own message, or what was seen
    quarantined: bool


class Reader(Protocol):
    """Reads one kind of input. `version` is raised by hand when the output of the same parameters
    changes. `packages` are the installed distributions, as importlib.metadata names them, whose
    version may change the output too: what extracts, decodes and names, not what decompresses."""

    @property
    def version(self) -> int: ...

    @property
    def packages(self) -> tuple[str, ...]: ...

    def parameters(self) -> dict[str, Any]:
        """All that the output depends on, JSON-able."""
        ...

    def group(self, files: list[FileInfo]) -> list[list[FileInfo]]:
        """Cut the sorted input files into tasks; see `group_by_size`."""
        ...

    def read(self, files: list[FileInfo]) -> Iterator[Document | Rejected]:
        """All records of one task's files, in order."""
        ...


def group_by_size(
    files: list[FileInfo], most_bytes: int = MAX_TASK_BYTES, least_bytes: int = LEAST_TASK_BYTES
) -> list[list[FileInfo]]:
    """Cut sorted files into some `TASKS` runs of equal size, or more: of `most_bytes` each, at most
    (a single larger file is a run of its own), and `least_bytes` where there are so many."""
    share = -(-sum(file.size_bytes for file in files) // TASKS)
    most_bytes = min(most_bytes, max(least_bytes, share))
    groups: list[list[FileInfo]] = []
    size = 0
    for file in files:
        if not groups or size + file.size_bytes > most_bytes:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.size_bytes
    return groups
