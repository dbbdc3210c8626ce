"""What code rules ask of a source file: lines, alphanumerics, comments, an XML header.

Lines end at line feeds; a carriage return before one is no part of the line, and nothing after the
last line feed is no line. Comments are found by prefix, not by a parser: a line that starts (white
space aside) with a line comment or opens a block comment, and the lines of the block. Comments
after code on the same line are not seen. Python's docstrings count as comments, other triple-quoted
strings do not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.lines import LINE_FEED, trim_left
from transforms.kernels.phrases import pad_phrases, starts_with
from transforms.kernels.unicode import IDEOGRAPH, WORD, class_table, decode

__all__ = ["UNKNOWN_SYNTAX", "CodeStatistics", "CommentSyntax", "measure_code", "syntax_table"]

UNKNOWN_SYNTAX = -1
XML_HEADER = b"<?xml version="
XML_HEADER_CHARACTERS = 100  # the header is sought in so many first characters
_HEADER = np.frombuffer(XML_HEADER, np.uint8)


class CommentSyntax(NamedTuple):
    """How a language writes comments: prefixes of line comments, (open, close) of block comments.
    Where open and close are the same it is a string that is a comment when it starts a line."""

    line: tuple[bytes, ...]
    block: tuple[tuple[bytes, bytes], ...]


class CodeStatistics(NamedTuple):
    """Per document: characters, alphanumeric characters (str.isalnum), lines, characters of lines,
    characters of the longest line, characters of comments (0 where the syntax is unknown), int64;
    XML header in the first characters, bool."""

    characters: npt.NDArray[np.int64]
    alphanumerics: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    line_characters: npt.NDArray[np.int64]
    longest_line: npt.NDArray[np.int64]
    comment_characters: npt.NDArray[np.int64]
    xml_header: npt.NDArray[np.bool_]


def syntax_table(
    syntaxes: tuple[CommentSyntax, ...],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The delimiters of syntaxes as a kernel reads them: bytes uint8[syntaxes, 6, 8] and lengths
    int64[syntaxes, 6], in the order line 0, line 1, open 0, close 0, open 1, close 1; length 0
    where a syntax has no such delimiter."""
    columns: list[bytes] = []
    for syntax in syntaxes:
        blocks = [delimiter for block in syntax.block for delimiter in block]
        columns += [*syntax.line, *[b""] * (2 - len(syntax.line))]
        columns += [*blocks, *[b""] * (4 - len(blocks))]
    table, lengths = pad_phrases(columns, 8)
    return table.reshape(-1, 6, 8), lengths.reshape(-1, 6)


@njit(inline="always")
def _count_code_points(data, start, end):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(start, end):
        if data[i] & 0xC0 != 0x80:
            total += 1
    return total


@njit(nogil=True, cache=True)
def _scan_line(data, start, end, marks, lengths, block, comment, classes):  # type: ignore[no-untyped-def]
    """Go through one line: (characters of comments, open block or -1, whether it is a comment)."""
    found = 0
    i = start
    if block < 0:
        i = trim_left(data, start, end, classes)
        for k in range(2):
            if starts_with(data, i, end, marks[k], lengths[k]):
                return _count_code_points(data, i, end), block, comment
        for b in range(2):
            if starts_with(data, i, end, marks[2 + 2 * b], lengths[2 + 2 * b]):
                block, comment = b, True
                found += lengths[2 + 2 * b]
                i += lengths[2 + 2 * b]
                break
    else:
        i = trim_left(data, start, end, classes)
    while i < end:
        if block >= 0:
            close, length = marks[3 + 2 * block], lengths[3 + 2 * block]
            j = i
            while j < end and not starts_with(data, j, end, close, length):
                j += 1
            closed = j < end
            j = j + length if closed else end
            if comment:
                found += _count_code_points(data, i, j)
            i = j
            if closed:
                block = -1
            continue
        # Code: only a delimiter that opens and closes a string may begin here.
        for b in range(2):
            same = starts_with(marks[3 + 2 * b], 0, 8, marks[2 + 2 * b], lengths[2 + 2 * b])
            if same and starts_with(data, i, end, marks[2 + 2 * b], lengths[2 + 2 * b]):
                block, comment = b, False
                i += lengths[2 + 2 * b] - 1
                break
        i += 1
    return found, block, comment


@njit(nogil=True, cache=True)
def _measure(  # type: ignore[no-untyped-def]
    data,
    offsets,
    classes,
    syntax,
    marks,
    lengths,
    characters,
    alphanumerics,
    lines,
    line_characters,
    longest_line,
    comment_characters,
    xml_header,
):
    for d in range(len(offsets) - 1):
        start, end = offsets[d], offsets[d + 1]
        i = start
        block, comment = -1, False
        while i < end:
            from_ = i
            length = 0
            while i < end and data[i] != LINE_FEED:
                code, width = decode(data, i, end)
                kind = classes[code]
                alphanumerics[d] += kind in (WORD, IDEOGRAPH)
                length += 1
                if characters[d] + length + len(_HEADER) - 1 <= XML_HEADER_CHARACTERS:
                    xml_header[d] |= starts_with(data, i, end, _HEADER, len(_HEADER))
                i += width
            to = i
            characters[d] += length
            if i < end:
                characters[d] += 1
                if to > from_ and data[to - 1] == 13:
                    to -= 1
                    length -= 1
            i += 1
            lines[d] += 1
            line_characters[d] += length
            longest_line[d] = max(longest_line[d], length)
            row = syntax[d]
            if row >= 0:
                found, block, comment = _scan_line(
                    data, from_, to, marks[row], lengths[row], block, comment, classes
                )
                comment_characters[d] += found


def measure_code(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    syntax: npt.NDArray[np.int64],
    table: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]],
) -> CodeStatistics:
    """Measure source files; see `CodeStatistics`. `syntax` int64[documents] is the row of `table`
    (see `syntax_table`) that says how each document writes comments, or UNKNOWN_SYNTAX."""
    documents = len(offsets) - 1
    measured = CodeStatistics(
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
        np.zeros(documents, np.bool_),
    )
    _measure(data, offsets, class_table(), syntax, *table, *measured)
    return measured
