"""MinHash bands and exact hashes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benchmarks.inputs import read_pairs
from benchmarks.ours.batches import Tables, annotate_all, batch
from benchmarks.work import Task, Work
from transforms.dedup.exact import ExactHash, exact_dtype, group_exact, hash_halves
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
    """Hashes of all texts, grouped; the answer is the sorted ids of all documents whose text stood
    before, in the order of the corpus."""
    hashed = annotate_all(
        task, [ExactHash()], lambda copies, ids: sorted(ids.take(copies).to_pylist())
    )
    return hashed._replace(run=lambda: _find_copies(hashed.run()))


def _find_copies(tables: Tables) -> pa.Array:
    """Numbers, over all batches, of the rows that are no first of their text."""
    column = pa.chunked_array([table["exact"].column("text_hash") for table in tables])
    hashes = column.combine_chunks()
    rows = np.zeros(len(hashes), exact_dtype(0))
    rows["key"], rows["low"] = hash_halves(hashes)
    rows["address"] = np.arange(len(rows))
    rows["stands_for"] = 1
    rows = np.sort(rows[hashes.is_valid().to_numpy(zero_copy_only=False)])
    found = np.concatenate(list(group_exact(lambda: [rows])))
    return pa.array(found["address"][found["address"] != found["survivor"]])
