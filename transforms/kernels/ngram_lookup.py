"""N-gram lookup: which runs of words of a document are in a fixed set.

In: word hashes of a batch (kernels.words) and a `Lookup` of n-gram hashes. Out: hits per document,
the word spans that the hits cover, and the entries ("items") that own the n-grams found. A set
holds n-grams of n words, and whole texts of fewer than n words ("short grams"), which are found by
the hash of their first words. Polynomial hashes roll over the words; a blocked Bloom filter (Putze
et al. 2007) answers nearly all look-ups with one access to memory, an open-addressing table of gram
numbers the rest, so that no hash value is special.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.words import NGRAM_BASE, Words, read_only

__all__ = [
    "MAX_ATTRIBUTED_HITS",
    "Found",
    "Grams",
    "Lookup",
    "Owners",
    "build_lookup",
    "collect_grams",
    "count_hits",
    "find_owners",
]

MAX_ATTRIBUTED_HITS = 65_536  # hits of one document, in order, that are attributed to owners
BITS_PER_KEY = 16  # bits of the filter per key, at least: one look-up in 100 goes on, about
BITS_PER_PREFIX = 64  # the same for the beginnings of short grams, which are few
MAX_FILTER_BITS = 1 << 28  # 32 MiB
SLOTS_PER_KEY = 2  # of the table, at least
_HIT_BUFFER = 4096  # hits that one call of `_scan` returns at most; bounds scratch memory


class Grams(NamedTuple):
    """N-grams of texts: hashes uint64[grams], lengths uint8[grams] (words), texts int32[grams]
    (number of the text), prefixes uint64[short grams] (hash of the first `prefix_words` words of
    each gram shorter than n), prefix_words (0 without short grams)."""

    hashes: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.uint8]
    texts: npt.NDArray[np.int32]
    prefixes: npt.NDArray[np.uint64]
    prefix_words: int


class Lookup(NamedTuple):
    """A set of n-grams ready for look-ups; made by `build_lookup`, handed to kernels as it is."""

    n: int  # words of an n-gram
    keys: npt.NDArray[np.uint64]  # hash of each gram
    lengths: npt.NDArray[np.uint8]  # words of each gram
    slots: npt.NDArray[np.int32]  # open addressing: number of a gram, -1 where empty
    filter: npt.NDArray[np.uint64]  # three bits a key, all in one of these
    prefix_words: int  # words hashed for `prefix_filter`; 0 where all grams have n words
    prefix_filter: npt.NDArray[np.uint64]


class Owners(NamedTuple):
    """Who owns each gram: gram g belongs to owner[k] through fields[k] (a bit mask) for k in
    bounds[g]..bounds[g + 1] - 1. bounds int64[grams + 1], owner int32[], fields uint32[]; owners
    are numbered 0..size - 1."""

    bounds: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int32]
    fields: npt.NDArray[np.uint32]
    size: int


class Found(NamedTuple):
    """Evidence of the documents of a batch, row by row.

    owners int32[documents]: distinct owners found. match_bounds int64[documents + 1] into owner
    int32[], fields uint32[], first and last int64[] (words of the batch, half-open): the longest
    run of each of the strongest owners, the strongest first. run_bounds int64[documents + 1] into
    run_first and run_last int64[]: all words that hits cover, half-open, disjoint, ascending.
    """

    owners: npt.NDArray[np.int32]
    match_bounds: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int32]
    fields: npt.NDArray[np.uint32]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    run_bounds: npt.NDArray[np.int64]
    run_first: npt.NDArray[np.int64]
    run_last: npt.NDArray[np.int64]


@njit(nogil=True, cache=True)
def _polynomial(hashes, first, last):  # type: ignore[no-untyped-def]
    h = uint64(0)
    for j in range(first, last):
        h = h * NGRAM_BASE + hashes[j]
    return h


@njit(nogil=True, cache=True)
def _fill_grams(  # type: ignore[no-untyped-def]
    hashes,
    bounds,
    whole_from,
    n,
    prefix_words,
    out_hash,
    out_length,
    out_text,
    out_prefix,
):
    filled = 0
    short = 0
    for t in range(len(bounds) - 1):
        first, last = bounds[t], bounds[t + 1]
        words = last - first
        if words >= n:
            for j in range(first, last - n + 1):
                out_hash[filled] = _polynomial(hashes, j, j + n)
                out_length[filled] = n
                out_text[filled] = t
                filled += 1
        elif whole_from[t] > 0 and words >= whole_from[t]:
            out_hash[filled] = _polynomial(hashes, first, last)
            out_length[filled] = words
            out_text[filled] = t
            filled += 1
            out_prefix[short] = _polynomial(hashes, first, first + prefix_words)
            short += 1
    return filled, short


def collect_grams(words: Words, whole_from: npt.NDArray[np.int64], n: int) -> Grams:
    """All n-grams of texts of at least n words, and shorter texts as one gram each.

    whole_from int64[texts]: fewest words at which a text of fewer than n words is taken whole, 0:
    never.
    """
    sizes = np.diff(words.bounds)
    short = (sizes < n) & (whole_from > 0) & (sizes >= whole_from)
    prefix_words = int(sizes[short].min()) if short.any() else 0
    most = int(np.maximum(sizes - n + 1, 0).sum() + short.sum())
    hashes = np.empty(most, np.uint64)
    lengths = np.empty(most, np.uint8)
    texts = np.empty(most, np.int32)
    prefixes = np.empty(int(short.sum()), np.uint64)
    filled, shorts = _fill_grams(
        words.hashes,
        words.bounds,
        whole_from,
        n,
        prefix_words,
        hashes,
        lengths,
        texts,
        prefixes,
    )
    return Grams(hashes[:filled], lengths[:filled], texts[:filled], prefixes[:shorts], prefix_words)


@njit(inline="always")
def _filter_bits(x):  # type: ignore[no-untyped-def]
    """The bits of hash x in its block of a filter; they and the block come of different bits of
    x."""
    return (
        (uint64(1) << (x >> uint64(58)))
        | (uint64(1) << ((x >> uint64(52)) & uint64(63)))
        | (uint64(1) << ((x >> uint64(46)) & uint64(63)))
    )


@njit(nogil=True, cache=True)
def _insert(keys, slots):  # type: ignore[no-untyped-def]
    mask = uint64(len(slots) - 1)
    for g in range(len(keys)):
        i = (keys[g] >> uint64(20)) & mask
        while slots[i] >= 0:
            i = (i + uint64(1)) & mask
        slots[i] = g


@njit(nogil=True, cache=True)
def _fill_filter(keys, blocks):  # type: ignore[no-untyped-def]
    for x in keys:
        blocks[x & uint64(len(blocks) - 1)] |= _filter_bits(x)


def _make_filter(keys: npt.NDArray[np.uint64], bits_per_key: int) -> npt.NDArray[np.uint64]:
    bits = min(_power_of_two(bits_per_key * len(keys)), MAX_FILTER_BITS)
    blocks = np.zeros(max(bits // 64, 1), np.uint64)
    _fill_filter(keys, blocks)
    return read_only(blocks)


def _power_of_two(at_least: int) -> int:
    return 1 << max(at_least - 1, 1).bit_length()


def build_lookup(
    keys: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.uint8],
    n: int,
    prefixes: npt.NDArray[np.uint64],
    prefix_words: int,
) -> Lookup:
    """Make a set of grams ready for look-ups; (hash, length) pairs must be distinct.

    Takes 10 bytes a gram besides the keys, up to twice that where powers of two round up.
    """
    slots = np.full(_power_of_two(SLOTS_PER_KEY * len(keys)), -1, np.int32)
    _insert(keys, slots)
    return Lookup(
        n,
        read_only(keys),
        read_only(lengths),
        read_only(slots),
        _make_filter(keys, BITS_PER_KEY),
        prefix_words,
        _make_filter(prefixes, BITS_PER_PREFIX),
    )


@njit(inline="always")
def _maybe(x, blocks):  # type: ignore[no-untyped-def]
    """Whether hash x may be in a filter; no hash that is in it is missed."""
    bits = _filter_bits(x)
    return blocks[x & uint64(len(blocks) - 1)] & bits == bits


@njit(nogil=True, cache=True)
def _number(x, length, lookup):  # type: ignore[no-untyped-def]
    """Number of the gram with this hash and length, -1 where there is none."""
    mask = uint64(len(lookup.slots) - 1)
    i = (x >> uint64(20)) & mask
    while True:
        g = lookup.slots[i]
        if g < 0:
            return -1
        if lookup.keys[g] == x and lookup.lengths[g] == length:
            return g
        i = (i + uint64(1)) & mask


@njit(nogil=True, cache=True)
def _scan(hashes, start, end, lookup, positions, grams):  # type: ignore[no-untyped-def]
    """Find grams that begin at words start..end-1 and end at or before `end`, in order.

    Fills positions and grams and stops early when the next word might not fit. Returns (word to
    go on with, hits filled).
    """
    n = lookup.n
    m = lookup.prefix_words
    power_n = uint64(1)
    for _ in range(n):
        power_n *= NGRAM_BASE
    power_m = uint64(1)
    for _ in range(m):
        power_m *= NGRAM_BASE
    last_n = end - n  # where the last n-gram begins
    last_m = end - m if m > 0 else last_n  # and the last short one
    h = _polynomial(hashes, start, start + n) if start <= last_n else uint64(0)
    s = _polynomial(hashes, start, start + m) if start <= last_m else uint64(0)
    room = len(positions) - (n + 1)
    filled = 0
    p = start
    while p <= last_m:
        if p <= last_n and _maybe(h, lookup.filter):
            g = _number(h, n, lookup)
            if g >= 0:
                positions[filled] = p
                grams[filled] = g
                filled += 1
        if m > 0 and _maybe(s, lookup.prefix_filter):
            longer = s
            for k in range(m, n):
                g = _number(longer, k, lookup) if _maybe(longer, lookup.filter) else -1
                if g >= 0:
                    positions[filled] = p
                    grams[filled] = g
                    filled += 1
                if p + k >= end:
                    break
                longer = longer * NGRAM_BASE + hashes[p + k]
        p += 1
        if filled > room:
            return p, filled
        # Nearly all words begin nothing: the time goes here. Without short grams (m = 0) s stays 0,
        # which an empty filter does not hold.
        while p <= last_n:
            h = h * NGRAM_BASE + hashes[p + n - 1] - power_n * hashes[p - 1]
            s = s * NGRAM_BASE + hashes[p + m - 1] - power_m * hashes[p - 1]
            if _maybe(h, lookup.filter) | _maybe(s, lookup.prefix_filter):
                break
            p += 1
        if last_n < p <= last_m:
            s = s * NGRAM_BASE + hashes[p + m - 1] - power_m * hashes[p - 1]
    return end, filled


@njit(nogil=True, cache=True)
def _count(hashes, bounds, lookup, hits, runs):  # type: ignore[no-untyped-def]
    """Hits of each document, and runs of words that they cover (touching hits are one run)."""
    positions = np.empty(_HIT_BUFFER, np.int64)
    grams = np.empty(_HIT_BUFFER, np.int32)
    for d in range(len(bounds) - 1):
        p, end = bounds[d], bounds[d + 1]
        covered = np.int64(-1)
        total = 0
        spans = 0
        while p < end:
            p, filled = _scan(hashes, p, end, lookup, positions, grams)
            total += filled
            for k in range(filled):
                if positions[k] > covered:
                    spans += 1
                covered = max(covered, positions[k] + np.int64(lookup.lengths[grams[k]]))
        hits[d] = total
        runs[d] = spans


@njit(nogil=True, cache=True)
def _stronger(a, b, totals, lengths):  # type: ignore[no-untyped-def]
    """True when owner a comes before owner b: more hits, longer run, lower number."""
    if totals[a] != totals[b]:
        return totals[a] > totals[b]
    if lengths[a] != lengths[b]:
        return lengths[a] > lengths[b]
    return a < b


@njit(nogil=True, cache=True)
def _find_owners(  # type: ignore[no-untyped-def]
    hashes,
    bounds,
    lookup,
    owners,
    hits,
    most,
    most_equal,
    match_owner,
    match_fields,
    match_first,
    match_last,
    found,
    match_bounds,
    run_bounds,
    run_first,
    run_last,
):
    positions = np.empty(_HIT_BUFFER, np.int64)
    grams = np.empty(_HIT_BUFFER, np.int32)
    # State of each owner within the current document, valid where stamp is the document.
    stamp = np.full(owners.size, -1, np.int64)
    total = np.zeros(owners.size, np.int64)
    first = np.zeros(owners.size, np.int64)
    last = np.zeros(owners.size, np.int64)
    fields = np.zeros(owners.size, np.uint32)
    best_first = np.zeros(owners.size, np.int64)
    best_words = np.zeros(owners.size, np.int64)
    best_fields = np.zeros(owners.size, np.uint32)
    touched = np.empty(owners.size, np.int32)
    top = np.empty(most_equal, np.int32)
    match_bounds[0] = 0
    for d in range(len(bounds) - 1):
        match_bounds[d + 1] = match_bounds[d]
        found[d] = 0
        if hits[d] == 0:
            continue
        p, end = bounds[d], bounds[d + 1]
        attributed = 0
        seen = 0
        run = run_bounds[d] - 1
        while p < end:
            p, filled = _scan(hashes, p, end, lookup, positions, grams)
            for k in range(filled):
                at = positions[k]
                until = at + np.int64(lookup.lengths[grams[k]])
                if run < run_bounds[d] or at > run_last[run]:
                    run += 1
                    run_first[run] = at
                    run_last[run] = until
                run_last[run] = max(run_last[run], until)
                if attributed >= MAX_ATTRIBUTED_HITS:
                    continue
                attributed += 1
                for q in range(owners.bounds[grams[k]], owners.bounds[grams[k] + 1]):
                    o = owners.owner[q]
                    if stamp[o] != d:
                        stamp[o] = d
                        total[o] = 0
                        best_words[o] = 0
                        first[o] = at
                        last[o] = at
                        fields[o] = 0
                        touched[seen] = o
                        seen += 1
                    total[o] += 1
                    if at > last[o]:
                        if last[o] - first[o] > best_words[o]:
                            best_first[o] = first[o]
                            best_words[o] = last[o] - first[o]
                            best_fields[o] = fields[o]
                        first[o] = at
                        fields[o] = 0
                        last[o] = until
                    last[o] = max(last[o], until)
                    fields[o] |= owners.fields[q]
        for k in range(seen):
            o = touched[k]
            if last[o] - first[o] > best_words[o]:
                best_first[o] = first[o]
                best_words[o] = last[o] - first[o]
                best_fields[o] = fields[o]
        kept = 0
        for k in range(seen):
            o = touched[k]
            if kept == most_equal and not _stronger(o, top[kept - 1], total, best_words):
                continue
            kept = min(kept + 1, most_equal)
            j = kept - 1
            while j > 0 and _stronger(o, top[j - 1], total, best_words):
                top[j] = top[j - 1]
                j -= 1
            top[j] = o
        equal = 1  # owners that nothing tells from the strongest
        while (
            equal < kept
            and total[top[equal]] == total[top[0]]
            and (best_words[top[equal]] == best_words[top[0]])
        ):
            equal += 1
        kept = min(kept, max(most, equal))
        found[d] = seen
        at = match_bounds[d]
        for k in range(kept):
            o = top[k]
            match_owner[at + k] = o
            match_fields[at + k] = best_fields[o]
            match_first[at + k] = best_first[o]
            match_last[at + k] = best_first[o] + best_words[o]
        match_bounds[d + 1] = at + kept


def count_hits(words: Words, lookup: Lookup) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Grams found in each document: (hits int32[documents], runs of covered words
    int64[documents])."""
    documents = len(words.bounds) - 1
    hits = np.zeros(documents, np.int32)
    runs = np.zeros(documents, np.int64)
    _count(words.hashes, words.bounds, lookup, hits, runs)
    return hits, runs


def find_owners(
    words: Words,
    lookup: Lookup,
    owners: Owners,
    hits: npt.NDArray[np.int32],
    runs: npt.NDArray[np.int64],
    most: int,
    most_equal: int,
) -> Found:
    """Evidence for the documents that `count_hits` found (its two results go in as they are).

    At most `most` owners are kept per document: those with the most hits, then the longest run,
    then the lowest number; but up to `most_equal` (not less than `most`) when that many equal the
    strongest in hits and run, since then nothing tells them apart. Owners speak of the first
    MAX_ATTRIBUTED_HITS hits of a document, runs of all. Scratch: 60 bytes an owner; documents
    without a hit cost nothing.
    """
    documents = len(words.bounds) - 1
    capacity = most_equal * int(np.count_nonzero(hits))
    run_bounds = np.zeros(documents + 1, np.int64)
    np.cumsum(runs, out=run_bounds[1:])
    found = Found(
        np.zeros(documents, np.int32),
        np.zeros(documents + 1, np.int64),
        np.empty(capacity, np.int32),
        np.empty(capacity, np.uint32),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
        run_bounds,
        np.empty(int(run_bounds[-1]), np.int64),
        np.empty(int(run_bounds[-1]), np.int64),
    )
    if capacity:
        _find_owners(
            words.hashes,
            words.bounds,
            lookup,
            owners,
            hits,
            most,
            most_equal,
            found.owner,
            found.fields,
            found.first,
            found.last,
            found.owners,
            found.match_bounds,
            run_bounds,
            found.run_first,
            found.run_last,
        )
    matches = int(found.match_bounds[-1])  # copied, so that the unused capacity is freed
    return found._replace(
        owner=found.owner[:matches].copy(),
        fields=found.fields[:matches].copy(),
        first=found.first[:matches].copy(),
        last=found.last[:matches].copy(),
    )
