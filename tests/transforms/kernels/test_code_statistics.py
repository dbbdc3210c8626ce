import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.code_statistics import (
    UNKNOWN_SYNTAX,
    CommentSyntax,
    measure_code,
    syntax_table,
)

PYTHON = CommentSyntax((b"#",), ((b'"""', b'"""'), (b"'''", b"'''")))
C = CommentSyntax((b"//", b"#"), ((b"/*", b"*/"),))
SYNTAXES = (PYTHON, C)
TABLE = syntax_table(SYNTAXES)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(
        st.sampled_from(["x", " ", "\n", "\r\n", "\r", "#", "//", "/*", "*/", '"""', "'''", '"'])
        | st.sampled_from(["/", "*", "é", "日", "½", "<?xml version=", "\t", "\u3000", "a" * 45]),
        max_size=30,
    ).map("".join),
)
DOCUMENTS = st.lists(st.tuples(TEXTS, st.sampled_from([UNKNOWN_SYNTAX, 0, 1])), max_size=4)


def batch_of(texts, before=b"# <?"):
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    offsets = len(before) + np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(before + b"".join(encoded), np.uint8), offsets.astype(np.int64)


def lines_of(text):
    pieces = text.split("\n")
    lines = [piece.removesuffix("\r") for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines


def comment_characters(text, syntax):
    """The twin: a line at a time, with what is open: nothing, a comment or a string."""
    total, close, is_comment = 0, None, False
    strings = [start.decode() for start, end in syntax.block if start == end]
    for line in lines_of(text):
        if close is None:
            line = line.lstrip()
            if line.startswith(tuple(prefix.decode() for prefix in syntax.line)):
                total += len(line)
                continue
            for start, end in syntax.block:
                if line.startswith(start.decode()):
                    close, is_comment = end.decode(), True
                    total += len(start)
                    line = line[len(start) :]
                    break
        else:
            line = line.lstrip()
        while line:
            if close is not None:
                inside, closed, line = line.partition(close)
                total += len(inside + closed) if is_comment else 0
                close = None if closed else close
                continue
            places = [(line.find(string), string) for string in strings if string in line]
            if not places:
                break
            place, close = min(places)
            is_comment = False
            line = line[place + len(close) :]
    return total


@settings(deadline=None, max_examples=300)
@given(DOCUMENTS)
def test_statistics_equal_the_twins(documents):
    texts = [text for text, _ in documents]
    syntax = np.array([row for _, row in documents], np.int64)
    measured = measure_code(*batch_of(texts), syntax, TABLE)
    lengths = [[len(line) for line in lines_of(text)] for text in texts]
    assert measured.characters.tolist() == [len(text) for text in texts]
    assert measured.alphanumerics.tolist() == [sum(map(str.isalnum, text)) for text in texts]
    assert measured.lines.tolist() == [len(one) for one in lengths]
    assert measured.line_characters.tolist() == [sum(one) for one in lengths]
    assert measured.longest_line.tolist() == [max(one, default=0) for one in lengths]
    assert measured.xml_header.tolist() == ["<?xml version=" in text[:100] for text in texts]
    assert measured.comment_characters.tolist() == [
        0 if row == UNKNOWN_SYNTAX else comment_characters(text, SYNTAXES[row])
        for text, row in documents
    ]


@pytest.mark.parametrize(
    ("syntax", "text", "comments"),
    [
        (0, "x = 1  # not seen\n", 0),
        (0, "  # seen\n", len("# seen")),
        (0, '"""Doc\n\n  string."""\nx = 1\n', len('"""Docstring."""')),
        (0, 'x = """\ntext\n"""\ny = 2\n# c\n', len("# c")),
        (0, "'''a\"\"\"b'''\n", len("'''a\"\"\"b'''")),
        (1, "/* a\n * b\n */ x();\n", len("/* a* b*/")),
        (1, 'glob("src/*.c");\nx();\n', 0),
        (1, "// a /* b\nx();\n", len("// a /* b")),
    ],
)
def test_comments_of_small_files(syntax, text, comments):
    measured = measure_code(*batch_of([text]), np.array([syntax]), TABLE)
    assert measured.comment_characters.tolist() == [comments]


def test_the_xml_header_must_end_within_the_first_hundred_characters():
    header = "<?xml version="
    texts = [lead + header for lead in ("", "é" * 86, "é" * 87)]
    unknown = np.full(3, UNKNOWN_SYNTAX)
    assert measure_code(*batch_of(texts), unknown, TABLE).xml_header.tolist() == [True, True, False]


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=20), max_size=4),
    st.sampled_from([b"*/a", b'"""', b"\x80\x80\x80"]),
    st.sampled_from([b"aaa", b"version="]),
)
def test_malformed_bytes_are_read_within_their_document(documents, tail, other):
    data, offsets = batch_of(documents)
    results = []
    for after in (tail, other):
        longer = np.concatenate((data, np.frombuffer(after, np.uint8)))
        syntax = np.arange(len(documents), dtype=np.int64) % 2
        measured = measure_code(longer, offsets, syntax, TABLE)
        results.append([column.tolist() for column in measured])
    assert results[0] == results[1]
