"""Thresholds: what each rule of a recipe can ask of attributes, and its numbers by default.

A table per rule: option -> `Option`, what it bounds in words and unit, and the condition with its
default bounds. Defaults are Dolma 3's numbers (C4, FineWeb, code: those of the projects named in
docs/rules.md). The order of a table is the order in which a document's reasons are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.quality.conditions import Condition

__all__ = [
    "PII_CUTS",
    "SOFT_WORD_HITS",
    "THRESHOLDS",
    "URL_LISTS",
    "Option",
    "Options",
    "meaning",
]


class Option(NamedTuple):
    """What an option bounds, with its unit, and the condition with its default bounds."""

    what: str
    condition: Condition


Options = Mapping[str, Option]


def _gopher_ngrams() -> dict[str, Option]:
    limits = {2: 0.20, 3: 0.18, 4: 0.16, 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
    options = {}
    for n, limit in limits.items():
        kind = "top" if n <= 4 else "duplicate"
        what = f"the most frequent {n}-gram" if n <= 4 else f"{n}-grams that occur more than once"
        options[f"{kind}_{n}gram"] = Option(
            f"share of the words' characters in {what}",
            Condition(
                f"gopher.{kind}_{n}gram",
                f"gopher.{kind}_{n}gram_character_fraction",
                at_most=limit,
            ),
        )
    return options


def _bounded(table: str, option: str, column: str, what: str, **bounds: Any) -> dict[str, Option]:
    condition = Condition(f"{table}.{option}", f"{table}.{column}", **bounds)
    return {option: Option(what, condition)}


_GOPHER: Options = {
    **_bounded("gopher", "characters", "character_count", "characters", at_least=150),
    **_bounded("gopher", "words", "word_count", "words", at_least=50, at_most=100_000),
    **_bounded(
        "gopher",
        "mean_word_length",
        "mean_word_length",
        "characters a word",
        at_least=3,
        at_most=10,
    ),
    **_bounded(
        "gopher", "symbols", "symbol_word_ratio", "hash signs and ellipses a word", at_most=0.1
    ),
    **_bounded(
        "gopher",
        "bullet_lines",
        "bullet_line_fraction",
        "share of lines that start with a bullet",
        at_most=0.9,
    ),
    **_bounded(
        "gopher",
        "ellipsis_lines",
        "ellipsis_line_fraction",
        "share of lines that end in an ellipsis",
        at_most=0.3,
    ),
    **_bounded(
        "gopher",
        "words_without_letter",
        "words_without_letter_fraction",
        "share of words without a letter",
        at_most=0.2,
    ),
    **_bounded(
        "gopher", "stop_words", "stop_word_count", "occurrences of Gopher's stop words", at_least=2
    ),
    **_bounded(
        "gopher",
        "duplicate_lines",
        "duplicate_line_fraction",
        "share of lines that occur more than once",
        at_most=0.30,
    ),
    **_bounded(
        "gopher",
        "duplicate_paragraphs",
        "duplicate_paragraph_fraction",
        "share of paragraphs that occur more than once",
        at_most=0.30,
    ),
    **_bounded(
        "gopher",
        "duplicate_line_characters",
        "duplicate_line_character_fraction",
        "share of lines' characters in lines that occur more than once",
        at_most=0.20,
    ),
    **_bounded(
        "gopher",
        "duplicate_paragraph_characters",
        "duplicate_paragraph_character_fraction",
        "share of paragraphs' characters in paragraphs that occur more than once",
        at_most=0.20,
    ),
    **_gopher_ngrams(),
}
_C4: Options = {
    **_bounded("c4", "sentences", "sentence_count", "sentences in the lines kept", at_least=3),
    **_bounded("c4", "lorem_ipsum", "lorem_ipsum", "'lorem ipsum' in a line", equals=False),
    **_bounded("c4", "curly_bracket", "curly_bracket", "'{' in a line", equals=False),
}
_FINEWEB: Options = {
    **_bounded(
        "fineweb",
        "terminal_lines",
        "terminal_line_fraction",
        "share of lines that end in terminal punctuation",
        at_least=0.12,
    ),
    **_bounded(
        "fineweb",
        "short_lines",
        "short_line_fraction",
        "share of lines of at most 30 characters",
        at_most=0.67,
    ),
    **_bounded(
        "fineweb",
        "duplicate_line_characters",
        "duplicate_line_character_fraction",
        "share of characters in lines seen before in the document",
        at_most=0.01,
    ),
    **_bounded("fineweb", "newlines", "newlines_per_word", "line feeds a word", at_most=0.3),
}
_MADLAD: Options = {
    **_bounded("madlad", "sentences", "sentence_count", "sentences", at_least=5),
    **_bounded(
        "madlad",
        "questionable",
        "questionable_sentence_fraction",
        "share of questionable sentences",
        below=0.2,
    ),
}
_DOLMA3_LINES: Options = _bounded(
    "dolma3_lines",
    "cut_words",
    "cut_word_fraction",
    "share of words in what is cut",
    at_most=0.05,
)
_CODE: Options = {
    **_bounded("code", "longest_line", "longest_line", "characters", at_most=1000),
    **_bounded("code", "mean_line", "mean_line", "characters a line", at_most=100),
    **_bounded(
        "code",
        "alphanumeric",
        "alphanumeric_fraction",
        "share of alphanumeric characters",
        at_least=0.25,
    ),
    **_bounded(
        "code",
        "comments",
        "comment_fraction",
        "share of characters in comments, where the language is known",
        at_least=0.01,
        at_most=0.8,
        keep_unknown=True,
    ),
    **_bounded(
        "code", "xml_header", "xml_header", "XML header in the first 100 characters", equals=False
    ),
    **_bounded(
        "code",
        "html_visible",
        "html_visible_fraction",
        "share of visible characters, HTML only",
        at_least=0.2,
        keep_unknown=True,
    ),
    **_bounded(
        "code",
        "html_visible_characters",
        "html_visible_characters",
        "visible characters, HTML only",
        at_least=101,
        keep_unknown=True,
    ),
    **_bounded("code", "vendored", "vendored", "copied from another project", equals=False),
    **_bounded("code", "generated", "generated", "written by a program", equals=False),
    **_bounded("code", "minified", "minified", "minified", equals=False),
}
_PII: Options = {
    **_bounded("pii", "emails", "email_count", "e-mail addresses", at_most=5),
    **_bounded("pii", "ip_addresses", "ip_address_count", "IP addresses", at_most=5),
    **_bounded("pii", "phone_numbers", "phone_number_count", "telephone numbers", at_most=5),
    **_bounded("pii", "spans", "span_count", "addresses and numbers together", at_most=5),
    **_bounded(
        "pii", "density", "byte_fraction", "share of bytes in addresses and numbers", at_most=1
    ),
}
PII_CUTS = {
    "cut_emails": ("pii.emails", "e-mail addresses"),
    "cut_ip_addresses": ("pii.ip_addresses", "IP addresses"),
    "cut_phone_numbers": ("pii.phone_numbers", "telephone numbers"),
}
_PDF_QUALITY: Options = {
    **_bounded(
        "pdf_quality",
        "numeric",
        "numeric_fraction",
        "share of digits among a line's characters, on average over lines",
        below=0.2,
    ),
    **_bounded(
        "pdf_quality",
        "pipe_lines",
        "pipe_line_fraction",
        "share of lines between two pipes, as rows of tables are",
        below=0.3,
    ),
}
SOFT_WORD_HITS = 2  # Dolma 3, FineWeb
URL_LISTS = {
    "domains": "Hosts, as example.org.",
    "urls": "URLs, with a scheme or without.",
    "words": "Words, or several in a row, that may not stand in a URL between other characters.",
    "soft_words": "Words of which several are needed.",
    "subwords": "Texts that may not stand in a URL anywhere.",
}
THRESHOLDS: dict[str, Options] = {
    "gopher": _GOPHER,
    "c4": _C4,
    "fineweb": _FINEWEB,
    "madlad": _MADLAD,
    "dolma3_lines": _DOLMA3_LINES,
    "code": _CODE,
    "pdf_quality": _PDF_QUALITY,
    "pii": _PII,
}
_MEANINGS = {
    condition.reason: what
    for options in THRESHOLDS.values()
    for what, condition in options.values()
} | {
    "language": "probability of the likeliest language that is kept",
    "contaminated": "n-grams shared with benchmarks",
    "url_lists.domains": "its host is listed",
    "url_lists.subdomains": "a host above it is listed",
    "url_lists.urls": "its URL is listed",
    "url_lists.words": "a listed word stands in its URL",
    "url_lists.soft_words": "places of its URL where soft words stand",
    "url_lists.subwords": "a listed text stands in its URL",
}


def meaning(condition: Condition) -> str:
    """What a condition bounds, in words, with the unit. A classifier's is a probability."""
    label = condition.column.partition(".")[2]
    return _MEANINGS.get(condition.reason, f"probability of the label {label}")
