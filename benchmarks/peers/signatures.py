"""MinHash libraries: rensa, datasketch and text-dedup, 286 values of word 5-grams.

rensa and datasketch take tokens: the road from a text to them is Python's own, and is measured with
it. Each answer is [[true similarity, estimate]] of planted pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.inputs import read_documents, read_pairs, word_shingles
from benchmarks.work import Task, Work

__all__ = ["datasketch", "rensa", "text_dedup"]

PERMUTATIONS = 286
BANDS, ROWS = 26, 11
SEED = 1


def _sign_all(
    task: Task,
    sign: Callable[[str], Sequence[Any]],
    shingles: Callable[[str], Iterable[Any]] | None = None,
) -> Work:
    """`shingles`: of the library's own words, where it finds words itself; true similarities are
    then those of these sets."""
    texts = [one["text"] for one in read_documents(task.corpus, task.text_bytes)]

    def answer(_: list[Any]) -> list[list[float]]:
        estimates = []
        for one, other, true in read_pairs(task.corpus):
            if shingles is not None:
                first, second = set(shingles(one)), set(shingles(other))
                true = len(first & second) / len(first | second)
            left, right = sign(one), sign(other)
            equal = sum(a == b for a, b in zip(left, right, strict=True))
            estimates.append([true, equal / len(left)])
        return estimates

    return Work(
        run=lambda: [sign(text) for text in texts],
        run_bytes=sum(len(text.encode()) for text in texts),
        warm=lambda: [sign(text) for text in texts[:3]],
        answer=answer,
    )


def rensa(task: Task) -> Work:
    """RMinHash."""
    from rensa import RMinHash

    def sign(text: str) -> Sequence[int]:
        values = RMinHash(num_perm=PERMUTATIONS, seed=SEED)
        values.update(word_shingles(text))
        return list(values.digest())

    return _sign_all(task, sign)


def datasketch(task: Task) -> Work:
    """MinHash, in one batch a document; permutations are drawn once."""
    from datasketch import MinHash

    known = MinHash(PERMUTATIONS, SEED)

    def sign(text: str) -> Sequence[int]:
        values = known.copy()
        values.update_batch([shingle.encode() for shingle in word_shingles(text)])
        return list(values.digest())

    return _sign_all(task, sign)


def text_dedup(task: Task) -> Work:
    """`embed_func` of text_dedup.minhash, which finds words itself; xxh3 and its default width."""
    import numpy as np
    from text_dedup.minhash import NON_ALPHA, embed_func
    from text_dedup.utils import ngrams
    from text_dedup.utils.hashfunc import xxh3_32hash

    highest, prime = np.uint32((1 << 32) - 1), np.uint64((1 << 61) - 1)
    random = np.random.RandomState(SEED)
    settings: dict[str, Any] = {
        "num_perm": PERMUTATIONS,
        "ngram_size": 5,
        "min_length": 0,
        "hashranges": [(band * ROWS, (band + 1) * ROWS) for band in range(BANDS)],
        "permutations": (
            random.randint(1, prime, size=PERMUTATIONS, dtype=np.uint64),
            random.randint(0, prime, size=PERMUTATIONS, dtype=np.uint64),
        ),
        "hash_func": xxh3_32hash,
        "dtype": np.uint64,
        "max_hash": highest,
        "modulo_prime": prime,
    }

    def sign(text: str) -> Sequence[bytes]:
        bands = b"".join(embed_func(text, 0, **settings)["__signatures__"])
        return [bands[place : place + 8] for place in range(0, len(bands), 8)]

    return _sign_all(task, sign, lambda text: ngrams(NON_ALPHA.split(text.lower()), 5, 0))
