"""Tokens of cl100k_base."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.ours.batches import read_record_batches, text_bytes
from benchmarks.work import Task, Work
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.specification import TokenizerSpec

__all__ = ["encode"]


def encode(task: Task) -> Work:
    """Encode all texts; the answer is a digest of each document's tokens (uint32)."""
    tokenizer = load_tokenizer(TokenizerSpec("cl100k_base"))
    if not tokenizer.kernel:
        raise RuntimeError(f"cl100k_base is not encoded by the kernel: {tokenizer.reason}")
    batches = read_record_batches(task)

    def run(chosen: list[pa.RecordBatch]) -> list[Any]:
        return [tokenizer.encode(one.column("text")) for one in chosen]

    def answer(encoded: list[Any]) -> list[str]:
        return [
            hashlib.sha256(
                np.ascontiguousarray(tokens[bounds[d] : bounds[d + 1]], "<u4").tobytes()
            ).hexdigest()
            for tokens, bounds in encoded
            for d in range(len(bounds) - 1)
        ]

    return Work(
        run=lambda: run(batches),
        run_bytes=text_bytes(batches),
        warm=lambda: run([batches[0].slice(0, 50)]),
        answer=answer,
    )
