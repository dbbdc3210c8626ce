"""What `vineleaf compare` prints for a person: tables of both mixes, reasons and examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.cli.outcomes import ANSWERS
from pipelines.cli.screens import Screen
from pipelines.reports.terminal_text import printable

if TYPE_CHECKING:
    from pipelines.reports.compare import Comparison, Example

__all__ = ["comparison_screens", "examples_lines", "print_comparison"]

MOST_REASONS = 8  # of a source and a mix; `--json` has all
MOST_VALUE = 60  # characters of a recipe's value
ARROW = "->"  # from A to B
_KINDS = {
    "only_a": "only in A",
    "only_b": "only in B",
    "more": "more often in B",
    "fewer": "less often in B",
}


def print_comparison(found: Comparison) -> None:
    """All of it."""
    for letter, side in (("A", found.a), ("B", found.b)):
        told = f"{letter}  {side.mix}: {side.tokens:,} tokens, {side.documents:,} documents"
        ANSWERS.print(told, markup=False)
    for screen in comparison_screens(found):
        ANSWERS.print(screen)
    for line in examples_lines(found.examples):
        ANSWERS.print(line, markup=False)
    if found.same_documents:
        ANSWERS.print("Both mixes hold the same documents, each equally often.")


def comparison_screens(found: Comparison) -> Iterator[Screen]:
    """The tables, those left out that would have no row."""
    if found.recipe:
        rows = [(one.key, _value(one.a), _value(one.b)) for one in found.recipe]
        header = ("key", "A", "B")
        yield Screen("In the recipe", header, rows, frozenset(header))
    if found.made_of:
        rows = [(one.key, _value(one.a), _value(one.b)) for one in found.made_of]
        header = ("made of", "A", "B")
        yield Screen("In what they were made of", header, rows, frozenset(header))
    yield _tokens(found)
    yield _documents(found)
    reasons = list(_reasons(found))
    if reasons:
        columns = ("source", "is not in", "documents", "since")
        words = frozenset({"source", "is not in", "since"})
        yield Screen("Why documents of one mix are not in the other", columns, reasons, words)


def _tokens(found: Comparison) -> Screen:
    rows = [
        (
            name,
            f"{its.counts.tokens_a:,}",
            f"{its.counts.tokens_b:,}",
            _change(its.counts.tokens_b - its.counts.tokens_a),
            f"{100 * its.share_a:.2f} {ARROW} {100 * its.share_b:.2f}",
            f"{_epochs(its.epochs_a)} {ARROW} {_epochs(its.epochs_b)}",
        )
        for name, its in found.sources.items()
    ]
    a, b = found.a.tokens, found.b.tokens
    rows.append(("all", f"{a:,}", f"{b:,}", _change(b - a), "", ""))
    header = ("source", "tokens in A", "in B", "change", "% of all", "epochs")
    return Screen("Tokens", header, rows, frozenset({"source"}))


def _documents(found: Comparison) -> Screen:
    names = ("both", "only_a", "only_b", "more", "fewer")
    rows = [
        (name, *(f"{getattr(its.counts, one):,}" for one in names))
        for name, its in found.sources.items()
    ]
    sums = (sum(getattr(its.counts, one) for its in found.sources.values()) for one in names)
    rows.append(("all", *(f"{one:,}" for one in sums)))
    header = ("source", "in both", *_KINDS.values())
    note = "Each document counts once. More or less often: of those in both."
    return Screen("Different documents", header, rows, frozenset({"source"}), note)


def _reasons(found: Comparison) -> Iterator[tuple[str, str, str, str]]:
    for name, its in found.sources.items():
        for letter, reasons in (("B", its.why_not_in_b), ("A", its.why_not_in_a)):
            ordered = list(reasons.items())
            shown = len(ordered) if len(ordered) == MOST_REASONS + 1 else MOST_REASONS
            for reason, count in ordered[:shown]:
                yield name, letter, f"{count:,}", reason
            rest = ordered[shown:]
            if rest:
                counted = sum(count for _, count in rest)
                yield name, letter, f"{counted:,}", f"{len(rest)} other reasons"


def examples_lines(examples: Sequence[Example]) -> Iterator[str]:
    """Examples, by source and change: id, where it is from, why it is not in the other mix, and how
    its text begins."""
    last = ("", "")
    for one in examples:
        if (one.source, one.kind) != last:
            last = (one.source, one.kind)
            yield f"{one.source}, {_KINDS[one.kind]}"
        often = f"{_times(one.copies_a)} in A, {_times(one.copies_b)} in B"
        told = one.reason or (often if one.kind in ("more", "fewer") else "")
        parts = [printable(part) for part in (one.id, one.origin, told) if part]
        yield f"  {'  '.join(dict.fromkeys(parts))}"
        if one.begins:
            yield f"    {one.begins!r}"


def _value(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_VALUE else f"{text[: MOST_VALUE - 3]}..."


def _change(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _epochs(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
