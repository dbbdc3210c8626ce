"""fastText scores: how probable a model's labels are for each text.

In: tokens of a batch (kernels.fasttext_tokens) and a `Network`, a model as arrays. Out, a document:
the most likely label, its probability and those of the labels asked for. A text is the mean of the
vectors of its words, subwords and word n-grams; labels are judged by softmax, hierarchical softmax
or one logistic function each (Joulin et al. 2016, Bojanowski et al. 2017). Sums are of float32 in
blocks, blocks in float64. Vectors of short words with subwords are kept while a batch is read,
since most of its words come again.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import float32, int64, njit, uint32, uint64
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from transforms.kernels.fasttext_tokens import (
    END_OF_LINE,
    FNV_OFFSET,
    Tokens,
    extend_hash,
    hash_byte_strings,
)
from transforms.kernels.prefetch import prefetch
from transforms.kernels.words import GOLDEN_RATIO, read_only

__all__ = [
    "HIERARCHICAL",
    "ONE_VS_ALL",
    "SOFTMAX",
    "Network",
    "Scores",
    "build_tree",
    "place_words",
    "score_tokens",
]

HIERARCHICAL, SOFTMAX, ONE_VS_ALL = 1, 3, 4  # how labels are judged; numbers of fastText's files
FUDGE = 1e-5  # fastText adds it to each probability before it takes logarithms
_SIGMOID_RANGE = 8.0  # fastText's table of the logistic function spans -8..8
_SIGMOID_STEPS = 512
_NGRAM_BASE = np.uint64(116049371)
_LABEL_PREFIX = np.frombuffer(b"__label__", np.uint8)  # such tokens are labels, not words
_intrinsic: Any = intrinsic  # its types leave out that numba adds the context
_LANES = 8  # float32 that are added at once
_LINE = 16  # float32 in a line of the processor's cache
_BLOCK = 512  # rows that are summed in float32
CACHED_TOKEN_BYTES = 24  # three keys; longer tokens seldom come again
CACHE_BYTES = 1 << 20  # of the vectors kept; bounds scratch memory, with _BLOCK and a row a label
_FEWEST_CACHED = 1024


class Network(NamedTuple):
    """A model as arrays, handed to kernels as it is; see quality.fasttext_model.

    Input vectors are rows float32[rows, dim], or (rows empty) codes uint8[rows, parts] into
    centroids float32[256 * dim], times norms float32[rows]. Rows 0..words-1 are the words', the
    others those of hashed n-grams, in the order of their buckets: of all buckets, or, where kept is
    not empty, of those whose bit is set in it.
    """

    rows: npt.NDArray[np.float32]
    codes: npt.NDArray[np.uint8]
    centroids: npt.NDArray[np.float32]
    norms: npt.NDArray[np.float32]
    part: int  # values that a code stands for; the last may stand for fewer
    output: npt.NDArray[np.float32]  # [labels, dim]; inner nodes of the tree, with HIERARCHICAL
    slots: npt.NDArray[np.uint64]  # open addressing: hash << 32 | word or label + 1, 0 where empty
    text: npt.NDArray[np.uint8]  # all words and labels, one after the other
    text_bounds: npt.NDArray[np.int64]
    kept: npt.NDArray[np.uint64]  # a bit a bucket
    kept_ends: npt.NDArray[np.int64]  # bits set up to the end of each of these words
    left: npt.NDArray[np.int32]  # of each node of the tree; -1 at leaves
    right: npt.NDArray[np.int32]
    words: int
    bucket: int  # 0: n-grams have no rows
    shortest: int  # characters of a subword, "<" and ">" counted
    longest: int  # 0: no subwords
    word_ngrams: int
    loss: int


class Scores(NamedTuple):
    """Per document: best int32[documents] (label, -1 where nothing of the text is known to the
    model), score float32[documents] and asked float32[labels asked for, documents], all 0 there."""

    best: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    asked: npt.NDArray[np.float32]


@njit(inline="always")
def _slot(key, mask):  # type: ignore[no-untyped-def]
    return int64((uint64(key) * GOLDEN_RATIO) >> uint64(32)) & mask


@njit(nogil=True, cache=True)
def _find(slots, text, text_bounds, data, start, length, h):  # type: ignore[no-untyped-def]
    """The word or label that equals data[start:start + length], -1 for none."""
    mask = len(slots) - 1
    slot = _slot(h, mask)
    while slots[slot] != 0:
        if slots[slot] >> uint64(32) == h:
            entry = int64(slots[slot] & uint64(0xFFFFFFFF)) - 1
            first = text_bounds[entry]
            if text_bounds[entry + 1] - first == length:
                k = 0
                while k < length and text[first + k] == data[start + k]:
                    k += 1
                if k == length:
                    return entry
        slot = (slot + 1) & mask
    return int64(-1)


@njit(nogil=True, cache=True)
def _place_words(slots, text, text_bounds, hashes):  # type: ignore[no-untyped-def]
    mask = len(slots) - 1
    for entry in range(len(hashes)):
        h = hashes[entry]
        start = text_bounds[entry]
        length = text_bounds[entry + 1] - start
        if _find(slots, text, text_bounds, text, start, length, h) >= 0:
            return entry
        slot = _slot(h, mask)
        while slots[slot] != 0:
            slot = (slot + 1) & mask
        slots[slot] = (uint64(h) << uint64(32)) | uint64(entry + 1)
    return -1


@_intrinsic
def _count_bits(typing_context, value):  # type: ignore[no-untyped-def]
    """How many bits of a uint64 are set."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), build


@_intrinsic
def _load(typing_context, data, i):  # type: ignore[no-untyped-def]
    """The eight bytes from data[i] on, wherever they lie, as a uint64."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        return builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, types.int64), build


@njit(inline="always")
def _key(data, start, length, part):  # type: ignore[no-untyped-def]
    """Bytes 8 * part .. 8 * part + 7 of data[start:start + length], zeros behind its end; no token
    holds a zero. Never reads past the end of data."""
    i = start + 8 * part
    left = length - 8 * part
    if left <= 0:
        return uint64(0)
    if left >= 8:
        return _load(data, i)
    if i + 8 <= len(data):
        return _load(data, i) & ((uint64(1) << uint64(8 * left)) - uint64(1))
    key = uint64(0)
    for k in range(left):
        key |= uint64(data[i + k]) << uint64(8 * k)
    return key


@njit(inline="always")
def _ngram_row(kept, kept_ends, number):  # type: ignore[no-untyped-def]
    """(row, behind the words', of a hashed n-gram's bucket, 1), or (any, 0) where it has none."""
    if len(kept) == 0:
        return int64(number), 1
    place = number >> uint64(6)
    bits = kept[place] >> (number & uint64(63))
    behind = _count_bits(bits)  # kept buckets of this word from this one on
    return kept_ends[place] - int64(behind), int64(bits & uint64(1))


@njit(inline="always")
def _remainder(h, bucket, inverse):  # type: ignore[no-untyped-def]
    """h % bucket for 32-bit numbers, inverse being 2**64 // bucket + 1 (Lemire et al. 2019)."""
    low = uint64(h) * inverse
    divisor = uint64(bucket)
    carried = ((low & uint64(0xFFFFFFFF)) * divisor) >> uint64(32)
    return ((low >> uint64(32)) * divisor + carried) >> uint64(32)


def _lanes(context, builder, array_type, array, place):  # type: ignore[no-untyped-def]
    """Address of eight float32 from array[place] on."""
    pointer = builder.gep(make_array(array_type)(context, builder, array).data, [place])
    return builder.bitcast(pointer, ir.VectorType(ir.FloatType(), _LANES).as_pointer())


@_intrinsic
def _add_lanes(typing_context, target, place, rows, a, b, c, d):  # type: ignore[no-untyped-def]
    """target[place:place + 8] += (rows[a:a + 8] + rows[b:b + 8]) + (rows[c:c + 8] + rows[d:d + 8]).

    Compilers do not find this by themselves: they must think that the arrays overlap.
    """

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        goal = _lanes(context, builder, signature.args[0], arguments[0], arguments[1])
        a, b, c, d = (
            builder.load(_lanes(context, builder, signature.args[2], arguments[2], one), align=4)
            for one in arguments[3:]
        )
        four = builder.fadd(builder.fadd(a, b), builder.fadd(c, d))
        builder.store(builder.fadd(builder.load(goal, align=4), four), goal, align=4)
        return context.get_dummy_value()

    place_type = types.int64
    return types.void(target, place_type, rows, *[place_type] * 4), build


@njit(forceinline=True)
def _add_rows(rows, packed, dim, chosen, n, target, place):  # type: ignore[no-untyped-def]
    """Add the vectors of the rows chosen[:n] to target[place:place + dim], float32."""
    if len(rows) == 0:
        _add_packed(packed, dim, chosen, n, target, place)
        return
    whole = dim - dim % _LANES
    k = 0
    while k + 4 <= n:
        a, b, c, d = chosen[k] * dim, chosen[k + 1] * dim, chosen[k + 2] * dim, chosen[k + 3] * dim
        if dim > _LINE and k + 12 <= n:
            for ahead in range(k + 8, k + 12):
                for j in range(0, dim, _LINE):
                    prefetch(rows, chosen[ahead] * dim + j)
        for j in range(0, whole, _LANES):
            _add_lanes(target, place + j, rows, a + j, b + j, c + j, d + j)
        for j in range(whole, dim):
            target[place + j] += (rows[a + j] + rows[b + j]) + (rows[c + j] + rows[d + j])
        k += 4
    while k < n:
        a = chosen[k] * dim
        for j in range(dim):
            target[place + j] += rows[a + j]
        k += 1


@njit(nogil=True, cache=True)
def _add_packed(packed, dim, chosen, n, target, place):  # type: ignore[no-untyped-def]
    """`_add_rows` of a quantised matrix."""
    codes, centroids, norms, part = packed
    parts = codes.shape[1]
    rest = dim - (parts - 1) * part
    for k in range(n):
        row = chosen[k]
        norm = norms[row]
        for p in range(parts - 1):
            c = (p * 256 + codes[row, p]) * part
            for j in range(part):
                target[place + p * part + j] += norm * centroids[c + j]
        c = (parts - 1) * 256 * part + codes[row, parts - 1] * rest
        for j in range(rest):
            target[place + (parts - 1) * part + j] += norm * centroids[c + j]


@njit(forceinline=True)
def _flush(rows, packed, chosen, n, block, total):  # type: ignore[no-untyped-def]
    """Add the rows chosen[:n], and what is in block float32[dim], to total float64[dim]."""
    _add_rows(rows, packed, len(total), chosen, n, block, 0)
    for j in range(len(total)):
        total[j] += block[j]
        block[j] = float32(0)


@njit(forceinline=True)
def _find_subwords(data, i, start, end, sizes, kept, kept_ends, chosen, n):  # type: ignore[no-untyped-def]
    """Append to chosen[:n] the rows of subwords of "<" + data[start:end] + ">" that begin at byte i
    or later, as long as there is room for all of a character. Returns (rows in the list, next i);
    it is at the end when i is `end`. Begin with i = start - 1."""
    words, bucket, inverse, shortest, longest = sizes
    room = len(chosen) - longest
    while i < end and n <= room:
        h = FNV_OFFSET
        length = 0
        j = i
        if i < start:
            h = extend_hash(h, 60)
            length = 1  # "<" alone is no subword, nor is ">"
            j = start
            i = start
        else:
            i += 1
            while i < end and data[i] & 0xC0 == 0x80:
                i += 1
        while length < longest and j <= end:
            if j < end:
                h = extend_hash(h, data[j])
                j += 1
                while j < end and data[j] & 0xC0 == 0x80:
                    h = extend_hash(h, data[j])
                    j += 1
            else:
                h = extend_hash(h, 62)
                j += 1
            length += 1
            if length >= shortest:
                row, there = _ngram_row(kept, kept_ends, _remainder(h, bucket, inverse))
                chosen[n] = words + row
                n += there
    return n, i


@njit(inline="always")
def _is_label(data, start, length):  # type: ignore[no-untyped-def]
    """Whether an unknown token begins as labels do, and so is no word."""
    if length < len(_LABEL_PREFIX):
        return False
    k = 0
    while k < len(_LABEL_PREFIX) and data[start + k] == _LABEL_PREFIX[k]:
        k += 1
    return k == len(_LABEL_PREFIX)


@njit(nogil=True, cache=True)
def _logistic(x):  # type: ignore[no-untyped-def]
    """fastText's logistic function, which has steps."""
    if x != x:
        return x
    if x < -_SIGMOID_RANGE:
        return 0.0
    if x > _SIGMOID_RANGE:
        return 1.0
    step = int64((x + _SIGMOID_RANGE) * _SIGMOID_STEPS / _SIGMOID_RANGE / 2)
    return 1.0 / (1.0 + math.exp(-(step * 2 * _SIGMOID_RANGE / _SIGMOID_STEPS - _SIGMOID_RANGE)))


@njit(inline="always")
def _at_most_one(p):  # type: ignore[no-untyped-def]
    return 1.0 if p > 1.0 else p


@njit(nogil=True, cache=True)
def _dot(output, row, hidden):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(output.shape[1]):
        total += output[row, j] * hidden[j]
    return total


@njit(nogil=True, cache=True)
def _judge(output, left, right, loss, hidden, stack, weights, probabilities):  # type: ignore[no-untyped-def]
    """Fill probabilities float64[labels] as fastText's `predict` gives them."""
    labels = len(probabilities)
    if loss == HIERARCHICAL:
        probabilities[:] = 0.0
        stack[0] = 2 * labels - 2
        weights[0] = 1.0
        depth = 1
        while depth > 0:
            depth -= 1
            node, weight = stack[depth], weights[depth]
            if weight < FUDGE:
                continue
            if node < labels:
                probabilities[node] = weight
                continue
            up = 1.0 / (1.0 + math.exp(-_dot(output, node - labels, hidden)))
            stack[depth] = left[node]
            weights[depth] = weight * (1.0 - up + FUDGE)
            stack[depth + 1] = right[node]
            weights[depth + 1] = weight * (up + FUDGE)
            depth += 2
        return
    for label in range(labels):
        probabilities[label] = _dot(output, label, hidden)
    if loss == SOFTMAX:
        highest = probabilities.max()
        total = 0.0
        for label in range(labels):
            probabilities[label] = math.exp(probabilities[label] - highest)
            total += probabilities[label]
        for label in range(labels):
            probabilities[label] = probabilities[label] / total + FUDGE
    else:
        for label in range(labels):
            probabilities[label] = _logistic(probabilities[label]) + FUDGE


@njit(nogil=True, cache=True)
def _score(data, tokens, network, end_of_line, places, cached, met, best, score, asked):  # type: ignore[no-untyped-def]
    labels, dim = network.output.shape
    words, bucket, longest = network.words, network.bucket, network.longest
    inverse = ~uint64(0) // uint64(max(bucket, 1)) + uint64(1)
    sizes = (words, uint64(bucket), inverse, network.shortest, longest)
    kept, kept_ends, rows = network.kept, network.kept_ends, network.rows.reshape(-1)
    packed = (network.codes, network.centroids, network.norms, network.part)
    slots, text, text_bounds = network.slots, network.text, network.text_bounds
    total = np.empty(dim, np.float64)
    block = np.zeros(dim, np.float32)
    mean = np.empty(dim, np.float32)
    waiting = np.empty(_BLOCK, np.int64)  # rows of the document, not yet summed
    subwords = np.empty((CACHED_TOKEN_BYTES + 3) * longest + 1, np.int64)  # rows of one token
    probabilities = np.empty(labels, np.float64)
    nodes = 2 * labels if network.loss == HIERARCHICAL else 1
    stack, weights = np.empty(nodes, np.int64), np.empty(nodes, np.float64)
    order = network.word_ngrams if bucket > 0 else 1
    ngrams = np.empty(order + 1, np.uint64)  # hash of the last k words, at k
    mask = len(met) - 1
    for d in range(len(best)):
        total[:] = 0.0
        n = 0  # rows waiting
        count = 0  # rows in all
        seen = 0  # words before this one, at most `order`
        first, last = tokens.bounds[d], tokens.bounds[d + 1]
        for t in range(first, last + 1):
            entry = int64(-1)
            if t < last:
                start, length, h = tokens.starts[t], int64(tokens.lengths[t]), tokens.hashes[t]
                keep = longest > 0 and length <= CACHED_TOKEN_BYTES
                slot = _slot(h, mask) if keep else 0
                hit = False
                if keep:
                    a = _key(data, start, length, 0)
                    b = _key(data, start, length, 1)
                    c = _key(data, start, length, 2)
                    hit = met[slot, 0] == a and met[slot, 1] == b and met[slot, 2] == c
                if not hit:
                    entry = _find(slots, text, text_bounds, data, start, length, h)
                    if entry >= words or (entry < 0 and _is_label(data, start, length)):
                        continue
                if keep:
                    if not hit:
                        subwords[0] = entry
                        k, _ = _find_subwords(
                            data, start - 1, start, start + length, sizes, kept, kept_ends,
                            subwords, 1 if entry >= 0 else 0,
                        )  # fmt: skip
                        met[slot, 0], met[slot, 1], met[slot, 2] = a, b, c
                        met[slot, 3] = k
                        for j in range(slot * dim, slot * dim + dim):
                            cached[j] = float32(0)
                        _add_rows(rows, packed, dim, subwords, k, cached, slot * dim)
                    for j in range(dim):
                        total[j] += cached[slot * dim + j]
                    count += int64(met[slot, 3])
                    entry = int64(-1)  # its own vector is among those
                elif longest > 0:
                    i = start - 1
                    while i < start + length:
                        if n + longest > _BLOCK:
                            _flush(rows, packed, waiting, n, block, total)
                            n = 0
                        count -= n
                        n, i = _find_subwords(
                            data, i, start, start + length, sizes, kept, kept_ends, waiting, n
                        )
                        count += n
            else:
                h = end_of_line[1]
                entry = end_of_line[0]
            if n + order > _BLOCK:
                _flush(rows, packed, waiting, n, block, total)
                n = 0
            if entry >= 0:
                waiting[n] = entry
                n += 1
                count += 1
            if order > 1:
                # Hashes are signed numbers where n-grams are made of them.
                signed = uint64(h)
                if h >> uint32(31):
                    signed |= uint64(0xFFFFFFFF00000000)
                for k in range(min(seen + 1, order), 1, -1):
                    ngrams[k] = ngrams[k - 1] * _NGRAM_BASE + signed
                    row, there = _ngram_row(kept, kept_ends, ngrams[k] % uint64(bucket))
                    waiting[n] = words + row
                    n += there
                    count += there
                ngrams[1] = signed
                seen = min(seen + 1, order)
        if count == 0:
            best[d] = -1
            score[d] = 0
            asked[:, d] = 0
            continue
        _flush(rows, packed, waiting, n, block, total)
        for j in range(dim):
            mean[j] = total[j] / count
        _judge(network.output, network.left, network.right, network.loss, mean, stack, weights,
               probabilities)  # fmt: skip
        top = 0
        for label in range(labels):
            if probabilities[label] != probabilities[label]:
                top = label  # a damaged model; whoever asks must see it
                break
            if probabilities[label] > probabilities[top]:
                top = label
        best[d] = top
        score[d] = _at_most_one(probabilities[top])
        for k in range(len(places)):
            asked[k, d] = _at_most_one(probabilities[places[k]])


def score_tokens(
    data: npt.NDArray[np.uint8],
    tokens: Tokens,
    network: Network,
    labels: npt.NDArray[np.int32],
) -> Scores:
    """Score the documents of `tokens` (found in `data`); `labels` are those asked for.

    Probabilities are fastText's, which are 1e-5 too high where labels are judged apart or by
    softmax; they are cut at 1. With HIERARCHICAL those below 1e-5 are 0. Where the model's numbers
    give none the score is NaN.
    """
    documents = len(tokens.bounds) - 1
    scores = Scores(
        np.empty(documents, np.int32),
        np.empty(documents, np.float32),
        np.empty((len(labels), documents), np.float32),
    )
    dim = network.output.shape[1]
    wanted = max(CACHE_BYTES // (4 * dim), _FEWEST_CACHED) if network.longest > 0 else 1
    slots = 1 << (wanted.bit_length() - 1)
    cached = np.empty(slots * dim, np.float32)
    met = np.zeros((slots, 4), np.uint64)  # three keys (the first is 0: empty), rows
    _score(read_only(data), tokens, network, _end_of_line(network), labels, cached, met, *scores)
    return scores


def _end_of_line(network: Network) -> tuple[np.int64, np.uint32]:
    """(the word that is fastText's end of line, -1 where the model does not know it; its hash)."""
    token = np.frombuffer(END_OF_LINE, np.uint8)
    bounds = np.array([0, len(token)], np.int64)
    h = hash_byte_strings(token, bounds)[0]
    entry = _find(network.slots, network.text, network.text_bounds, token, 0, len(token), h)
    return np.int64(entry if entry < network.words else -1), h


def place_words(
    text: npt.NDArray[np.uint8], text_bounds: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """The slots of `Network` for words and labels text[text_bounds[n]:text_bounds[n + 1]].

    ValueError where two are equal.
    """
    hashes = hash_byte_strings(text, text_bounds)
    slots = np.zeros(_table_size(len(hashes)), np.uint64)
    again = _place_words(slots, read_only(text), read_only(text_bounds), hashes)
    if again >= 0:
        raise ValueError(f"entry {again} stands twice")
    return slots


def _table_size(entries: int) -> int:
    return 1 << max(2 * entries, 2).bit_length()


def build_tree(
    counts: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(left, right) int32[2 * labels - 1] of fastText's Huffman tree over labels in descending
    order of counts; the root is last. ValueError where counts are not in that order or negative."""
    labels = len(counts)
    if labels == 0 or (np.diff(counts) > 0).any() or counts[-1] < 0:
        raise ValueError("labels must be in descending order of their counts")
    left, right = np.full((2, 2 * labels - 1), -1, np.int32)
    weights = [*counts.tolist(), *[0] * (labels - 1)]
    leaf, node = labels - 1, labels
    for parent in range(labels, 2 * labels - 1):
        children = []
        for _ in range(2):
            # Nodes not made yet weigh 1e15 in fastText: more than all text there is.
            if leaf >= 0 and (node >= parent or weights[leaf] < weights[node]):
                children.append(leaf)
                leaf -= 1
            else:
                children.append(node)
                node += 1
        left[parent], right[parent] = children
        weights[parent] = weights[children[0]] + weights[children[1]]
    return left, right
