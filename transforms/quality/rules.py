"""Rules of a recipe: from a name and options to annotators, conditions and what is cut.

A rule (`gopher`, `c4` ...: the keys of `RULE_SCHEMAS`) names annotators to run, conditions that a
document must meet and span columns that are cut from its text. Thresholds default to those of
`thresholds` and are overridden option by option: `{"words": {"at_least": 100}}` keeps the upper
bound, `{"words": {"at_most": null}}` drops it, `{"words": false}` drops the condition. Of `at_most`
and `below` the one that is given takes the other's place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from transforms.annotators import Annotator, RuleFile
from transforms.quality.c4 import C4, WORD_LENGTH, WORDS_PER_LINE
from transforms.quality.classifier import Classifier
from transforms.quality.code import Code
from transforms.quality.conditions import BOUNDS, Condition
from transforms.quality.dolma3_lines import (
    LINE_WORDS,
    NEWLINES_KEPT,
    PHRASE_WORDS,
    UPPER_CASE,
    Dolma3Lines,
)
from transforms.quality.fineweb import FineWeb
from transforms.quality.gopher import Gopher
from transforms.quality.language import LANGUAGE_AT_LEAST, LANGUAGES, Language
from transforms.quality.madlad import MIN_WORDS, Madlad
from transforms.quality.pdf_quality import PdfQuality
from transforms.quality.pii import Pii
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.thresholds import PII_CUTS, SOFT_WORD_HITS, THRESHOLDS
from transforms.quality.url_lists import LIST_KINDS, UrlList, UrlLists

__all__ = ["Rule", "rule"]


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


_UPPER = {"at_most": "below", "below": "at_most"}


def _conditions(rule_name: str, options: Mapping[str, Any]) -> tuple[Condition, ...]:
    conditions = []
    for option, (_, default) in THRESHOLDS[rule_name].items():
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
        raise ValueError(f"{place} must be false or have {', '.join(BOUNDS)} (got {bounds!r})")
    for key, value in bounds.items():
        if key not in BOUNDS:
            raise ValueError(f"{place} has no '{key}' (there are {', '.join(BOUNDS)})")
        if value is not None:
            _check_number(f"{place}.{key}", value)
    replaced = {twin for name, twin in _UPPER.items() if name in bounds}
    given = {
        name: bounds.get(name, None if name in replaced else getattr(default, name))
        for name in BOUNDS
    }
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
    return Rule("gopher", (annotator,), _conditions("gopher", options), cuts)


def _build_c4(options: Mapping[str, Any]) -> Rule:
    annotator = C4(
        words_per_line=_whole("c4", options, "words_per_line", WORDS_PER_LINE),
        word_length=_whole("c4", options, "word_length", WORD_LENGTH),
    )
    cuts = ("c4.line_spans", "c4.citation_spans") if _flag("c4", options, "cut_lines") else ()
    return Rule("c4", (annotator,), _conditions("c4", options), cuts)


def _build_fineweb(options: Mapping[str, Any]) -> Rule:
    return Rule("fineweb", (FineWeb(),), _conditions("fineweb", options))


def _build_language(options: Mapping[str, Any]) -> Rule:
    keep = options.get("keep", ["en"])
    if not isinstance(keep, (list, tuple)) or not keep:
        raise ValueError(f"language.keep must be a list of language codes (got {keep!r})")
    for code in keep:
        if code not in LANGUAGES:
            raise ValueError(f"language.keep names no language of lid.176: {code!r}")
    at_least = options.get("at_least", LANGUAGE_AT_LEAST)
    _check_number("language.at_least", at_least)
    # Sorted, and English always, so that recipes that keep the same languages share a table.
    languages = tuple(sorted({"en", *keep}))
    columns = [f"language.{code}" for code in sorted(set(keep))]
    condition = Condition("language", columns[0], at_least=at_least, or_columns=tuple(columns[1:]))
    return Rule("language", (Language(languages=languages),), (condition,))


def _build_madlad(options: Mapping[str, Any]) -> Rule:
    annotator = Madlad(list_case_words=_whole("madlad", options, "list_case_words", MIN_WORDS))
    return Rule("madlad", (annotator,), _conditions("madlad", options))


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
    return Rule(name, (annotator,), _conditions(name, options), cuts)


def _build_code(options: Mapping[str, Any]) -> Rule:
    return Rule("code", (Code(),), _conditions("code", options))


def _build_pii(options: Mapping[str, Any]) -> Rule:
    cuts = tuple(
        column for option, (column, _) in PII_CUTS.items() if _flag("pii", options, option)
    )
    return Rule("pii", (Pii(),), _conditions("pii", options), cuts)


def _build_pdf_quality(options: Mapping[str, Any]) -> Rule:
    return Rule("pdf_quality", (PdfQuality(),), _conditions("pdf_quality", options))


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
    hits = _whole("url_lists", options, "soft_word_hits", SOFT_WORD_HITS)
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
