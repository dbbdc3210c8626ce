"""Code: line lengths, alphanumerics, comments, markup, and what ingest said of the file.

In: text and the metadata keys `language`, `vendored`, `generated`, `minified`. Out: the columns of
`SCHEMA`, one row a document. The measures are those of bigcode-dataset (The Stack, StarCoder), in
characters. Comments are found by prefix (`kernels.code_statistics`), where bigcode-dataset uses
tokenizers; null where the language is unknown or writes none. Visible text of HTML is what
resiliparse extracts without scripts and styles; null for other languages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from resiliparse.extract.html2text import extract_plain_text

from transforms.documents import DocumentBatch
from transforms.kernels.code_statistics import (
    UNKNOWN_SYNTAX,
    CommentSyntax,
    measure_code,
    syntax_table,
)
from transforms.quality.gopher import share

__all__ = ["COMMENT_SYNTAX", "SCHEMA", "Code"]

_C_BLOCK = ((b"/*", b"*/"),)
_LISP_BLOCK = ((b"#|", b"|#"),)
# How it writes comments -> languages, as Pygments spells them (ingest does so too) and as GitHub
# does where it differs, in lower case with "-" for blanks.
_SYNTAXES = {
    CommentSyntax((b"#",), ()): (
        "awk bash bitbake cmake crystal docker dockerfile elixir fish gas gdscript kconfig makefile"
        " meson nim nimrod perl perl6 puppet r s shell tcl tcsh"
    ),
    CommentSyntax((b"#",), ((b'"""', b'"""'), (b"'''", b"'''"))): "cython mojo python starlark",
    CommentSyntax((b"#",), ((b"=begin", b"=end"),)): "ruby",
    CommentSyntax((b"#",), ((b"#=", b"=#"),)): "julia",
    CommentSyntax((b"#",), ((b"<#", b"#>"),)): "powershell",
    CommentSyntax((b"#",), ((b"###", b"###"),)): "coffeescript",
    CommentSyntax((b"#",), _C_BLOCK): "nix",
    CommentSyntax((b"//",), _C_BLOCK): (
        "actionscript actionscript-3 arduino c c# c++ carbon cpp csharp cuda d dart glsl go groovy"
        " haxe hlsl java javascript jsx kotlin less lesscss objective-c objective-c++ odin opencl"
        " protobuf protocol-buffer qml rust sass scala scss solidity swift systemverilog tablegen"
        " thrift tsx typescript vala verilog"
    ),
    CommentSyntax((b"//", b"#"), _C_BLOCK): "hcl php terraform",
    CommentSyntax((b"//",), ()): "bluespec gleam hare zig",
    CommentSyntax((b"//",), ((b"(*", b"*)"), (b"{", b"}"))): "delphi pascal",
    CommentSyntax((b"//",), ((b"(*", b"*)"),)): "f# fsharp",
    CommentSyntax((), ((b"(*", b"*)"),)): "mathematica ocaml rocq-prover standard-ml",
    CommentSyntax((), _C_BLOCK): "css",
    CommentSyntax((b"--",), _C_BLOCK): "sql transact-sql",
    CommentSyntax((b"--",), ((b"--[[", b"]]"),)): "lua luau",
    CommentSyntax((b"--",), ((b"{-", b"-}"),)): "agda elm haskell idris purescript",
    CommentSyntax((b"--",), ()): "ada vhdl",
    CommentSyntax((b";",), _LISP_BLOCK): "common-lisp racket scheme",
    CommentSyntax((b";",), ()): "assembly clojure clojurescript emacs-lisp emacslisp nasm",
    CommentSyntax((b"%",), ((b"%{", b"%}"),)): "matlab octave",
    CommentSyntax((b"%",), ()): "erlang postscript prolog tex",
    CommentSyntax((b"!",), ()): "fortran",
    CommentSyntax((b"'",), ()): "vb.net vbscript",
    CommentSyntax((b'"',), ()): "viml",
}
COMMENT_SYNTAX = {
    language: syntax for syntax, languages in _SYNTAXES.items() for language in languages.split()
}

_FLAGS = ("vendored", "generated", "minified")  # metadata keys; absent is false
SCHEMA = pa.schema(
    [
        pa.field("longest_line", pa.int64(), nullable=False),  # characters
        pa.field("mean_line", pa.float64(), nullable=False),  # characters a line, blank ones too
        pa.field("alphanumeric_fraction", pa.float64(), nullable=False),  # of characters
        pa.field("comment_fraction", pa.float64()),  # of characters
        pa.field("xml_header", pa.bool_(), nullable=False),  # in the first 100 characters
        pa.field("html_visible_fraction", pa.float64()),  # of characters
        pa.field("html_visible_characters", pa.int64()),
        *(pa.field(flag, pa.bool_(), nullable=False) for flag in _FLAGS),
    ]
)


@cache
def _syntaxes() -> tuple[dict[str, int], tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Language -> row, and the table of the rows."""
    rows = {syntax: row for row, syntax in enumerate(_SYNTAXES)}
    languages = {language: rows[syntax] for language, syntax in COMMENT_SYNTAX.items()}
    return languages, syntax_table(tuple(rows))


@dataclass(frozen=True)
class Code:
    """Annotator `code`."""

    name: ClassVar[str] = "code"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = SCHEMA

    def parameters(self) -> dict[str, Any]:
        return {}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `SCHEMA` a document."""
        names = [_language(metadata) for metadata in batch.metadata]
        languages, table = _syntaxes()
        syntax = np.array([languages.get(name, UNKNOWN_SYNTAX) for name in names], np.int64)
        measured = measure_code(*batch.text, syntax, table)
        visible = _visible_characters(batch, names)
        fraction = share(visible, measured.characters)
        comments = share(measured.comment_characters, measured.characters)
        other = np.array([name != "html" for name in names], np.bool_)
        return pa.RecordBatch.from_arrays(
            [
                pa.array(measured.longest_line),
                pa.array(share(measured.line_characters, measured.lines)),
                pa.array(share(measured.alphanumerics, measured.characters)),
                pa.array(comments, mask=syntax == UNKNOWN_SYNTAX),
                pa.array(measured.xml_header),
                pa.array(fraction, mask=other),
                pa.array(visible, mask=other),
                *(
                    pa.array([one.get(flag) is True for one in batch.metadata], pa.bool_())
                    for flag in _FLAGS
                ),
            ],
            schema=SCHEMA,
        )


def _language(metadata: dict[str, Any]) -> str:
    """Lower-case language with blanks as "-", empty where it is unknown."""
    language = metadata.get("language")
    return language.lower().replace(" ", "-") if isinstance(language, str) else ""


def _visible_characters(batch: DocumentBatch, names: list[str]) -> npt.NDArray[np.int64]:
    """Characters of visible text, int64[documents]; 0 for what is not HTML."""
    visible = np.zeros(batch.rows, np.int64)
    texts = batch.table.column("text")
    for row, name in enumerate(names):
        if name == "html":
            visible[row] = len(extract_plain_text(texts[row].as_py(), main_content=False))
    return visible
