"""Whether two sides did the same work: what is asked before their speeds are compared.

In: the answers of both sides (`benchmarks.ours` says what they are), ours over at least as many
documents. Out: `Check`, with the sentence that a report prints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Check",
    "same_documents",
    "same_estimates",
    "same_kept",
    "same_labels",
    "same_marks",
    "same_outputs",
    "same_planted",
    "same_text",
    "same_tokens",
    "same_verdicts",
]

VERDICTS_AGREE = 0.8  # of documents, each side with its own words
SOME_VERDICTS_AGREE = 0.5  # of documents, where rules of one name count otherwise
VERDICTS_EXPLAINED = 0.95  # of documents, where both sides take Vineleaf's words
LABELS_AGREE = 0.99  # of documents
SCORE_TOLERANCE = 1e-5  # of probabilities
ESTIMATE_FACTOR = 1.5  # of the standard deviation that theory gives
ESTIMATE_BIAS = 0.02  # mean error of similarity
PERMUTATIONS = 286
CLEAN_AGREE = 0.95  # of documents without a planted item
TEXT_RECALL = 0.9  # of the words of a page's text, in the mean
TEXT_PRECISION = 0.8
KEPT_AGREE = 0.7  # of documents: rules and words differ, as the checks of stages tell


@dataclass(frozen=True)
class Check:
    """`ok`, and why in one sentence."""

    ok: bool
    sentence: str


def _share_equal(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    equal = [one for one, value in theirs.items() if ours[one] == value]
    return len(equal) / max(len(theirs), 1)


def same_verdicts(rule: str) -> Any:
    """A check of {id: kept}. Enough are equal with each side's own words; or nearly all with equal
    words; or, where rules of one name count otherwise, all of ours equal a plain reading of ours,
    so that what differs does so by a definition that docs/rules.md lists."""

    def check(ours: Any, theirs: Any) -> Check:
        agreed = _share_equal(ours[rule], theirs["own words"])
        sentence = f"{agreed:.1%} of {len(theirs['own words'])} verdicts equal"
        ok = agreed >= VERDICTS_AGREE
        if "our words" in theirs:
            explained = _share_equal(ours[rule], theirs["our words"])
            sentence += f", {explained:.1%} when both take our words"
            ok = explained >= VERDICTS_EXPLAINED
        if "plain reading" in theirs:
            read = _share_equal(ours[rule], theirs["plain reading"])
            sentence += f"; ours {read:.1%} those of a plain reading of docs/rules.md"
            ok = read == 1.0 and agreed >= SOME_VERDICTS_AGREE
        return Check(ok and bool(theirs["own words"]), sentence)

    return check


def same_marks(name: str) -> Any:
    """A check of {id: marks of a document's lines}, ours under `name`: all of ours equal a plain
    reading of ours, and all of theirs the same reading with the definitions of theirs that
    docs/rules.md lists, so that whatever differs does so by these."""

    def check(ours: Any, theirs: Any) -> Check:
        found, own = ours[name], theirs["own words"]
        lines = [{one: of[one]["kept_lines"] for one in own} for of in (found, own)]
        read = _share_equal(found, theirs["plain reading"])
        explained = _share_equal(own, theirs["their definitions"])
        return Check(
            bool(own) and read == explained == 1.0,
            f"{_share_equal(*lines):.1%} of {len(own)} documents with as many lines kept,"
            f" {_share_equal(found, own):.1%} with all marks equal; ours {read:.1%} those of a"
            f" plain reading of docs/rules.md, theirs {explained:.1%} with the differences it"
            " lists",
        )

    return check


def same_estimates(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Check:
    """[[true, estimated]] of both sides: unbiased, and as near as 286 values can be."""
    found = []
    for pairs in (ours, theirs):
        errors = [estimated - true for true, estimated in pairs]
        count = max(len(errors), 1)
        wanted = math.sqrt(sum(true * (1 - true) for true, _ in pairs) / PERMUTATIONS / count)
        found.append(
            (
                sum(errors) / count,
                math.sqrt(sum(error * error for error in errors) / count),
                wanted,
            )
        )
    ok = bool(ours) and all(
        abs(bias) <= ESTIMATE_BIAS and spread <= ESTIMATE_FACTOR * wanted
        for bias, spread, wanted in found
    )
    (_, spread, wanted), (_, peer_spread, _) = found
    return Check(
        ok,
        f"root mean square error {spread:.3f} and {peer_spread:.3f} on {len(ours)} pairs"
        f" (theory {wanted:.3f})",
    )


def same_tokens(ours: Sequence[str], theirs: Sequence[str]) -> Check:
    """Digests of each document's tokens: all equal."""
    equal = sum(a == b for a, b in zip(ours, theirs, strict=False))
    return Check(
        0 < len(theirs) <= len(ours) and equal == len(theirs),
        f"tokens of {equal:,} of {len(theirs):,} documents equal",
    )


def same_labels(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Check:
    """{id: [label, probability]}: the same label, and a probability as near as it can be."""
    labels = sum(ours[one][0] == label for one, (label, _) in theirs.items())
    near = sum(
        ours[one][0] == label and abs(ours[one][1] - min(score, 1.0)) <= SCORE_TOLERANCE
        for one, (label, score) in theirs.items()
    )
    return Check(
        bool(theirs) and min(labels, near) / len(theirs) >= LABELS_AGREE,
        f"labels of {labels / max(len(theirs), 1):.1%} and probabilities of"
        f" {near / max(len(theirs), 1):.1%} of {len(theirs):,} documents equal",
    )


def same_documents(ours: Sequence[str], theirs: Sequence[str]) -> Check:
    """Ids of duplicates: as many, since each side keeps one of a group by its own order."""
    return Check(
        bool(ours) and len(ours) == len(theirs),
        f"{len(ours):,} and {len(theirs):,} copies found",
    )


def same_planted(planted: Sequence[str], documents: Sequence[str]) -> Any:
    """A check of ids with a hit: all planted ones among `documents` (which the peer has seen) in
    both, and of the others nearly the same."""

    def check(ours: Sequence[str], theirs: Sequence[str]) -> Check:
        seen = set(documents)
        wanted = seen & set(planted)
        found = [len(wanted & set(ids)) for ids in (ours, theirs)]
        differ = (set(ours) & seen) ^ set(theirs)
        agreed = 1 - len(differ - wanted) / max(len(seen - wanted), 1)
        return Check(
            bool(wanted) and found == [len(wanted)] * 2 and agreed >= CLEAN_AGREE,
            f"{found[0]} and {found[1]} of {len(wanted)} planted documents found,"
            f" {agreed:.1%} of the others equal",
        )

    return check


def same_text(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Check:
    """{id: [precision, recall]} of pages' words: both sides find what the page is about."""
    means = [
        [sum(pair[k] for pair in side.values()) / max(len(side), 1) for k in range(2)]
        for side in (ours, theirs)
    ]
    ok = all(precision >= TEXT_PRECISION and recall >= TEXT_RECALL for precision, recall in means)
    (precision, recall), (peer_precision, peer_recall) = means
    return Check(
        ok,
        f"precision {precision:.2f} and {peer_precision:.2f},"
        f" recall {recall:.2f} and {peer_recall:.2f} of the words",
    )


def same_outputs(ours: Any, theirs: Any) -> Check:
    """{"kept", "tokens"} of one road run in two ways: all documents have the same fate, and as many
    tokens are written."""
    agreed = set(ours["kept"]) == set(theirs["kept"]) and ours["tokens"] == theirs["tokens"] > 0
    told = f"{len(ours['kept']):,} and {len(theirs['kept']):,} documents kept"
    equal = "the same" if agreed else "not the same"
    return Check(agreed, f"{told}, {equal}; {ours['tokens']:,} and {theirs['tokens']:,} tokens")


def same_kept(documents: Sequence[str]) -> Any:
    """A check of {"kept", "tokens"}: enough of `documents` have the same fate, and both wrote
    tokens."""

    def check(ours: Any, theirs: Any) -> Check:
        seen = set(documents)
        kept = [seen & set(side["kept"]) for side in (ours, theirs)]
        agreed = 1 - len(kept[0] ^ kept[1]) / max(len(seen), 1)
        return Check(
            agreed >= KEPT_AGREE and all(kept) and min(ours["tokens"], theirs["tokens"]) > 0,
            f"{agreed:.1%} of {len(seen):,} documents with the same fate",
        )

    return check
