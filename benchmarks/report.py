"""Results: what was measured of each stage, as JSON-able values and as RESULTS.md.

A ratio is told only where the check of both sides' work was passed; else the check's sentence
stands in its place. Everything but the figures is the same in each run of the same versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.checks import Check
from benchmarks.measure import Measurement
from benchmarks.stages import STAGES, Peer, Stage

__all__ = ["PeerResult", "Results", "StageResult", "compare", "render_markdown", "to_json"]


@dataclass(frozen=True)
class PeerResult:
    """A peer beside Vineleaf. `ratio`: how many times as fast Vineleaf is; None where a side was
    not measured or `check` failed. `times`: what it should be."""

    measurement: Measurement
    check: Check
    ratio: float | None
    times: float | None
    by_wall: bool


@dataclass(frozen=True)
class StageResult:
    """A stage's results; `name` as in `STAGES`."""

    name: str
    ours: Measurement
    peers: tuple[PeerResult, ...]


@dataclass(frozen=True)
class Results:
    """A run: corpus and machine as {name: value}, versions by distribution, results in order;
    `date` as it was given."""

    corpus: Mapping[str, Any]
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    stages: Sequence[StageResult]
    date: str = ""


def compare(ours: Measurement, theirs: Measurement, peer: Peer, check: Any) -> PeerResult:
    """Check both sides' answers, and compare their speed where they did the same work."""
    for measured in (ours, theirs):
        if measured.problem:
            return PeerResult(
                theirs, Check(False, measured.problem), None, peer.times, peer.by_wall
            )
    try:
        checked = check(ours.answer, theirs.answer)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        checked = Check(False, f"answers cannot be compared ({type(error).__name__}: {error})")
    ratio = None
    if checked.ok:
        seconds = [
            (one.wall_seconds if peer.by_wall else one.cpu_seconds) / one.run_bytes
            for one in (ours, theirs)
        ]
        ratio = seconds[1] / seconds[0]
    return PeerResult(theirs, checked, ratio, peer.times, peer.by_wall)


def to_json(results: Results) -> dict[str, Any]:
    """All of it but the answers, which are as long as the corpus."""
    value = asdict(results)
    for stage in value["stages"]:
        for measured in (stage["ours"], *(peer["measurement"] for peer in stage["peers"])):
            del measured["answer"]
    return value


def _met(reached: float | None, wanted: float | None) -> str:
    if wanted is None:
        return ""
    if reached is None:
        return f"{wanted:g}, not known"
    return f"{wanted:g}, {'reached' if reached >= wanted else 'missed'}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _limit(ours: Measurement, known: Stage) -> str:
    if known.most_seconds is None:
        return _met(ours.rate, known.rate)
    kept = "kept" if ours.wall_seconds <= known.most_seconds else "missed"
    return f"at most {known.most_seconds:g} s, {kept}"


def _own_row(stage: StageResult) -> str:
    ours = stage.ours
    known = STAGES[stage.name]
    if ours.problem:
        return f"| {known.title} | {ours.problem} | | | | | | |"
    added = ours.peak_bytes - ours.peak_before_bytes
    cells = (
        known.title,
        _number(ours.rate),
        _limit(ours, known),
        f"{ours.cpu_seconds / ours.run_bytes * 1e6:.4f}",
        f"{ours.wall_seconds:.2f}",
        f"{ours.first_seconds:.1f}",
        f"{ours.run_bytes / 1e6:.1f}",
        f"{ours.peak_bytes / 1e6:,.0f} ({added / 1e6:,.0f})",
    )
    return f"| {' | '.join(cells)} |"


def _peer_row(stage: StageResult, peer: PeerResult) -> str:
    theirs = peer.measurement
    title = STAGES[stage.name].title
    if theirs.problem:
        return f"| {title} | {theirs.side} | | not measured | | {theirs.problem} | | |"
    if peer.ratio is None:
        ratio = "not the same work"
    else:
        ratio = f"{_number(peer.ratio)} times{' (wall)' if peer.by_wall else ''}"
    return (
        f"| {title} | {theirs.side} | {_number(theirs.rate)} | {ratio}"
        f" | {_met(peer.ratio, peer.times)} | {peer.check.sentence}"
        f" | {theirs.run_bytes / 1e6:.1f} | {theirs.peak_bytes / 1e6:,.0f} |"
    )


def _road_cost(results: Results) -> list[str]:
    """What a run costs however little text there is, and what each further MB costs."""
    found = {stage.name: stage.ours for stage in results.stages if not stage.ours.problem}
    if not {"road", "road-start"} <= found.keys():
        return []
    road, start = found["road"], found["road-start"]
    seconds = road.cpu_seconds - start.cpu_seconds
    megabytes = (road.run_bytes - start.run_bytes) / 1e6
    if seconds <= 0 or megabytes <= 0:
        return []
    return [
        f"The whole road takes {_number(start.cpu_seconds)} CPU s for"
        f" {start.run_bytes / 1e6:.1f} MB of text, most of them for building and starting Beam's"
        f" pipelines and for gates, and {seconds / megabytes:.3f} for each further MB:"
        f" {_number(megabytes / seconds)} MB per CPU s where there is much text.",
        "",
    ]


def render_markdown(results: Results) -> str:
    """RESULTS.md."""
    corpus = results.corpus
    kinds = ", ".join(
        f"{kind} {corpus['kind_bytes'][kind] / 1e6:.1f} MB in {number:,}"
        for kind, number in corpus["documents"].items()
    )
    lines = [
        "# Benchmarks: results",
        "",
        "Written by `make bench`. MB is 10^6 bytes of text (of HTML where a row says so). Rates are"
        " per CPU second, user and system, of all threads and children of a process that does"
        " nothing else; the least of the repeats. `first` is the CPU time of the first call, on a"
        " little text, in a process: loading compiled code, or compiling where none is cached."
        " Memory is the most that was resident, inputs included; in brackets, what the measured"
        " runs added to it.",
        "",
        *([f"Date: {results.date}", ""] if results.date else []),
        f"Machine: {'; '.join(f'{name} {value}' for name, value in results.machine.items())}.",
        "",
        f"Corpus: {corpus['text_bytes'] / 1e6:.1f} MB of text ({kinds} documents),"
        f" {corpus['html_bytes'] / 1e6:.1f} MB of HTML, {corpus['copies']:,} planted copies,"
        f" {corpus['contaminated']:,} contaminated documents; SHA-256 `{corpus['digest']}`.",
        "",
        "Benchmarks looked for, in items: "
        + ", ".join(f"{name} {number:,}" for name, number in corpus["looked_for"].items())
        + ".",
        "",
        "![Rates of each stage and of its peers](results.svg)",
        "",
        "## Vineleaf",
        "",
        "| stage | MB per CPU s | at least | CPU s per MB | wall s | first, CPU s | MB measured"
        " | peak MB (added) |",
        "|---|---|---|---|---|---|---|---|",
        *(_own_row(stage) for stage in results.stages),
        "",
        *_road_cost(results),
        "## Beside peers",
        "",
        "A ratio stands only where the check was passed: same verdicts, tokens, labels, signatures"
        " that estimate as well. A peer that gets a slice gets the first documents of the corpus,"
        " which are in the order of a hash.",
        "",
        "| stage | peer | MB per CPU s | Vineleaf is | at least | check | MB measured | peak MB |",
        "|---|---|---|---|---|---|---|---|",
        *(_peer_row(stage, peer) for stage in results.stages for peer in stage.peers),
        "",
        "## Versions",
        "",
        ", ".join(f"{name} {found}" for name, found in results.versions.items()) + ".",
        "",
        "Corpus made from "
        + ", ".join(f"{name} {found}" for name, found in corpus["versions"].items())
        + ".",
        "",
    ]
    return "\n".join(lines)
