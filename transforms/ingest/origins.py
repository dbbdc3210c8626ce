"""Where a record comes from, in words that do not change with the machine.

Ids, metadata and quarantine name a file by its path below the folder that was asked for
(`FileInfo.name`) and a record by its place in that file.
"""

from __future__ import annotations

from transforms.storage import FileInfo

__all__ = ["MadeIds", "origin_of", "printable"]


def origin_of(file: FileInfo) -> str:
    """The file's name below the folder that was asked for, as valid Unicode."""
    return printable(file.name or file.path.rpartition("/")[2])


def printable(name: str) -> str:
    """A file name as valid Unicode: bytes that are no UTF-8, which Python keeps as lone surrogates,
    are spelled out as `\\udc80`."""
    return name.encode("utf-8", "backslashreplace").decode()


class MadeIds:
    """The ids that a reader made for the records of one file.

    Such an id says place and content, so the same id again is the same record again, and dropping
    it loses nothing. Holds some 100 bytes per id for as long as its file is read.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def again(self, identifier: str) -> bool:
        """True when this id has been made before for this file."""
        digest = bytes.fromhex(identifier)
        if digest in self._seen:
            return True
        self._seen.add(digest)
        return False
