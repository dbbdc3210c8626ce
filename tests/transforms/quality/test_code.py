import pytest

from transforms.quality.code import COMMENT_SYNTAX, SCHEMA, Code


def annotate(make_batch, text, **metadata):
    rows = Code().annotate(make_batch([text], [metadata]))
    assert rows.schema == SCHEMA
    return rows.to_pylist()[0]


def test_columns_of_a_small_file(make_batch):
    row = annotate(make_batch, "# é\nx = 10\n\n", language="Python", vendored=True)
    assert row == {
        "longest_line": 6,
        "mean_line": 9 / 3,
        "alphanumeric_fraction": 4 / 12,
        "comment_fraction": 3 / 12,
        "xml_header": False,
        "html_visible_fraction": None,
        "html_visible_characters": None,
        "vendored": True,
        "generated": False,
        "minified": False,
    }


@pytest.mark.parametrize("metadata", [{}, {"language": None}, {"language": 7}, {"language": "?"}])
def test_comments_of_an_unknown_language_are_null(make_batch, metadata):
    assert annotate(make_batch, "# x\n", **metadata)["comment_fraction"] is None


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("Go", "// a\n"),
        ("C++", "/* a\n b */\n"),
        ("Common Lisp", "; a\n"),
        ("SQL", "-- a\n"),
        ("Haskell", "{- a\n-}\n"),
        ("PHP", "# a\n"),
        ("OCaml", "(* a *)\n"),
        ("Ruby", "=begin\na\n=end\n"),
        ("EmacsLisp", "; a\n"),
        ("S", "# a\n"),
    ],
)
def test_each_language_has_its_own_comments(make_batch, language, text):
    row = annotate(make_batch, text, language=language)
    lines = text.count("\n")
    blanks = text.count("\n ")  # white space at the start of a line is none of the comment
    assert row["comment_fraction"] == (len(text) - lines - blanks) / len(text)


def test_languages_are_named_in_lower_case_without_blanks():
    assert all(name == name.lower().replace(" ", "-") for name in COMMENT_SYNTAX)


def test_visible_text_of_html_is_what_stands_outside_of_tags_scripts_and_styles(make_batch):
    page = "<html><style>p {}</style><script>x = 1</script><p>Seen <b>text</b></p></html>"
    row = annotate(make_batch, page, language="HTML")
    assert row["html_visible_characters"] == len("Seen text")
    assert row["html_visible_fraction"] == len("Seen text") / len(page)


@pytest.mark.parametrize("text", ["", "<", "<p", "\x00", "<!--", "<p>\x00a</p>", "&#0;", "\n"])
def test_broken_html_has_numbers(make_batch, text):
    row = annotate(make_batch, text, language="HTML")
    assert row["html_visible_characters"] >= 0


@pytest.mark.parametrize("flag", ["vendored", "generated", "minified"])
@pytest.mark.parametrize(
    ("value", "set_"), [(True, True), (False, False), (None, False), (1, False)]
)
def test_flags_are_true_only_where_ingest_said_so(make_batch, flag, value, set_):
    assert annotate(make_batch, "x", **{flag: value})[flag] is set_


def test_an_empty_file_has_numbers(make_batch):
    row = annotate(make_batch, "", language="Python")
    assert (row["longest_line"], row["mean_line"]) == (0, 0.0)
    assert (row["alphanumeric_fraction"], row["comment_fraction"]) == (0.0, 0.0)


def test_a_batch_without_rows_gives_none(make_batch):
    assert Code().annotate(make_batch([])).num_rows == 0


def test_measures_equal_those_of_bigcode_on_plain_files(make_batch, corpus):
    """max, mean of line lengths and share of alphanumerics, as that project computes them."""
    rows = Code().annotate(make_batch(corpus)).to_pylist()
    for text, row in zip(corpus, rows, strict=True):
        lengths = [len(line) for line in text.splitlines()]
        assert row["longest_line"] == max(lengths)
        assert row["mean_line"] == sum(lengths) / len(lengths)
        assert row["alphanumeric_fraction"] == sum(map(str.isalnum, text)) / len(text)


def test_comments_and_docstrings_of_python_are_found_as_its_own_tokenizer_does(make_batch):
    import io
    import tokenize

    source = (
        '"""Module\n\ndoc."""\nimport os  # behind code\n\n# alone\n\ndef f():\n'
        "    '''One line.'''\n    # indented\n    x = '''\n# in a string\n'''\n    return x\n"
    )
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    comments = [
        token.string.replace("\n", "")
        for token in tokens
        if (token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip())
        or (token.type == tokenize.STRING and not token.line[: token.start[1]].strip())
    ]
    row = annotate(make_batch, source, language="python")
    assert row["comment_fraction"] == len("".join(comments)) / len(source)
