"""Tables that commands print, for terminals and logs of any width.

`Screen` is a title, a header and rows of text. It stands as a table where the numbers fit, else as
one `header: value` a line, so that no column is ever lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pipelines.recipes.mix_part import Mix
    from pipelines.recipes.pool_part import Fuzzy
    from pipelines.recipes.recipe import Recipe
    from pipelines.stage_states import StageState
    from pipelines.verification.check import Check
    from pipelines.workflow import Workflow
    from transforms.datasets import Manifest
    from transforms.mixing.budget import SourceBudget
    from transforms.mixing.sequences import Sequencing

__all__ = [
    "Screen",
    "bands_table",
    "budgets_table",
    "checks_table",
    "describe_fuzzy",
    "exchanges_table",
    "labels_table",
    "mix_table",
    "packing_notes",
    "settled_notes",
    "published_table",
    "shortfalls",
    "stages_table",
]

HASH_HEX = 64  # digits of a SHA-256
LEAST_FOLDED = 16  # characters to which a column of words is narrowed, at least
MISSING_TOLD = 0.02  # share of a source's wanted tokens; when more are missing it is said why


@dataclass(frozen=True)
class Screen:
    """A table of plain text. Columns named in `words` are left-aligned and folded where they are
    too long, the others are numbers and never broken."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[str]
    caption: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._needed() <= console.width:
            yield self._table()
            return
        yield Text(self.title, style="italic")
        for row in self.rows:
            for name, cell in zip(self.header, row, strict=True):
                if cell:
                    yield Text(f"{name}: {', '.join(cell.splitlines())}")
            yield Text("")
        if self.caption:
            yield Text(self.caption)

    def _needed(self) -> int:
        """Characters that the table takes at least, its frame included."""
        width = 3 * len(self.header) + 1
        for column, name in enumerate(self.header):
            lines = [line for row in self.rows for line in row[column].splitlines()]
            widest = max((len(line) for line in (name, *lines)), default=0)
            width += min(widest, LEAST_FOLDED) if name in self.words else widest
        return width

    def _table(self) -> Table:
        table = Table(title=escape(self.title), title_justify="left")
        for name in self.header:
            if name in self.words:
                table.add_column(name, overflow="fold")
            else:
                table.add_column(name, justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        if self.caption:
            table.caption, table.caption_justify = escape(self.caption), "left"
        return table


_STYLES = {"good": "green", "FAILED": "red"}


def mix_table(recipe: Recipe, workflow: Workflow) -> Screen:
    """What a mix holds of each source, and why some hold less than was asked."""
    budgets = workflow.budgets
    total = sum(budget.taken_tokens for budget in budgets.values())
    rows = []
    for source, share in recipe.mix.proportions.items():
        budget = budgets[source]
        rows.append(
            (
                source,
                f"{budget.available_tokens:,}",
                f"{budget.wanted_tokens:,}",
                f"{budget.taken_tokens:,}",
                f"{budget.epochs:.2f}",
                f"{budget.taken_tokens / total:.4f}" if total else "",
                f"{share:.4f}",
            )
        )
    header = ("source", "available", "wanted", "taken", "epochs", "share", "asked")
    short = "\n".join(shortfalls(budgets))
    return Screen("Mix, in tokens", header, rows, frozenset({"source"}), short)


def shortfalls(budgets: Mapping[str, SourceBudget]) -> list[str]:
    """A sentence for each source that gives clearly less than was asked, and why, by name; and for
    each stage of a curriculum that holds nothing."""
    from transforms.mixing.curriculum import tokens_by_stage

    stages = enumerate(tokens_by_stage(budgets), start=1)
    empty = [n for n, its in stages if not sum(one.taken_tokens for one in its.values())]
    missing = {name: one.wanted_tokens - one.taken_tokens for name, one in budgets.items()}
    return [
        f"{name}: whole documents come to within {missing[name]:,} tokens of what is wanted; the"
        f" next one has {one.next_document_tokens:,}"
        for name, one in sorted(budgets.items())
        if missing[name] > MISSING_TOLD * one.wanted_tokens
    ] + [
        f"stage {number} holds no document and has no file: its share is less than the first one;"
        " raise its share or mix.tokens"
        for number in empty
    ]


def settled_notes(mix: Mix, budgets: Mapping[str, SourceBudget]) -> list[str]:
    """A sentence for each source that is asked for other than its share, by the recipe's rule of
    shortage."""
    from transforms.mixing.budget import divide_tokens

    if mix.shortage == "refuse" or not budgets:
        return []
    asked = divide_tokens(mix.tokens, mix.proportions)
    wanted = {name: budgets[name].wanted_tokens for name in sorted(budgets)}
    short = [name for name, one in wanted.items() if budgets[name].most_tokens < asked[name]]
    if mix.shortage == "less":
        total = sum(wanted.values())
        if total == mix.tokens:
            return []
        least = min(short, key=lambda name: budgets[name].most_tokens / asked[name])
        return [
            f"the mix holds {total:,} tokens, not {mix.tokens:,}: {least} can give"
            f" {budgets[least].most_tokens:,} of the {asked[least]:,} of its share"
        ]
    return [
        f"{name} can give {budgets[name].most_tokens:,} of the {asked[name]:,} tokens of its share"
        for name in short
    ] + [
        f"{name} gives {one - asked[name]:,} tokens more than its share, which others lack"
        for name, one in wanted.items()
        if one > asked[name]
    ]


def packing_notes(mix: Manifest | None, asked: Sequencing | None) -> list[str]:
    """A sentence for each source of a mix: how full its sequences are, and what was done to
    documents that are longer."""
    if mix is None or asked is None:
        return []
    notes = []
    sources = mix.details["sources"]
    if not any("packed.sequences" in its for its in sources.values()):
        sources = {"all sources": mix.counts}  # of a shuffled mix
    for source, its in sorted(sources.items()):
        count, tokens = its.get("packed.sequences", 0), its.get("packed.tokens", 0)
        long, cut = its.get("packed.long_documents", 0), its.get("packed.cut_tokens", 0)
        full = tokens / its["packed.room_tokens"] if count else 0.0
        lengths = f"{asked.length:,} tokens"
        if len(asked.lengths) > 1:
            lengths = f"{asked.shortest:,} to {lengths}"
        note = f"{source}: {count:,} sequences of {lengths}, {full:.2%} full"
        if long:
            did = f"cut, {cut:,} tokens left out" if cut else "split"
            note += f"; {long:,} longer documents {did}"
        notes.append(note)
    return notes


def budgets_table(
    sources: Mapping[str, Mapping[str, float | None]], short: Sequence[str] = ()
) -> Screen:
    """What a mix would hold of each source, as far as it is known: `asked` by its share, `wanted`
    after the recipe's rule of shortage. `short`: see `shortfalls`."""
    rows = [
        (name, *("not known yet" if one is None else _number(one) for one in numbers.values()))
        for name, numbers in sources.items()
    ]
    header = ("source", "available", "asked", "wanted", "taken", "epochs")
    return Screen("Mix, in tokens", header, rows, frozenset({"source"}), "\n".join(short))


def describe_fuzzy(fuzzy: Fuzzy) -> dict[str, Any]:
    """The numbers of the search for near duplicates, and with which probability it finds a pair, by
    its similarity."""
    from transforms.dedup.minhash import probability

    similarities = sorted({*(n / 10 for n in range(3, 10)), 0.75, 0.85, fuzzy.similarity})
    return {
        **asdict(fuzzy),
        "found": [
            {"similarity": one, "probability": round(probability(one, fuzzy.bands, fuzzy.rows), 6)}
            for one in similarities
        ],
    }


def bands_table(described: Mapping[str, Any]) -> Screen:
    """The same for a terminal."""
    wanted = described["similarity"]
    rows = [
        (f"{one['similarity']:g}", f"{one['probability']:.4f}", verdict)
        for one in described["found"]
        for verdict in ["removed" if one["similarity"] >= wanted else "stays, once compared"]
    ]
    title = (
        f"Near duplicates: word {described['ngram']}-grams, MinHash {described['bands']} x"
        f" {described['rows']}, removed from a true similarity of {wanted:g} on"
    )
    header = ("similarity of a pair", "found with probability", "and then")
    return Screen(title, header, rows, frozenset({"and then"}))


def stages_table(states: Iterable[StageState]) -> Screen:
    """One row per stage, its sources and tables together."""
    from transforms.datasets import sum_counts

    by_stage: dict[str, list[StageState]] = {}
    for state in states:
        by_stage.setdefault(state.stage, []).append(state)
    rows = []
    for stage, its in by_stage.items():
        to_do = [one.name.partition(" ")[2] for one in its if one.state == "to do"]
        if to_do:
            named = f": {', '.join(to_do)}" if len(to_do) < len(its) else ""
            rows.append((stage, f"to do{named}", ""))
        else:
            counts = sum_counts(one.counts for one in its)
            rows.append((stage, "up to date", "\n".join(_removals(counts))))
    header = ("stage", "state", "removes")
    return Screen("Stages", header, rows, frozenset({"state", "removes", "stage"}))


def exchanges_table(exchanges: Iterable[Mapping[str, Any]]) -> Screen:
    """What stages exchange, and what carries it."""
    rows = [
        (one["stage"], one["exchange"], f"{one['most_bytes'] / 1e6:,.1f} MB", one["carrier"])
        for one in exchanges
    ]
    header = ("stage", "exchange", "at most", "carrier")
    return Screen("Exchanges", header, rows, frozenset({"stage", "exchange", "carrier"}))


def published_table(runs: Iterable[Mapping[str, Any]]) -> Screen:
    """The earlier runs with whose published keys the pool is compared."""
    rows = [
        (
            one["recipe"],
            f"{one['documents']:,}",
            f"{one['survivors']:,}",
            f"{one['bytes'] / 1e6:,.1f} MB",
            one["keys"],
        )
        for one in runs
    ]
    header = ("run", "documents", "that stay", "keys", "at")
    return Screen("Compared with, and after", header, rows, frozenset({"run", "at"}))


def _removals(counts: Mapping[str, int]) -> list[str]:
    reasons = [
        f"{count:,} {reason.removeprefix('removed.').replace('quarantined.', 'quarantined: ')}"
        for reason, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        if reason.startswith(("removed.", "quarantined.")) and count
    ]
    if not reasons and counts.get("removed"):
        reasons = [f"{counts['removed']:,} duplicate"]
    if counts.get("cut.passages"):
        reasons.append(
            f"{counts['cut.passages']:,} passages of {counts['cut.documents']:,} documents"
            f" ({counts['cut.bytes']:,} bytes)"
        )
    if counts.get("unmatchable_items"):
        reasons.append(f"{counts['unmatchable_items']:,} items too short to be looked for")
    return reasons


def checks_table(mix: str, checks: Iterable[Check]) -> Screen:
    """Verdicts on a mix; what failed comes first."""
    rows = [
        (one.name, "good" if one.ok else "FAILED", _shown(one.seen), _shown(one.wanted))
        for one in sorted(checks, key=lambda one: one.ok)
    ]
    header = ("check", "verdict", "seen", "wanted")
    return Screen(f"Verify {mix}", header, rows, frozenset(header))


def labels_table(labels: Mapping[str, Iterable[Mapping[str, Any]]]) -> Screen:
    """Precision and recall of a classifier per label and threshold."""
    rows = [
        (
            name,
            f"{row['at_least']:.2f}",
            f"{row['documents']:,}",
            *("" if one is None else f"{one:.3f}" for one in (row["precision"], row["recall"])),
        )
        for name, its in labels.items()
        for row in its
    ]
    header = ("label", "at least", "documents", "precision", "recall")
    return Screen("On documents held out", header, rows, frozenset({"label"}))


def _number(value: float) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def _shown(value: object) -> str:
    """A value of a check: one source a line, hashes shortened."""
    if isinstance(value, Mapping):
        return "\n".join(f"{name} {_in_a_line(one)}" for name, one in value.items())
    return _in_a_line(value)


def _in_a_line(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_in_a_line(one)}" for name, one in value.items())
    if isinstance(value, str) and len(value) == HASH_HEX:
        return f"{value[:16]}..."
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)
