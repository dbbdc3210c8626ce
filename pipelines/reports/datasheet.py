"""The datasheet of a mix: the page that people read before they train on it.

In: what is known of a mix when it is published, and its funnel. Out: Markdown. What it says of
sources, their licences, what was left out and how to read the files follows the questions of Gebru
et al. 2018 ("Datasheets for Datasets"): what a mix is made of, how it was collected and cleaned,
and how it is used. No clock and no machine: equal mixes have equal pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.filesize import decimal

from pipelines.mixing.outputs import OUTPUTS
from pipelines.reports.funnel import Funnel, FunnelStep, fold_reasons
from pipelines.reports.markdown import plain, table
from pipelines.reports.rearranged import (
    MiddleFacts,
    RepeatFacts,
    write_middles,
    write_repetition,
)
from transforms.datasets import OutputFile
from transforms.mixing.curriculum import StageTokens
from transforms.mixing.sequences import Sequencing
from transforms.mixing.window import Window, WindowBounds

__all__ = [
    "FUNNEL_PLOT",
    "QUALITY_PLOT",
    "SHARES_PLOT",
    "BenchmarkFacts",
    "MixFacts",
    "SourceFacts",
    "write_datasheet",
]

FUNNEL_PLOT = "about/funnel.svg"
SHARES_PLOT = "about/shares.svg"
QUALITY_PLOT = "about/quality.svg"
MOST_LICENSES = 8  # of a source
READ_BY = {
    "tokens": "OLMo-core, `numpy.memmap(path, '<u4')`, `mixes.reader`",
    "megatron": "Megatron-LM, NeMo: the path without suffix",
    "mds": "MosaicML `StreamingDataset(local=...)`",
    "parquet": "`datasets`, DuckDB, pandas",
    "jsonl": "dolma, `datasets`",
    "sequences": "OLMo-core as a fixed-length dataset of each length, `mixes.reader`",
}


@dataclass(frozen=True)
class SourceFacts:
    """What is in a mix of one source, in tokens (EOS included) and documents (copies counted;
    `distinct` counts each once). `licenses`: those that documents state, with (documents, tokens).
    `inputs`: files that it was read from, with their bytes."""

    name: str
    ingest: str
    tokens: int
    documents: int
    distinct: int
    available_tokens: int
    share: float
    asked_share: float
    available_share: float
    epochs: float
    inputs: tuple[int, int]
    fingerprint: str  # of its documents
    licenses: Mapping[str, tuple[int, int]]
    description: str = ""
    homepage: str = ""
    license: str = ""


@dataclass(frozen=True)
class BenchmarkFacts:
    """What text was scanned for: benchmarks with their items, and items too short to be found."""

    fingerprint: str  # of the index
    ngram: int
    ngrams: int
    ignored: int  # phrases that are no sign of a benchmark
    removes: str  # document or passage
    items: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class MixFacts:
    """What is known of a mix beside its funnel. `files`: all but those that are written with the
    page, whose sizes in bytes are `written`; `packed`: counters of its sequences."""

    name: str
    description: str
    fingerprint: str
    code: str  # version of the package
    tokenizer: str  # its fingerprint
    vocabulary_size: int
    eos: int
    pad: int
    order: str
    seed: int
    sources: tuple[SourceFacts, ...]
    files: Sequence[OutputFile]
    sequence: Sequencing | None
    packed: Mapping[str, int]
    benchmarks: BenchmarkFacts | None
    plots: tuple[str, ...] = ()
    written: Sequence[int] = ()
    windows: Mapping[str, tuple[Window, WindowBounds]] = field(default_factory=dict)  # by source
    stages: Sequence[Mapping[str, StageTokens]] = ()  # of a curriculum, by source
    middles: MiddleFacts | None = None
    repeat: RepeatFacts | None = None

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.sources)

    @property
    def documents(self) -> int:
        return sum(one.documents for one in self.sources)


def write_datasheet(mix: MixFacts, funnel: Funnel) -> str:
    """The page. Sources stand in the order of the recipe."""
    parts = [
        *_title(mix),
        *_sources(mix),
        *_stages(mix),
        *write_middles(mix.middles),
        *write_repetition(mix.repeat),
        *_reading(mix),
        *_left_out(mix, funnel),
        *_benchmarks(mix),
        *_proof(mix),
    ]
    return "\n\n".join(parts) + "\n"


def _title(mix: MixFacts) -> Iterator[str]:
    yield f"# {mix.name}"
    if mix.description:
        yield mix.description
    sources = _count(len(mix.sources), "source")
    yield (
        f"A mix of {_rounded(mix.tokens)} tokens in {_count(mix.documents, 'document')} from"
        f" {sources}, tokenized and ready to train on."
    )
    distinct = sum(one.distinct for one in mix.sources)
    repeated = "" if distinct == mix.documents else f", of which {distinct:,} are different"
    rows = [
        ("tokens", f"{mix.tokens:,}, EOS of each document included"),
        ("documents", f"{mix.documents:,}{repeated}"),
        *(
            [("sequences", _sequences(mix.sequence, mix.packed))]
            if mix.sequence is not None
            else []
        ),
        ("order", _order(mix)),
        ("tokenizer", f"{mix.vocabulary_size:,} tokens, EOS {mix.eos}, PAD {mix.pad}"),
        ("size", _size(mix)),
        ("made by", f"Vineleaf {mix.code}"),
    ]
    yield table(("the mix", "holds"), rows, ("the mix", "holds"))


def _sequences(asked: Sequencing, packed: Mapping[str, int]) -> str:
    count, room = packed.get("packed.sequences", 0), packed.get("packed.room_tokens", 0)
    full = packed.get("packed.tokens", 0) / room if room else 0.0
    lengths = f"{asked.length:,} tokens"
    if len(asked.lengths) > 1:
        lengths = f"{asked.shortest:,} to {lengths}"
    return f"{count:,} of {lengths}, {full:.1%} full ({asked.packing.replace('_', '-')})"


def _size(mix: MixFacts) -> str:
    size = sum(file.size_bytes for file in mix.files) + sum(mix.written)
    files = len(mix.files) + len(mix.written)
    return f"{decimal(size)} in {files:,} files, beside this page and the manifest"


def _order(mix: MixFacts) -> str:
    if mix.stages:
        return (
            f"{len(mix.stages)} stages, each shuffled by a keyed hash (seed {mix.seed}); see below"
        )
    if mix.order == "shuffled":
        return f"shuffled over the whole mix by a keyed hash (seed {mix.seed})"
    return "by source, as documents lie in the pool: let the trainer shuffle"


def _sources(mix: MixFacts) -> Iterator[str]:
    yield "## Sources"
    header = (
        "source", "tokens", "share", "asked", "epochs", "documents", "different", "licence",
    )  # fmt: skip
    rows = [
        (
            one.name,
            f"{one.tokens:,}",
            _percent(one.share),
            _percent(one.asked_share),
            f"{one.epochs:.2f}",
            f"{one.documents:,}",
            f"{one.distinct:,}",
            plain(one.license) or ("see below" if one.licenses else "not stated"),
        )
        for one in mix.sources
    ]
    total = (
        "all", f"{mix.tokens:,}", _percent(1.0), _percent(1.0), "", f"{mix.documents:,}",
        f"{sum(one.distinct for one in mix.sources):,}", "",
    )  # fmt: skip
    yield table(header, [*rows, total], ("source", "licence"))
    yield (
        "Share: of the mix's tokens; asked: by the recipe. Epochs: tokens taken over tokens that"
        " there are after all rules; a document taken twice counts twice, but once as a different"
        " one."
    )
    told = [_told(one) for one in mix.sources if one.description or one.homepage]
    if told:
        yield "\n".join(told)
    yield f"![Shares of the sources in the mix and in what there is]({SHARES_PLOT})"
    if QUALITY_PLOT in mix.plots:
        yield f"Better documents are taken more often:\n\n![Epochs by quality]({QUALITY_PLOT})"
    stated = [row for one in mix.sources for row in _licenses(one)]
    if stated:
        yield "### Licences that documents state"
        yield table(
            ("source", "licence", "documents", "tokens", "share of it"), stated,
            ("source", "licence"),
        )  # fmt: skip
        yield (
            "As found in the documents or in the files that they came with; nobody has looked"
            " whether they are right."
        )


def _stages(mix: MixFacts) -> Iterator[str]:
    if not mix.stages:
        return
    yield "## Stages"
    yield (
        "The mix is a curriculum: read its files in the order of their names, and do not shuffle"
        " across stages. Documents of a stage are shuffled; none comes again before all that are"
        " taken of its source have come once."
    )
    rows = []
    for number, stage in enumerate(mix.stages, 1):
        tokens = sum(its.taken_tokens for its in stage.values())
        held = ", ".join(
            f"{source} {_percent(its.taken_tokens / tokens)}"
            for source, its in stage.items()
            if its.taken_tokens
        )
        share = _percent(tokens / mix.tokens) if mix.tokens else ""
        rows.append((f"{number}", f"`part-stage{number:02d}-*`", f"{tokens:,}", share, held))
    header = ("stage", "files", "tokens", "of the mix", "sources")
    yield table(header, rows, ("files", "sources"))


def _told(one: SourceFacts) -> str:
    """A line of a list: what a source is."""
    description = plain(one.description)
    link = f"<{one.homepage}>" if one.homepage else ""
    return f"- **{one.name}**: {' '.join(part for part in (description, link) if part)}"


def _licenses(one: SourceFacts) -> Iterator[tuple[str, ...]]:
    """Rows of a source: its most frequent licences, all others, and documents without one."""
    if not one.licenses:
        return
    rows = [(plain(name), *numbers) for name, numbers in one.licenses.items()]
    shown = len(rows) if len(rows) <= MOST_LICENSES + 1 else MOST_LICENSES
    rest = rows[shown:]
    rows = rows[:shown]
    if rest:
        others = f"{len(rest)} others"
        rows.append((others, sum(row[1] for row in rest), sum(row[2] for row in rest)))
    unstated = one.documents - sum(row[1] for row in rows)
    if unstated:
        rows.append(("not stated", unstated, one.tokens - sum(row[2] for row in rows)))
    for number, (name, documents, tokens) in enumerate(rows):
        share = _percent(tokens / one.tokens) if one.tokens else ""
        yield (one.name if not number else "", name, f"{documents:,}", f"{tokens:,}", share)


def _reading(mix: MixFacts) -> Iterator[str]:
    yield "## How to read it"
    yield (
        "Token files are raw little-endian `uint32` without a header, 4 bytes a token, documents"
        f" back to back, each closed by EOS ({mix.eos}). The `.csv.gz` beside each tells where a"
        " document begins and ends (in tokens, half-open), its id, and where it came from."
    )
    outputs = []
    for output, suffix in OUTPUTS.items():
        its = [one for one in mix.files if one.path.startswith(f"{output}/")]
        if its:
            parts = sum(one.path.endswith(suffix) for one in its)
            size = decimal(sum(one.size_bytes for one in its))
            outputs.append((f"`{output}/`", f"{parts:,}", size, READ_BY[output]))
    yield table(("files in", "parts", "size", "read by"), outputs, ("files in", "read by"))
    yield (
        "In a training loop, from a disk or an object store, resumable, by rank (the path is that"
        " of the folder which holds this page, here as seen from the workspace):\n\n"
        "```python\n"
        "from mixes.reader import MixReader\n\n"
        f'for document in MixReader("mixes/{mix.name}", rank=0, world_size=8, shuffle=True):\n'
        "    train(document.tokens)  # uint32, EOS included; also .id and .source\n"
        "```"
    )
    if mix.sequence is not None:
        yield from _reading_sequences(mix)


def _reading_sequences(mix: MixFacts) -> Iterator[str]:
    """How packed sequences are read, of each length that the mix has."""
    paths = [one.path.split("/") for one in mix.files if one.path.startswith("sequences/")]
    lengths = sorted({int(path[2]) for path in paths if len(path) > 3}, reverse=True)
    start = f'reader = MixReader("mixes/{mix.name}", read="packed", '
    options = "rank=0, world_size=8, shuffle=True)"
    if not lengths:
        lines = [f"{start}{options}", "for tokens in reader:", "    train(tokens)"]
    else:
        lines = [
            f"for length in ({', '.join(map(str, lengths))},):  # each makes batches of its own",
            f"    {start}length=length, {options}",
            "    for tokens in reader:",
            "        train(tokens)",
        ]
    code = "\n".join(["```python", "from mixes.reader import MixReader", "", *lines])
    yield f"Its packed sequences, filled up with PAD ({mix.pad}):\n\n{code}  # uint32[length]\n```"


def _left_out(mix: MixFacts, funnel: Funnel) -> Iterator[str]:
    yield "## What was left out"
    yield (
        "Of each source, what came in, what each stage kept, and why the others are not here. A"
        " document counts under the first rule that removes it. The ledger balances: what one stage"
        " kept is what the next one saw."
    )
    for source, (window, bounds) in mix.windows.items():
        yield (
            f"Of {source}, documents whose `{window.score}` is not {bounds.told} count under"
            f" `window`: the quantiles {window.low:g} and {window.high:g} of"
            f" {_count(bounds.documents, 'document')}, of which {bounds.kept:,} stayed."
        )
    yield f"![Documents left after each stage]({FUNNEL_PLOT})"
    steps: dict[str, list[FunnelStep]] = {}
    for step in funnel.steps:
        steps.setdefault(step.source, []).append(step)
    words = ("stage", "left out, and why")
    header = ("stage", "documents in", "kept", "text kept", "tokens kept", "left out, and why")
    for source, its in steps.items():
        yield f"### {source}"
        yield table(header, [_row(step) for step in its], words)
    quarantined = sum(sum(step.quarantined.values()) for step in funnel.steps)
    if quarantined:
        records = _count(quarantined, "record")
        yield f"{records} could not be read and {'was' if quarantined == 1 else 'were'} set aside."


def _row(step: FunnelStep) -> tuple[str, ...]:
    return (
        step.stage,
        f"{step.seen:,}",
        f"{step.kept:,}" + (f" ({step.copies:,} with copies)" if step.repeats else ""),
        "" if step.text_bytes is None else decimal(step.text_bytes),
        "" if step.tokens is None else f"{step.tokens:,}",
        ", ".join(_reasons(step)),
    )


def _reasons(step: FunnelStep) -> Iterator[str]:
    """The most frequent reasons, most first."""
    reasons = {
        **step.removed,
        **{f"quarantined ({reason})": count for reason, count in step.quarantined.items()},
    }
    for count, reason in fold_reasons(reasons):
        yield f"{count} {plain(reason)}"
    if step.cut.get("passages"):
        cut, size = step.cut["passages"], decimal(step.cut.get("bytes", 0))
        yield f"{_count(cut, 'passage')} ({size}) cut from what is kept"


def _benchmarks(mix: MixFacts) -> Iterator[str]:
    yield "## Benchmarks"
    its = mix.benchmarks
    if its is None:
        yield "The recipe names no benchmark: this mix was **not** scanned for any."
        return
    done = "documents were left out" if its.removes == "document" else "passages were cut"
    ignored = _count(its.ignored, "set phrase") + " that the recipe names"
    but = f", but for {ignored}" if its.ignored else ""
    yield (
        f"No {its.ngram} words in a row of these benchmarks stand in the mix{but}: {done} that held"
        " some, and the finished tokens were decoded and scanned again. The index holds hashes of"
        f" {_count(its.ngrams, 'n-gram')}, no text."
    )
    rows = [(plain(name), f"{items:,}", f"{short:,}") for name, (items, short) in its.items.items()]
    yield table(("benchmark", "items", "too short to be looked for"), rows, ("benchmark",))


def _proof(mix: MixFacts) -> Iterator[str]:
    yield "## Where it comes from, and how to check"
    of_file = {one.path: one.sha256 for one in mix.files}
    rows = [
        ("this mix", f"`{mix.fingerprint}`", "fingerprint; the folder's name"),
        ("recipe", _hash(of_file.get("about/recipe.json", "")), "[recipe](about/recipe.json)"),
        ("tokenizer", _hash(mix.tokenizer), "[tokenizer](about/tokenizer)"),
    ]
    if mix.benchmarks:
        index = "[index of n-grams](about/benchmarks.arrow)"
        rows.append(("benchmarks", _hash(mix.benchmarks.fingerprint), index))
    for one in mix.sources:
        files, size_bytes = one.inputs
        told = f"{_count(files, 'input file')} ({one.ingest}), {decimal(size_bytes)}"
        rows.append((one.name, _hash(one.fingerprint), told))
    yield table(("what", "hash", "is"), rows, ("what", "hash", "is"))
    yield (
        "[The plan](about/plan.json) says what the recipe asked, what there was and what was taken;"
        " [the ledger](about/ledger.json) has every reason with its count;"
        " [the manifest](manifest.json) has the SHA-256 of every file. The same recipe, inputs and"
        " version make the same bytes again. To prove it from the files alone, by hashes, counts,"
        " decoded text, shares and a new scan for benchmarks, from the folder that holds `mixes/`:"
    )
    yield f"```sh\nvineleaf verify mixes/{mix.name}\n```"


def _hash(value: str) -> str:
    return f"`{value}`" if value else ""


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _count(number: int, what: str) -> str:
    """`1 document`, `2 documents`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _rounded(number: int) -> str:
    """A number as people say it: `1.24 million`; small ones whole."""
    for size, name in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        if number >= size:
            return f"{number / size:,.{2 if number < 10 * size else 1}f} {name}"
    return f"{number:,}"
