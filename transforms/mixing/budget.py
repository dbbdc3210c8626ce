"""Token budgets: how many tokens of each source a mix takes, how many epochs that is, and where the
cut lies.

Documents of a source are put in the order of a keyed hash of their id. A source that is asked for E
epochs gives every document floor(E) times and the first documents in that order once more, until
the wanted tokens are reached: to within one document, whatever the split into files. The cut is
found from a histogram of tokens over the hash's upper 16 bits and then inside one bin, so memory
does not grow with the number of documents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.kernels.hashing import hash_keys

__all__ = [
    "BINS",
    "BIN_BITS",
    "BudgetError",
    "Histogram",
    "SourceBudget",
    "check_possible",
    "copies",
    "count_tokens",
    "cut_in_bin",
    "divide_tokens",
    "find_bin",
    "least_text_bytes",
    "most_tokens",
    "order_key",
    "start_cut",
    "tokens_by_bin",
]

BIN_BITS = 16  # upper ones of the order, of a source's histogram
BINS = 1 << BIN_BITS
_SHIFT = np.uint64(64 - BIN_BITS)
_LAST = (1 << 64) - 1


class BudgetError(ValueError):
    """The recipe asks for more than there is; one line a source."""


@dataclass(frozen=True)
class Histogram:
    """Tokens and documents of one source per bin of the order; int64[BINS] each."""

    tokens: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SourceBudget:
    """What a mix takes of one source.

    Every document is taken `whole_epochs` times, and once more when its order is below `threshold`.
    `threshold` is an order, exclusive: 0 takes none, 2**64 takes all.
    """

    available_documents: int
    available_tokens: int
    wanted_tokens: int
    whole_epochs: int
    threshold: int
    taken_tokens: int
    taken_documents: int  # copies counted
    # Of the first document beyond the cut (and those of equal order): less than that is missing.
    next_document_tokens: int = 0
    next_documents: int = 0  # so many have that order: one, but for equal hashes
    most_tokens: int = 0  # that it can give: what is available, as often as it may be repeated
    # Of a curriculum: what stands up to the end of each stage but the last, each inside the next.
    stage_ends: tuple[SourceBudget, ...] = ()

    @property
    def epochs(self) -> float:
        """Taken over available tokens."""
        return self.taken_tokens / self.available_tokens if self.available_tokens else 0.0

    @property
    def most_copies(self) -> int:
        """No document is taken more often."""
        return self.whole_epochs + 1

    def to_json(self) -> dict[str, Any]:
        its = asdict(replace(self, stage_ends=()))
        del its["stage_ends"]
        return {**its, "epochs": round(self.epochs, 6), **self.ends_to_json()}

    def ends_to_json(self) -> dict[str, Any]:
        """Of a curriculum, `stage_ends`; else nothing."""
        return {"stage_ends": [one.to_json() for one in self.stage_ends]} if self.stage_ends else {}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> SourceBudget:
        its = {key: item for key, item in value.items() if key not in ("epochs", "stage_ends")}
        ends = tuple(SourceBudget.from_json(one) for one in value.get("stage_ends", ()))
        return SourceBudget(**its, stage_ends=ends)


def count_tokens(count: int) -> str:
    """As a sentence says it: "1 token", "1,000 tokens"."""
    return f"{count:,} token{'' if count == 1 else 's'}"


def order_key(hashes: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """The order of documents from a 64-bit hash of their ids, uint64[rows]; another seed,
    another order.
    """
    return hash_keys(hashes ^ np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _LAST))


def divide_tokens(total: int, proportions: Mapping[str, float | Fraction]) -> dict[str, int]:
    """Split `total` tokens by proportions, exactly: the parts sum to `total`.

    Hamilton's method: each gets the whole tokens of its exact part, and those of the largest
    remainders one more, ties by name.
    """
    exact = {name: Fraction(share) for name, share in proportions.items()}
    scale = sum(exact.values())
    parts = {name: total * share / scale for name, share in exact.items()}
    whole = {name: int(part) for name, part in parts.items()}
    left = total - sum(whole.values())
    for name in sorted(parts, key=lambda name: (whole[name] - parts[name], name))[:left]:
        whole[name] += 1
    return whole


def most_tokens(available: int, max_epochs: float) -> int:
    """What a source can give: its tokens, as often as it may be repeated. 0.6 counts as it is
    written, not as the float."""
    return int(available * Fraction(str(max_epochs)))


def least_text_bytes(wanted_tokens: int, max_epochs: float) -> int:
    """The bytes of text below which `check_possible` refuses what is wanted."""
    return math.ceil(wanted_tokens / (2 * Fraction(str(max_epochs))))


def check_possible(
    source: str, wanted_tokens: int, text_bytes: int, max_epochs: float, holder: str = "its input"
) -> None:
    """BudgetError when a source cannot hold what is wanted, whatever is kept of it later.

    `text_bytes`: a bound on the text of `holder`. A token stands for a byte at least, but for the
    one that closes a document.
    """
    most = most_tokens(2 * text_bytes, max_epochs)
    if wanted_tokens > most:
        raise BudgetError(
            f"{source}: the recipe asks for {count_tokens(wanted_tokens)} but {holder} can hold no"
            f" more than {most:,} at {max_epochs:g} epoch{'' if max_epochs == 1 else 's'}:"
            f" at least {wanted_tokens - most:,} too many; lower mix.tokens or its share,"
            f" raise its mix.max_epochs (max_epochs.{source}, beside a default), or add input"
        )


def tokens_by_bin(order: npt.NDArray[np.uint64], tokens: npt.NDArray[np.int64]) -> Histogram:
    """Histogram of the documents with these orders and token counts."""
    bins = (order >> _SHIFT).astype(np.int64)
    sums = np.zeros(BINS, np.int64)
    np.add.at(sums, bins, tokens)
    return Histogram(sums, np.bincount(bins, minlength=BINS).astype(np.int64))


def find_bin(
    source: str, histogram: Histogram, wanted_tokens: int, max_epochs: float
) -> tuple[SourceBudget, int]:
    """The budget with its cut at the start of a bin, and that bin, which `cut_in_bin` refines.

    BudgetError when the source would be repeated more often than `max_epochs`.
    """
    available = int(histogram.tokens.sum())
    most = most_tokens(available, max_epochs)
    if wanted_tokens > most:
        asked = f"{source}: the recipe asks for {count_tokens(wanted_tokens)}"
        enough = math.ceil(Fraction(100 * wanted_tokens, max(available, 1))) / 100
        raise BudgetError(
            f"{asked} but there are {available:,}"
            f" at {max_epochs:g} epoch{'' if max_epochs == 1 else 's'}:"
            f" {wanted_tokens - most:,} too many; lower mix.tokens or its share,"
            f" raise its mix.max_epochs to {enough:.2f} (max_epochs.{source}, beside a default),"
            " or let mix.shortage be share_out or less"
            if available
            else f"{asked} but no document is left"
        )
    return start_cut(histogram, wanted_tokens, most)


def start_cut(
    histogram: Histogram, wanted_tokens: int, most: int, bits: int = BIN_BITS
) -> tuple[SourceBudget, int]:
    """The budget with its cut at the start of a bin, and that bin, which `cut_in_bin` refines.

    `histogram`: over 2**bits bins of the order's upper bits; `most`: tokens that can be given.
    """
    available = int(histogram.tokens.sum())
    whole = wanted_tokens // available if available else 0
    rest = wanted_tokens - whole * available
    below = np.concatenate(([0], np.cumsum(histogram.tokens)))
    index = int(np.searchsorted(below, rest, side="right")) - 1
    documents = int(histogram.documents.sum())
    budget = SourceBudget(
        available_documents=documents,
        available_tokens=available,
        wanted_tokens=wanted_tokens,
        whole_epochs=whole,
        threshold=index << (64 - bits),
        taken_tokens=whole * available + int(below[index]),
        taken_documents=whole * documents + int(histogram.documents[:index].sum()),
        most_tokens=most,
    )
    return budget, index


def cut_in_bin(
    budget: SourceBudget,
    order: npt.NDArray[np.uint64],
    tokens: npt.NDArray[np.int64],
    bits: int = BIN_BITS,
) -> SourceBudget:
    """Move the cut into its bin, given all documents of that bin (in any order).

    Takes documents in order while the wanted tokens are not passed.
    """
    rows = np.lexsort((tokens, order))
    order, tokens = order[rows], tokens[rows]
    sums = np.cumsum(tokens)
    rest = budget.wanted_tokens - budget.taken_tokens
    count = int(np.searchsorted(sums, rest, side="right"))
    # Equal orders stand or fall together, since only the order decides later.
    while 0 < count < len(order) and order[count] == order[count - 1]:
        count -= 1
    if count == len(order):
        threshold = budget.threshold + (1 << (64 - bits))
        following = tokens[:0]
    else:
        threshold = int(order[count])
        following = tokens[order == order[count]]
    return replace(
        budget,
        threshold=threshold,
        next_document_tokens=int(following.sum()),
        next_documents=len(following),
        taken_tokens=budget.taken_tokens + (int(sums[count - 1]) if count else 0),
        taken_documents=budget.taken_documents + count,
    )


def copies(
    order: npt.NDArray[np.uint64], eligible: npt.NDArray[np.bool_], budget: SourceBudget
) -> npt.NDArray[np.uint32]:
    """How often each document is in the mix, uint32[rows]."""
    if budget.threshold > _LAST:
        more = np.ones(len(order), np.bool_)
    else:
        more = order < np.uint64(budget.threshold)
    return np.where(eligible, np.uint32(budget.whole_epochs) + more.astype(np.uint32), 0).astype(
        np.uint32
    )
