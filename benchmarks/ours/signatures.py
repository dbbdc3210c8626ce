"""MinHash bands and exact hashes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.inputs import read_pairs
from benchmarks.ours.batches import Tables, annotate_all, batch
from benchmarks.work import Task, Work
from transforms.dedup.exact import ExactHash, hash_halves
from transforms.dedup.minhash import NGRAM, PERMUTATIONS, SEED, MinHash
from transforms.documents import DocumentBatch
from transforms.kernels.minhash import signatures

__all__ = ["exact", "minhash"]

BANDS, ROWS = 26, 11  # as the peers have them


def minhash(task: Task) -> Work:
    """The keys of 26 bands of 11 values; the answer is [[true similarity, estimate]] of pairs."""

    def answer(tables: Tables, ids: pa.Array) -> list[list[float]]:
        estimates = []
        for one, other, true in read_pairs(task.corpus):
            rows = [
                {"id": str(number), "text": text, "source": "pair"}
                for number, text in enumerate((one, other))
            ]
            values = signatures(DocumentBatch(batch(rows)).words, NGRAM, SEED, PERMUTATIONS)
            estimates.append([true, float(np.mean(values[0] == values[1]))])
        return estimates

    return annotate_all(task, [MinHash(bands=BANDS, rows=ROWS)], answer)


def exact(task: Task) -> Work:
    """Hashes of all texts; the answer is the sorted ids of all documents whose text stood before,
    in the order of the corpus."""

    def answer(tables: Tables, ids: pa.Array) -> list[str]:
        halves = [hash_halves(table["exact"].column("text_hash")) for table in tables]
        known: set[Any] = set()
        again = []
        keys = ((int(high), int(low)) for pair in halves for high, low in zip(*pair, strict=True))
        for identifier, key in zip(ids.to_pylist(), keys, strict=True):
            if key in known:
                again.append(identifier)
            known.add(key)
        return sorted(again)

    return annotate_all(task, [ExactHash()], answer)
