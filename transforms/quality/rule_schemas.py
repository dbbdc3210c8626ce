"""JSON Schemas of the options of a recipe's rules, with which a recipe is checked and completed.

`RULE_SCHEMAS`: name of a rule -> schema (draft 2020-12) of its options, each with its default and
what it means.
"""

from __future__ import annotations

from typing import Any

from transforms.quality.c4 import WORD_LENGTH, WORDS_PER_LINE
from transforms.quality.classifier import NAME_PATTERN
from transforms.quality.conditions import BOUNDS
from transforms.quality.dolma3_lines import LINE_WORDS, NEWLINES_KEPT, PHRASE_WORDS, UPPER_CASE
from transforms.quality.language import LANGUAGE_AT_LEAST, LANGUAGES
from transforms.quality.madlad import MIN_WORDS
from transforms.quality.thresholds import (
    PII_CUTS,
    SOFT_WORD_HITS,
    THRESHOLDS,
    URL_LISTS,
    Options,
)

__all__ = ["RULE_SCHEMAS"]

MOST_COUNTED = 10**9  # words, characters, lines of an option; int32 holds it
LARGEST_BOUND = 10**15  # of a condition; a double holds it exactly


def _schema(known: Options, **others: dict[str, Any]) -> dict[str, Any]:
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
            for name in BOUNDS
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
        THRESHOLDS["gopher"],
        newlines_kept=_positive(2, "Line feeds in a row that stay in the text."),
        cut_newlines=_switch("Cut the other line feeds of a run from the text."),
    ),
    "c4": _schema(
        THRESHOLDS["c4"],
        words_per_line=_positive(WORDS_PER_LINE, "Words that a line needs to stay."),
        word_length=_positive(WORD_LENGTH, "Characters, at most, of each word of a line."),
        cut_lines=_switch("Cut the lines that C4 drops, and citations, from the text."),
    ),
    "fineweb": _schema(THRESHOLDS["fineweb"]),
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
            "default": LANGUAGE_AT_LEAST,
            "description": "Probability, inclusive, of the most likely language that is kept.",
        },
    ),
    "madlad": _schema(
        THRESHOLDS["madlad"],
        list_case_words=_positive(MIN_WORDS, "Words of a sentence, from which rule 2 looks at it."),
    ),
    "dolma3_lines": _schema(
        THRESHOLDS["dolma3_lines"],
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
    "code": _schema(THRESHOLDS["code"]),
    "pdf_quality": _schema(THRESHOLDS["pdf_quality"]),
    "pii": _schema(
        THRESHOLDS["pii"],
        **{
            option: _switch(f"Cut the {what} from the text.")
            for option, (_, what) in PII_CUTS.items()
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
                for kind, what in URL_LISTS.items()
            },
            subdomains=_switch("Ban hosts below those of `domains` as well."),
            soft_word_hits=_positive(SOFT_WORD_HITS, "Soft words that a URL needs to be banned."),
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
