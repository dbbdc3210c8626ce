"""Conditions: what a recipe's rules ask of attributes, as SQL; nothing is decided in annotators.

A rule of a recipe (`gopher`, `c4` ...: the keys of `RULE_SCHEMAS`) names annotators to run,
conditions that a document must meet and span columns that are cut from its text. Thresholds default
to Dolma 3's numbers (C4, FineWeb, code: those of the projects named in docs/rules.md) and are
overridden option by option: `{"words": {"at_least": 100}}` keeps the upper bound, `{"words":
{"at_most": null}}` drops it, `{"words": false}` drops the condition. `RULE_SCHEMAS` are the JSON
Schemas of the options.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from transforms.annotators import Annotator, RuleFile
from transforms.quality.c4 import C4, WORD_LENGTH, WORDS_PER_LINE
from transforms.quality.classifier import NAME_PATTERN, Classifier
from transforms.quality.code import Code
from transforms.quality.dolma3_lines import (
    LINE_WORDS,
    NEWLINES_KEPT,
    PHRASE_WORDS,
    UPPER_CASE,
    Dolma3Lines,
)
from transforms.quality.fineweb import FineWeb
from transforms.quality.gopher import Gopher
from transforms.quality.language import LANGUAGES, Language
from transforms.quality.madlad import MIN_WORDS, Madlad
from transforms.quality.pdf_quality import PdfQuality
from transforms.quality.pii import Pii
from transforms.quality.url_lists import LIST_KINDS, UrlList, UrlLists

__all__ = ["RULE_SCHEMAS", "Condition", "Rule", "rule"]

MOST_COUNTED = 10**9  # words, characters, lines of an option; int32 holds it
LARGEST_BOUND = 10**15  # of a condition; a double holds it exactly
_BOUNDS = ("at_least", "at_most", "below")
_SQL_QUOTE = '"'
_PLAIN = re.compile(r"[a-z][a-z0-9_]{2,}")  # needs no quotes; two letters may be a keyword of SQL


@dataclass(frozen=True)
class Condition:
    """A document is kept when `column` (`<annotator>.<column>`) is within its bounds (`at_least`
    and `at_most` are inclusive) or equals `equals`. With `or_columns` the greatest of all counts.
    `keep_unknown` keeps null. `reason` is counted for what does not meet it."""

    reason: str
    column: str
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None
    equals: bool | None = None
    or_columns: tuple[str, ...] = ()
    keep_unknown: bool = False

    def __post_init__(self) -> None:
        bounds = [getattr(self, name) for name in _BOUNDS if getattr(self, name) is not None]
        if bool(bounds) == (self.equals is not None):
            raise ValueError(f"condition '{self.reason}' must have bounds or a value, not both")
        for bound in bounds:
            if not math.isfinite(bound):
                raise ValueError(f"bounds of '{self.reason}' must be finite (got {bound!r})")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(
                f"'{self.reason}' has at_least {self.at_least} above at_most {self.at_most},"
                " so nothing can pass"
            )
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            raise ValueError(
                f"'{self.reason}' has at_least {self.at_least} and below {self.below},"
                " so nothing can pass"
            )

    def value_sql(self) -> str:
        """The DuckDB expression whose value is compared."""
        columns = [_quoted(column) for column in (self.column, *self.or_columns)]
        return columns[0] if len(columns) == 1 else f"greatest({', '.join(columns)})"

    def to_sql(self) -> str:
        """A DuckDB expression over attribute structs: true where the document is kept, else false
        (null where the column is null and `keep_unknown` is not set)."""
        value = self.value_sql()
        parts = []  # repr of a float equals it when DuckDB compares it with a DOUBLE
        if self.at_least is not None:
            parts.append(f"{value} >= {self.at_least!r}")
        if self.at_most is not None:
            parts.append(f"{value} <= {self.at_most!r}")
        if self.below is not None:
            parts.append(f"{value} < {self.below!r}")
        if self.equals is not None:
            parts.append(f"{value} = {'true' if self.equals else 'false'}")
        joined = " AND ".join(parts)
        return f"coalesce({joined}, true)" if self.keep_unknown else joined


@dataclass(frozen=True)
class Rule:
    """A rule of a recipe: annotators it needs, conditions in the order in which reasons are given,
    and span columns (`<annotator>.<column>`) that are cut from the text."""

    name: str
    annotators: tuple[Annotator, ...]
    conditions: tuple[Condition, ...]
    cuts: tuple[str, ...] = ()


def rule(name: str, options: Mapping[str, Any] | None = None) -> Rule:
    """Build a rule from the options of a recipe; see `RULE_SCHEMAS` for names, types and defaults.

    ValueError, in one sentence, for an unknown rule or option (with the valid names) and for
    a value of the wrong type.
    """
    if name not in _BUILDERS:
        raise ValueError(f"unknown rule '{name}' (there are {', '.join(sorted(_BUILDERS))})")
    options = {} if options is None else options
    properties = RULE_SCHEMAS[name]["properties"]
    for key in options:
        if key not in properties:
            known = ", ".join(sorted(properties))
            raise ValueError(f"rule '{name}' has no option '{key}' (there are {known})")
    return _BUILDERS[name](options)


def _quoted(column: str) -> str:
    table, _, name = column.partition(".")
    if table not in RULE_SCHEMAS:  # a classifier can have any name, a keyword of SQL too
        table = f"{_SQL_QUOTE}{table}{_SQL_QUOTE}"
    if _PLAIN.fullmatch(name):
        return f"{table}.{name}"
    return f"{table}.{_SQL_QUOTE}{name.replace(_SQL_QUOTE, 2 * _SQL_QUOTE)}{_SQL_QUOTE}"


# Option -> (what it bounds, with its unit; the condition with its default bounds). Order is the
# order in which a document's reasons are given.
_Options = Mapping[str, tuple[str, Condition]]


def _gopher_ngrams() -> dict[str, tuple[str, Condition]]:
    limits = {2: 0.20, 3: 0.18, 4: 0.16, 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
    options = {}
    for n, limit in limits.items():
        kind = "top" if n <= 4 else "duplicate"
        what = f"the most frequent {n}-gram" if n <= 4 else f"{n}-grams that occur more than once"
        options[f"{kind}_{n}gram"] = (
            f"share of the words' characters in {what}",
            Condition(
                f"gopher.{kind}_{n}gram",
                f"gopher.{kind}_{n}gram_character_fraction",
                at_most=limit,
            ),
        )
    return options


def _bounded(
    table: str, option: str, column: str, what: str, **bounds: Any
) -> dict[str, tuple[str, Condition]]:
    condition = Condition(f"{table}.{option}", f"{table}.{column}", **bounds)
    return {option: (what, condition)}


_GOPHER: _Options = {
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
_C4: _Options = {
    **_bounded("c4", "sentences", "sentence_count", "sentences in the lines kept", at_least=3),
    **_bounded("c4", "lorem_ipsum", "lorem_ipsum", "'lorem ipsum' in a line", equals=False),
    **_bounded("c4", "curly_bracket", "curly_bracket", "'{' in a line", equals=False),
}
_FINEWEB: _Options = {
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
_MADLAD: _Options = {
    **_bounded("madlad", "sentences", "sentence_count", "sentences", at_least=5),
    **_bounded(
        "madlad",
        "questionable",
        "questionable_sentence_fraction",
        "share of questionable sentences",
        below=0.2,
    ),
}
_DOLMA3_LINES: _Options = _bounded(
    "dolma3_lines",
    "cut_words",
    "cut_word_fraction",
    "share of words in what is cut",
    at_most=0.05,
)
_CODE: _Options = {
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
_PII: _Options = {
    **_bounded("pii", "emails", "email_count", "e-mail addresses", at_most=5),
    **_bounded("pii", "ip_addresses", "ip_address_count", "IP addresses", at_most=5),
    **_bounded("pii", "phone_numbers", "phone_number_count", "telephone numbers", at_most=5),
    **_bounded("pii", "spans", "span_count", "addresses and numbers together", at_most=5),
    **_bounded(
        "pii", "density", "byte_fraction", "share of bytes in addresses and numbers", at_most=1
    ),
}
_PII_CUTS = {
    "cut_emails": ("pii.emails", "e-mail addresses"),
    "cut_ip_addresses": ("pii.ip_addresses", "IP addresses"),
    "cut_phone_numbers": ("pii.phone_numbers", "telephone numbers"),
}
_PDF_QUALITY: _Options = {
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
_SOFT_WORD_HITS = 2  # Dolma 3, FineWeb
_URL_LISTS = {
    "domains": "Hosts, as example.org.",
    "urls": "URLs, with a scheme or without.",
    "words": "Words, or several in a row, that may not stand in a URL between other characters.",
    "soft_words": "Words of which several are needed.",
    "subwords": "Texts that may not stand in a URL anywhere.",
}


def _conditions(
    rule_name: str, options: Mapping[str, Any], known: _Options
) -> tuple[Condition, ...]:
    conditions = []
    for option, (_, default) in known.items():
        value = options.get(option, {})
        if value is False:
            continue
        if default.equals is not None:
            if option in options and value is not True:
                raise ValueError(f"{rule_name}.{option} must be true or false (got {value!r})")
            conditions.append(default)
            continue
        condition = _with_bounds(f"{rule_name}.{option}", default, value)
        if condition is not None:
            conditions.append(condition)
    return tuple(conditions)


def _with_bounds(place: str, default: Condition, bounds: Any) -> Condition | None:
    """The condition with other bounds; None when no bound is left."""
    if not isinstance(bounds, Mapping):
        raise ValueError(f"{place} must be false or have {', '.join(_BOUNDS)} (got {bounds!r})")
    for key, value in bounds.items():
        if key not in _BOUNDS:
            raise ValueError(f"{place} has no '{key}' (there are {', '.join(_BOUNDS)})")
        if value is not None:
            _check_number(f"{place}.{key}", value)
    given = {name: bounds.get(name, getattr(default, name)) for name in _BOUNDS}
    if all(bound is None for bound in given.values()):
        return None
    return replace(default, **given)


def _check_number(place: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{place} must be a number (got {value!r})")


def _whole(rule_name: str, options: Mapping[str, Any], option: str, default: int) -> int:
    value = options.get(option, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{rule_name}.{option} must be a whole number (got {value!r})")
    return value


def _flag(rule_name: str, options: Mapping[str, Any], option: str) -> bool:
    value = options.get(option, True)
    if not isinstance(value, bool):
        raise ValueError(f"{rule_name}.{option} must be true or false (got {value!r})")
    return value


def _build_gopher(options: Mapping[str, Any]) -> Rule:
    annotator = Gopher(newlines_kept=_whole("gopher", options, "newlines_kept", 2))
    cuts = ("gopher.excess_newlines",) if _flag("gopher", options, "cut_newlines") else ()
    return Rule("gopher", (annotator,), _conditions("gopher", options, _GOPHER), cuts)


def _build_c4(options: Mapping[str, Any]) -> Rule:
    annotator = C4(
        words_per_line=_whole("c4", options, "words_per_line", WORDS_PER_LINE),
        word_length=_whole("c4", options, "word_length", WORD_LENGTH),
    )
    cuts = ("c4.line_spans", "c4.citation_spans") if _flag("c4", options, "cut_lines") else ()
    return Rule("c4", (annotator,), _conditions("c4", options, _C4), cuts)


def _build_fineweb(options: Mapping[str, Any]) -> Rule:
    return Rule("fineweb", (FineWeb(),), _conditions("fineweb", options, _FINEWEB))


def _build_language(options: Mapping[str, Any]) -> Rule:
    keep = options.get("keep", ["en"])
    if not isinstance(keep, (list, tuple)) or not keep:
        raise ValueError(f"language.keep must be a list of language codes (got {keep!r})")
    for code in keep:
        if code not in LANGUAGES:
            raise ValueError(f"language.keep names no language of lid.176: {code!r}")
    at_least = options.get("at_least", 0.65)
    _check_number("language.at_least", at_least)
    # Sorted, and English always, so that recipes that keep the same languages share a table.
    languages = tuple(sorted({"en", *keep}))
    columns = [f"language.{code}" for code in sorted(set(keep))]
    condition = Condition("language", columns[0], at_least=at_least, or_columns=tuple(columns[1:]))
    return Rule("language", (Language(languages=languages),), (condition,))


def _build_madlad(options: Mapping[str, Any]) -> Rule:
    annotator = Madlad(list_case_words=_whole("madlad", options, "list_case_words", MIN_WORDS))
    return Rule("madlad", (annotator,), _conditions("madlad", options, _MADLAD))


def _build_dolma3_lines(options: Mapping[str, Any]) -> Rule:
    name = "dolma3_lines"
    upper_case = options.get("upper_case", UPPER_CASE)
    _check_number(f"{name}.upper_case", upper_case)
    annotator = Dolma3Lines(
        upper_case=float(upper_case),
        words_per_line=_whole(name, options, "words_per_line", LINE_WORDS),
        phrase_words=_whole(name, options, "phrase_words", PHRASE_WORDS),
        newlines_kept=_whole(name, options, "newlines_kept", NEWLINES_KEPT),
    )
    cuts = (f"{name}.cut_spans",) if _flag(name, options, "cut_lines") else ()
    return Rule(name, (annotator,), _conditions(name, options, _DOLMA3_LINES), cuts)


def _build_code(options: Mapping[str, Any]) -> Rule:
    return Rule("code", (Code(),), _conditions("code", options, _CODE))


def _build_pii(options: Mapping[str, Any]) -> Rule:
    cuts = tuple(
        column for option, (column, _) in _PII_CUTS.items() if _flag("pii", options, option)
    )
    return Rule("pii", (Pii(),), _conditions("pii", options, _PII), cuts)


def _build_pdf_quality(options: Mapping[str, Any]) -> Rule:
    return Rule("pdf_quality", (PdfQuality(),), _conditions("pdf_quality", options, _PDF_QUALITY))


def _build_url_lists(options: Mapping[str, Any]) -> Rule:
    lists = []
    for kind in LIST_KINDS:
        paths = options.get(kind, [])
        if not isinstance(paths, (list, tuple)) or not all(isinstance(one, str) for one in paths):
            raise ValueError(f"url_lists.{kind} must be a list of paths (got {paths!r})")
        lists += [UrlList(kind, RuleFile(path)) for path in paths]
    if options and not lists:
        raise ValueError(f"url_lists names no list (there are {', '.join(LIST_KINDS)})")
    subdomains = _flag("url_lists", options, "subdomains")
    hits = _whole("url_lists", options, "soft_word_hits", _SOFT_WORD_HITS)
    if hits < 1:
        raise ValueError(f"url_lists.soft_word_hits must be at least 1 (got {hits})")
    columns = {"domains": "domain", "subdomains": "subdomain", "urls": "url", "words": "word"}
    columns |= {"soft_words": "soft_word_count", "subwords": "subword"}
    kinds = {one.kind for one in lists}
    if subdomains and "domains" in kinds:
        kinds.add("subdomains")
    conditions = [
        Condition(f"url_lists.{kind}", f"url_lists.{column}", at_most=hits - 1)
        if kind == "soft_words"
        else Condition(f"url_lists.{kind}", f"url_lists.{column}", equals=False)
        for kind, column in columns.items()
        if kind in kinds
    ]
    return Rule("url_lists", (UrlLists(tuple(lists), subdomains),), tuple(conditions))


def _build_classifier(options: Mapping[str, Any]) -> Rule:
    for option in ("name", "model"):
        if not isinstance(options.get(option), str):
            raise ValueError(f"classifier.{option} must be a text (got {options.get(option)!r})")
    label, labels = options.get("label"), options.get("labels", [])
    if not isinstance(labels, (list, tuple)) or not all(isinstance(one, str) for one in labels):
        raise ValueError(f"classifier.labels must be a list of labels (got {labels!r})")
    bounds = {key: options[key] for key in ("at_least", "at_most") if key in options}
    for key, value in bounds.items():
        _check_number(f"classifier.{key}", value)
    if (label is None) != (not bounds):
        raise ValueError("label needs at_least or at_most, and these need a label")
    # Sorted, so that recipes that ask for the same labels share a table.
    columns = tuple(sorted({*labels, *([] if label is None else [label])}))
    annotator = Classifier(options["name"], RuleFile(options["model"]), columns)
    conditions: tuple[Condition, ...] = ()
    if label is not None:
        conditions = (Condition(annotator.name, f"{annotator.name}.{label}", **bounds),)
    return Rule("classifier", (annotator,), conditions)


_BUILDERS: dict[str, Callable[[Mapping[str, Any]], Rule]] = {
    "gopher": _build_gopher,
    "c4": _build_c4,
    "fineweb": _build_fineweb,
    "language": _build_language,
    "madlad": _build_madlad,
    "dolma3_lines": _build_dolma3_lines,
    "code": _build_code,
    "pdf_quality": _build_pdf_quality,
    "pii": _build_pii,
    "url_lists": _build_url_lists,
    "classifier": _build_classifier,
}


def _schema(known: _Options, **others: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for option, (what, condition) in known.items():
        if condition.equals is not None:
            properties[option] = {
                "type": "boolean",
                "default": True,
                "description": f"Remove documents with this: {what}. false lets them pass.",
            }
            continue
        bounds = {
            name: {
                "type": ["number", "null"],
                "minimum": -LARGEST_BOUND,
                "maximum": LARGEST_BOUND,
                "default": getattr(condition, name),
            }
            for name in _BOUNDS
        }
        properties[option] = {
            "description": f"{what[0].upper()}{what[1:]}; at_least and at_most are inclusive, null"
            " lifts a bound, false drops the condition.",
            "oneOf": [
                {"const": False},
                {"type": "object", "additionalProperties": False, "properties": bounds},
            ],
        }
    properties |= others
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _positive(default: int, description: str, minimum: int = 1) -> dict[str, Any]:
    bounds = {"minimum": minimum, "maximum": MOST_COUNTED, "default": default}
    return {"type": "integer", **bounds, "description": description}


def _switch(description: str) -> dict[str, Any]:
    return {"type": "boolean", "default": True, "description": description}


RULE_SCHEMAS: dict[str, dict[str, Any]] = {
    "gopher": _schema(
        _GOPHER,
        newlines_kept=_positive(2, "Line feeds in a row that stay in the text."),
        cut_newlines=_switch("Cut the other line feeds of a run from the text."),
    ),
    "c4": _schema(
        _C4,
        words_per_line=_positive(WORDS_PER_LINE, "Words that a line needs to stay."),
        word_length=_positive(WORD_LENGTH, "Characters, at most, of each word of a line."),
        cut_lines=_switch("Cut the lines that C4 drops, and citations, from the text."),
    ),
    "fineweb": _schema(_FINEWEB),
    "language": _schema(
        {},
        keep={
            "type": "array",
            "items": {"enum": list(LANGUAGES)},
            "minItems": 1,
            "uniqueItems": True,
            "default": ["en"],
            "description": "Languages to keep, as codes of fastText's lid.176.",
        },
        at_least={
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": 0.65,
            "description": "Probability, inclusive, of the most likely language that is kept.",
        },
    ),
    "madlad": _schema(
        _MADLAD,
        list_case_words=_positive(MIN_WORDS, "Words of a sentence, from which rule 2 looks at it."),
    ),
    "dolma3_lines": _schema(
        _DOLMA3_LINES,
        upper_case={
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": UPPER_CASE,
            "description": "Share of a line's characters in upper case, above which it is cut.",
        },
        words_per_line=_positive(LINE_WORDS, "Words that a line needs to stay.", 0),
        phrase_words=_positive(
            PHRASE_WORDS, "Words, at most, of a line from which phrases are cut.", 0
        ),
        newlines_kept=_positive(NEWLINES_KEPT, "Line feeds in a row that stay in the text."),
        cut_lines=_switch("Cut the lines and phrases, and line feeds in a row, from the text."),
    ),
    "code": _schema(_CODE),
    "pdf_quality": _schema(_PDF_QUALITY),
    "pii": _schema(
        _PII,
        **{
            option: _switch(f"Cut the {what} from the text.")
            for option, (_, what) in _PII_CUTS.items()
        },
    ),
    "url_lists": {
        **_schema(
            {},
            **{
                kind: {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "uniqueItems": True,
                    "description": f"{what} Text files with one a line, plain, gzip or zstd.",
                }
                for kind, what in _URL_LISTS.items()
            },
            subdomains=_switch("Ban hosts below those of `domains` as well."),
            soft_word_hits=_positive(_SOFT_WORD_HITS, "Soft words that a URL needs to be banned."),
        ),
        "minProperties": 1,
    },
    "classifier": {
        **_schema(
            {},
            name={
                "type": "string",
                "pattern": NAME_PATTERN,
                "description": "Name of its attribute table, as in `quality.hq`, and its reason.",
            },
            model={
                "type": "string",
                "minLength": 1,
                "description": "fastText model (.bin, .ftz); {workspace} stands for the workspace,"
                " relative paths start at the recipe's folder.",
            },
            label={"type": "string", "minLength": 1, "description": "Label that is judged."},
            labels={
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "minItems": 1,
                "uniqueItems": True,
                "description": "Labels whose probabilities are stored, besides `label`.",
            },
            **{
                bound: {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 1,
                    "description": f"Probability of `label`, {bound.replace('_', ' ')}; inclusive.",
                }
                for bound in ("at_least", "at_most")
            },
        ),
        "required": ["name", "model"],
    },
}
