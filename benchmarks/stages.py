"""The registry of stages: Vineleaf's side, its peers, what it should reach, and the checks.

`STAGES` is by the name that `--stage` takes. Slow peers get a slice: the first documents of the
corpus, which are in the order of a keyed hash and so a fair sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.checks import (
    Check,
    same_documents,
    same_estimates,
    same_kept,
    same_labels,
    same_marks,
    same_outputs,
    same_planted,
    same_text,
    same_tokens,
    same_verdicts,
)
from benchmarks.inputs import read_documents, read_truth
from benchmarks.measure import Side

__all__ = ["STAGES", "Context", "Peer", "Stage"]

MB = 1_000_000


@dataclass(frozen=True)
class Context:
    """What stages are measured on: the corpus' folder and how much of it; paths of the models; a
    folder of further benchmarks, or empty."""

    corpus: str
    text_bytes: int
    ranks: str  # a folder for TIKTOKEN_CACHE_DIR
    tokenizer: str
    language_model: str
    quality_model: str
    sets: str

    def options(self, side: Side) -> Side:
        """The side with the options and variables that all sides get."""
        models = {"language": self.language_model, "quality": self.quality_model}
        given = dict(side.options)
        given["model"] = models.get(given.get("model", "language"), "")
        return replace(
            side,
            options=tuple({"tokenizer": self.tokenizer, "sets": self.sets, **given}.items()),
            variables=(("TIKTOKEN_CACHE_DIR", self.ranks), *side.variables),
        )


CheckMaker = Callable[[Context, Side], Callable[[Any, Any], Check]]


@dataclass(frozen=True)
class Peer:
    """A peer's side; `check` makes the check of its answer; `times`: how many times as fast
    Vineleaf should be, where that was said. `by_wall`: throughputs are compared, not CPU time."""

    side: Side
    check: CheckMaker
    times: float | None = None
    by_wall: bool = False


@dataclass(frozen=True)
class Stage:
    """A stage; `rate`: MB per CPU second that it should reach; `most_seconds`: wall, that it may
    take."""

    title: str
    ours: Side
    peers: tuple[Peer, ...] = ()
    rate: float | None = None
    most_seconds: float | None = None


def _plain(check: Callable[[Any, Any], Check]) -> CheckMaker:
    return lambda context, side: check


def _ids(context: Context, side: Side) -> list[str]:
    size = min(context.text_bytes, side.text_bytes or context.text_bytes)
    return [one["id"] for one in read_documents(context.corpus, size)]


def _planted(context: Context, side: Side) -> Callable[[Any, Any], Check]:
    planted = [one for one, _, _ in read_truth(context.corpus)["contaminated"]]
    check: Callable[[Any, Any], Check] = same_planted(planted, _ids(context, side))
    return check


def _kept(context: Context, side: Side) -> Callable[[Any, Any], Check]:
    check: Callable[[Any, Any], Check] = same_kept(_ids(context, side))
    return check


def _one_rule(name: str) -> Stage:
    side = Side("vineleaf", "benchmarks.ours.rules:one_rule", options=(("rule", name),))
    return Stage(f"rule {name} alone", side)


def _ours(function: str, **options: Any) -> Side:
    return Side("vineleaf", f"benchmarks.ours.{function}", options=tuple(options.items()))


def _peer(
    name: str, function: str, megabytes: float | None, environment: str = "", **options: Any
) -> Side:
    size = None if megabytes is None else int(megabytes * MB)
    return Side(name, f"benchmarks.peers.{function}", environment, size, tuple(options.items()))


STAGES: Mapping[str, Stage] = {
    "rules": Stage(
        "web rules together: Gopher, C4, FineWeb, MADLAD, Dolma 3",
        _ours("rules:web_rules"),
        (
            Peer(
                _peer("datatrove Gopher repetition", "datatrove:gopher_repetition", 1),
                _plain(same_verdicts("gopher repetition")),
                times=50,
            ),
            Peer(
                _peer("datatrove Gopher quality", "datatrove:gopher_quality", 1),
                _plain(same_verdicts("gopher quality")),
            ),
            Peer(_peer("datatrove C4", "datatrove:c4", 1), _plain(same_verdicts("c4"))),
            Peer(
                _peer("datatrove FineWeb", "datatrove:fineweb", 1), _plain(same_verdicts("fineweb"))
            ),
            Peer(
                _peer("dolma gopher_v2", "dolma:gopher", 1, "dolma"),
                _plain(same_verdicts("gopher repetition")),
            ),
            Peer(_peer("dolma c4_v2", "dolma:c4", None, "dolma"), _plain(same_marks("c4 marks"))),
        ),
        rate=30,
    ),
    "minhash": Stage(
        "MinHash signatures, 26 x 11, word 5-grams",
        _ours("signatures:minhash"),
        (
            Peer(
                _peer("rensa, shingles by Python", "signatures:rensa", 8),
                _plain(same_estimates),
                times=10,
            ),
            Peer(
                _peer("datasketch, shingles by Python", "signatures:datasketch", 2),
                _plain(same_estimates),
            ),
            Peer(
                _peer("text-dedup", "signatures:text_dedup", 1, "text-dedup"),
                _plain(same_estimates),
            ),
            Peer(_peer("datatrove", "datatrove:minhash", 0.5), _plain(same_estimates)),
        ),
        rate=100,
    ),
    "exact": Stage(
        "exact deduplication: texts hashed, copies found",
        _ours("signatures:exact"),
        (Peer(_peer("datatrove", "datatrove:exact", None), _plain(same_documents)),),
    ),
    "substring": Stage(
        "substring deduplication, 500 bytes, through Beam",
        _ours("passages:substring"),
        rate=10,
    ),
    "decontaminate": Stage(
        "8-gram decontamination",
        _ours("contamination:decontaminate"),
        (Peer(_peer("datatrove", "datatrove:decontaminate", 3), _planted),),
        rate=150,
    ),
    "bpe": Stage(
        "tokens of cl100k_base, one thread",
        _ours("tokens:encode"),
        (
            Peer(
                _peer("tiktoken encode_ordinary", "byte_pairs:tiktoken", 16), _plain(same_tokens), 6
            ),
            Peer(_peer("bpe-openai", "byte_pairs:bpe_openai", 16), _plain(same_tokens), 2.5),
            Peer(_peer("rs-bpe", "byte_pairs:rs_bpe", 16), _plain(same_tokens), 2.5),
            Peer(_peer("tokenizers", "byte_pairs:tokenizers", 4), _plain(same_tokens), 2.5),
        ),
        rate=60,
    ),
    "language": Stage(
        "language by lid.176.ftz, whole documents",
        _ours("models:language"),
        (
            Peer(
                _peer("fasttext-predict", "fasttext:predict", 8, "fasttext-predict"),
                _plain(same_labels),
                times=4,
            ),
        ),
    ),
    "quality": Stage(
        "fastText quality model, 100 dimensions, bigrams",
        _ours("models:quality", model="quality"),
        (
            Peer(
                _peer("fasttext", "fasttext:predict", 16, model="quality"),
                _plain(same_labels),
                times=1.5,
            ),
        ),
    ),
    "html": Stage(
        "HTML to main text (MB of HTML)",
        _ours("pages:extract"),
        (
            Peer(
                _peer("resiliparse, plain call", "extractors:resiliparse", None), _plain(same_text)
            ),
            Peer(_peer("trafilatura", "extractors:trafilatura", 2), _plain(same_text)),
        ),
    ),
    "road": Stage(
        "the whole road, JSONL to tokens, through Beam",
        _ours("road:road", workers=1),
        (Peer(_peer("datatrove", "datatrove_road:road", 4), _kept, times=100),),
        rate=12,
    ),
    "cores": Stage(
        "the whole road on two cores, with four times the text",
        _ours("road:road", workers=2, turns=4),
        (
            Peer(
                replace(_ours("road:road", workers=1, turns=4), name="vineleaf on one core"),
                _plain(same_outputs),
                times=1.8,
                by_wall=True,
            ),
        ),
    ),
    "road-start": Stage(
        "the whole road with 1 MB of text: what a run costs at least",
        replace(_ours("road:road", workers=1), text_bytes=MB),
    ),
    "up-to-date": Stage(
        "vineleaf run, new process, nothing to do (wall time counts)",
        replace(_ours("road:up_to_date", workers=1), text_bytes=MB),
        most_seconds=3,
    ),
    **{
        f"rule-{name}": _one_rule(name)
        for name in ("gopher", "c4", "fineweb", "madlad", "dolma3_lines")
    },
}
